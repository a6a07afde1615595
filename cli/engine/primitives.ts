/**
 * The primitives on the machine's own synchronous `node:crypto`, several times faster than JavaScript. A test holds them equal to
 * `noblePrimitives`.
 * @module
 */
import { Buffer } from "node:buffer";
import {
  createCipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { concat, fromHex } from "../../lib/base/bytes.ts";
import { noblePrimitives } from "../../lib/crypto/noble.ts";
import type { AesPair, Primitives } from "../../lib/crypto/primitives.ts";

/** What stands before 32 raw bytes in a DER key; RFC 8410. */
const X25519_PRIVATE = fromHex("302e020100300506032b656e04220420");
const X25519_PUBLIC = fromHex("302a300506032b656e032100");
const ED25519_PRIVATE = fromHex("302e020100300506032b657004220420");
const ED25519_PUBLIC = fromHex("302a300506032b6570032100");

function privateKey(prefix: Uint8Array, secret: Uint8Array): KeyObject {
  return createPrivateKey({ key: der(prefix, secret), format: "der", type: "pkcs8" });
}

function publicKey(prefix: Uint8Array, key: Uint8Array): KeyObject {
  return createPublicKey({ key: der(prefix, key), format: "der", type: "spki" });
}

function der(prefix: Uint8Array, key: Uint8Array): Buffer {
  if (key.length !== 32) throw new RangeError(`key of ${key.length} bytes, 32 wanted`);
  return Buffer.from(concat(prefix, key));
}

/** A plain array over the bytes of a Buffer, so that nobody meets Buffer's own `slice`. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

/** Everything behind the prefix of a public key in DER. */
function rawPublic(secret: KeyObject): Uint8Array {
  return plain(createPublicKey(secret).export({ format: "der", type: "spki" }))
    .slice(X25519_PUBLIC.length);
}

/**
 * GMAC and CTR are the machine's. Single blocks are noble's: a cipher object made for each costs more than the block, and one that is
 * kept is never freed on Deno 2.4 (measured: 2.4 us a block against 2.0 us).
 */
class MachineAesPair implements AesPair {
  readonly #blocks: AesPair;

  constructor(readonly k0: Uint8Array, readonly k1: Uint8Array) {
    this.#blocks = noblePrimitives.aesPair(k0, k1);
  }

  gmac(nonce: Uint8Array, data: Uint8Array): Uint8Array {
    const cipher = createCipheriv("aes-256-gcm", this.k0, nonce);
    cipher.setAAD(data);
    cipher.final();
    return plain(cipher.getAuthTag());
  }

  encryptBlock(block: Uint8Array): Uint8Array {
    return this.#blocks.encryptBlock(block);
  }

  decryptBlock(block: Uint8Array): Uint8Array {
    return this.#blocks.decryptBlock(block);
  }

  ctr(counter: Uint8Array, data: Uint8Array): Uint8Array {
    const cipher = createCipheriv("aes-256-ctr", this.k1, counter);
    const out = plain(cipher.update(data));
    cipher.final(); // frees it on Deno 2.4
    return out;
  }
}

function sharedSecret(secret: Uint8Array, theirs: Uint8Array): Uint8Array | undefined {
  const keys = {
    privateKey: privateKey(X25519_PRIVATE, secret),
    publicKey: publicKey(X25519_PUBLIC, theirs),
  };
  let shared: Uint8Array;
  try {
    shared = plain(diffieHellman(keys));
  } catch {
    return undefined; // an all-zero result is refused by the library
  }
  return shared.some((byte) => byte !== 0) ? shared : undefined;
}

function verified(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  try {
    return verify(null, message, publicKey(ED25519_PUBLIC, key), signature);
  } catch {
    return false; // a public key that is no point of the curve
  }
}

/** See {@linkcode Primitives}. */
export const machinePrimitives: Primitives = {
  sha512: (message) => plain(createHash("sha512").update(message).digest()),
  sha384: (message) => plain(createHash("sha384").update(message).digest()),
  hmacSha384: noblePrimitives.hmacSha384, // twice a session; Deno 2.4 prints a warning for its own
  x25519Public: (secret) => rawPublic(privateKey(X25519_PRIVATE, secret)),
  x25519: sharedSecret,
  ed25519Public: (seed) => rawPublic(privateKey(ED25519_PRIVATE, seed)),
  ed25519Sign: (seed, message) => plain(sign(null, message, privateKey(ED25519_PRIVATE, seed))),
  ed25519Verify: verified,
  aesPair: (k0, k1) => new MachineAesPair(k0, k1),
};
