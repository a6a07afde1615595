/**
 * Remedies of spec 03 section 28 that no other scenario shows alone; `tests/remedies.md` says where each is tested.
 * @module
 */
import assert from "node:assert/strict";
import { Writer } from "../../lib/base/bytes.ts";
import { Cipher, Verb } from "../../lib/wire/packet.ts";
import { encodeRendezvous } from "../../lib/wire/rendezvous.ts";
import { Attacker } from "./attacker.ts";
import { connect, goDirect, lab, Pinger } from "./lab.ts";
import { simTest } from "./scenario.ts";

const SEEDS = [1, 2];

simTest(
  "who finds a direct path dead tells the peer by the relay where it is, without being asked",
  {
    seeds: SEEDS,
  },
  (world) => {
    const { nodes: [a, b] } = lab(world, [{ place: "pr" }, { place: "pr" }]);
    connect(world, a, b);
    goDirect(world, a, b);
    world.run(10_000);
    new Pinger(world, a, b);
    world.run(1_000);
    const { sent } = a.node.vl1.counters;
    const before = sent[Verb.PUSH_DIRECT_PATHS];
    // B hears a by the root, and is not heard
    world.filter(({ origin }, to) => origin === b || (origin === a && to === b));
    world.run(3_000);
    assert.ok(!a.isDirectTo(b));
    assert.ok(sent[Verb.PUSH_DIRECT_PATHS] > before);
  },
);

simTest("an introduction to somebody unknown is followed once the root has said who it is", {
  seeds: SEEDS,
}, (world) => {
  const { nodes: [a, b] } = lab(world, [{ place: "pr" }, { place: "pr" }]);
  // Nothing but the one introduction there is in 30 s shows the way.
  for (const { node } of [a, b]) node.directPaths.receive = () => {};
  assert.ok(!b.node.vl1.peers.has(a.address));
  a.ping(b);
  goDirect(world, a, b, 3_000);
});

simTest("who is idle asks nobody who the roots are", { seeds: [1] }, (world) => {
  const { nodes } = lab(world, [{}, { place: "pr" }], { roots: 2 });
  world.run(30_000);
  const asked = () => nodes.map(({ node }) => node.vl1.counters.sent[Verb.WHOIS]);
  const before = asked();
  world.run(10 * 60_000);
  assert.ok(nodes.every(({ node }) => node.isOnline));
  assert.deepEqual(asked(), before);
});

simTest("an introduction by somebody who is no root is not followed", { seeds: [1] }, (world) => {
  const { nodes: [a, b] } = lab(world, [{}, {}]);
  connect(world, a, b);
  const [attacker, victim] = [new Attacker(world), new Attacker(world, "victim")];
  attacker.send(attacker.hello(a), a.endpoints[0]);
  world.run(500);
  assert.ok(a.node.vl1.peers.has(attacker.identity.address));
  const w = new Writer();
  encodeRendezvous({ peer: b.address, endpoint: victim.endpoint }, w);
  const cipher = Cipher.POLY1305_SALSA2012;
  attacker.send(attacker.sealed(a, Verb.RENDEZVOUS, w.finish(), cipher), a.endpoints[0]);
  world.run(5_000);
  assert.equal(a.node.vl1.counters.received[Verb.RENDEZVOUS] > 0, true);
  assert.equal(victim.received.length, 0);
});
