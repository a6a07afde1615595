/**
 * Agreement and signatures of combined key pairs.
 *
 * Source: spec 01 sections 3.2 and 3.3.
 * @module
 */
import { concat, equalSecret } from "../base/bytes.ts";
import type { Primitives } from "../crypto/primitives.ts";

/** Ed25519 over a digest (64), then that digest (32). */
export const SIGNATURE_BYTES = 96;
const DIGEST_BYTES = 32;
const AGREED_BYTES = 48;

/** Whoever has a 64-byte secret: an identity, or the key a world is signed with. */
export interface Signer {
  readonly secretKey?: Uint8Array;
}

function secretOf(signer: Signer): Uint8Array {
  if (!signer.secretKey) throw new TypeError("a secret key is wanted, only a public one is given");
  return signer.secretKey;
}

/**
 * Signs the first half of the message's SHA-512.
 * @returns 96 bytes; the same every time
 * @throws {TypeError} when the signer has no secret
 */
export function sign(primitives: Primitives, signer: Signer, message: Uint8Array): Uint8Array {
  const digest = primitives.sha512(message).subarray(0, DIGEST_BYTES);
  return concat(primitives.ed25519Sign(secretOf(signer).subarray(32), digest), digest);
}

/** @param publicKey64 Combined public key; any length of `signature` but 96 is refused */
export function verify(
  primitives: Primitives,
  publicKey64: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  const digest = primitives.sha512(message).subarray(0, DIGEST_BYTES);
  if (!equalSecret(digest, signature.subarray(64))) return false;
  return primitives.ed25519Verify(publicKey64.subarray(32), digest, signature.subarray(0, 64));
}

/**
 * The static key of a pair of identities, the same from either side.
 * @param theirPublicKey Combined public key, 64 bytes
 * @returns 48 bytes, or undefined when their key is one that no honest identity has (the reference
 * agrees on a known key then)
 * @throws {TypeError} when `mine` has no secret
 */
export function agree(
  primitives: Primitives,
  mine: Signer,
  theirPublicKey: Uint8Array,
): Uint8Array | undefined {
  const shared = primitives.x25519(secretOf(mine).subarray(0, 32), theirPublicKey.subarray(0, 32));
  return shared && primitives.sha512(shared).slice(0, AGREED_BYTES);
}
