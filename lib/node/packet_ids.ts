/**
 * Packet ids: the nonce of every packet, and its name in replies. A counter, run through a keyed permutation of 64 bits
 * (Speck64/128), so that no id repeats within a process and none can be foreseen.
 *
 * The reference draws 64 random bits a packet; under a key that never changes those repeat after hours at gigabit rates.
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

/**
 * Key and counter for the data plane's own ids, as its kernel wants them: 27 round keys, the counter's low and high half,
 * 32 bits each, little-endian.
 */
export function packetIdState(random: Random): Uint8Array {
  const seed = new Uint8Array(24);
  random(seed);
  const words = new Uint32Array(seed.buffer);
  const state = new DataView(new ArrayBuffer(ROUNDS * 4 + 8));
  speckSchedule(words.subarray(0, 4)).forEach((word, i) => state.setUint32(i * 4, word, true));
  state.setUint32(ROUNDS * 4, words[4], true);
  state.setUint32(ROUNDS * 4 + 4, words[5], true);
  return new Uint8Array(state.buffer);
}

/** Hands out ids. */
export class PacketIds {
  readonly #round: Uint32Array;
  #low = 0;
  #high = 0;

  /** @param random Draws the permutation's key and where the counter begins */
  constructor(random: Random) {
    const seed = new Uint8Array(24);
    random(seed);
    const words = new Uint32Array(seed.buffer);
    this.#round = speckSchedule(words.subarray(0, 4));
    this.#low = words[4];
    this.#high = words[5];
  }

  /** Eight bytes no packet of this process had before. */
  next(): Uint8Array {
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
