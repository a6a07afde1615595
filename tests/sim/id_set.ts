/**
 * A set of 64-bit numbers without an object for each: millions of packet ids are remembered in a large run.
 * @module
 */

const FIRST_SLOTS = 64;

/** Open addressing in one array, half empty at least. 0 cannot be told from an empty slot and is kept apart. */
export class IdSet {
  #slots = new BigUint64Array(FIRST_SLOTS);
  #size = 0;
  #hasZero = false;

  get size(): number {
    return this.#size + Number(this.#hasZero);
  }

  /** @returns false when it was there already */
  add(id: bigint): boolean {
    if (id === 0n) {
      const isNew = !this.#hasZero;
      this.#hasZero = true;
      return isNew;
    }
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    const index = this.#find(id);
    if (this.#slots[index] === id) return false;
    this.#slots[index] = id;
    this.#size++;
    return true;
  }

  /** Where it is, or would be. Ids are random: their low bits will do. */
  #find(id: bigint): number {
    const mask = this.#slots.length - 1;
    let index = Number(id & 0xffff_ffffn) & mask;
    while (this.#slots[index] !== 0n && this.#slots[index] !== id) index = (index + 1) & mask;
    return index;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new BigUint64Array(old.length * 2);
    for (const id of old) if (id !== 0n) this.#slots[this.#find(id)] = id;
  }
}
