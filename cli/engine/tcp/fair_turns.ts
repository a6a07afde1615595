/**
 * What comes by many connections, handled for two milliseconds at a time, each connection in its
 * turn; then everything else on this thread has its own. A connection that always has more to read
 * would otherwise keep it: the runtime hands out a hundred reads before it looks at anything else.
 * @module
 */
import { setImmediate } from "node:timers";

const SLICE_MS = 2;

/** The clock, and other work; for tests. */
export interface FairTurnsOptions {
  readonly nowMs: () => number;
  /** Calls back once other work had its turn. */
  readonly later: (run: () => void) => void;
}

const MACHINE: FairTurnsOptions = {
  nowMs: () => performance.now(),
  later: (run) => void setImmediate(run),
};

export class FairTurns {
  readonly #options: FairTurnsOptions;
  readonly #waiting: (() => void)[] = []; // one a connection at most
  #leftMs = SLICE_MS;
  #isExpected = false; // a new slice begins soon

  constructor(options = MACHINE) {
    this.#options = options;
  }

  /** Does it at once while there is time, else after those who wait. @returns when it is done */
  do(work: () => void): Promise<void> {
    this.#expectSlice();
    if (this.#leftMs > 0 && this.#waiting.length === 0) {
      this.#run(work);
      return Promise.resolve();
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(() => {
      work();
      resolve();
    });
    return promise;
  }

  #run(work: () => void): void {
    const startMs = this.#options.nowMs();
    work();
    this.#leftMs -= this.#options.nowMs() - startMs;
  }

  #expectSlice(): void {
    if (this.#isExpected) return;
    this.#isExpected = true;
    this.#options.later(() => this.#slice());
  }

  #slice(): void {
    this.#isExpected = false;
    this.#leftMs = SLICE_MS;
    while (this.#leftMs > 0 && this.#waiting.length > 0) this.#run(this.#waiting.shift()!);
    if (this.#waiting.length > 0) this.#expectSlice();
  }
}
