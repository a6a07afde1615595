import assert from "node:assert/strict";
import { formatEndpoint } from "../../../../lib/base/ip.ts";
import { heard, isSuspect, sent } from "../../../../lib/peer/peer.ts";
import type { Path } from "../../../../lib/peer/path.ts";
import type { Node } from "../../../../lib/node/node.ts";
import { ALICE, Bench, BOB, endpoint, planetOf, ROOT, WHERE } from "./harness.ts";

const ELSEWHERE = "44.0.0.4/20001"; // of Bob, where no socket of his was before

/** Alice and Bob by a root, each with a path to the other that has been quiet for half a second. */
function pair() {
  const bench = new Bench();
  const planet = planetOf([ROOT]);
  bench.add(ROOT, { planet });
  const [alice, bob] = [bench.add(ALICE, { planet }), bench.add(BOB, { planet })];
  bench.run(1_000);
  for (const node of [alice, bob]) bench.hand(node, { kind: "timeout" });
  const peer = alice.vl1.addPeer(BOB.publicOnly())!;
  bob.vl1.addPeer(ALICE.publicOnly());
  const path = alice.vl1.paths.get(1, WHERE.get(BOB.address)!);
  alice.vl1.paths.keep(path);
  alice.contact.probe(peer, path, true);
  bench.hand(alice, { kind: "timeout" });
  const known = peer.find(path)!;
  const wait = (durationMs: number) => {
    bench.run(durationMs);
    for (const node of [alice, bob]) bench.hand(node, { kind: "timeout" }); // sets its clock
  };
  wait(500);
  return { bench, alice, bob, peer, known, wait };
}

/** How Alice reaches the root. */
function relayTo({ alice: { vl1 } }: ReturnType<typeof pair>): Path {
  return vl1.upstreams.best()!.best(vl1.nowMs)!.path;
}

/** A HELLO of Bob's comes from another of his places. @returns where Alice sent something because of it */
function greet({ bench, alice, bob }: ReturnType<typeof pair>, from: string): string[] {
  const asked: string[] = [];
  let hello: Uint8Array | undefined;
  bench.passes = (sender, to, bytes) => {
    if (sender === bob) hello = bytes;
    else if (sender === alice) asked.push(formatEndpoint(to));
    return false;
  };
  const to = bob.vl1.paths.get(1, WHERE.get(ALICE.address)!);
  bob.greeter.hello(bob.vl1.peers.get(ALICE.address)!, to);
  bench.hand(bob, { kind: "timeout" });
  bench.hand(alice, { kind: "datagram", socket: 1, from: endpoint(from), bytes: hello! });
  bench.passes = () => true;
  return asked;
}

function best(node: Node, scene: ReturnType<typeof pair>) {
  return scene.peer.best(node.vl1.nowMs);
}

Deno.test("Doubts.greeted() leaves silent paths until they answer when the peer greets from elsewhere", () => {
  const scene = pair();
  assert.equal(best(scene.alice, scene), scene.known);
  const asked = greet(scene, ELSEWHERE);
  assert.ok(asked.includes(formatEndpoint(scene.known.path.endpoint)), `asked ${asked}`);
  assert.equal(best(scene.alice, scene), undefined, "by the root");
  scene.wait(1_000);
  assert.equal(best(scene.alice, scene), scene.known, "asked again, it answered");
});

Deno.test("Doubts.greeted() goes by what greets now, not by what answered lately", () => {
  const scene = pair();
  scene.alice.doubts.raise(scene.peer, relayTo(scene));
  scene.bench.hand(scene.alice, { kind: "timeout" });
  assert.ok(!isSuspect(scene.known), "it answered");
  scene.wait(400);
  greet(scene, ELSEWHERE);
  assert.equal(best(scene.alice, scene), undefined);
});

Deno.test("Doubts.greeted() does not mind who greets where it is known to be, or was heard just now", () => {
  const known = pair();
  greet(known, formatEndpoint(WHERE.get(BOB.address)!));
  assert.equal(best(known.alice, known), known.known);
  const heard = pair();
  heard.known.lastInMs = heard.alice.vl1.nowMs;
  greet(heard, ELSEWHERE);
  assert.equal(best(heard.alice, heard), heard.known);
});

Deno.test("Doubts.raise() asks a path once a second, and leaves it once in ten when it answers", () => {
  const scene = pair();
  const { bench, alice, peer, known, wait } = scene;
  const raised = (afterMs: number) => {
    wait(afterMs);
    const asked: string[] = [];
    bench.passes = (sender, to) => sender !== alice || asked.push(formatEndpoint(to)) === 0;
    known.lastInMs = bench.nowMs - 100;
    alice.doubts.raise(peer, relayTo(scene));
    const left = isSuspect(known);
    bench.hand(alice, { kind: "timeout" });
    bench.passes = () => true;
    wait(600); // what was not answered is asked again
    return { asked: asked.includes(formatEndpoint(known.path.endpoint)), left };
  };
  assert.deepEqual(raised(0), { asked: true, left: true });
  assert.deepEqual(raised(0), { asked: false, left: false });
  assert.deepEqual(raised(0), { asked: true, left: false });
  assert.deepEqual(raised(10_000), { asked: true, left: true });
});

Deno.test("Doubts.raise() asks our relay when the peer's packets come by another", () => {
  const scene = pair();
  const { bench, alice, peer, known } = scene;
  peer.forget(known);
  const own = relayTo(scene);
  const asked: string[] = [];
  bench.passes = (sender, to) => sender !== alice || asked.push(formatEndpoint(to)) === 0;
  alice.doubts.raise(peer, own);
  bench.hand(alice, { kind: "timeout" });
  assert.deepEqual(asked, [], "it came by ours");
  alice.doubts.raise(peer, known.path);
  alice.doubts.raise(peer, known.path);
  bench.hand(alice, { kind: "timeout" });
  assert.deepEqual(asked, [formatEndpoint(own.endpoint)]);
});

Deno.test("Doubts.diverted() goes at once by the path the peer's frames come by, whatever other paths there are", () => {
  const { bench, alice, peer, known } = pair();
  const { vl1 } = alice;
  const learned = [20_001, 20_002, 20_003].map((port) => {
    const path = vl1.paths.get(1, endpoint(`44.0.0.4/${port}`));
    vl1.paths.keep(path);
    path.addLatency(known.path.latencyMs!);
    return peer.learn(path, vl1.nowMs - 500)!;
  });
  assert.equal(peer.best(vl1.nowMs), known);
  sent(known, vl1.nowMs - 100);
  const [, used] = learned;
  heard(used, vl1.nowMs);
  let asked = 0;
  bench.passes = () => ++asked === 0;
  alice.doubts.diverted(peer, used.path);
  bench.hand(alice, { kind: "timeout" });
  assert.equal(peer.best(vl1.nowMs), used);
  assert.equal(asked, 3, "whether the others still work");
  for (const path of peer.paths) heard(path, vl1.nowMs);
  assert.equal(peer.best(vl1.nowMs), used, "nothing is gained by going back");
});
