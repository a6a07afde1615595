/**
 * The primitives on `@noble/*`: audited JavaScript that runs anywhere. The default, and the slow
 * twin of the machine's own.
 * @module
 */
import { ctr, ecb, gcm } from "@noble/ciphers/aes.js";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha384, sha512 } from "@noble/hashes/sha2.js";
import { openGmacSiv, sealGmacSiv } from "./gmac_siv.ts";
import type { AesPair, Primitives } from "./primitives.ts";

class NobleAesPair implements AesPair {
  constructor(readonly k0: Uint8Array, readonly k1: Uint8Array) {}

  /** GMAC is GCM of nothing with everything as additional data: what is left of the ciphertext is the tag. */
  gmac(nonce: Uint8Array, data: Uint8Array): Uint8Array {
    return gcm(this.k0, nonce, data).encrypt(new Uint8Array(0));
  }

  encryptBlock(block: Uint8Array): Uint8Array {
    return ecb(this.k1, { disablePadding: true }).encrypt(block);
  }

  decryptBlock(block: Uint8Array): Uint8Array {
    return ecb(this.k1, { disablePadding: true }).decrypt(block);
  }

  ctr(counter: Uint8Array, data: Uint8Array): Uint8Array {
    return ctr(this.k1, counter).encrypt(data);
  }

  seal(packet: Uint8Array): void {
    sealGmacSiv(packet, this);
  }

  open(packet: Uint8Array): boolean {
    return openGmacSiv(packet, this);
  }
}

function sharedSecret(secret: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  try {
    return x25519.getSharedSecret(secret, publicKey);
  } catch {
    return undefined; // the library's way to say that the result is all zero
  }
}

function verified(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  try {
    return ed25519.verify(signature, message, publicKey, { zip215: false });
  } catch {
    return false; // a public key that is no point of the curve
  }
}

/** See {@linkcode Primitives}. */
export const noblePrimitives: Primitives = {
  sha512: (message) => sha512(message),
  sha384: (message) => sha384(message),
  hmacSha384: (key, message) => hmac(sha384, key, message),
  x25519Public: (secret) => x25519.getPublicKey(secret),
  x25519: sharedSecret,
  ed25519Public: (seed) => ed25519.getPublicKey(seed),
  ed25519Sign: (seed, message) => ed25519.sign(message, seed),
  ed25519Verify: verified,
  aesPair: (k0, k1) => new NobleAesPair(k0, k1),
};
