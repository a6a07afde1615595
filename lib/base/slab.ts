/**
 * Small byte arrays that live long, side by side in shared buffers. An array with a buffer of its
 * own costs about 350 bytes beside what it holds, and a root keeps three for each of a hundred
 * thousand peers.
 * @module
 */

/** A slab goes when the last of its arrays does: short ones bound what one that stays can hold on to. */
const SLAB_BYTES = 1_024;

export class Slabs {
  #slab = new Uint8Array(0);
  #used = 0;

  /** @returns a copy, which shares its buffer with others: not for who looks at `.buffer` without its offset */
  copy(bytes: Uint8Array): Uint8Array {
    if (bytes.length > SLAB_BYTES) return bytes.slice();
    if (this.#used + bytes.length > this.#slab.length) {
      this.#slab = new Uint8Array(SLAB_BYTES);
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += bytes.length;
    this.#slab.set(bytes, at);
    return this.#slab.subarray(at, this.#used);
  }
}
