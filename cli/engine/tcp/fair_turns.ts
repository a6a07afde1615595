/**
 * What comes by many connections, handled for two milliseconds at a time, each connection in its
 * turn; then everything else on this thread has its own. A connection that always has more to read
 * would otherwise keep it: the runtime hands out a hundred reads before it looks at anything else.
 * @module
 */
import { type SliceClock, Slices } from "../slices.ts";

export class FairTurns {
  readonly #slices: Slices;
  readonly #waiting: (() => void)[] = []; // one a connection at most

  constructor(clock?: SliceClock) {
    this.#slices = new Slices(() => this.#resume(), clock);
  }

  /** Does it at once while there is time, else after those who wait. @returns when it is done */
  do(work: () => void): Promise<void> {
    this.#slices.expect();
    if (!this.#slices.isOver && this.#waiting.length === 0) {
      this.#slices.do(work);
      return Promise.resolve();
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(() => {
      work();
      resolve();
    });
    return promise;
  }

  #resume(): boolean {
    while (!this.#slices.isOver && this.#waiting.length > 0) {
      this.#slices.do(this.#waiting.shift()!);
    }
    return this.#waiting.length > 0;
  }
}
