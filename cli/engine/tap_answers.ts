const IN_VAIN_MAX = 5; // then one write in 32 is followed by a look

/**
 * When to look for what the system answered while it took a frame: pings and acknowledgements, mostly.
 * Looking at once saves a poll, and whoever waits for the answer a moment. Each look in vain doubles the
 * writes until the next: who asked, and now has the answer, runs only when this thread waits again.
 */
export class TapAnswers {
  #inVain = 0; // looks, since one found something
  #unlooked = 0; // writes, since the last look
  #isDue = false;

  /** Whether there is to be a look at the end of this turn. */
  get isDue(): boolean {
    return this.#isDue;
  }

  /** A frame was written. @returns true when that makes a look due */
  wrote(): boolean {
    if (this.#isDue || ++this.#unlooked < 1 << this.#inVain) return false;
    this.#unlooked = 0;
    this.#isDue = true;
    return true;
  }

  /** @param frames Found; 0 also when there was no time to look */
  looked(frames: number): void {
    this.#isDue = false;
    this.#inVain = frames > 0 ? 0 : Math.min(this.#inVain + 1, IN_VAIN_MAX);
  }
}
