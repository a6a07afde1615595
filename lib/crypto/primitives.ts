/**
 * The primitives the protocol is made of, as one injected object: `@noble/*` by default (and as the slow twin), the
 * machine's own where they are faster. All are synchronous, keep no state and draw no randomness.
 *
 * Source: spec 01 section 2.
 * @module
 */

/** AES-256 with two keys: the pieces of AES-GMAC-SIV. */
export interface AesBlocks {
  /** GMAC under K0: 12-byte nonce, any data; returns the 16-byte tag. */
  gmac(nonce: Uint8Array, data: Uint8Array): Uint8Array;
  /** One 16-byte block encrypted under K1; a new array. */
  encryptBlock(block: Uint8Array): Uint8Array;
  /** One 16-byte block decrypted under K1; a new array. */
  decryptBlock(block: Uint8Array): Uint8Array;
  /**
   * AES-256-CTR under K1 from a 16-byte initial counter block; a new array as long as `data`. The
   * last 32 bits of the block count and must not come round: whether more of it counts is left
   * open.
   */
  ctr(counter: Uint8Array, data: Uint8Array): Uint8Array;
}

/** The same, and AES-GMAC-SIV on whole packets (spec 01 section 6.3). */
export interface AesPair extends AesBlocks {
  /**
   * Encrypts from the verb byte on and writes the tag over the MAC and the packet id, in place.
   * @param packet 28 bytes or more; its header must be final
   */
  seal(packet: Uint8Array): void;
  /**
   * Checks and decrypts in place; the header stays as received.
   * @returns false when it is not authentic; the packet is then unchanged
   */
  open(packet: Uint8Array): boolean;
}

/** What an engine or a simulator hands to the protocol at construction. */
export interface Primitives {
  /** 64 bytes. */
  sha512(message: Uint8Array): Uint8Array;
  /** 48 bytes. */
  sha384(message: Uint8Array): Uint8Array;
  /** 48 bytes. */
  hmacSha384(key: Uint8Array, message: Uint8Array): Uint8Array;
  /** Public u-coordinate (32 bytes) of an unclamped 32-byte scalar. */
  x25519Public(secret: Uint8Array): Uint8Array;
  /**
   * Shared secret, 32 bytes.
   * @returns undefined when the result is all zero: a public key no honest identity has
   */
  x25519(secret: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;
  /** Public key (32 bytes) of a 32-byte seed. */
  ed25519Public(seed: Uint8Array): Uint8Array;
  /** 64-byte signature. */
  ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array;
  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** Both keys are 32 bytes; K0 authenticates, K1 encrypts. */
  aesPair(k0: Uint8Array, k1: Uint8Array): AesPair;
}

/** Fills an array with bytes nobody can guess; seeded in the simulator. */
export type Random = (bytes: Uint8Array) => void;
