/**
 * Planets that contradict each other.
 * @module
 */
import assert from "node:assert/strict";
import type { World as Planet } from "../../lib/identity/world.ts";
import type { SimHost } from "./host.ts";
import { connect, reaches } from "./lab.ts";
import { measured, simTest } from "./scenario.ts";

const take = (host: SimHost, planet: Planet) =>
  host.hand({ kind: "command", command: { kind: "planet", planet } });
const stampOf = (host: SimHost) => {
  const { timestamp, roots } = host.node.vl1.upstreams.planet;
  return `${timestamp} ${roots.map(({ identity }) => identity.address).join()}`;
};

simTest(
  "two validly signed worlds with equal timestamps live side by side until a newer one comes",
  {
    seeds: [1, 2],
  },
  (world) => {
    const roots = [1, 2, 3].map(() => world.addRoot());
    const controller = world.addController();
    const nodes = Array.from({ length: 6 }, () => world.addNode({ place: "sym" }));
    world.run(500);
    const network = world.addNetwork(controller, { private: false });
    world.joinAll(network, nodes);
    const [one, other] = [nodes.slice(0, 3), nodes.slice(3)];
    // Each half hears first from a root that the other's planet does not have.
    const heals = [
      world.partition(one, [roots[1], roots[2]]),
      world.partition(other, [roots[0], roots[1]]),
    ];
    take(roots[0], world.planetOf([roots[0], roots[1]], 2n));
    take(roots[2], world.planetOf([roots[1], roots[2]], 2n));
    world.runUntil(
      () => nodes.every((node) => node.node.vl1.upstreams.planet.timestamp === 2n),
      { withinMs: 150_000, what: "everybody has one of the two planets" },
    );
    for (const heal of heals) heal();
    world.run(150_000);
    const held = nodes.map(stampOf);
    assert.equal(new Set(held).size, 2, "some have one, some the other");
    const before = nodes.map(({ traffic }) => traffic.packetsOut);
    world.run(600_000);
    assert.deepEqual(nodes.map(stampOf), held, "nobody changes its mind");
    const most = Math.max(...nodes.map(({ traffic }, i) => traffic.packetsOut - before[i]));
    measured("two worlds: packets a minute of one node, idle", most / 10, "");
    assert.ok(most / 10 < 60);
    for (const [i, a] of nodes.entries()) {
      for (const b of nodes.slice(i + 1)) connect(world, a, b);
    }
    take(roots[1], world.planetOf(roots, 3n));
    const resolvedMs = world.runUntil(
      () => nodes.every((node) => node.node.vl1.upstreams.planet.timestamp === 3n),
      { withinMs: 300_000, what: "everybody has the newer planet" },
    );
    measured("two worlds: everybody has the newer one", resolvedMs / 1_000, "s");
    assert.ok(reaches(world, nodes[0], nodes[5]));
  },
);

simTest("a world somebody else signed, or an older one, is not taken", { seeds: [1] }, (world) => {
  const roots = [world.addRoot(), world.addRoot()];
  const nodes = [world.addNode(), world.addNode()];
  world.run(1_000);
  const genuine = nodes.map(stampOf);
  const stolen = { ...world.planetOf([roots[0]], 9n), signature: new Uint8Array(96).fill(7) };
  take(roots[0], stolen);
  take(roots[1], world.planetOf([roots[1]], 0n));
  world.run(300_000);
  assert.deepEqual(nodes.map(stampOf), genuine);
  assert.ok(nodes.every(({ node }) => node.isOnline));
});
