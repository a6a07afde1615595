/**
 * Who came lately, of very many, in a fixed stretch of memory and without garbage.
 * @module
 */

const BUCKETS = 8_192; // a power of two
const BUCKET_BITS = 13;
const WAYS = 4; // marks a bucket holds, the latest first

/**
 * Marks by 32-bit hashes, the latest 32,768 or nearly so: a mark goes when four others came to its
 * bucket. Hashes must be such that nobody can foresee which share a bucket.
 */
export class RecentMarks {
  readonly #marks = new Uint32Array(BUCKETS * WAYS); // 0: none

  /** Takes the mark away if there is one, and makes one if there is none. @returns whether there was one */
  take(hash: number): boolean {
    const marks = this.#marks;
    const mark = hash >>> 0 || 1;
    const start = (Math.imul(mark, 0x9e37_79b1) >>> (32 - BUCKET_BITS)) * WAYS;
    for (let at = start; at < start + WAYS; at++) {
      if (marks[at] !== mark) continue;
      marks.copyWithin(at, at + 1, start + WAYS);
      marks[start + WAYS - 1] = 0;
      return true;
    }
    marks.copyWithin(start + 1, start, start + WAYS - 1);
    marks[start] = mark;
    return false;
  }
}
