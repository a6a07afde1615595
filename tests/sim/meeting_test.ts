/**
 * How nodes find each other: through a root, directly, and by relay when nothing else is possible.
 * @module
 */
import assert from "node:assert/strict";
import { connect, goDirect, lab, reaches } from "./lab.ts";
import { measured, simTest } from "./scenario.ts";
import { NATS } from "./nat.ts";
import type { Ping } from "./stack.ts";

const SEEDS = [1, 2];
const ROUND_TRIP_MS = 20; // four links of 5 ms: to a root and back, to a peer and back

simTest("two nodes meet through a root and go direct within three round trips", {
  seeds: SEEDS,
}, (world) => {
  const { nodes: [a, b] } = lab(world, [{}, {}]);
  const ping = a.ping(b);
  const heardMs = world.runUntil(
    () => (b.node.vl1.peers.get(a.address)?.lastReceiveMs ?? -Infinity) > -Infinity,
    { withinMs: 1_000, what: "b hears the first packet of a" },
  );
  measured("a stranger's first frame arrives", heardMs / ROUND_TRIP_MS, "round trips");
  const directMs = goDirect(world, a, b, 3 * ROUND_TRIP_MS);
  measured("then both go direct", directMs / ROUND_TRIP_MS, "round trips");
  world.runUntil(() => ping.receivedMs !== undefined, { withinMs: 1_000, what: "the ping" });
  measured("first ping, ARP included", ping.receivedMs! - ping.sentMs, "ms");
});

simTest("two nodes behind symmetric NATs talk through a root", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b] } = lab(world, [{ place: "sym" }, { place: "sym" }]);
  measured("first ping, relayed", connect(world, a, b), "ms");
  for (let i = 0; i < 60; i++) {
    assert.ok(reaches(world, a, b), `ping ${i}`);
    world.run(1_000);
  }
  assert.ok(!a.isDirectTo(b), "no direct path is possible");
});

simTest("nodes behind cone NATs go direct", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b] } = lab(world, [{ place: "pr" }, { place: "ar" }]);
  connect(world, a, b);
  measured("cone to cone: direct after the first answer", goDirect(world, a, b), "ms");
});

simTest(
  "a node behind a symmetric NAT goes direct with a public one",
  { seeds: SEEDS },
  (world) => {
    const { nodes: [a, b] } = lab(world, [{ place: "sym" }, { place: "pub" }]);
    connect(world, a, b);
    goDirect(world, a, b);
  },
);

simTest("nodes behind one NAT that does not hairpin use their LAN", { seeds: SEEDS }, (world) => {
  world.addRoot();
  world.planet();
  const lan = world.addLan(NATS.pr);
  const controller = world.addController();
  world.run(500);
  const network = world.addNetwork(controller, { private: false });
  const [a, b] = [world.addNode({ lan }), world.addNode({ lan })];
  world.run(500);
  world.joinAll(network, [a, b]);
  connect(world, a, b);
  goDirect(world, a, b);
  const path = a.node.vl1.peers.get(b.address)!.best(a.node.vl1.nowMs)!;
  assert.equal(path.path.endpoint.ip[0], 192);
});

simTest("nodes on IPv6 alone meet and go direct", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b] } = lab(world, [{ family: "v6" }, { family: "v6", firewall: true }]);
  connect(world, a, b);
  goDirect(world, a, b);
});

simTest("two stateful IPv6 firewalls are opened from both sides", { seeds: SEEDS }, (world) => {
  const options = { family: "v6", firewall: true } as const;
  const { nodes: [a, b] } = lab(world, [options, options]);
  connect(world, a, b);
  goDirect(world, a, b);
});

simTest("IPv4 alone and IPv6 alone talk through a root", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b] } = lab(world, [{ family: "v4" }, { family: "v6" }]);
  connect(world, a, b);
  assert.ok(!a.isDirectTo(b));
});

simTest("symmetric NATs do not matter where both have IPv6", { seeds: SEEDS }, (world) => {
  const options = { place: "sym", family: "dual" } as const;
  const { nodes: [a, b] } = lab(world, [options, options]);
  connect(world, a, b);
  goDirect(world, a, b);
});

simTest("one node sees only root 1, the other only root 2", { seeds: SEEDS }, (world) => {
  const roots = [world.addRoot(), world.addRoot()];
  const controller = world.addController();
  const [a, b] = [world.addNode({ place: "sym" }), world.addNode({ place: "sym" })];
  world.partition([a], [roots[1]]);
  world.partition([b], [roots[0]]);
  world.run(1_000);
  const network = world.addNetwork(controller, { private: false });
  world.joinAll(network, [a, b]);
  const contactMs = connect(world, a, b);
  measured("each sees another root: first ping, relayed by both", contactMs, "ms");
  assert.ok(contactMs < 1_000);
});

simTest("members that lose sight of each other's root are relayed by both", {
  seeds: SEEDS,
}, (world) => {
  const roots = [world.addRoot(), world.addRoot()];
  const controller = world.addController();
  const [a, b] = [world.addNode({ place: "sym" }), world.addNode({ place: "sym" })];
  world.run(1_000);
  const network = world.addNetwork(controller, { private: false });
  world.joinAll(network, [a, b]);
  world.run(1_000);
  world.partition([a], [roots[1]]);
  world.partition([b], [roots[0]]);
  world.run(30_000); // each root still believes to reach both
  measured("half-open roots: first ping", connect(world, a, b), "ms");
});

simTest("first contact at a round trip of 150 ms takes less than a second", {
  seeds: SEEDS,
  link: { latencyMs: 150 / 4, jitterMs: 2 },
}, (world) => {
  const places = ["pub", "eim", "pr", "pr", "sym", "dbl"] as const;
  const options = Array.from({ length: 18 }, (_, i) => ({ place: places[i % places.length] }));
  const { nodes } = lab(world, options, { roots: 2 });
  const pings: Ping[] = [];
  for (const [i, a] of nodes.entries()) {
    for (const b of nodes.slice(i + 1)) {
      world.after(world.rng.below(20_000), () => pings.push(a.ping(b)));
    }
  }
  world.run(25_000);
  const tookMs = pings.map(({ sentMs, receivedMs = Infinity }) => receivedMs - sentMs);
  tookMs.sort((x, y) => x - y);
  const p99Ms = tookMs[Math.ceil(tookMs.length * 0.99) - 1];
  measured(
    `first contact of ${tookMs.length} pairs at 150 ms: p50`,
    tookMs[tookMs.length >> 1],
    "ms",
  );
  measured(`first contact of ${tookMs.length} pairs at 150 ms: p99`, p99Ms, "ms");
  assert.ok(p99Ms < 1_000);
});
