import assert from "node:assert/strict";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import { Path } from "../../../../lib/peer/path.ts";
import {
  heard,
  isDead,
  isSuspect,
  lossFraction,
  noteProbe,
  Peer,
  sent,
} from "../../../../lib/peer/peer.ts";
import { ALICE, BOB, endpoint } from "../node/harness.ts";

function peer(): Peer {
  return Peer.meet(noblePrimitives, ALICE, BOB, 0)!;
}

function learn(bob: Peer, at: string, latencyMs: number, nowMs = 0) {
  const path = new Path(1, endpoint(at));
  path.addLatency(latencyMs);
  return bob.learn(path, nowMs)!;
}

Deno.test("Peer.meet() agrees one key from either side", () => {
  const other = Peer.meet(noblePrimitives, BOB, ALICE, 0)!;
  assert.deepEqual(peer().keys.key, other.keys.key);
});

Deno.test("Peer.meet() refuses a public key that agrees with everybody", () => {
  const publicKey = BOB.publicKey.slice();
  publicKey.fill(0, 0, 32);
  const nobody = new Identity({ address: BOB.address, publicKey });
  assert.equal(Peer.meet(noblePrimitives, ALICE, nobody, 0), undefined);
});

Deno.test("Peer.best() takes the faster path", () => {
  const bob = peer();
  learn(bob, "44.0.0.1/1", 100);
  const fast = learn(bob, "44.0.0.2/1", 10);
  assert.equal(bob.best(1), fast);
});

Deno.test("Peer.best() moves only when a path is clearly faster", () => {
  const bob = peer();
  const first = learn(bob, "44.0.0.1/1", 100);
  assert.equal(bob.best(1), first);
  learn(bob, "44.0.0.2/1", 90);
  assert.equal(bob.best(1), first, "10 % are not worth it");
  const faster = learn(bob, "44.0.0.3/1", 70);
  assert.equal(bob.best(1), faster);
});

Deno.test("Peer.best() does not move for less than 2 ms, but does for a more local scope as fast", () => {
  const bob = peer();
  const first = learn(bob, "44.0.0.1/1", 2);
  assert.equal(bob.best(1), first);
  learn(bob, "44.0.0.2/1", 0.5);
  assert.equal(bob.best(1), first);
  const local = learn(bob, "192.168.1.1/1", 2.5);
  assert.equal(bob.best(1), local);
});

Deno.test("Peer.best() never uses a suspect or an expired path", () => {
  const bob = peer();
  const path = learn(bob, "44.0.0.1/1", 10);
  const spare = learn(bob, "44.0.0.2/1", 100);
  assert.equal(bob.best(1), path);
  path.probesLost = 1;
  assert.ok(isSuspect(path));
  assert.equal(bob.best(1), spare);
  spare.probesLost = 1;
  assert.equal(bob.best(1), undefined);
  heard(path, 2);
  assert.equal(bob.best(3), path);
  assert.equal(bob.best(2 + 243_000), undefined);
  assert.ok(isDead(path, 2 + 243_000));
  assert.equal(bob.anyPath(), path, "the least bad one is still there");
});

Deno.test("a path is dead after four unanswered probes", () => {
  const path = learn(peer(), "44.0.0.1/1", 10);
  path.probesLost = 3;
  assert.ok(!isDead(path, 1));
  path.probesLost = 4;
  assert.ok(isDead(path, 1));
});

Deno.test("heard() and sent() keep the time of the first unanswered packet", () => {
  const path = learn(peer(), "44.0.0.1/1", 10);
  sent(path, 5);
  sent(path, 9);
  assert.equal(path.quietSinceMs, 5);
  assert.equal(path.path.lastOutMs, 9);
  heard(path, 10);
  assert.equal(path.quietSinceMs, undefined);
});

Deno.test("Peer.learn() keeps 16 paths, and gives up only those that do not answer", () => {
  const bob = peer();
  const paths = Array.from({ length: 16 }, (_, i) => learn(bob, `44.0.0.${i}/1`, 10, i));
  assert.equal(bob.learn(new Path(1, endpoint("44.0.1.1/1")), 20), undefined);
  paths[5].probesLost = 1;
  paths[9].probesLost = 1;
  assert.ok(bob.learn(new Path(1, endpoint("44.0.1.1/1")), 20));
  assert.equal(bob.paths.length, 16);
  assert.ok(!bob.paths.includes(paths[5]), "the one silent for longest goes");
  assert.ok(bob.paths.includes(paths[9]));
});

Deno.test("Peer.learn() of a known path is a sign of life", () => {
  const bob = peer();
  const known = learn(bob, "44.0.0.1/1", 10);
  known.probesLost = 3;
  assert.equal(bob.learn(known.path, 50), known);
  assert.equal(known.probesLost, 0);
  assert.equal(known.lastInMs, 50);
});

Deno.test("Peer.suspectAll() doubts every path, and none less than before", () => {
  const bob = peer();
  const [a, b] = [learn(bob, "44.0.0.1/1", 10), learn(bob, "44.0.0.2/1", 10)];
  b.probesLost = 3;
  bob.suspectAll();
  assert.deepEqual([a.probesLost, b.probesLost], [1, 3]);
});

Deno.test("lossFraction() counts the last 32 probes, the one that proved the path among them", () => {
  const path = learn(peer(), "44.0.0.1/1", 10, 5);
  assert.deepEqual([path.sinceMs, lossFraction(path)], [5, 0]);
  noteProbe(path, true);
  assert.equal(lossFraction(path), 0.5);
  for (let i = 0; i < 30; i++) noteProbe(path, false);
  assert.deepEqual([path.probeCount, lossFraction(path)], [32, 1 / 32]);
  noteProbe(path, false);
  assert.equal(lossFraction(path), 1 / 32);
  noteProbe(path, false);
  assert.equal(lossFraction(path), 0, "it is more than 32 probes ago");
  for (let i = 0; i < 40; i++) noteProbe(path, true);
  assert.deepEqual([path.probeCount, lossFraction(path)], [32, 1]);
});
