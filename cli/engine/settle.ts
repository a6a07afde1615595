/**
 * Waiting for changes that come together to be over; but not for ever, where they never are.
 * @module
 */

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
    const leftMs = this.#firstMs + mostMs - nowMs();
    this.#cancel = later(() => {
      this.#firstMs = undefined;
      this.#run();
    }, Math.max(0, Math.min(quietMs, leftMs)));
  }

  /** Calls off what was to come. */
  stop(): void {
    this.#cancel();
    this.#firstMs = undefined;
  }
}
