/**
 * The primitives on the machine's own synchronous `node:crypto`, several times faster than
 * JavaScript, and AES in our WebAssembly, several times faster than that (a packet would take it
 * four cipher objects, which Deno 2.4 does not even free). A test holds them equal to
 * `noblePrimitives`, which are not loaded here: they take 16 MB.
 * @module
 */
import { Buffer } from "node:buffer";
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { concat, equal, fromHex } from "../../lib/base/bytes.ts";
import { AesKernel } from "../../lib/kernel/aes_kernel.ts";
import type { Primitives, Random } from "../../lib/crypto/primitives.ts";

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

/** Both pads of HMAC, RFC 2104. */
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;
const SHA384_BLOCK_BYTES = 128;

/** Of two hashes, since Deno 2.4 prints a warning when asked for an HMAC of its own. */
function hmacSha384(key: Uint8Array, message: Uint8Array): Uint8Array {
  const padded = new Uint8Array(SHA384_BLOCK_BYTES);
  padded.set(key.length > SHA384_BLOCK_BYTES ? sha384(key) : key);
  const inner = createHash("sha384").update(padded.map((byte) => byte ^ INNER_PAD))
    .update(message).digest();
  return plain(
    createHash("sha384").update(padded.map((byte) => byte ^ OUTER_PAD)).update(inner).digest(),
  );
}

function sha384(message: Uint8Array): Uint8Array {
  return plain(createHash("sha384").update(message).digest());
}

let agreeing: { secret: Uint8Array; key: KeyObject } | undefined;

/** Our own key in the form the library wants; made once, for a node agrees with everybody by the same. */
function agreementKey(secret: Uint8Array): KeyObject {
  if (!agreeing || !equal(agreeing.secret, secret)) {
    agreeing = { secret: secret.slice(), key: privateKey(X25519_PRIVATE, secret) };
  }
  return agreeing.key;
}

function sharedSecret(secret: Uint8Array, theirs: Uint8Array): Uint8Array | undefined {
  const keys = {
    privateKey: agreementKey(secret),
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
  sha384,
  hmacSha384,
  x25519Public: (secret) => rawPublic(privateKey(X25519_PRIVATE, secret)),
  x25519: sharedSecret,
  ed25519Public: (seed) => rawPublic(privateKey(ED25519_PRIVATE, seed)),
  ed25519Sign: (seed, message) => plain(sign(null, message, privateKey(ED25519_PRIVATE, seed))),
  ed25519Verify: verified,
  aesPair: (k0, k1) => new AesKernel(k0, k1),
};

/** See {@linkcode Random}: the system's own. */
export const machineRandom: Random = (bytes) => {
  crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);
};
