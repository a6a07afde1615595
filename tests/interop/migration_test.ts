/** Switching programs on one home folder, there and back: identity, planet, networks, controller. @module */
import assert from "node:assert/strict";
import { interopTest } from "./reference.ts";
import { publicNetwork, Scene } from "./scene.ts";
import type { Kind, Station } from "./station.ts";

/** Ends one program and starts the other on the same home folder. */
async function switchTo(station: Station, kind: Kind): Promise<void> {
  await station.stop();
  station.kind = kind;
  await station.start();
  await station.online();
}

for (const first of ["reference", "zt"] as const satisfies Kind[]) {
  const second: Kind = first === "zt" ? "reference" : "zt";
  interopTest(`a node's home folder goes from ${first} to ${second} and back`, async () => {
    await using scene = await Scene.start({ root: "reference", nodes: [first, "zt"] });
    const network = await scene.network();
    const [node, other] = scene.nodes;
    const ip = await node.join(network);
    const theirs = await other.join(network);
    await node.api("POST", `/network/${network}`, { allowGlobal: true });
    const { publicIdentity, planetWorldId } = await node.status();
    for (const kind of [second, first] as const) {
      await switchTo(node, kind);
      const status = await node.status();
      assert.equal(status.publicIdentity, publicIdentity);
      assert.equal(status.planetWorldId, planetWorldId);
      assert.equal(await node.joined(network), ip);
      const { allowGlobal, allowManaged, allowDefault } = await node.network(network);
      assert.deepEqual({ allowGlobal, allowManaged, allowDefault }, {
        allowGlobal: true,
        allowManaged: true,
        allowDefault: false,
      });
      await node.untilReaches(theirs);
      await other.untilReaches(ip);
    }
  });
}

/** What must not change when the program does; the rest are counters and times. */
function lasting(record: Record<string, unknown>): Record<string, unknown> {
  const { clock: _, revision: _revision, ...rest } = record;
  return Object.fromEntries(Object.entries(rest).filter(([key]) => !/^(v[A-Z]|last)/.test(key)));
}

for (const folder of ["controller.d", "elsewhere"]) {
  interopTest(`zt takes over a reference controller's records in ${folder}`, async () => {
    await using scene = await Scene.prepare({ root: "reference", nodes: ["zt", "reference"] });
    const { root, nodes } = scene;
    if (folder !== "controller.d") {
      const settings = { controllerDbPath: `${root.home}/${folder}` };
      await Deno.writeTextFile(`${root.home}/local.conf`, JSON.stringify({ settings }));
    }
    await scene.startAll();
    const rules = [
      { type: "MATCH_ETHERTYPE", not: true, or: false, etherType: 0x86dd },
      { type: "ACTION_ACCEPT" },
    ];
    const network = await scene.network(publicNetwork({ private: true, rules }));
    await Promise.all(nodes.map((node) => node.api("POST", `/network/${network}`, {})));
    await Promise.all(nodes.map((node) => node.networkStatus(network, "ACCESS_DENIED")));
    for (const node of nodes) await scene.member(network, node, { authorized: true });
    const ips = await Promise.all(nodes.map((node) => node.joined(network)));
    const path = `/controller/network/${network}`;
    const read = async () => {
      const addresses = Object.keys(
        await root.api<Record<string, unknown>>("GET", `${path}/member`),
      );
      const paths = [path, ...addresses.sort().map((address) => `${path}/member/${address}`)];
      const records = paths.map((one) => root.api<Record<string, unknown>>("GET", one));
      return (await Promise.all(records)).map(lasting);
    };
    const before = await read();
    assert.equal(before.length, 3);

    await switchTo(root, "zt");
    assert.deepEqual(await read(), before);
    await Promise.all(nodes.map((node) => node.stop()));
    await Promise.all(nodes.map((node) => node.start()));
    assert.deepEqual(await Promise.all(nodes.map((node) => node.joined(network))), ips);
    await nodes[0].untilReaches(ips[1]);
    await nodes[1].untilReaches(ips[0]);
    await scene.member(network, nodes[0], { authorized: false });
    await nodes[0].networkStatus(network, "ACCESS_DENIED");

    await switchTo(root, "reference"); // zt left its files as they were
    assert.deepEqual(await read(), before);
    await nodes[0].networkStatus(network, "OK");
  });
}

interopTest(
  "a reference takes over what zt controller export wrote, and zt what that wrote",
  async () => {
    await using scene = await Scene.start({ root: "zt", nodes: ["zt", "reference"] });
    const { root, nodes } = scene;
    const network = await scene.network(publicNetwork({ private: true, name: 'of\u00fcce "1"' }));
    await Promise.all(nodes.map((node) => node.api("POST", `/network/${network}`, {})));
    await Promise.all(nodes.map((node) => node.networkStatus(network, "ACCESS_DENIED")));
    for (const node of nodes) await scene.member(network, node, { authorized: true });
    const ips = await Promise.all(nodes.map((node) => node.joined(network)));
    const path = `/controller/network/${network}`;
    const read = async () => {
      const addresses = Object.keys(await root.api<object>("GET", `${path}/member`));
      const paths = [path, ...addresses.sort().map((address) => `${path}/member/${address}`)];
      const records = paths.map((one) => root.api<Record<string, unknown>>("GET", one));
      return (await Promise.all(records)).map(lasting);
    };
    const before = await read();
    assert.match(await root.zt("controller", "export"), /controller\.d: 1 networks, 2 members\n$/);

    await switchTo(root, "reference");
    assert.deepEqual(await read(), before);
    await Promise.all(nodes.map((node) => node.stop()));
    await Promise.all(nodes.map((node) => node.start()));
    assert.deepEqual(await Promise.all(nodes.map((node) => node.joined(network))), ips);
    await nodes[0].untilReaches(ips[1]);
    await scene.member(network, nodes[0], { authorized: false });
    await nodes[0].networkStatus(network, "ACCESS_DENIED");
    const after = await read();

    await root.stop();
    await Deno.rename(`${root.home}/controller.sqlite`, `${root.home}/controller.sqlite.old`);
    await switchTo(root, "zt");
    assert.deepEqual(await read(), after);
  },
);
