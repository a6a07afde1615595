/** The reference's `zerotier-cli` and `zerotier-idtool` on what we make, and ours on what it makes. @module */
import assert from "node:assert/strict";
import { interopTest } from "./reference.ts";
import { Scene } from "./scene.ts";
import { type Kind, programOf, type Ran, type Station } from "./station.ts";

const KINDS = ["zt", "reference"] as const satisfies Kind[];

/** Ages and latencies: they differ from call to call. */
function steady(text: string): string {
  return text.replace(/;\d+;\d+/g, ";#;#").replace(/(;#;# )-?\d+/g, "$1#")
    .replace(/"(clock|lastReceive|lastSend|latency|localSocket)": ?-?\d+/g, '"$1":#');
}

/** Runs a command with both programs; what they print must be the same but for times. */
async function both(node: Station, ...args: string[]): Promise<Ran> {
  const theirs = await node.cli("reference", ...args);
  const ours = await node.cli("zt", ...args);
  assert.equal(steady(ours.stdout), steady(theirs.stdout), `stdout of ${args.join(" ")}`);
  assert.equal(ours.code, theirs.code, `exit code of ${args.join(" ")}`);
  return theirs;
}

for (const kind of KINDS) {
  interopTest(`(e) zerotier-cli of both on a ${kind} service`, async () => {
    await using scene = await Scene.start({ root: "zt", nodes: [kind, "zt"] });
    const network = await scene.network();
    const [node, other] = scene.nodes;
    const { address } = await node.status();
    await other.join(network);

    assert.equal((await both(node, "info")).stdout, `200 info ${address} 1.14.1 ONLINE\n`);
    assert.match((await both(node, "-j", "info")).stdout, new RegExp(`"address": "${address}"`));
    for (const cli of KINDS) {
      const joined = await node.cli(cli, "join", network);
      assert.equal(joined.stdout, "200 join OK\n", joined.stderr);
      await node.joined(network);
      const listed = (await both(node, "listnetworks")).stdout;
      assert.match(
        listed,
        new RegExp(`^200 listnetworks ${network} interop \\S+ OK PUBLIC zt`, "m"),
      );
      const left = await node.cli(cli, "leave", network);
      assert.equal(left.stdout, "200 leave OK\n", left.stderr);
      await node.until("left", async () => (await node.request("GET", "/network")).text === "[]");
    }
    await node.cli("reference", "join", network);
    const ip = await node.joined(network);
    await other.untilReaches(ip);
    const peers = await both(node, "listpeers");
    assert.match(
      peers.stdout,
      /^200 listpeers [0-9a-f]{10} 10\.77\.1\.1\/9993;\d+;\d+ \d+ 1\.14\.1 PLANET$/m,
    );
    assert.match((await node.cli("reference", "peers")).stdout, /PLANET +\d+ DIRECT/);
    assert.match((await node.cli("zt", "peers")).stdout, /PLANET +\d+ DIRECT/);

    for (const cli of KINDS) {
      for (const value of ["1", "0"]) {
        const set = await node.cli(cli, "set", network, `allowDefault=${value}`);
        assert.equal(JSON.parse(set.stdout).allowDefault, value === "1", set.stderr);
        assert.equal((await both(node, "get", network, "allowDefault")).stdout.trim(), value);
      }
    }
    assert.equal((await both(node, "get", network, "ip")).stdout.trim(), ip);
    assert.equal((await both(node, "get", network, "status")).stdout.trim(), "OK");
    assert.equal((await both(node, "get", network, "mtu")).stdout.trim(), "2800");
    await both(node, "get", network, "nonsense");
    await both(node, "get", "1234567890abcdef", "ip");
    await both(node, "join", "nonsense");
    await both(node, "listmoons");
    await both(node, "listbonds");
    assert.equal((await both(node, "/network/0000000000000000")).code, 1);
  });
}

interopTest("(e) zt's own words on a reference service", async () => {
  await using scene = await Scene.start({ root: "reference", nodes: ["reference", "zt"] });
  const network = await scene.network();
  const [node, other] = scene.nodes;
  const theirs = await other.join(network);
  assert.match(await node.zt("join", network), new RegExp(network));
  await node.joined(network);
  await node.untilReaches(theirs);
  const { address } = await node.status();
  assert.match(await node.zt("info"), new RegExp(address));
  assert.match(await node.zt("networks"), new RegExp(`${network} +interop +OK`));
  assert.match(await node.zt("peers"), /PLANET +1\.14\.1/);
  await node.zt("leave", network);
  assert.equal((await node.request("GET", "/network")).text, "[]");
});

interopTest(
  "(e) zerotier-idtool: identities, signatures and moons of one are taken by the other",
  async () => {
    await using scene = await Scene.prepare({ root: "zt", nodes: [] });
    const { root: at } = scene;
    const tool = (kind: Kind, ...args: string[]) =>
      at.run(programOf(kind, "zerotier-idtool"), ...args);
    await Deno.writeTextFile(`${at.home}/text`, "signed by one, checked by the other\n");
    for (const [maker, checker] of [["zt", "reference"], ["reference", "zt"]] as const) {
      const [secret, pub] = [`${maker}.secret`, `${maker}.public`];
      assert.equal((await tool(maker, "generate", secret, pub)).code, 0);
      for (const file of [secret, pub]) {
        const checked = await tool(checker, "validate", file);
        assert.equal(checked.stdout, `${file} is a valid identity\n`, checked.stderr);
      }
      const text = await Deno.readTextFile(`${at.home}/${secret}`);
      assert.equal((await tool(checker, "getpublic", secret)).stdout, text.slice(0, 141));
      const [mine, theirs] = [
        await tool(maker, "sign", secret, "text"),
        await tool(checker, "sign", secret, "text"),
      ];
      assert.equal(mine.stdout, theirs.stdout, "signatures are deterministic");
      const verified = await tool(checker, "verify", pub, "text", mine.stdout);
      assert.equal(verified.stdout, "text signature valid\n", verified.stderr);
      const forged = mine.stdout.replace(/^../, (byte) => byte === "00" ? "01" : "00");
      assert.equal((await tool(checker, "verify", pub, "text", forged)).code, 1);
      await Deno.writeTextFile(
        `${at.home}/bad`,
        text.replace(/^./, (digit) => digit === "1" ? "2" : "1"),
      );
      assert.equal((await tool(checker, "validate", "bad")).code, 1);

      const moon = JSON.parse((await tool(maker, "initmoon", pub)).stdout);
      moon.roots[0].stableEndpoints = ["10.77.1.1/9993", "fd77:1::1/9993"];
      await Deno.writeTextFile(`${at.home}/moon.json`, JSON.stringify(moon));
      const made = await tool(checker, "genmoon", "moon.json");
      const address = text.slice(0, 10);
      assert.match(made.stdout, new RegExp(`^wrote 000000${address}\\.moon \\(signed world`));
    }
  },
);

/** Whose moon, by whose tool: the seed is no root of the planet. */
for (const [seedKind, maker] of [["zt", "reference"], ["reference", "zt"]] as const) {
  interopTest(
    `(e) a moon made with ${maker}'s tool, its root ${seedKind}, is orbited by both`,
    async () => {
      const nodes = [seedKind, "zt", "reference"] as const;
      await using scene = await Scene.prepare({ root: "reference", nodes });
      const [seed, ...followers] = scene.nodes;
      const address = (await Deno.readTextFile(`${seed.home}/identity.public`)).slice(0, 10);
      const name = await makeMoon(seed, maker, `${scene.wires.ipv4(seed.host)}/9993`);
      await scene.startAll();
      assert.deepEqual(await moonIds(seed), [`000000${address}`]);
      for (const node of followers) {
        const orbit = await node.cli("reference", "orbit", address, address);
        assert.equal(orbit.stdout, "200 orbit OK\n");
        await node.until("the moon has arrived", async () => (await moonIds(node)).length === 1);
        assert.deepEqual(
          await Deno.readFile(`${node.home}/moons.d/${name}`),
          await Deno.readFile(`${seed.home}/moons.d/${name}`),
        );
        const role = (await node.peers()).find((peer) => peer.address === address)?.role;
        assert.equal(role, "MOON");
        const deorbit = await node.cli("reference", "deorbit", address);
        assert.equal(deorbit.stdout, "200 deorbit OK\n");
        assert.deepEqual(await moonIds(node), []);
      }
    },
  );
}

/** Makes a moon of one root and puts it where that root finds it. @returns its file name */
async function makeMoon(seed: Station, maker: Kind, endpoint: string): Promise<string> {
  const tool = programOf(maker, "zerotier-idtool");
  const moon = JSON.parse((await seed.run(tool, "initmoon", "identity.public")).stdout);
  moon.roots[0].stableEndpoints = [endpoint];
  await Deno.writeTextFile(`${seed.home}/moon.json`, JSON.stringify(moon));
  const made = await seed.run(tool, "genmoon", "moon.json");
  const name = made.stdout.match(/^wrote (\S+)/)?.[1];
  assert(name, made.stderr);
  await Deno.mkdir(`${seed.home}/moons.d`);
  await Deno.rename(`${seed.home}/${name}`, `${seed.home}/moons.d/${name}`);
  return name;
}

async function moonIds(station: Station): Promise<string[]> {
  return (await station.api<{ id: string }[]>("GET", "/moon")).map(({ id }) => id);
}
