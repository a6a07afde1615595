/**
 * Work that may come without end, done two milliseconds at a time: then everything else on this
 * thread has its turn. What comes meanwhile is kept by whoever uses this.
 * @module
 */
import { setImmediate } from "node:timers";

const SLICE_MS = 2;

/** The clock, and other work; for tests. */
export interface SliceClock {
  readonly nowMs: () => number;
  /** Calls back once other work had its turn. */
  readonly later: (run: () => void) => void;
}

const MACHINE: SliceClock = {
  nowMs: () => performance.now(),
  later: (run) => void setImmediate(run),
};

export class Slices {
  readonly #resume: () => boolean;
  readonly #clock: SliceClock;
  #leftMs = SLICE_MS;
  #isExpected = false; // a new slice begins soon

  /** @param resume A slice begins: does what waits until {@linkcode isOver}. Returns whether anything waits still */
  constructor(resume: () => boolean, clock = MACHINE) {
    this.#resume = resume;
    this.#clock = clock;
  }

  /** Whether the time is used up. */
  get isOver(): boolean {
    return this.#leftMs <= 0;
  }

  /** Does something, which takes of the time. */
  do(work: () => void): void {
    const startMs = this.#clock.nowMs();
    work();
    this.#leftMs -= this.#clock.nowMs() - startMs;
  }

  /** There is something to do, now or in the next slice: see to it that there is one. */
  expect(): void {
    if (this.#isExpected) return;
    this.#isExpected = true;
    this.#clock.later(() => {
      this.#isExpected = false;
      this.#leftMs = SLICE_MS;
      if (this.#resume()) this.expect();
    });
  }
}
