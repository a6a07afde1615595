/**
 * LZ4 block format, for the payload of packets whose verb byte has 0x80 set: no frame header, no length, no dictionary.
 *
 * A block is a row of sequences:
 *
 *     bytes  field
 *     1      token: literal count (high four bits), match length - 4 (low four bits); 15 means more follows
 *     ...    255 each and a last byte below 255, added to the literal count
 *     n      literals
 *     2      distance back to the match, LITTLE-endian, never 0
 *     ...    255 each and a last byte below 255, added to the match length
 *
 * The last sequence ends after its literals. End-of-block rules, obeyed and enforced: the last five
 * bytes are literals, and the last match starts twelve or more bytes before the end.
 *
 * Source: spec 02 section 5; the public description of the LZ4 block format.
 * @module
 */

const MATCH_LENGTH_MIN = 4;
const LAST_LITERALS = 5;
const MATCH_START_LIMIT = 12; // a match starts this far from the end or farther
const LONG = 15; // a nibble of a token that says "more follows"
const DISTANCE_MAX = 65_535;
const COMPRESS_LENGTH_MIN = 65; // the reference does not try shorter payloads
const HASH_BITS = 12;
const SKIP_SHIFT = 5; // after 32 misses in a row look at every second byte, then at every third, ...

/**
 * @param block What follows the verb byte; when empty so is the result
 * @param lengthMax Longest result accepted, in bytes
 * @returns a new array; undefined when the block is malformed, expands to nothing or beyond `lengthMax`
 */
export function decompress(block: Uint8Array, lengthMax: number): Uint8Array | undefined {
  if (block.length === 0) return new Uint8Array(0);
  const decoder = new Decoder(block, lengthMax);
  return decoder.run() ? decoder.out.slice(0, decoder.length) : undefined;
}

/** One decompression: where it is, and what came out so far. */
class Decoder {
  readonly out: Uint8Array;
  length = 0;
  #at = 0;

  constructor(readonly block: Uint8Array, readonly lengthMax: number) {
    this.out = new Uint8Array(lengthMax);
  }

  /** @returns whether the block is well formed */
  run(): boolean {
    const { block } = this;
    let lastMatchAt = -1;
    for (;;) {
      if (this.#at >= block.length) return false;
      const token = block[this.#at++];
      const literals = this.#lengthOf(token >> 4);
      if (literals < 0 || !this.#copyLiterals(literals)) return false;
      if (this.#at === block.length) return this.#endsWell(lastMatchAt, literals);
      lastMatchAt = this.length;
      if (!this.#copyMatch(token & LONG)) return false;
    }
  }

  #endsWell(lastMatchAt: number, literals: number): boolean {
    if (this.length === 0) return false;
    if (lastMatchAt < 0) return true;
    return literals >= LAST_LITERALS && this.length - lastMatchAt >= MATCH_START_LIMIT;
  }

  /** Adds the bytes that continue a nibble of 15; -1 when the block ends in them. */
  #lengthOf(nibble: number): number {
    let length = nibble;
    if (nibble < LONG) return length;
    for (;;) {
      if (this.#at >= this.block.length) return -1;
      const more = this.block[this.#at++];
      length += more;
      if (more !== 255) return length;
    }
  }

  #copyLiterals(count: number): boolean {
    const { block, out } = this;
    if (this.#at + count > block.length || this.length + count > this.lengthMax) return false;
    out.set(block.subarray(this.#at, this.#at + count), this.length);
    this.#at += count;
    this.length += count;
    return true;
  }

  #copyMatch(nibble: number): boolean {
    const { block, out } = this;
    if (this.#at + 2 > block.length) return false;
    const distance = block[this.#at] | (block[this.#at + 1] << 8);
    this.#at += 2;
    const extra = this.#lengthOf(nibble);
    const count = extra + MATCH_LENGTH_MIN;
    if (extra < 0 || distance === 0 || distance > this.length) return false;
    if (this.length + count > this.lengthMax) return false;
    // Byte by byte: a match may overlap what it is writing, which is how runs are expressed.
    for (let i = 0; i < count; i++) out[this.length + i] = out[this.length + i - distance];
    this.length += count;
    return true;
  }
}

/**
 * @param payload What follows the verb byte
 * @returns a new array; undefined when compression is not worth it: 64 bytes or fewer, or no shorter than before
 */
export function compress(payload: Uint8Array): Uint8Array | undefined {
  if (payload.length < COMPRESS_LENGTH_MIN) return undefined;
  return new Encoder(payload).run();
}

/** One compression. Greedy: takes the last place where the next four bytes were seen. */
class Encoder {
  readonly #out: Uint8Array;
  #length = 0;
  /** Position + 1 of the last place with a hash; 0 for none. */
  readonly #seen = new Uint32Array(1 << HASH_BITS);

  constructor(readonly input: Uint8Array) {
    this.#out = new Uint8Array(input.length - 1); // a result that does not fit is not shorter
  }

  run(): Uint8Array | undefined {
    const { input } = this;
    const matchAtMax = input.length - MATCH_START_LIMIT;
    let anchor = 0; // first byte not written yet
    let at = 0;
    let misses = 0;
    while (at <= matchAtMax) {
      const candidate = this.#lookUp(at);
      if (candidate < 0) {
        at += 1 + (misses++ >> SKIP_SHIFT);
        continue;
      }
      const count = this.#matchLength(candidate, at);
      if (!this.#writeSequence(anchor, at, at - candidate, count)) return undefined;
      at += count;
      anchor = at;
      misses = 0;
    }
    if (!this.#writeSequence(anchor, input.length, 0, 0)) return undefined;
    return this.#out.slice(0, this.#length);
  }

  /** An earlier place with the same four bytes, or -1; remembers this one. */
  #lookUp(at: number): number {
    const word = this.#word(at);
    const hash = Math.imul(word, 2_654_435_761) >>> (32 - HASH_BITS); // 2^32 / golden ratio
    const candidate = this.#seen[hash] - 1;
    this.#seen[hash] = at + 1;
    if (candidate < 0 || at - candidate > DISTANCE_MAX) return -1;
    return this.#word(candidate) === word ? candidate : -1;
  }

  #word(at: number): number {
    const b = this.input;
    return b[at] | (b[at + 1] << 8) | (b[at + 2] << 16) | (b[at + 3] << 24);
  }

  #matchLength(candidate: number, at: number): number {
    const { input } = this;
    const end = input.length - LAST_LITERALS;
    let count = MATCH_LENGTH_MIN;
    while (at + count < end && input[at + count] === input[candidate + count]) count++;
    return count;
  }

  /**
   * Literals from `anchor` to `at`, then a match.
   * @param count Length of the match; 0 for the last sequence, which has none
   * @returns false when the result is no shorter than the input
   */
  #writeSequence(anchor: number, at: number, distance: number, count: number): boolean {
    const literals = at - anchor;
    const extra = count === 0 ? 0 : count - MATCH_LENGTH_MIN;
    this.#put((Math.min(literals, LONG) << 4) | Math.min(extra, LONG));
    this.#putLength(literals);
    if (this.#length + literals > this.#out.length) return false;
    this.#out.set(this.input.subarray(anchor, at), this.#length);
    this.#length += literals;
    if (count > 0) {
      this.#put(distance & 0xff);
      this.#put(distance >> 8);
      this.#putLength(extra);
    }
    return this.#length <= this.#out.length;
  }

  #putLength(length: number): void {
    if (length < LONG) return;
    let rest = length - LONG;
    for (; rest >= 255; rest -= 255) this.#put(255);
    this.#put(rest);
  }

  /** Past the end of the output nothing is written, but the length grows and tells. */
  #put(byte: number): void {
    this.#out[this.#length++] = byte;
  }
}
