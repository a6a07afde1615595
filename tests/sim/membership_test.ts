/**
 * Who is a member: joining, being let in afterwards, being removed, and restarts of all kinds.
 * @module
 */
import assert from "node:assert/strict";
import { connect, goDirect, lab, Pinger, reaches } from "./lab.ts";
import { NATS } from "./nat.ts";
import { measured, simTest } from "./scenario.ts";

const SEEDS = [1, 2];

simTest("a public network lets everybody in", { seeds: SEEDS }, (world) => {
  world.addRoot();
  const controller = world.addController();
  const [a, b] = [world.addNode(), world.addNode()];
  world.run(500);
  const network = world.addNetwork(controller, { private: false });
  a.join(network);
  const joinedMs = world.runUntil(() => a.isOn(network), { withinMs: 1_000, what: "a joins" });
  measured("join of a public network", joinedMs, "ms");
  world.joinAll(network, [b]);
  connect(world, a, b);
  a.leave(network);
  world.run(100);
  assert.equal(a.stack(network), undefined);
  assert.ok(!reaches(world, b, a));
});

simTest("a private network lets a member in once it is authorized", { seeds: SEEDS }, (world) => {
  world.addRoot();
  const controller = world.addController();
  const a = world.addNode();
  world.run(500);
  const network = world.addNetwork(controller, { private: true });
  a.join(network);
  world.run(2_000);
  assert.equal(a.node.networks.find(network)?.status, "ACCESS_DENIED");
  world.authorize(controller, network, a);
  const onMs = world.runUntil(() => a.isOn(network), { withinMs: 2_000, what: "a is let in" });
  measured("authorized to configured", onMs, "ms");
});

simTest("a removed member is cut off", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b, c], controller, network } = lab(world, [{}, {}, { place: "pr" }]);
  connect(world, a, b);
  connect(world, a, c);
  const pinger = new Pinger(world, b, a);
  world.run(1_000);
  world.authorize(controller, network, b, false);
  const removedMs = world.nowMs;
  world.run(10_000);
  const last = Math.max(...pinger.pings.map((ping) => ping.receivedMs ?? 0));
  measured("last answer to a removed member", Math.max(0, last - removedMs), "ms");
  assert.ok(last - removedMs < 2_000);
  assert.ok(!reaches(world, a, b), "members do not reach it");
  assert.ok(reaches(world, a, c), "members still reach each other");
  world.authorize(controller, network, b, true);
  world.runUntil(() => b.isOn(network), { withinMs: 5_000, what: "b is let in again" });
  world.run(1_500);
  assert.ok(reaches(world, b, a), "let in again, it is back");
});

simTest("members start from their cached configuration when the controller is dead", {
  seeds: SEEDS,
}, (world) => {
  const { nodes: [a, b], controller, network } = lab(world, [{ place: "pr" }, {}]);
  connect(world, a, b);
  controller.stop();
  for (const node of [a, b]) {
    node.stop(true);
    node.boot(world.planet());
  }
  world.run(10);
  assert.ok(a.isOn(network) && b.isOn(network), "configured before anybody answered");
  measured("first ping after both restarted, no controller", connect(world, a, b), "ms");
});

simTest("members find each other by their caches when root and controller are dead", {
  seeds: SEEDS,
}, (world) => {
  const { nodes: [a, b], controller } = lab(world, [{}, {}]);
  connect(world, a, b);
  controller.stop();
  world.roots[0].stop();
  for (const node of [a, b]) {
    node.stop(true);
    node.boot(world.planet());
  }
  world.run(100);
  measured("no root, no controller, both restarted: first ping", connect(world, a, b), "ms");
});

simTest(
  "members on a LAN find each other by beacon when all roots are dead and their addresses are new",
  {
    seeds: SEEDS,
  },
  (world) => {
    world.addRoot();
    const controller = world.addController();
    world.run(500);
    const network = world.addNetwork(controller, { private: false });
    const lan = world.addLan(NATS.pr);
    const members = [1, 2, 3].map(() => world.addNode({ lan }));
    const stranger = world.addNode({ lan });
    world.run(500);
    world.joinAll(network, members);
    const [a, b, c] = members;
    for (const [x, y] of [[a, b], [b, c], [a, c]]) connect(world, x, y);
    world.run(40_000); // whom they talk to is written down twice a minute
    for (const host of [...world.roots, controller, ...members]) host.stop(); // a power cut
    for (const member of members) {
      member.connect(world.interfacesFor({ lan }));
      member.boot(world.planet());
    }
    const tookMs = world.runUntil(
      () => members.every((x) => members.every((y) => x === y || x.isDirectTo(y))),
      { withinMs: 10_000, what: "each reaches each directly" },
    );
    measured("no root, all restarted on other addresses: found by beacon", tookMs, "ms");
    for (const [x, y] of [[a, b], [b, c], [a, c]]) connect(world, x, y);
    const before = a.traffic.packetsOut;
    world.run(600_000);
    measured(
      "packets a minute of a member without a root",
      (a.traffic.packetsOut - before) / 10,
      "",
    );
    assert.ok(!stranger.isDirectTo(a), "who shares no network is left alone");
  },
);

simTest("a node that reaches a root sends no beacons", { seeds: [1] }, (world) => {
  let beacons = 0;
  world.filter(({ bytes }) => {
    if (bytes.length === 13) beacons++;
    return false;
  });
  world.addRoot();
  const controller = world.addController();
  world.run(500);
  const network = world.addNetwork(controller, { private: false });
  const lan = world.addLan(NATS.pr);
  const members = [world.addNode({ lan }), world.addNode({ lan })];
  world.run(500);
  world.joinAll(network, members);
  world.run(120_000);
  assert.equal(beacons, 0);
  world.roots[0].stop();
  world.run(120_000);
  measured("beacons of two nodes in the first two minutes without a root", beacons, "");
  assert.ok(beacons > 0 && beacons <= 20);
  world.roots[0].boot(world.planet());
  world.run(30_000);
  beacons = 0;
  world.run(60_000);
  assert.equal(beacons, 0);
});

simTest("a member that was killed is back within seconds", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b], network } = lab(world, [{ place: "pr" }, { place: "pr" }]);
  connect(world, a, b);
  a.stop();
  world.run(3_000);
  a.boot(world.planet());
  world.runUntil(() => a.isOn(network), { withinMs: 100, what: "a is configured" });
  measured("killed and restarted: pings pass both ways", connect(world, a, b), "ms");
});

simTest("a member that starts anew on another port has an answer to its first ping", {
  seeds: [1, 2, 3, 4, 5, 61], // with 61 the root had heard it 49 ms before the new port answered
}, (world) => {
  const { nodes: [a, b], network } = lab(world, [{}, {}]);
  connect(world, a, b);
  goDirect(world, a, b);
  world.run(5_000);
  b.stop();
  b.wipe();
  b.config.udpPort += 1_000;
  b.boot(world.planet());
  world.run(100);
  b.join(network);
  world.runUntil(() => b.isOn(network), { withinMs: 500, what: "b has its configuration" });
  const ping = b.ping(a);
  world.run(900); // ARP repeats after a second
  assert.ok(ping.receivedMs !== undefined, "nothing of it went where b was before");
  measured("first ping of a member on another port", ping.receivedMs - ping.sentMs, "ms");
});

simTest("a member that lost its disk but not its identity is back", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b], network } = lab(world, [{ place: "pr" }, { place: "pr" }]);
  connect(world, a, b);
  a.stop();
  a.wipe();
  world.run(3_000);
  a.boot(world.planet());
  world.run(500);
  world.joinAll(network, [a]);
  connect(world, a, b);
});

simTest("a controller that restarts goes on where it was", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b], controller, network } = lab(world, [{}, {}]);
  connect(world, a, b);
  const addressBefore = a.stack(network)!.ip;
  controller.stop();
  world.run(5_000);
  controller.boot(world.planet());
  world.run(70_000); // every member refreshes its configuration once
  assert.deepEqual(a.stack(network)!.ip, addressBefore);
  assert.ok(reaches(world, a, b));
  const late = world.addNode();
  world.run(500);
  late.join(network);
  world.run(1_500);
  world.authorize(controller, network, late);
  world.runUntil(() => late.isOn(network), { withinMs: 5_000, what: "a newcomer gets in" });
  connect(world, late, a);
});

simTest("certificates outlive a controller that is gone for an hour", { seeds: [1] }, (world) => {
  const { nodes: [a, b], controller } = lab(world, [{}, {}]);
  connect(world, a, b);
  controller.stop();
  for (let i = 0; i < 60; i++) {
    world.run(60_000);
    assert.ok(reaches(world, a, b), `after ${i + 1} minutes`);
  }
});
