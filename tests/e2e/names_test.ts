import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { NamesInfo } from "../../cli/api/view.ts";
import { inTime } from "../../cli/engine/demo/agent_client.ts";
import type { LabNode } from "../../cli/engine/demo/lab_node.ts";
import { linesOf } from "../../cli/engine/demo/lines.ts";
import { reverseName } from "../../cli/engine/dns/reverse.ts";
import { LISTED_NAMES_MAX } from "../../lib/controller/limits.ts";
import { type Address, formatAddress, parseAddress, parseNetworkId } from "../../lib/base/ids.ts";
import { formatIp, parseIp, rfc4193, sixPlane } from "../../lib/base/ip.ts";
import { DBUS_DAEMON, FakeResolved } from "./fake_resolved.ts";
import {
  addressOf,
  createNetwork,
  endToEndTest,
  FOLDER,
  joinNetwork,
  Stage,
  startPlanet,
  until,
} from "./stage.ts";

const ASKER = new URL("dns_asker.ts", import.meta.url).pathname;
const PATIENCE_MS = 15_000;
const NOBODY = ["ENOTFOUND"];

/** Looks names up on a host. */
async function ask(
  stage: Stage,
  host: string,
  server: string,
  ...questions: string[]
): Promise<string[][]> {
  const args = ["run", "--no-prompt", "-A", ASKER, "ask", server, ...questions];
  const piped = { stdin: "null", stdout: "piped", stderr: "inherit" } as const;
  const lines = linesOf(stage.lab.spawn(stage.host(host), Deno.execPath(), args, piped).stdout);
  const { value } = await inTime(lines[Symbol.asyncIterator]().next(), PATIENCE_MS, "no answer");
  return JSON.parse(value as string);
}

async function namesOf(node: LabNode, id: string): Promise<NamesInfo> {
  return (await node.ask<NamesInfo[]>("names", id))[0];
}

/** Waits until a node answers for so many members. */
async function answering(node: LabNode, id: string, count: number): Promise<NamesInfo> {
  let names: NamesInfo | undefined;
  await until(`${count} names are answered`, PATIENCE_MS, async () => {
    names = await namesOf(node, id);
    return names.server !== null && names.members.length === count;
  });
  return names!;
}

function pointer(ip: string): string {
  const bytes = parseIp(ip)!;
  return `PTR:${reverseName({ ip: bytes, bits: bytes.length * 8 })}`;
}

endToEndTest(
  "members find each other by name, as the controller gives and takes names",
  async () => {
    const stage = new Stage("names", ["root", "a", "b"]);
    const { root, members: [a, b] } = await startPlanet(stage, ["root", "a", "b"]);
    const modes = 'v6AssignMode={"rfc4193":true,"6plane":true}';
    const id = await createNetwork(root, "--name", "The Office", "--ipv4", "10.9.70.0/24", modes);
    const [ofA, ofB] = await Promise.all([a, b].map(addressOf));
    await root.do("controller", "member", "authorize", id, ofA, ofB);
    await root.do("controller", "member", "set", id, ofA, "--name", "NAS", "--ip", "10.9.70.5");
    await Promise.all([joinNetwork(a, id), joinNetwork(b, id)]);
    const { server, domains } = await answering(b, id, 2);
    deepEqual(domains, ["the-office.zt", `${id}.zt`]);
    ok(server);

    const [network, member] = [parseNetworkId(id)!, parseAddress(ofA)!];
    const v6 = [rfc4193(network, member), sixPlane(network, member)].map(({ ip }) => formatIp(ip));
    const questions = [
      "A:nas.the-office.zt",
      "AAAA:nas.the-office.zt",
      `A:${ofA}.${id}.zt`,
      pointer("10.9.70.5"),
      ...v6.map(pointer),
      "A:printer.the-office.zt",
      pointer("10.9.70.99"),
    ];
    const nas = ["nas.the-office.zt."];
    const told = await ask(stage, "b", server, ...questions);
    deepEqual(told.map((names) => names.map((name) => name.replace(/zt$/, "zt."))), [
      ["10.9.70.5"],
      v6.sort(),
      ["10.9.70.5"],
      nas,
      nas,
      nas,
      NOBODY,
      NOBODY,
    ]);
    const [across] = await ask(stage, "b", "10.9.70.5", "A:nas.the-office.zt");
    deepEqual(across, ["10.9.70.5"], "another member may be asked, too");

    const startMs = performance.now();
    await root.do("controller", "member", "set", id, ofA, "--name", "Disk");
    await until("the new name is known", PATIENCE_MS, async () => {
      return (await namesOf(b, id)).members.some(({ name }) => name === "disk");
    });
    console.log(`measured: renamed after ${Math.round(performance.now() - startMs)} ms`);
    deepEqual(await ask(stage, "b", server, "A:disk.the-office.zt", "A:nas.the-office.zt"), [
      ["10.9.70.5"],
      NOBODY,
    ]);
    await root.do("controller", "member", "deauthorize", id, ofA);
    await answering(b, id, 1);
    deepEqual(await ask(stage, "b", server, "A:disk.the-office.zt"), [NOBODY]);
    match(
      await b.do("names"),
      new RegExp(`^${id}: names are answered at .*\n${ofB}\\.the-office\\.zt `),
    );

    Deno.writeTextFileSync(`${b.home}/local.conf`, '{"settings":{"names":false}}');
    await until(
      "it is switched off",
      PATIENCE_MS,
      async () => (await namesOf(b, id)).server === null,
    );
    match(await b.do("names"), /switched off/);
    Deno.writeTextFileSync(`${b.home}/local.conf`, "{}");
    await answering(b, id, 1);
    await root.do("controller", "network", "set", id, "names=false");
    await until("there are none", PATIENCE_MS, async () => {
      return (await namesOf(b, id)).domains.length === 0;
    });
    await stage.lab.end();
  },
);

endToEndTest(
  "names are known after a start without root and controller, and over IPv6 alone",
  async () => {
    const stage = new Stage("again", ["root", "a"]);
    const { root, world } = await startPlanet(stage, ["root"]);
    const a = stage.node("a");
    await a.do("planet", "use", world);
    let service = a.start();
    await service.online();
    const modes = 'v6AssignMode={"rfc4193":true}';
    const id = await createNetwork(root, "--public", "names=true", "name=six", modes);
    const ip = await joinNetwork(a, id);
    await answering(a, id, 1);
    await service.stop();
    await root.do("service", "--stop");
    service = a.start();
    await service.ready();
    const { server } = await answering(a, id, 1);
    equal(server, ip);
    const ofA = await addressOf(a);
    deepEqual(await ask(stage, "a", ip, `AAAA:${ofA}.six.zt`, `A:${ofA}.six.zt`, pointer(ip)), [
      [ip],
      NOBODY,
      [`${ofA}.six.zt`],
    ]);
    await stage.lab.end();
  },
);

endToEndTest("a server that has port 53 keeps it", async () => {
  const stage = new Stage("taken", ["root", "a"]);
  const { root, members: [a] } = await startPlanet(stage, ["root", "a"]);
  const args = ["run", "--no-prompt", "-A", ASKER, "hold"];
  const piped = { stdin: "null", stdout: "piped", stderr: "inherit" } as const;
  const holder = stage.lab.spawn(stage.host("a"), Deno.execPath(), args, piped);
  equal((await linesOf(holder.stdout)[Symbol.asyncIterator]().next()).value, "ready");
  const id = await createNetwork(root, "--public", "--ipv4", "10.9.71.0/24", "names=true");
  await joinNetwork(a, id);
  await until("it is said", PATIENCE_MS, async () => {
    return /port 53 of 10\.9\.71\.\d+ is another program's/.test(await a.do("names"));
  });
  await stage.lab.end();
});

endToEndTest("in a large network the controller is asked for names", async () => {
  const stage = new Stage("many", ["root", "a"]);
  const { root, members: [a] } = await startPlanet(stage, ["root", "a"]);
  const id = await createNetwork(root, "--name", "campus", "--ipv4", "10.9.64.0/18");
  const [ofRoot, ofA] = [await addressOf(root), await addressOf(a)];
  const others = Array.from(
    { length: LISTED_NAMES_MAX - 2 },
    (_, i) => formatAddress((0x1000000000 + i) as Address),
  );
  await root.do("controller", "member", "authorize", id, ofRoot, ofA, ...others);
  await joinNetwork(root, id);
  await joinNetwork(a, id);
  const { server, onDemand } = await answering(a, id, LISTED_NAMES_MAX);
  equal(onDemand, false);
  await root.do(
    "controller",
    "member",
    "set",
    id,
    "2000000000",
    "--name",
    "far",
    "--ip",
    "10.9.65.9",
    "authorized=true",
  );
  // Pushes of a thousand names lie half a minute apart.
  await until("the list has gone", 4 * PATIENCE_MS, async () => (await namesOf(a, id)).onDemand);
  equal((await namesOf(a, id)).members.length, 1);
  deepEqual(
    await ask(stage, "a", server!, "A:far.campus.zt", pointer("10.9.65.9"), "A:near.campus.zt"),
    [["10.9.65.9"], ["far.campus.zt"], NOBODY],
  );
  await stage.lab.end();
});

endToEndTest(
  "systemd-resolved is told which names to ask for",
  async () => {
    const resolved = await FakeResolved.start(FOLDER);
    try {
      Deno.env.set("DBUS_SYSTEM_BUS_ADDRESS", `unix:path=${resolved.path}`);
      const stage = new Stage("told", ["root", "a"]);
      const { root, members: [a] } = await startPlanet(stage, ["root", "a"]);
      const id = await createNetwork(
        root,
        "--public",
        "--ipv4",
        "10.9.72.0/23",
        "names=true",
        "name=lab",
      );
      const ip = await joinNetwork(a, id);
      await until("it is told", PATIENCE_MS, () => resolved.told.length >= 3);
      deepEqual(resolved.told.map(({ member }) => member), [
        "SetLinkDNS",
        "SetLinkDomains",
        "SetLinkDefaultRoute",
      ]);
      const [servers, domains] = resolved.told;
      deepEqual([...servers.body.subarray(-4)], [...parseIp(ip)!]);
      const found = new TextDecoder().decode(domains.body).match(/[a-z0-9.-]{3,}(?=\0)/g);
      deepEqual(found, ["lab.zt", `${id}.zt`, "72.9.10.in-addr.arpa", "73.9.10.in-addr.arpa"]);
      equal((await namesOf(a, id)).askedBy, "systemd-resolved");

      await stage.lab.end();
    } finally {
      Deno.env.delete("DBUS_SYSTEM_BUS_ADDRESS");
      await resolved.end();
    }
  },
  DBUS_DAEMON,
);

endToEndTest("a file leads to names only where allowDNS is set", async () => {
  Deno.env.set("DBUS_SYSTEM_BUS_ADDRESS", `unix:path=${FOLDER}/nobody`);
  const stage = new Stage("file", ["root", "a"]);
  const { root, world } = await startPlanet(stage, ["root"]);
  const a = stage.node("a");
  await a.do("planet", "use", world);
  const file = `${FOLDER}/file/resolv.conf`;
  const before = "nameserver 192.0.2.1\n";
  Deno.writeTextFileSync(file, before);
  const settings = { resolvConf: file };
  Deno.writeTextFileSync(`${a.home}/local.conf`, JSON.stringify({ settings }));
  const service = a.start();
  await service.online();
  const id = await createNetwork(root, "--public", "--ipv4", "10.9.73.0/24", "names=true");
  const ip = await joinNetwork(a, id);
  equal((await answering(a, id, 1)).askedBy, null);
  equal(Deno.readTextFileSync(file), before);
  await a.do("set", id, "allowDNS=1");
  const written = () => Deno.readTextFileSync(file).includes("# zt end ");
  await until("it is written", PATIENCE_MS, written);
  match(Deno.readTextFileSync(file), new RegExp(`^# zt begin .*\nnameserver ${ip}\n# zt end `));
  equal((await namesOf(a, id)).askedBy, file);
  equal(await service.stop(), 0);
  equal(Deno.readTextFileSync(file), before);
  await stage.lab.end();
});
