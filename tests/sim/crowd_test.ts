/**
 * Many nodes at once, and what nodes cost when nothing happens.
 * @module
 */
import assert from "node:assert/strict";
import type { SimHost, Traffic } from "./host.ts";
import { lab } from "./lab.ts";
import { measured, simTest } from "./scenario.ts";
import type { Place, World } from "./world.ts";

const CROWD = 100;
const PLACES: Place[] = ["pub", "eim", "pr", "pr", "pr", "sym", "dbl"];

/** Sends every missing ping each second until all are answered. @returns how long that took */
function everybodyPings(world: World, nodes: SimHost[], withinMs: number): number {
  const startMs = world.nowMs;
  const missing = new Map<string, [SimHost, SimHost]>();
  for (const a of nodes) {
    for (const b of nodes) if (a !== b) missing.set(`${a.name} ${b.name}`, [a, b]);
  }
  while (missing.size > 0) {
    assert.ok(world.nowMs - startMs < withinMs, `${missing.size} pings not answered`);
    const sent = [...missing].map(([key, [a, b]]) => ({ key, ping: a.ping(b) }));
    world.run(1_000);
    for (const { key, ping } of sent) if (ping.receivedMs !== undefined) missing.delete(key);
  }
  return world.nowMs - startMs;
}

simTest(`${CROWD} nodes on one network: everyone pings everyone`, {
  seeds: [1],
  seedsMax: 20, // 20 s of a processor each, and without loss one seed is much like another
}, (world) => {
  const options = Array.from({ length: CROWD }, (_, i) => ({ place: PLACES[i % PLACES.length] }));
  const { nodes } = lab(world, options, { roots: 2, isPrivate: true });
  const tookMs = everybodyPings(world, nodes, 20_000);
  measured(`${CROWD} nodes, all ${CROWD * (CROWD - 1)} pings answered`, tookMs / 1_000, "s");
  let direct = 0;
  for (const a of nodes) for (const b of nodes) if (a !== b && a.isDirectTo(b)) direct++;
  measured("of them direct", 100 * direct / (CROWD * (CROWD - 1)), "%");
});

simTest("40 nodes over bad links: everyone pings everyone", {
  seeds: [1],
  link: { lossFraction: 0.02, jitterMs: 20, reorderFraction: 0.1, duplicateFraction: 0.02 },
}, (world) => {
  const options = Array.from({ length: 40 }, (_, i) => ({ place: PLACES[i % PLACES.length] }));
  const { nodes } = lab(world, options, { roots: 2 });
  const tookMs = everybodyPings(world, nodes, 30_000);
  measured("40 nodes at 4 % loss, all pings answered", tookMs / 1_000, "s");
});

const total = ({ bytesIn, bytesOut }: Traffic) => bytesIn + bytesOut;

/** Bytes per second a machine sends and receives while nothing happens. */
function idleRate(world: World, hosts: readonly SimHost[], forMs: number): number[] {
  const before = hosts.map((host) => total(host.traffic));
  world.run(forMs);
  return hosts.map((host, i) => (total(host.traffic) - before[i]) / (forMs / 1_000));
}

simTest("an idle node costs each root little", { seeds: [1] }, (world) => {
  const ROOTS = 4;
  for (let i = 0; i < ROOTS; i++) world.addRoot();
  const node = world.addNode({ place: "pr" });
  world.run(60_000);
  const packetsBefore = node.traffic.packetsIn + node.traffic.packetsOut;
  const [rate] = idleRate(world, [node], 1_200_000);
  const perNodeAndRoot = rate / ROOTS;
  const packets = node.traffic.packetsIn + node.traffic.packetsOut - packetsBefore;
  measured(
    "idle, no network: bytes per node and root, both ways, with headers",
    perNodeAndRoot,
    "B/s",
  );
  measured("idle, no network: packets per node and root", packets / 1_200 / ROOTS, "a second");
  measured("idle, no network: bytes of one node with four roots", rate, "B/s");
  assert.ok(perNodeAndRoot <= 40);
});

simTest(
  "an idle node with one root costs little, though it has to notice soon when UDP is stopped",
  { seeds: [1] },
  (world) => {
    world.addRoot();
    const node = world.addNode({ place: "pr" });
    world.run(60_000);
    const [rate] = idleRate(world, [node], 1_200_000);
    measured("idle, one root: bytes of the node, with headers", rate, "B/s");
    assert.ok(rate <= 25);
  },
);

simTest("idle members of a network cost little", { seeds: [1] }, (world) => {
  const COUNT = 20;
  const options = Array.from({ length: COUNT }, () => ({ place: "pr" as const }));
  const { nodes, controller } = lab(world, options);
  world.run(60_000);
  const rates = idleRate(world, [world.roots[0], controller, nodes[0]], 1_200_000);
  measured("idle member: bytes per node and root", rates[0] / (COUNT + 1), "B/s");
  measured("idle member: bytes per node and controller", rates[1] / COUNT, "B/s");
  measured("idle member: bytes of one node in all", rates[2], "B/s");
  assert.ok(rates[0] / (COUNT + 1) <= 40);
});
