import assert from "node:assert/strict";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import type { NetworkId } from "../../../../lib/base/ids.ts";
import { issueCom } from "../../../../lib/credential/certificate_of_membership.ts";
import { CredentialType, type Revocation } from "../../../../lib/credential/revocation.ts";
import { signTag } from "../../../../lib/credential/tag.ts";
import { Membership, signatureOf } from "../../../../lib/network/membership.ts";
import { ALICE, BOB, CAROL } from "../node/harness.ts";

const NETWORK = (BigInt(CAROL.address) << 24n | 1n) as NetworkId;
const MAX_DELTA_MS = 1_000;

function com(member: typeof ALICE, timestampMs: number) {
  const fields = { networkId: NETWORK, timestampMs, maxDeltaMs: MAX_DELTA_MS, member };
  return issueCom(noblePrimitives, CAROL, fields);
}

function tag(id: number, timestampMs: number, value = 1) {
  const fields = { networkId: NETWORK, timestampMs, id, value, issuedTo: BOB.address };
  return signTag(noblePrimitives, CAROL, fields);
}

function revocation(type: number, thresholdMs: number, credentialId = 0): Revocation {
  return {
    id: 1,
    networkId: NETWORK,
    type,
    credentialId,
    thresholdMs,
    flags: 0n,
    target: BOB.address,
    signedBy: CAROL.address,
    signature: new Uint8Array(96),
  };
}

const weighTag = (membership: Membership, it: ReturnType<typeof tag>) =>
  membership.weigh(CredentialType.TAG, { ...it, signatureKey: signatureOf(it) });

Deno.test("Membership.agrees() when both certificates are of about the same time", () => {
  const membership = new Membership();
  const mine = com(ALICE, 10_000);
  const agrees = () => membership.agrees(noblePrimitives, mine, BOB);
  assert.equal(agrees(), false, "without a certificate nobody is a member");
  membership.takeCom(com(BOB, 10_000 + MAX_DELTA_MS));
  assert.equal(agrees(), true);
  membership.takeCom(com(BOB, 10_001 + MAX_DELTA_MS));
  assert.equal(agrees(), false);
  membership.takeCom(com(ALICE, 10_000));
  assert.equal(agrees(), false, "somebody else's certificate");
});

Deno.test("Membership.agrees() no more once the certificate is revoked, until there is a newer one", () => {
  const membership = new Membership();
  const mine = com(ALICE, 10_000);
  membership.takeCom(com(BOB, 10_000));
  membership.takeRevocation(revocation(CredentialType.COM, 10_000));
  assert.equal(membership.agrees(noblePrimitives, mine, BOB), false);
  assert.equal(membership.weighCom(com(BOB, 10_000)), "rejected");
  assert.equal(membership.weighCom(com(BOB, 10_001)), "new");
  membership.takeCom(com(BOB, 10_001));
  assert.equal(membership.agrees(noblePrimitives, mine, BOB), true);
});

Deno.test("Membership.weighCom() wants newer certificates, and knows the one it has", () => {
  const membership = new Membership();
  assert.equal(membership.weighCom(com(BOB, 500)), "new");
  membership.takeCom(com(BOB, 500));
  assert.equal(membership.weighCom(com(BOB, 500)), "redundant");
  assert.equal(membership.weighCom(com(BOB, 499)), "rejected");
  assert.equal(membership.weighCom(com(BOB, 501)), "new");
  assert.equal(membership.weighCom({ ...com(BOB, 500), signature: new Uint8Array(96) }), "new");
});

Deno.test("Membership.weigh() wants newer credentials of a number, and none that are revoked", () => {
  const membership = new Membership();
  membership.takeTag(tag(1, 500));
  assert.equal(weighTag(membership, tag(1, 500)), "redundant");
  assert.equal(weighTag(membership, tag(1, 499)), "rejected");
  assert.equal(weighTag(membership, tag(1, 501)), "new");
  assert.equal(weighTag(membership, tag(2, 1)), "new");
  membership.takeRevocation(revocation(CredentialType.TAG, 600, 1));
  assert.equal(weighTag(membership, tag(1, 600)), "rejected");
  assert.equal(weighTag(membership, tag(1, 601)), "new");
  assert.equal(weighTag(membership, tag(2, 1)), "new", "another number");
  assert.deepEqual(membership.valid().tags, []);
});

Deno.test("Membership.weighRevocation() is news only when it voids more than before", () => {
  const membership = new Membership();
  for (const type of [CredentialType.COM, CredentialType.TAG]) {
    assert.equal(membership.weighRevocation(revocation(type, 5)), "new");
    membership.takeRevocation(revocation(type, 5));
    assert.equal(membership.weighRevocation(revocation(type, 5)), "redundant");
    assert.equal(membership.weighRevocation(revocation(type, 6)), "new");
  }
  assert.equal(membership.weighRevocation(revocation(99, 5)), "rejected");
});

Deno.test("a revoked tag leaves the membership alone", () => {
  const membership = new Membership();
  membership.takeCom(com(BOB, 10_000));
  membership.takeRevocation(revocation(CredentialType.TAG, 99_999, 1));
  assert.equal(membership.agrees(noblePrimitives, com(ALICE, 10_000), BOB), true);
});

Deno.test("Membership holds 128 credentials of a kind", () => {
  const membership = new Membership();
  const one = tag(0, 1);
  for (let id = 0; id < 128; id++) membership.takeTag({ ...one, id });
  assert.equal(weighTag(membership, { ...one, id: 500 }), "rejected");
  assert.equal(weighTag(membership, { ...one, id: 5, timestampMs: 2 }), "new");
});

Deno.test("Membership.version changes with every credential and revocation", () => {
  const membership = new Membership();
  const seen = [membership.version];
  membership.takeTag(tag(1, 1));
  seen.push(membership.version);
  membership.takeRevocation(revocation(CredentialType.TAG, 5, 1));
  seen.push(membership.version);
  assert.equal(new Set(seen).size, 3);
});
