/**
 * Rates: a token bucket, the one form every budget here takes.
 * @module
 */

/** Lets `burst` through at once and `perSecond` in the long run. */
export class TokenBucket {
  #tokens: number;
  #lastMs: number | undefined;

  constructor(readonly perSecond: number, readonly burst: number) {
    this.#tokens = burst;
  }

  /** @returns false when the budget is spent; nothing is taken then */
  take(nowMs: number, amount = 1): boolean {
    this.#refill(nowMs);
    if (this.#tokens < amount) return false;
    this.#tokens -= amount;
    return true;
  }

  /** Adds to the budget beyond the steady rate, up to the burst. */
  give(amount: number): void {
    this.#tokens = Math.min(this.burst, this.#tokens + amount);
  }

  #refill(nowMs: number): void {
    if (this.#lastMs !== undefined) {
      const earned = (nowMs - this.#lastMs) * this.perSecond / 1000;
      if (earned > 0) this.#tokens = Math.min(this.burst, this.#tokens + earned);
    }
    this.#lastMs = nowMs;
  }
}
