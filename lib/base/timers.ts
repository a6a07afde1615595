/**
 * Deadlines: which of many things is due next. A binary heap with one entry a thing.
 * @module
 */

interface Entry<T> {
  item: T;
  dueMs: number;
  index: number;
}

/** Items with one deadline each. `set` and `delete` cost O(log n), `nextMs` nothing. */
export class Timers<T> {
  readonly #heap: Entry<T>[] = [];
  readonly #entries = new Map<T, Entry<T>>();

  get size(): number {
    return this.#heap.length;
  }

  /** When the next item is due; Infinity when there is none. */
  get nextMs(): number {
    return this.#heap.length === 0 ? Infinity : this.#heap[0].dueMs;
  }

  /** When this item is due; Infinity when it has no deadline. */
  dueMs(item: T): number {
    return this.#entries.get(item)?.dueMs ?? Infinity;
  }

  /** Gives the item a deadline in place of any it had. */
  set(item: T, dueMs: number): void {
    if (dueMs === Infinity) return this.delete(item);
    const entry = this.#entries.get(item);
    if (entry) {
      entry.dueMs = dueMs;
      this.#up(entry.index);
      this.#down(entry.index);
    } else {
      const added = { item, dueMs, index: this.#heap.length };
      this.#heap.push(added);
      this.#entries.set(item, added);
      this.#up(added.index);
    }
  }

  /** Brings the item's deadline forward, never back. */
  setEarlier(item: T, dueMs: number): void {
    if (dueMs < this.dueMs(item)) this.set(item, dueMs);
  }

  /** Every item with a deadline, in no order. */
  items(): T[] {
    return this.#heap.map((entry) => entry.item);
  }

  delete(item: T): void {
    const entry = this.#entries.get(item);
    if (!entry) return;
    this.#entries.delete(item);
    const last = this.#heap.pop()!;
    if (last === entry) return;
    this.#place(last, entry.index);
    this.#up(last.index);
    this.#down(last.index);
  }

  /** Takes out one item that is due, or returns undefined. */
  pop(nowMs: number): T | undefined {
    const first = this.#heap[0];
    if (!first || first.dueMs > nowMs) return undefined;
    this.delete(first.item);
    return first.item;
  }

  #place(entry: Entry<T>, index: number): void {
    this.#heap[index] = entry;
    entry.index = index;
  }

  #up(start: number): void {
    let index = start;
    const entry = this.#heap[index];
    while (index > 0) {
      const parent = this.#heap[(index - 1) >> 1];
      if (parent.dueMs <= entry.dueMs) break;
      const at = parent.index;
      this.#place(parent, index);
      index = at;
    }
    this.#place(entry, index);
  }

  #down(start: number): void {
    let index = start;
    const entry = this.#heap[index];
    for (;;) {
      let child = index * 2 + 1;
      if (child >= this.#heap.length) break;
      const right = child + 1;
      if (right < this.#heap.length && this.#heap[right].dueMs < this.#heap[child].dueMs) {
        child = right;
      }
      if (this.#heap[child].dueMs >= entry.dueMs) break;
      this.#place(this.#heap[child], index);
      index = child;
    }
    this.#place(entry, index);
  }
}
