import assert from "node:assert/strict";
import { machinePrimitives } from "../../../../cli/engine/primitives.ts";
import { concat, fromHex, toHex } from "../../../../lib/base/bytes.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { deriveSessionKeys, kbkdf } from "../../../../lib/crypto/session_keys.ts";
import type { Primitives } from "../../../../lib/crypto/primitives.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import { agree, sign, verify } from "../../../../lib/identity/sign.ts";
import { countVectors } from "../../../vectors/count.ts";
import type { IdentityVectors } from "../../../vectors/identity.ts";
import { loadVectors } from "../../../vectors/load.ts";

const vectors = loadVectors<IdentityVectors>("identity.json");

/** Compares everything that follows from an agreed key. */
function checkDerived(
  primitives: Primitives,
  v: IdentityVectors["agreement"][number],
  key: Uint8Array,
): void {
  for (const [label, expected] of [["0", v.kbkdf_0], ["1", v.kbkdf_1]]) {
    assert.equal(toHex(kbkdf(primitives, key, { label, context: 0, iteration: 0 })), expected);
  }
  const keys = deriveSessionKeys(primitives, key);
  assert.equal(toHex(keys.k0), v.aes_k0);
  assert.equal(toHex(keys.k1), v.aes_k1);
}

for (
  const [name, primitives] of Object.entries({ noble: noblePrimitives, machine: machinePrimitives })
) {
  Deno.test(`agree() gives the recorded keys, and all that is derived from them (${name})`, () => {
    for (const v of vectors.agreement) {
      const mine = { secretKey: concat(fromHex(v.x25519_private), new Uint8Array(32)) };
      const theirs = concat(fromHex(v.x25519_public), new Uint8Array(32));
      const key = agree(primitives, mine, theirs);
      if (v.x25519_public === "00".repeat(32)) {
        assert.equal(key, undefined, "stricter than the reference: no honest identity has it");
      } else {
        assert.ok(key);
        assert.equal(toHex(key), v.agreed_key);
        const shared = primitives.x25519(mine.secretKey.slice(0, 32), theirs.slice(0, 32))!;
        assert.equal(toHex(primitives.sha512(shared)), v.sha512_of_shared_secret);
      }
      checkDerived(primitives, v, fromHex(v.agreed_key));
      if (v.mine) {
        const [me, them] = [Identity.parse(v.mine), Identity.parse(v.theirs_secret!)];
        assert.equal(toHex(agree(primitives, me, them.publicKey)!), v.agreed_key);
        assert.equal(toHex(agree(primitives, them, me.publicKey)!), v.agreed_key);
        assert.ok(them.equals(Identity.parse(v.theirs!)));
      }
    }
    if (name === "noble") countVectors("identity.json: agreement", vectors.agreement.length);
  });

  Deno.test(`sign() gives the recorded signatures and verify() accepts them (${name})`, () => {
    for (const v of vectors.signatures) {
      const identity = Identity.parse(v.identity);
      const message = fromHex(v.message);
      const signature = sign(primitives, identity, message);
      assert.equal(toHex(signature), v.signature);
      assert.equal(toHex(signature.subarray(64)), v.signed_digest);
      assert.equal(verify(primitives, identity.publicKey, message, signature), v.valid);
    }
    if (name === "noble") countVectors("identity.json: signatures", vectors.signatures.length);
  });

  Deno.test(`verify() refuses what the reference refuses (${name})`, () => {
    for (const v of vectors.signature_checks) {
      const { publicKey } = Identity.parse(v.identity);
      const valid = verify(primitives, publicKey, fromHex(v.message), fromHex(v.signature));
      // The malleable form is accepted by the reference; a strict verifier refuses it.
      assert.equal(valid, v.valid && !v.may_reject, v.name);
    }
    if (name === "noble") {
      countVectors("identity.json: signature_checks", vectors.signature_checks.length);
    }
  });
}

Deno.test("sign() and agree() want a secret", () => {
  const identity = Identity.parse(vectors.identities[0].public);
  assert.throws(() => sign(noblePrimitives, identity, new Uint8Array(1)), TypeError);
  assert.throws(() => agree(noblePrimitives, identity, identity.publicKey), TypeError);
});
