/**
 * Slots of one of the data plane's tables, handed out by the control thread.
 * @module
 */

/**
 * A slot is not given to another sooner: what the data plane still has to report of the first must
 * not count for it.
 */
export const SLOT_REST_MS = 15_000;

/** Numbers from 0 on, the lowest that was never given out or the one given back first. */
export class Slots {
  readonly #free: { readonly slot: number; readonly sinceMs: number }[] = [];
  #next = 0;

  /**
   * @param max Slots the table has
   * @param restMs How long one that was given back is left alone
   */
  constructor(readonly max: number, readonly restMs = 0) {}

  /** @returns undefined when all are given out, or rest */
  take(nowMs: number): number | undefined {
    const oldest = this.#free[0];
    if (oldest && nowMs - oldest.sinceMs >= this.restMs) return this.#free.shift()!.slot;
    return this.#next < this.max ? this.#next++ : undefined;
  }

  give(slot: number, nowMs: number): void {
    this.#free.push({ slot, sinceMs: nowMs });
  }
}
