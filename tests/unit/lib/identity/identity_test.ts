import assert from "node:assert/strict";
import { concat, fromHex, Reader, toHex, Writer } from "../../../../lib/base/bytes.ts";
import { WireError } from "../../../../lib/base/errors.ts";
import { formatAddress } from "../../../../lib/base/ids.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import {
  compareIdentities,
  Identity,
  ownsSecret,
  publicKeyHash,
  publicKeyOf,
} from "../../../../lib/identity/identity.ts";
import { locallyValidate } from "../../../../lib/identity/work.ts";
import { WorkKernel } from "../../../../lib/kernel/mod.ts";
import { countVectors } from "../../../vectors/count.ts";
import type { IdentityVectors } from "../../../vectors/identity.ts";
import { loadVectors } from "../../../vectors/load.ts";

const vectors = loadVectors<IdentityVectors>("identity.json");
const kernel = new WorkKernel(noblePrimitives.sha512);
const work = (publicKey: Uint8Array) => kernel.work(publicKey);

Deno.test("Identity reads and writes every recorded identity in each form", () => {
  for (const v of vectors.identities) {
    const secret = Identity.parse(v.secret);
    assert.equal(formatAddress(secret.address), v.address);
    assert.equal(secret.format(), v.public);
    assert.equal(secret.formatSecret(), v.secret);
    assert.equal(toHex(secret.publicKey), v.x25519_public + v.ed25519_public);
    assert.equal(toHex(secret.secretKey!), v.x25519_private + v.ed25519_seed);
    assert.equal(toHex(noblePrimitives.sha512(secret.secretKey!)), v.sha512_of_private_key);
    assert.equal(
      toHex(publicKeyHash(noblePrimitives, secret)),
      v.sha384_address_and_public_key,
    );
    const [publicForm, secretForm] = [new Writer(), new Writer()];
    secret.encode(publicForm);
    secret.encodeSecret(secretForm);
    assert.equal(toHex(publicForm.finish()), v.binary_public);
    assert.equal(toHex(secretForm.finish()), v.binary_secret);
    assert.equal(Identity.parse(v.public).secretKey, undefined);
    assert.equal(secret.publicOnly().secretKey, undefined);
    assert.ok(secret.equals(Identity.parse(v.public)));
    assert.equal(ownsSecret(noblePrimitives, secret), true);
    assert.equal(toHex(kernel.work(secret.publicKey)), v.derivation_digest);
    assert.equal(locallyValidate(secret, work), v.locally_valid);
  }
  countVectors("identity.json: identities", vectors.identities.length);
});

Deno.test("Identity.parse() agrees with the reference, or refuses what it may", () => {
  let refused = 0;
  for (const v of vectors.text) {
    let identity: Identity;
    try {
      identity = Identity.parse(v.string);
    } catch (error) {
      assert.ok(error instanceof WireError, v.name);
      assert.ok(!v.parses || v.may_reject, `${v.name}: ${error.message}`);
      refused++;
      continue;
    }
    assert.equal(v.parses, true, v.name);
    assert.equal(formatAddress(identity.address), v.parsed_address);
    assert.equal(identity.secretKey !== undefined, v.parsed_has_private);
    const text = identity.secretKey ? identity.formatSecret() : identity.format();
    assert.equal(text, v.reserialized);
    assert.equal(locallyValidate(identity, work), v.locally_valid, v.name);
    if (v.digest) assert.equal(toHex(kernel.work(identity.publicKey)), v.digest);
  }
  assert.ok(refused < vectors.text.length);
  countVectors("identity.json: text", vectors.text.length);
});

Deno.test("Identity.decode() agrees with the reference", () => {
  for (const v of vectors.binary) {
    const r = new Reader(fromHex(v.hex), v.name);
    if (!v.ok) {
      assert.throws(() => Identity.decode(r), WireError, v.name);
      continue;
    }
    const identity = Identity.decode(r);
    assert.equal(r.at, v.consumed);
    assert.equal(formatAddress(identity.address), v.address);
    assert.equal(identity.secretKey !== undefined, v.has_private);
    const text = identity.secretKey ? identity.formatSecret() : identity.format();
    assert.equal(text, v.string);
  }
  countVectors("identity.json: binary", vectors.binary.length);
});

Deno.test("Identity.decode() rejects every truncation", () => {
  const whole = fromHex(vectors.identities[0].binary_secret);
  for (let length = 0; length < whole.length; length++) {
    const r = new Reader(whole.slice(0, length), "identity");
    assert.throws(() => Identity.decode(r), WireError, `${length} bytes`);
  }
});

Deno.test("compareIdentities() orders by address, then by public key", () => {
  const [a, b] = vectors.identities.map((v) => Identity.parse(v.public));
  const twin = new Identity({ address: a.address, publicKey: b.publicKey });
  assert.equal(Math.sign(compareIdentities(a, b)), Math.sign(a.address - b.address));
  assert.equal(compareIdentities(a, a), 0);
  const byKey = Math.sign(compareIdentities(a, twin));
  assert.equal(byKey, toHex(a.publicKey) < toHex(b.publicKey) ? -1 : 1);
  assert.equal(a.equals(twin), false);
});

Deno.test("ownsSecret() notices the secret of another, in either half", () => {
  const [a, b] = vectors.identities.map((v) => Identity.parse(v.secret));
  const { address, publicKey } = a;
  const withSecret = (secretKey: Uint8Array) => new Identity({ address, publicKey, secretKey });
  const [mine, theirs] = [a.secretKey!, b.secretKey!];
  assert.equal(ownsSecret(noblePrimitives, withSecret(theirs)), false);
  const halves = [[mine, theirs], [theirs, mine]];
  for (const [first, second] of halves) {
    const mixed = concat(first.subarray(0, 32), second.subarray(32));
    assert.equal(ownsSecret(noblePrimitives, withSecret(mixed)), false);
  }
  assert.equal(ownsSecret(noblePrimitives, a.publicOnly()), false);
  assert.deepEqual(publicKeyOf(noblePrimitives, mine), publicKey);
});

Deno.test("Identity keeps its secret to itself and refuses keys of a wrong length", () => {
  const identity = Identity.parse(vectors.identities[0].public);
  assert.throws(() => identity.formatSecret(), TypeError);
  assert.throws(() => identity.encodeSecret(new Writer()), TypeError);
  const { address, publicKey } = identity;
  assert.throws(() => new Identity({ address, publicKey: new Uint8Array(63) }), RangeError);
  const secretKey = new Uint8Array(65);
  assert.throws(() => new Identity({ address, publicKey, secretKey }), RangeError);
});
