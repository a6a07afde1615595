/**
 * Waiting for changes that come together to be over; but not for ever, where they never are.
 * @module
 */

/**
 * What is done then has a quarter of the time at most: a router with all routes of the Internet, which
 * change all the time, takes seconds to name them.
 */
const REST_FACTOR = 3;

/** How long, and with what clock. */
export interface SettleOptions {
  /** Nothing changed for this long: it is over. */
  readonly quietMs: number;
  /** Since the first change: so long at most. */
  readonly mostMs: number;
  /** For tests. */
  readonly nowMs?: () => number;
  /** Calls back after a time. @returns what calls it off; for tests */
  readonly later?: (run: () => void, delayMs: number) => () => void;
}

function byTimer(run: () => void, delayMs: number): () => void {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
}

export class Settle {
  readonly #run: () => void;
  readonly #options: Required<SettleOptions>;
  #firstMs: number | undefined; // since when changes come
  #restsUntilMs = -Infinity; // after what was done last
  #cancel = () => {};

  constructor(run: () => void, options: SettleOptions) {
    this.#run = run;
    this.#options = { nowMs: () => performance.now(), later: byTimer, ...options };
  }

  /** Something changed. */
  changed(): void {
    const { quietMs, mostMs, nowMs, later } = this.#options;
    this.#cancel();
    this.#firstMs ??= nowMs();
    const dueMs = Math.min(nowMs() + quietMs, this.#firstMs + mostMs);
    const delayMs = Math.max(dueMs, this.#restsUntilMs) - nowMs();
    this.#cancel = later(() => this.#do(), Math.max(0, delayMs));
  }

  #do(): void {
    const { nowMs } = this.#options;
    this.#firstMs = undefined;
    const startMs = nowMs();
    this.#run();
    const endMs = nowMs();
    this.#restsUntilMs = endMs + REST_FACTOR * (endMs - startMs);
  }

  /** Calls off what was to come. */
  stop(): void {
    this.#cancel();
    this.#firstMs = undefined;
  }
}
