/**
 * Packet ids: the nonce of every packet, and its name in replies. A counter, run through a keyed permutation of 64 bits
 * (Speck64/128), so that no id repeats and none can be foreseen.
 *
 * The reference draws 64 random bits a packet; under a key that never changes those repeat after
 * hours at gigabit rates. Counters come in blocks. Whoever hands them out sees to it that no two
 * blocks under one key overlap: the engine keeps account of them in the home folder, so that ids do
 * not repeat across restarts either.
 * Source: DESIGN section 3; Speck: Beaulieu et al., "The SIMON and SPECK families of lightweight block ciphers", 2013.
 * @module
 */
import type { Random } from "../crypto/primitives.ts";

const ROUNDS = 27;

function rotateRight(x: number, bits: number): number {
  return (x >>> bits) | (x << (32 - bits));
}

function rotateLeft(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits));
}

/** Round keys of Speck64/128 for a key of four 32-bit words, least significant first. */
export function speckSchedule(key: Uint32Array): Uint32Array {
  const round = new Uint32Array(ROUNDS);
  const l = [key[1], key[2], key[3]];
  round[0] = key[0];
  for (let i = 0; i < ROUNDS - 1; i++) {
    const mixed = ((round[i] + rotateRight(l[i % 3], 8)) ^ i) >>> 0;
    l[i % 3] = mixed;
    round[i + 1] = (rotateLeft(round[i], 3) ^ mixed) >>> 0;
  }
  return round;
}

/** A key, and ids under it that are one user's alone. */
export interface IdBlock {
  /** Of the permutation, four words, least significant first. */
  readonly key: Uint32Array;
  /** Where the counter begins, in halves: the first id is that of the number after it. */
  readonly low: number;
  readonly high: number;
}

/** Ids of one block: days of an ordinary node, hours of a busy one. A power of two, so that blocks can be numbered. */
export const IDS_PER_BLOCK = 2 ** 34;

/** A block under a key of its own: of use where nothing can be remembered. */
export function randomIdBlock(random: Random): IdBlock {
  const seed = new Uint8Array(24);
  random(seed);
  const words = new Uint32Array(seed.buffer);
  return { key: words.slice(0, 4), low: words[4], high: words[5] };
}

/**
 * A block as the data plane's kernel wants it: 27 round keys, the counter's low and high half, 32
 * bits each, little-endian.
 */
export function packetIdState({ key, low, high }: IdBlock): Uint8Array {
  const state = new DataView(new ArrayBuffer(ROUNDS * 4 + 8));
  speckSchedule(key).forEach((word, i) => state.setUint32(i * 4, word, true));
  state.setUint32(ROUNDS * 4, low, true);
  state.setUint32(ROUNDS * 4 + 4, high, true);
  return new Uint8Array(state.buffer);
}

/** Hands out ids. */
export class PacketIds {
  readonly #take: () => IdBlock;
  readonly #blockLength: number;
  #round: Uint32Array = new Uint32Array(ROUNDS);
  #low = 0;
  #high = 0;
  #left = 0;

  /**
   * @param take Called for a block when one is needed, the first at once
   * @param blockLength Ids of one block
   */
  constructor(take: () => IdBlock, blockLength = IDS_PER_BLOCK) {
    this.#take = take;
    this.#blockLength = blockLength;
    this.#begin();
  }

  #begin(): void {
    const { key, low, high } = this.#take();
    this.#round = speckSchedule(key);
    this.#low = low;
    this.#high = high;
    this.#left = this.#blockLength;
  }

  /** Eight bytes no packet had before. */
  next(): Uint8Array {
    if (this.#left === 0) this.#begin();
    this.#left--;
    this.#low = (this.#low + 1) >>> 0;
    if (this.#low === 0) this.#high = (this.#high + 1) >>> 0;
    let x = this.#high;
    let y = this.#low;
    for (let i = 0; i < ROUNDS; i++) {
      x = ((rotateRight(x, 8) + y) ^ this.#round[i]) >>> 0;
      y = (rotateLeft(y, 3) ^ x) >>> 0;
    }
    const id = new Uint8Array(8);
    new DataView(id.buffer).setUint32(0, x);
    new DataView(id.buffer).setUint32(4, y);
    return id;
  }
}
