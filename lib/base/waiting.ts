/**
 * Things that wait for something to become known, by what they wait for. One busy key cannot push out the others'.
 * @module
 */

const CHECK_MS = 500; // when full, the expired are looked for this often at most

/** How much may wait, and how long. */
export interface WaitingLimits {
  /** Per key; the oldest goes first. */
  readonly perKeyMax: number;
  readonly keysMax: number;
  readonly lifeMs: number;
}

interface Entry<T> {
  readonly item: T;
  readonly sinceMs: number;
}

export class Waiting<K, T> {
  readonly #entries = new Map<K, Entry<T>[]>();
  #checkMs = -Infinity;

  constructor(readonly limits: WaitingLimits) {}

  get size(): number {
    return this.#entries.size;
  }

  /** @returns false when something had to be dropped */
  push(key: K, item: T, nowMs: number): boolean {
    let entries = this.#entries.get(key);
    if (!entries) {
      if (this.#entries.size >= this.limits.keysMax && !this.#makeRoom(nowMs)) return false;
      this.#entries.set(key, entries = []);
    }
    entries.push({ item, sinceMs: nowMs });
    if (entries.length <= this.limits.perKeyMax) return true;
    entries.shift();
    return false;
  }

  /** What has waited too long must not keep others out, whenever its owner looks after it. */
  #makeRoom(nowMs: number): boolean {
    if (nowMs - this.#checkMs < CHECK_MS) return false;
    this.#checkMs = nowMs;
    this.expire(nowMs);
    return this.#entries.size < this.limits.keysMax;
  }

  has(key: K): boolean {
    return this.#entries.has(key);
  }

  /** Takes out everything that waits for a key and is not too old. */
  take(key: K, nowMs: number): T[] {
    const entries = this.#entries.get(key) ?? [];
    this.#entries.delete(key);
    return entries.filter((entry) => this.#isFresh(entry, nowMs)).map((entry) => entry.item);
  }

  /** Drops what has waited too long. */
  expire(nowMs: number): void {
    for (const [key, entries] of this.#entries) {
      const fresh = entries.filter((entry) => this.#isFresh(entry, nowMs));
      if (fresh.length === 0) this.#entries.delete(key);
      else if (fresh.length < entries.length) this.#entries.set(key, fresh);
    }
  }

  /** What is waited for. */
  keys(): K[] {
    return [...this.#entries.keys()];
  }

  #isFresh(entry: Entry<T>, nowMs: number): boolean {
    return nowMs - entry.sinceMs < this.limits.lifeMs;
  }
}
