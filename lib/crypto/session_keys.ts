/**
 * The symmetric keys two identities share, all from the 48 bytes they agree on.
 *
 * Source: spec 01 sections 2.2 and 5.
 * @module
 */
import { Writer } from "../base/bytes.ts";
import type { AesPair, Primitives } from "./primitives.ts";

/** Length of the agreed key: what HMAC-SHA-384 is keyed with. */
export const SESSION_KEY_BYTES = 48;
const AES_KEY_BYTES = 32;
const SALSA_KEY_BYTES = 32;
const OUTPUT_BITS = 384;

/** What {@linkcode kbkdf} mixes in besides the key. */
export interface KdfInput {
  /** One ASCII character: "0" for AES-GMAC-SIV's K0, "1" for K1; no other is in use. */
  label: string;
  /** 0 to 255 */
  context: number;
  /** 32 bits */
  iteration: number;
}

/** The 13 bytes the key derivation authenticates. */
export function kbkdfMessage(input: KdfInput): Uint8Array {
  return new Writer(13).u32(input.iteration).u8(0x5a).u8(0x54) // "ZT"
    .u8(input.label.charCodeAt(0)).u8(0).u8(input.context).u32(OUTPUT_BITS).finish();
}

/** KBKDF in counter mode over HMAC-SHA-384: 48 bytes from a 48-byte key. */
export function kbkdf(primitives: Primitives, key48: Uint8Array, input: KdfInput): Uint8Array {
  return primitives.hmacSha384(key48, kbkdfMessage(input));
}

/**
 * Keys of a pair of identities. AES keys are derived, and AES is set up, when first asked for: a root holds a hundred
 * thousand of these, and most never see an AES packet.
 */
export interface SessionKeys {
  /** The agreed key, 48 bytes. */
  readonly key: Uint8Array;
  /** Salsa20 key: the first 32 bytes of `key`, a view. */
  readonly salsa: Uint8Array;
  /** AES-256 key of GMAC. */
  readonly k0: Uint8Array;
  /** AES-256 key of the tag block and of CTR. */
  readonly k1: Uint8Array;
  readonly aes: AesPair;
}

class DerivedSessionKeys implements SessionKeys {
  readonly #primitives: Primitives;
  #aes: AesPair | undefined;

  constructor(primitives: Primitives, readonly key: Uint8Array) {
    this.#primitives = primitives;
  }

  /** Made each time: kept, it would double what a key takes. */
  get salsa(): Uint8Array {
    return this.key.subarray(0, SALSA_KEY_BYTES);
  }

  get k0(): Uint8Array {
    return this.#aesKey("0");
  }

  get k1(): Uint8Array {
    return this.#aesKey("1");
  }

  get aes(): AesPair {
    return this.#aes ??= this.#primitives.aesPair(this.k0, this.k1);
  }

  #aesKey(label: string): Uint8Array {
    const derived = kbkdf(this.#primitives, this.key, { label, context: 0, iteration: 0 });
    return derived.slice(0, AES_KEY_BYTES);
  }
}

/**
 * @param key48 The agreed key, see `agree()`; kept, not copied
 * @throws {RangeError} when it is not 48 bytes
 */
export function deriveSessionKeys(primitives: Primitives, key48: Uint8Array): SessionKeys {
  if (key48.length !== SESSION_KEY_BYTES) {
    throw new RangeError(`session key of ${key48.length} bytes, ${SESSION_KEY_BYTES} wanted`);
  }
  return new DerivedSessionKeys(primitives, key48);
}
