/** Orbiting a moon: from the word of the user to the moon being here. @module */
import assert from "node:assert/strict";
import { WorldType } from "../../../../lib/identity/world.ts";
import type { Node } from "../../../../lib/node/node.ts";
import { ALICE, Bench, BOB, CAROL, planetOf, ROOT, ROOT2 } from "./harness.ts";

const MOON = planetOf([BOB], { id: BigInt(BOB.address), type: WorldType.MOON });
const SOON_MS = 2_000;

/** Bob is the moon's root; Alice wants it. */
function town() {
  const bench = new Bench();
  const planet = planetOf([ROOT]);
  bench.add(ROOT, { planet });
  const [alice, bob] = [bench.add(ALICE, { planet }), bench.add(BOB, { planet })];
  bench.run(1_000);
  bench.hand(bob, {
    kind: "command",
    command: { kind: "orbit", world: MOON.id, seed: BOB.address, moon: MOON },
  });
  return { bench, alice, bob };
}

function orbit(bench: Bench, node: Node): void {
  const command = { kind: "orbit", world: MOON.id, seed: BOB.address } as const;
  bench.hand(node, { kind: "command", command });
}

const moonsOf = (node: Node) => node.vl1.upstreams.moons.map(({ id }) => id);

Deno.test("Node fetches a moon at once from a seed it has never met", () => {
  const { bench, alice } = town();
  orbit(bench, alice);
  bench.run(SOON_MS);
  assert.deepEqual(moonsOf(alice), [MOON.id]);
  assert.ok(alice.vl1.upstreams.isUpstream(BOB.address));
});

Deno.test("Node fetches a moon at once from a seed it talks to already", () => {
  const { bench, alice } = town();
  const peer = alice.vl1.addPeer(BOB.publicOnly())!;
  const endpoints = MOON.roots[0].endpoints.map((endpoint) => endpoint!);
  alice.contact.hints.add(BOB.address, endpoints, alice.vl1.nowMs);
  alice.contact.tryHints(peer);
  bench.run(SOON_MS);
  assert.ok(peer.best(bench.nowMs));
  orbit(bench, alice);
  bench.run(SOON_MS);
  assert.deepEqual(moonsOf(alice), [MOON.id]);
});

Deno.test("Node goes on asking a seed that does not answer, and stops when the moon is wanted no more", () => {
  const { bench, alice, bob } = town();
  bench.nodes.delete(BOB.address);
  orbit(bench, alice);
  bench.run(60_000);
  assert.deepEqual(moonsOf(alice), []);
  bench.nodes.set(BOB.address, bob);
  bench.run(60_000);
  assert.deepEqual(moonsOf(alice), [MOON.id]);
  bench.hand(alice, { kind: "command", command: { kind: "deorbit", world: MOON.id } });
  const before = bench.datagrams;
  bench.run(120_000);
  assert.deepEqual(moonsOf(alice), []);
  assert.ok(bench.datagrams - before < 150, "only keepalive is left");
});

Deno.test("Node takes no moon from somebody who is not its seed", () => {
  const { bench, alice } = town();
  const command = { kind: "orbit", world: MOON.id, seed: ROOT2.address } as const;
  bench.hand(alice, { kind: "command", command });
  bench.run(SOON_MS);
  assert.deepEqual(moonsOf(alice), []);
  assert.ok(!alice.vl1.upstreams.isSeed(CAROL.address));
});
