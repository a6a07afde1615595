/**
 * How far something is, for eyes at a terminal and for logs.
 * @module
 */

const CLEAR_LINE = "\r\x1b[K";

/** One line, written over again and again. */
export class LiveLines {
  readonly #startedMs = performance.now();
  readonly #write: (text: string) => void;
  #step = "";

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** A new step begins. */
  step(text: string): void {
    this.#step = text;
    this.news("");
  }

  /** The same step, with news. */
  news(text: string): void {
    const seconds = ((performance.now() - this.#startedMs) / 1000).toFixed(1);
    this.#write(`${CLEAR_LINE}${seconds} s  ${this.#step}${text === "" ? "" : `: ${text}`}`);
  }

  /** Takes the line away. */
  end(): void {
    this.#write(CLEAR_LINE);
  }
}

/** A line for each step, none for news. */
export class PlainLines {
  readonly #write: (text: string) => void;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  step(text: string): void {
    this.#write(`${text}\n`);
  }

  news(_text: string): void {}

  end(): void {}
}
