/** Who is told of a change (spec 05 section 5). @module */
import assert from "node:assert/strict";
import type { Address } from "../../../../lib/base/ids.ts";
import {
  CredentialType,
  isFastPropagating,
  verifyRevocation,
} from "../../../../lib/credential/revocation.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { ErrorCode } from "../../../../lib/wire/packet.ts";
import {
  ALICE,
  BOB,
  codeOf,
  configOf,
  join,
  keyOf,
  memberPath,
  NETWORK,
  PATH,
  withNetwork,
} from "./cast.ts";
import { type Harness, identityOf, strangerOf } from "./harness.ts";

Deno.test("Controller pushes a changed network to every member that is online, and to no other", () => {
  const harness = withNetwork({ private: false });
  join(harness, ALICE, BOB);
  harness.advance(115_000);
  harness.hand({ kind: "seen", member: BOB.address });
  harness.advance(10_000);
  harness.post(PATH, { name: "renamed" });
  harness.settle();
  const pushes = harness.take("config");
  assert.deepEqual(pushes.map(({ to, requestId }) => [to, requestId]), [[BOB.address, undefined]]);
  assert.equal(pushes[0].config.name, "renamed");
});

Deno.test("Controller keeps pushing under steady changes to a member that never asks again", () => {
  const harness = withNetwork({ private: false });
  join(harness, ALICE);
  for (let minute = 1; minute <= 10; minute++) {
    harness.advance(60_000);
    harness.hand({ kind: "seen", member: ALICE.address });
    harness.post(PATH, { name: `name ${minute}` });
    harness.settle();
    assert.equal(harness.take("config")[0]?.config.name, `name ${minute}`);
  }
});

Deno.test("Controller pushes and writes nothing when a POST changes nothing", () => {
  const harness = withNetwork({ private: false, name: "same" });
  join(harness, ALICE);
  const writes = harness.writes.length;
  assert.equal(harness.post(PATH, { name: "same" }).revision, 1);
  harness.post(memberPath(ALICE), { authorized: true });
  harness.settle();
  assert.deepEqual(harness.take("config"), []);
  assert.equal(harness.writes.length, writes);
});

Deno.test("Controller pushes a changed member to that member only, its bridging to all", () => {
  const harness = withNetwork({ private: false });
  join(harness, ALICE, BOB);
  harness.post(memberPath(ALICE), { ipAssignments: ["10.0.0.1"] });
  harness.settle();
  assert.deepEqual(harness.take("config").map(({ to }) => to), [ALICE.address]);
  harness.post(memberPath(ALICE), { activeBridge: true });
  harness.settle();
  const pushes = harness.take("config");
  assert.deepEqual(new Set(pushes.map(({ to }) => to)), new Set([ALICE.address, BOB.address]));
  for (const { config } of pushes) {
    assert.deepEqual(config.specialists, [{ address: ALICE.address, roles: 2 }]);
  }
});

Deno.test("Controller does not push to a member what its own request changed", () => {
  const harness = withNetwork({ private: false });
  configOf(harness.request(NETWORK, ALICE));
  harness.settle();
  assert.equal(harness.take("config").length, 1);
});

Deno.test("Controller pushes the config at once when a waiting node is authorized", () => {
  const harness = withNetwork();
  harness.request(NETWORK, ALICE);
  harness.actions = [];
  harness.post(memberPath(ALICE), { authorized: true });
  harness.settle();
  const [push] = harness.take("config");
  assert.deepEqual([push.to, push.requestId], [ALICE.address, undefined]);
  assert.deepEqual(harness.get(memberPath(ALICE)).vMajor, 1);
});

Deno.test("Controller revokes a deauthorized member before all that are online, itself included", () => {
  const harness = withNetwork({ private: false });
  join(harness, ALICE, BOB);
  harness.post(PATH, { private: true });
  harness.settle();
  harness.actions = [];
  const { lastDeauthorizedTime } = harness.post(memberPath(ALICE), { authorized: false });
  const [revoke] = harness.take("revoke");
  assert.deepEqual(new Set(revoke.to), new Set([ALICE.address, BOB.address]));
  const [revocation] = revoke.revocations;
  assert.equal(verifyRevocation(noblePrimitives, revocation, keyOf), "ok");
  assert.equal(revocation.target, ALICE.address);
  assert.equal(revocation.type, CredentialType.COM);
  assert.equal(revocation.credentialId, 0);
  assert.equal(revocation.thresholdMs, lastDeauthorizedTime);
  assert.ok(isFastPropagating(revocation));
  harness.settle();
  assert.deepEqual(harness.take("config"), [], "no config and no error goes to it");
  assert.equal(codeOf(harness.request(NETWORK, ALICE)), ErrorCode.NETWORK_ACCESS_DENIED);
});

Deno.test("Controller spares members that are offline or not authorized a revocation", () => {
  const harness = withNetwork({ private: false });
  const offline = identityOf(0x2000000000);
  join(harness, offline);
  harness.advance(120_000);
  join(harness, ALICE, BOB);
  harness.post(PATH, { private: true });
  assert.equal(harness.request(NETWORK, identityOf(0x2000000001))?.kind, "refuse");
  harness.post(memberPath(ALICE), { authorized: false });
  const [revoke] = harness.take("revoke");
  assert.deepEqual(new Set(revoke.to), new Set([ALICE.address, BOB.address]));
});

Deno.test("Controller pushes again at once to a member that is authorized again", () => {
  const harness = withNetwork({ private: false });
  join(harness, ALICE);
  harness.post(PATH, { private: true });
  harness.post(memberPath(ALICE), { authorized: false });
  harness.settle();
  harness.actions = [];
  harness.post(memberPath(ALICE), { authorized: true });
  harness.settle();
  assert.deepEqual(harness.take("config").map(({ to }) => to), [ALICE.address]);
});

Deno.test("Controller packs revocations that come within a second into one packet", () => {
  const harness = withNetwork({ private: false });
  const members = Array.from({ length: 5 }, (_, i) => identityOf(0x2000000000 + i));
  join(harness, BOB, ...members);
  for (const member of members) harness.api("DELETE", memberPath(member));
  assert.deepEqual(harness.take("revoke").map(({ revocations }) => revocations.length), [1]);
  harness.advance(1_099);
  harness.hand({ kind: "timeout" });
  assert.deepEqual(harness.take("revoke"), []);
  harness.advance(1);
  assert.ok(harness.controller.deadlineMs <= harness.time.nowMs);
  harness.hand({ kind: "timeout" });
  const [second] = harness.take("revoke");
  assert.equal(second.revocations.length, 4);
  assert.ok(second.to.includes(BOB.address));
  tellAgain(harness);
  assert.equal(harness.controller.deadlineMs, Infinity);
});

/** Lets half a minute pass. @returns what was told of revocations, and after how many milliseconds */
function tellAgain(harness: Harness): { atMs: number; targets: number[] }[] {
  const told: { atMs: number; targets: number[] }[] = [];
  for (let atMs = 100; atMs <= 30_000; atMs += 100) {
    harness.advance(100);
    harness.settle();
    for (const { revocations } of harness.take("revoke")) {
      told.push({ atMs, targets: revocations.map(({ target }) => target) });
    }
  }
  return told;
}

Deno.test("Controller tells three times more of whom it removed, unless it is a member again", () => {
  const harness = withNetwork({ private: true });
  for (const member of [ALICE, BOB]) harness.post(memberPath(member), { authorized: true });
  join(harness, ALICE, BOB);
  harness.post(memberPath(ALICE), { authorized: false });
  harness.settle();
  const [first] = harness.take("revoke");
  assert.ok(isFastPropagating(first.revocations[0]));
  const targets = [ALICE.address];
  assert.deepEqual(tellAgain(harness), [1_500, 4_000, 10_000].map((atMs) => ({ atMs, targets })));
  harness.post(memberPath(ALICE), { authorized: true });
  harness.post(memberPath(ALICE), { authorized: false });
  harness.settle();
  harness.post(memberPath(ALICE), { authorized: true });
  harness.take("revoke");
  assert.deepEqual(tellAgain(harness), []);
});

Deno.test("Controller revokes for every record of a deleted network, 60 in a packet", () => {
  const harness = withNetwork({ private: false });
  join(harness, ALICE, BOB);
  for (let i = 0; i < 98; i++) harness.post(memberPath(strangerOf(0x3000000000 + i)), {});
  harness.take("revoke");
  assert.equal(harness.api("DELETE", PATH).status, 200);
  const targets = new Set<Address>();
  for (let packet = 0; packet < 2; packet++) {
    const [batch] = harness.take("revoke");
    assert.deepEqual(new Set(batch.to), new Set([ALICE.address, BOB.address]));
    for (const { target } of batch.revocations) targets.add(target);
    harness.advance(1_100);
    harness.hand({ kind: "timeout" });
  }
  assert.equal(targets.size, 100);
  assert.equal(harness.get(`${PATH}/member`), undefined);
  assert.equal(codeOf(harness.request(NETWORK, ALICE)), ErrorCode.OBJECT_NOT_FOUND);
});

Deno.test("Controller sends nothing when an unauthorized record is deleted", () => {
  const harness = withNetwork({ private: false });
  join(harness, BOB);
  harness.post(memberPath(ALICE), { authorized: false });
  harness.settle();
  harness.actions = [];
  harness.api("DELETE", memberPath(ALICE));
  assert.deepEqual(harness.actions, []);
});

Deno.test("Controller pushes and revokes for changes made elsewhere, and ignores old ones", () => {
  const harness = withNetwork({ private: false, name: "ours" });
  join(harness, ALICE, BOB);
  const key = { network: NETWORK };
  const record = harness.get(PATH);
  harness.hand({ kind: "changed", key, value: { ...record, name: "late", revision: 1 } });
  harness.settle();
  assert.deepEqual(harness.take("config"), []);
  harness.hand({ kind: "changed", key, value: { ...record, name: "theirs", revision: 2 } });
  harness.settle();
  assert.deepEqual(harness.take("config").map(({ config }) => config.name), ["theirs", "theirs"]);
  harness.hand({ kind: "changed", key: { network: NETWORK, member: "19810bb6a3" }, value: null });
  assert.deepEqual(harness.take("revoke").length, 1);
  harness.hand({ kind: "changed", key, value: null });
  assert.equal(harness.api("GET", PATH).status, 404);
});

Deno.test("Controller tells who gets a configuration whom it removed within the window, also before it restarted", () => {
  const harness = withNetwork({ private: false });
  join(harness, ALICE, BOB);
  harness.post(PATH, { private: true });
  harness.post(memberPath(ALICE), { authorized: false });
  tellAgain(harness);
  for (const run of [harness, harness.restarted()]) {
    tellAgain(run);
    run.advance(30_000);
    assert.equal(run.request(NETWORK, BOB)?.kind, "config");
    const [told, ...others] = run.take("revoke");
    assert.equal(others.length, 0);
    assert.deepEqual(told.to, [BOB.address]);
    const [revocation] = told.revocations;
    assert.equal(revocation.target, ALICE.address);
    assert.ok(!isFastPropagating(revocation), "everybody is told by the controller");
    assert.equal(verifyRevocation(noblePrimitives, revocation, keyOf), "ok");
    assert.deepEqual(
      tellAgain(run).map(({ atMs }) => atMs),
      [2_000, 6_000],
      "again, while it is new",
    );
  }
  harness.advance(60_000);
  harness.request(NETWORK, BOB);
  assert.equal(harness.take("revoke").length, 1);
  assert.deepEqual(tellAgain(harness), [], "it is not new any more");
  harness.advance(180_000);
  harness.hand({ kind: "seen", member: BOB.address });
  harness.request(NETWORK, BOB);
  assert.equal(tellAgain(harness).length, 1 + 2, "but it is to who was away");
  harness.advance(1_800_000);
  harness.request(NETWORK, BOB);
  assert.deepEqual(harness.take("revoke"), [], "its certificate is too old by now");
});

Deno.test("Controller tells once who is pushed to: it was here when the other was removed", () => {
  const harness = withNetwork({ private: false });
  join(harness, ALICE, BOB);
  harness.post(PATH, { private: true });
  harness.post(memberPath(ALICE), { authorized: false });
  tellAgain(harness);
  harness.hand({ kind: "seen", member: BOB.address });
  harness.post(PATH, { mtu: 1_400 });
  harness.settle();
  assert.deepEqual(harness.take("revoke").map(({ to }) => to), [[BOB.address]]);
  assert.deepEqual(tellAgain(harness), []);
});

Deno.test("Controller tells who is let in again, three times, whom it removed meanwhile", () => {
  const harness = withNetwork({ private: true });
  for (const member of [ALICE, BOB]) harness.post(memberPath(member), { authorized: true });
  join(harness, ALICE, BOB);
  for (const member of [ALICE, BOB]) harness.post(memberPath(member), { authorized: false });
  tellAgain(harness);
  harness.hand({ kind: "seen", member: BOB.address });
  harness.post(memberPath(BOB), { authorized: true });
  harness.settle();
  assert.deepEqual(harness.take("revoke").map(({ to }) => to), [[BOB.address]]);
  assert.deepEqual(
    tellAgain(harness),
    [2_000, 6_000].map((atMs) => ({ atMs, targets: [ALICE.address] })),
  );
  harness.post(memberPath(strangerOf(7)), { authorized: true });
  harness.settle();
  assert.deepEqual(tellAgain(harness), [], "who is not here is told when it asks");
});

Deno.test("Controller that starts tells all members whose membership ended in the last two minutes", () => {
  const before = withNetwork({ private: false });
  join(before, ALICE, BOB);
  before.post(PATH, { private: true });
  before.post(memberPath(ALICE), { authorized: false });
  before.settle();
  const after = before.restarted();
  const [told] = after.take("revoke");
  assert.deepEqual([told.to, told.revocations[0].target], [[BOB.address], ALICE.address]);
  assert.deepEqual(tellAgain(after).map(({ atMs }) => atMs), [1_500, 4_000, 10_000]);
  before.advance(121_000);
  assert.deepEqual(before.restarted().take("revoke"), [], "all have asked again within that time");
});

Deno.test("Controller remembers over a restart the 60 whose membership ended last", () => {
  const before = withNetwork({ private: true });
  before.post(memberPath(BOB), { authorized: true });
  const strangers = Array.from({ length: 61 }, (_, i) => strangerOf(0x3000000000 + i));
  for (const authorized of [true, false]) {
    for (const stranger of strangers.reverse()) {
      before.advance(1);
      before.post(memberPath(stranger), { authorized });
    }
  }
  before.advance(121_000);
  const after = before.restarted();
  after.request(NETWORK, BOB);
  const targets = after.take("revoke")[0].revocations.map(({ target }) => target);
  assert.deepEqual(targets, strangers.slice(1).map(({ address }) => address));
});

Deno.test("Controller names nobody who is a member again", () => {
  const harness = withNetwork({ private: false });
  join(harness, ALICE, BOB);
  harness.post(PATH, { private: true });
  for (const authorized of [false, true]) harness.post(memberPath(ALICE), { authorized });
  harness.settle();
  harness.take("revoke");
  harness.advance(60_000);
  harness.request(NETWORK, BOB);
  assert.deepEqual(harness.take("revoke"), []);
});

Deno.test("Controller that just started revokes before all members, heard of or not", () => {
  const before = withNetwork({ private: false });
  join(before, ALICE, BOB);
  before.post(PATH, { private: true });
  before.settle();
  const harness = before.restarted();
  harness.post(memberPath(ALICE), { authorized: false });
  const [revoke] = harness.take("revoke");
  assert.deepEqual(new Set(revoke.to), new Set([ALICE.address, BOB.address]));
});
