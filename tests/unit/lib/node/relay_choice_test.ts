import assert from "node:assert/strict";
import { Verb } from "../../../../lib/wire/packet.ts";
import { ALICE, Bench, BOB, peerWithPath, planetOf, ROOT, ROOT2, vl1Of } from "./harness.ts";

/** Alice, two roots of which the first is nearer, and Bob whom she has no path to. */
function scene() {
  const vl1 = vl1Of(ALICE, { planet: planetOf([ROOT, ROOT2]) });
  const [near, far] = [ROOT, ROOT2].map((root, i) => {
    const peer = peerWithPath(vl1, root);
    peer.paths[0].path.addLatency(10 + 50 * i);
    return peer;
  });
  const bob = vl1.addPeer(BOB.publicOnly())!;
  return { vl1, near, far, bob, relay: () => vl1.route(bob)?.relay };
}

Deno.test("Vl1.route() goes by the upstream that alone brought packets of the peer", () => {
  const { vl1, near, far, bob, relay } = scene();
  assert.equal(relay(), near);
  vl1.shown(bob, far);
  assert.equal(relay(), far);
  vl1.shown(bob, near);
  assert.equal(relay(), near, "the best one reaches it too");
  vl1.time.nowMs += 5_001;
  vl1.shown(bob, far);
  assert.equal(relay(), far, "the best one has not for five seconds");
  far.paths[0].probesLost = 1;
  assert.equal(relay(), near, "not by one that does not answer");
});

Deno.test("Vl1.route() tries every upstream in turn while the peer does not answer", () => {
  const { vl1, near, far, bob, relay } = scene();
  bob.relayedSinceMs = vl1.nowMs;
  const tried = [0, 999, 1_000, 2_000, 3_000].map((afterMs) => {
    vl1.time.nowMs = bob.relayedSinceMs + afterMs;
    return relay();
  });
  assert.deepEqual(tried, [near, near, far, near, far]);
  bob.lastReceiveMs = vl1.nowMs;
  assert.equal(relay(), near);
});

Deno.test("Upstreams.best() is one heard since another failed", () => {
  const { vl1, near, far } = scene();
  vl1.time.nowMs += 1_000;
  vl1.upstreams.doubt();
  assert.equal(vl1.upstreams.best(), near, "equal doubts change nothing");
  far.paths[0].lastInMs = vl1.nowMs + 1;
  assert.equal(vl1.upstreams.best(), far);
  near.paths[0].lastInMs = vl1.nowMs + 2;
  assert.equal(vl1.upstreams.best(), near);
});

Deno.test("a root that stops answering has the others asked at once", () => {
  const bench = new Bench();
  const planet = planetOf([ROOT, ROOT2]);
  const [, , alice] = [ROOT, ROOT2, ALICE].map((identity) => bench.add(identity, { planet }));
  bench.run(10_000);
  assert.ok(alice.isOnline);
  bench.passes = () => false;
  const [first, second] = [ROOT, ROOT2].map(({ address }) => alice.vl1.peers.get(address)!);
  alice.vl1.onSuspect(first);
  assert.ok(second.paths[0].probeSentMs !== undefined);
});

Deno.test("who is met through a root gets our HELLO while its own proof of work is being checked", () => {
  const bench = new Bench();
  const [, alice, bob] = [ROOT, ALICE, BOB].map((identity) => bench.add(identity));
  bench.run(2_000);
  let greetedBefore: number | undefined;
  bench.validate = () => {
    greetedBefore ??= alice.vl1.counters.sent[Verb.HELLO];
    return true;
  };
  const sent = alice.vl1.counters.sent[Verb.HELLO];
  alice.vl1.send(BOB.address, Verb.NOP, new Uint8Array(0));
  bench.hand(alice, { kind: "timeout" });
  assert.ok(bob.vl1.peers.has(ALICE.address));
  assert.equal(greetedBefore, sent + 1);
  assert.ok(bob.vl1.counters.received[Verb.HELLO] > 0);
  assert.equal(bob.vl1.counters.sent[Verb.WHOIS], 0, "it need not ask who we are");
});
