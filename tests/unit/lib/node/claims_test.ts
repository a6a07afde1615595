import assert from "node:assert/strict";
import type { Address } from "../../../../lib/base/ids.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import type { Action } from "../../../../lib/node/machine.ts";
import { Claims } from "../../../../lib/node/claims.ts";
import { Strangers } from "../../../../lib/node/strangers.ts";
import { Whois } from "../../../../lib/node/whois.ts";
import { Peer } from "../../../../lib/peer/peer.ts";
import { Verb } from "../../../../lib/wire/packet.ts";
import {
  actionsOf,
  ALICE,
  Bench,
  BOB,
  CAROL,
  identityOf,
  packetsOf,
  peerWithPath,
  planetOf,
  ROOT,
  ROOT2,
  vl1Of,
} from "./harness.ts";

function asker() {
  const vl1 = vl1Of(ALICE, { planet: planetOf([ROOT, ROOT2]) });
  for (const root of [ROOT, ROOT2]) {
    peerWithPath(vl1, root).paths[0].path.addLatency(root === ROOT ? 10 : 100);
  }
  const whois = new Whois(vl1);
  const strangers = new Strangers(vl1);
  const claims = new Claims(vl1, whois, strangers);
  const happened = () => {
    const actions = actionsOf(vl1.outbox);
    return {
      checks: actions.filter((action): action is Action & { kind: "validate" } =>
        action.kind === "validate"
      ),
      asked: packetsOf(vl1, actions).filter(({ verb }) => verb === Verb.WHOIS)
        .map(({ destination }) => destination),
    };
  };
  return { vl1, whois, strangers, claims, happened };
}

/** Bob's address, with Carol's key. */
const FALSE_BOB = new Identity({ address: BOB.address, publicKey: CAROL.publicKey });

Deno.test("Claims.take() believes an upstream once the proof of work was checked", () => {
  const { vl1, whois, claims, happened } = asker();
  whois.ask(BOB.address);
  assert.deepEqual(happened().asked, [ROOT.address]);
  claims.take(BOB.publicOnly(), ROOT.address);
  const [check, ...others] = happened().checks;
  assert.ok(check.identity.equals(BOB));
  assert.equal(others.length, 0);
  assert.equal(vl1.peers.get(BOB.address), undefined, "not before");
  vl1.time.nowMs = whois.deadlineMs;
  whois.handleTimeout();
  assert.deepEqual(happened().asked, [], "nobody else is asked meanwhile");
  const peer = claims.validated(check.ticket, true);
  assert.equal(peer, vl1.peers.get(BOB.address));
  assert.ok(peer?.identity.equals(BOB));
  assert.equal(claims.validated(check.ticket, true), undefined, "a verdict counts once");
});

Deno.test("Claims.validated() asks the next upstream after a false answer, and never hears the liar", () => {
  const { vl1, whois, claims, happened } = asker();
  whois.ask(BOB.address);
  claims.take(FALSE_BOB, ROOT.address);
  claims.take(BOB.publicOnly(), ROOT2.address);
  const { checks } = happened();
  assert.equal(checks.length, 1, "one at a time");
  assert.equal(claims.validated(checks[0].ticket, false), undefined);
  assert.equal(vl1.counters.drops.get("unauthentic"), 1);
  assert.equal(vl1.peers.get(BOB.address), undefined);
  assert.deepEqual(happened().asked, [ROOT2.address]);
  claims.take(FALSE_BOB, ROOT.address);
  vl1.time.nowMs = whois.deadlineMs;
  whois.handleTimeout();
  const later = happened();
  assert.deepEqual(later.checks, []);
  assert.deepEqual(later.asked, [ROOT2.address]);
  claims.take(BOB.publicOnly(), ROOT2.address);
  const [check] = happened().checks;
  assert.ok(claims.validated(check.ticket, true)?.identity.equals(BOB));
});

Deno.test("Claims.take() hears nothing that was not asked, and nothing of whom we know", () => {
  const { vl1, whois, claims, happened } = asker();
  claims.take(BOB.publicOnly(), ROOT.address);
  whois.ask(CAROL.address);
  vl1.addPeer(CAROL.publicOnly());
  claims.take(new Identity({ address: CAROL.address, publicKey: BOB.publicKey }), ROOT.address);
  assert.deepEqual(happened().checks, []);
  assert.ok(vl1.peers.get(CAROL.address)!.identity.equals(CAROL));
});

Deno.test("Claims.take() leaves it to the check of who says the same of itself", () => {
  const { vl1, whois, strangers, claims, happened } = asker();
  whois.ask(BOB.address);
  const { primitives } = vl1.config;
  const path = vl1.paths.get(1, { ip: Uint8Array.of(44, 0, 0, 4), port: 9_993 });
  const bob = Peer.meet(primitives, vl1.identity, BOB.publicOnly(), vl1.nowMs)!;
  strangers.add(bob, 1, new Uint8Array(100), path);
  assert.equal(happened().checks.length, 1);
  claims.take(BOB.publicOnly(), ROOT.address);
  assert.equal(happened().checks.length, 0);
  claims.take(FALSE_BOB, ROOT.address);
  assert.equal(happened().checks.length, 1, "another key is another matter");
});

Deno.test("Claims has 16 answers checked at a time, and the next in turn", () => {
  const { whois, claims, happened } = asker();
  const all = Array.from({ length: 20 }, (_, i) => identityOf(0x6000_0000 + i));
  for (const identity of all) {
    whois.ask(identity.address);
    claims.take(identity.publicOnly(), ROOT.address);
  }
  const { checks } = happened();
  assert.equal(checks.length, 16);
  claims.validated(checks[3].ticket, true);
  const [next, ...others] = happened().checks;
  assert.ok(next.identity.equals(all[16]));
  assert.equal(others.length, 0);
});

Deno.test("Node takes no root's word for who somebody is", () => {
  const bench = new Bench();
  const [root, alice, bob] = [ROOT, ALICE, BOB].map((identity) => bench.add(identity));
  bench.run(1_000);
  assert.ok(root.vl1.peers.has(bob.address));
  bench.validate = () => false;
  alice.vl1.send(bob.address, Verb.ECHO, new Uint8Array(0));
  bench.run(6_000);
  assert.equal(alice.vl1.peers.get(bob.address), undefined);
  bench.validate = () => true;
  alice.vl1.send(bob.address as Address, Verb.ECHO, new Uint8Array(0));
  bench.run(1_000);
  assert.ok(alice.vl1.peers.get(bob.address)!.identity.equals(BOB));
});
