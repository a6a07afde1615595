/**
 * Seeded randomness: everything a simulation does by chance comes from here, so one seed gives one run.
 *
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand); streams are forked by name, so that one
 * more draw in one node changes nothing in another.
 * @module
 */

const WARM_UP_ROUNDS = 15; // sfc32 forgets its seed's pattern in this many

/** 32 bits of a string, well mixed (MurmurHash3's finish over FNV-1a). */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export class Rng {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed Any text; equal texts give equal streams */
  constructor(readonly seed: string) {
    this.#a = hashText(`a${seed}`);
    this.#b = hashText(`b${seed}`);
    this.#c = hashText(`c${seed}`);
    for (let i = 0; i < WARM_UP_ROUNDS; i++) this.u32();
  }

  /** An independent stream. */
  fork(name: string | number): Rng {
    return new Rng(`${this.seed}/${name}`);
  }

  /** 32 random bits. */
  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** 0 inclusive to 1 exclusive. */
  fraction(): number {
    return this.u32() / 0x1_0000_0000;
  }

  /** 0 inclusive to `end` exclusive. */
  below(end: number): number {
    return Math.floor(this.fraction() * end);
  }

  chance(probability: number): boolean {
    return probability > 0 && this.fraction() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }

  /** Fills an array; what a node is given as its source of randomness. */
  fill(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] = (i & 3) === 0 ? this.#word = this.u32() : this.#word >>>= 8;
    }
  }
  #word = 0;

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.fill(bytes);
    return bytes;
  }
}
