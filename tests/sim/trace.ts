/**
 * A fingerprint of everything that happened, and the last events in words for when something goes wrong.
 * @module
 */

const RECENT_MAX = 200; // events kept in words
const PRIME = 0x01000193;

interface Noted {
  readonly atMs: number;
  readonly who: string;
  readonly what: string;
  readonly lengthBytes: number | undefined;
}

export class Trace {
  events = 0;
  #low = 0x811c9dc5;
  #high = 0x9747b28c;
  readonly #recent: Noted[] = [];

  /** Equal for two runs only if every event was the same, byte for byte, at the same time. */
  get hash(): string {
    const hex = (word: number) => (word >>> 0).toString(16).padStart(8, "0");
    return hex(this.#high) + hex(this.#low);
  }

  note(who: string, what: string, atMs: number, lengthBytes?: number): void {
    this.events++;
    this.#text(who);
    this.#text(what);
    this.#word(Math.floor(atMs));
    this.#word(Math.floor((atMs % 1) * 1024));
    this.#recent[this.events % RECENT_MAX] = { atMs, who, what, lengthBytes };
  }

  bytes(who: string, what: string, atMs: number, bytes: Uint8Array): void {
    this.note(who, what, atMs, bytes.length);
    let low = this.#low;
    let high = this.#high;
    for (let i = 0; i < bytes.length; i++) {
      low = Math.imul(low ^ bytes[i], PRIME);
      high = Math.imul(high ^ bytes[i], 0x5bd1e995) ^ (high >>> 15);
    }
    this.#low = low;
    this.#high = high;
  }

  #text(text: string): void {
    for (let i = 0; i < text.length; i++) this.#word(text.charCodeAt(i));
  }

  #word(word: number): void {
    this.#low = Math.imul(this.#low ^ word, PRIME);
    this.#high = Math.imul(this.#high ^ word, 0x5bd1e995) ^ (this.#high >>> 15);
  }

  /** The last events, oldest first, one a line. */
  recent(count: number): string {
    const lines: string[] = [];
    for (let i = Math.max(1, this.events - count + 1); i <= this.events; i++) {
      const noted = this.#recent[i % RECENT_MAX];
      const length = noted.lengthBytes === undefined ? "" : ` ${noted.lengthBytes} bytes`;
      lines.push(`${noted.atMs.toFixed(1).padStart(10)} ${noted.who} ${noted.what}${length}`);
    }
    return lines.join("\n");
  }
}
