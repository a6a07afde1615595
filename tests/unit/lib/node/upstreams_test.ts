import assert from "node:assert/strict";
import { WorldType } from "../../../../lib/identity/world.ts";
import {
  actionsOf,
  ALICE,
  BOB,
  CAROL,
  peerWithPath,
  planetOf,
  ROOT,
  ROOT2,
  vl1Of,
} from "./harness.ts";

const MOON_ID = BigInt(BOB.address);
const moonOf = (timestamp = 1n) =>
  planetOf([BOB], { id: MOON_ID, timestamp, type: WorldType.MOON });

function persisted(vl1: ReturnType<typeof vl1Of>) {
  return actionsOf(vl1.outbox).flatMap((action) =>
    action.kind === "persist" ? [action.record.what] : []
  );
}

Deno.test("Upstreams.install() makes peers of the roots, and knows when we are one", () => {
  const leaf = vl1Of(ALICE, { planet: planetOf([ROOT, ROOT2]) });
  assert.deepEqual(leaf.upstreams.addresses, [ROOT.address, ROOT2.address]);
  assert.equal(leaf.upstreams.peers().length, 2);
  assert.equal(leaf.upstreams.amUpstream, false);
  const root = vl1Of(ROOT, { planet: planetOf([ROOT, ROOT2]) });
  assert.deepEqual(root.upstreams.addresses, [ROOT2.address]);
  assert.equal(root.upstreams.amUpstream, true);
});

Deno.test("Upstreams.best() takes the fastest that answers, and moves for a fifth only", () => {
  const vl1 = vl1Of(ALICE, { planet: planetOf([ROOT, ROOT2]) });
  const { upstreams } = vl1;
  assert.equal(upstreams.best(), undefined);
  const [first, second] = [peerWithPath(vl1, ROOT), peerWithPath(vl1, ROOT2)];
  first.paths[0].path.latencyMs = 50;
  second.paths[0].path.latencyMs = 60;
  assert.equal(upstreams.best(), first);
  second.paths[0].path.latencyMs = 45;
  assert.equal(upstreams.best(), first, "10 % are not worth it");
  second.paths[0].path.latencyMs = 30;
  assert.equal(upstreams.best(), second);
  second.paths[0].probesLost = 1;
  assert.equal(upstreams.best(), first, "who does not answer is left at once");
  assert.equal(upstreams.best(ROOT.address), second, "the only other one, even if it is silent");
  first.paths[0].probesLost = 1;
  assert.ok(upstreams.best(), "none answers: any one is better than none");
});

Deno.test("Upstreams.offer() takes a newer planet signed by the key of the old one", () => {
  const vl1 = vl1Of(ALICE);
  const offer = (changes: Parameters<typeof planetOf>[1]) =>
    vl1.upstreams.offer(planetOf([ROOT, ROOT2], changes), ROOT.address);
  assert.equal(offer({ timestamp: 1n }), false, "equal times");
  assert.equal(offer({ timestamp: 2n, signer: BOB }), false, "another signer");
  assert.equal(offer({ timestamp: 2n, id: 9n }), false, "another planet");
  assert.deepEqual(persisted(vl1), []);
  assert.equal(offer({ timestamp: 2n }), true);
  assert.deepEqual(vl1.upstreams.addresses, [ROOT.address, ROOT2.address]);
  assert.deepEqual(persisted(vl1), ["planet"]);
});

Deno.test("Upstreams takes a moon only when it is wanted, from its seed or an upstream", () => {
  const vl1 = vl1Of(ALICE);
  const { upstreams } = vl1;
  assert.equal(upstreams.offer(moonOf(), ROOT.address), false);
  upstreams.orbit(MOON_ID, BOB.address, undefined);
  assert.deepEqual(upstreams.announced(), [{ id: MOON_ID, timestampMs: 0 }]);
  assert.ok(upstreams.mayUpdateWorlds(BOB.address));
  assert.equal(upstreams.offer(moonOf(), CAROL.address), false);
  assert.equal(upstreams.offer(moonOf(), BOB.address), true);
  assert.deepEqual(persisted(vl1), ["moon"]);
  assert.deepEqual(upstreams.announced(), [{ id: MOON_ID, timestampMs: 1 }]);
  assert.ok(upstreams.isUpstream(BOB.address));
  assert.equal(upstreams.offer(moonOf(1n), ROOT.address), false);
  assert.equal(upstreams.offer(moonOf(2n), ROOT.address), true);
  upstreams.deorbit(MOON_ID);
  assert.ok(!upstreams.isUpstream(BOB.address));
  assert.deepEqual(upstreams.moons, []);
});

Deno.test("Upstreams.orbit() takes a moon from the disk at once, if it is the one named", () => {
  const { upstreams } = vl1Of(ALICE);
  upstreams.orbit(MOON_ID + 1n, 0 as never, moonOf());
  assert.equal(upstreams.moons.length, 0);
  upstreams.orbit(MOON_ID, 0 as never, moonOf());
  assert.equal(upstreams.moons.length, 1);
});

Deno.test("Upstreams holds 16 moons, and wants 16 more", () => {
  const { upstreams } = vl1Of(ALICE);
  for (let i = 0n; i < 20n; i++) {
    upstreams.orbit(i, 0 as never, planetOf([BOB], { id: i, type: WorldType.MOON }));
    upstreams.orbit(100n + i, BOB.address, undefined);
  }
  assert.equal(upstreams.moons.length, 16);
  assert.equal(upstreams.wanted.length, 16);
});

Deno.test("Upstreams.newerThan() names worlds the other does not have yet", () => {
  const { upstreams } = vl1Of(ALICE, { planet: planetOf([ROOT], { timestamp: 5n }) });
  upstreams.orbit(MOON_ID, 0 as never, moonOf(3n));
  const newer = (planetTime: number, moonTime: number) =>
    upstreams.newerThan({ id: 1n, timestampMs: planetTime }, [{
      id: MOON_ID,
      timestampMs: moonTime,
    }]).map((world) => world.id);
  assert.deepEqual(newer(4, 0), [1n, MOON_ID]);
  assert.deepEqual(newer(5, 3), []);
  assert.deepEqual(newer(6, 2), [MOON_ID]);
});
