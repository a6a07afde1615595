/**
 * Rates: a token bucket, the one form every budget here takes.
 * @module
 */
import { dropOldest } from "./oldest.ts";

/** One rate for everybody, and one for each, so that whoever is loudest leaves something for the others. */
export class SharedBudget<K> {
  readonly #all: TokenBucket;
  readonly #each: KeyedBudgets<K>;

  /** @param keysMax Bounds memory; the key seen first is forgotten first */
  constructor(
    limits: {
      readonly all: BucketLimits;
      readonly each: BucketLimits;
      readonly keysMax: number;
    },
  ) {
    this.#all = new TokenBucket(limits.all.perSecond, limits.all.burst);
    this.#each = new KeyedBudgets(limits.each, limits.keysMax);
  }

  /** @returns false when this key's budget or everybody's is spent */
  take(key: K, nowMs: number): boolean {
    return this.#each.of(key).take(nowMs) && this.#all.take(nowMs);
  }

  /** Gives back what a key has taken. */
  give(key: K): void {
    this.#each.of(key).give(1);
    this.#all.give(1);
  }
}

/** The same rate for each of many, so that none has another's share. */
export class KeyedBudgets<K> {
  readonly #budgets = new Map<K, TokenBucket>();

  /** @param keysMax Bounds memory; the key seen first is forgotten first, and has a full budget when it comes again */
  constructor(readonly limits: BucketLimits, readonly keysMax: number) {}

  of(key: K): TokenBucket {
    let budget = this.#budgets.get(key);
    if (!budget) {
      if (this.#budgets.size >= this.keysMax) dropOldest(this.#budgets);
      budget = new TokenBucket(this.limits.perSecond, this.limits.burst);
      this.#budgets.set(key, budget);
    }
    return budget;
  }
}

/** What a {@linkcode TokenBucket} lets through. */
export interface BucketLimits {
  readonly perSecond: number;
  readonly burst: number;
}

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

  /** What could be taken now. */
  left(nowMs: number): number {
    this.#refill(nowMs);
    return this.#tokens;
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
