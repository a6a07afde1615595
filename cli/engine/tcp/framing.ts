/**
 * Cutting a stream of bytes into messages: what both protocols of a tunnel have in common.
 * @module
 */

/** One direction each way of one connection. */
export interface Framing {
  /**
   * Takes what came in.
   * @returns the messages that are complete now, in order; not shared with `bytes`
   * @throws {WireError} when the stream breaks the protocol: it has to be closed
   */
  take(bytes: Uint8Array): Uint8Array[];
  /** @returns one message as it goes on the stream */
  wrap(message: Uint8Array): Uint8Array;
}

/** Bytes that came and are not used yet. Bounded by whoever reads: it never waits for more than one message. */
export class Pending {
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;

  /** Bytes there are. */
  get length(): number {
    return this.#bytes.length - this.#at;
  }

  push(bytes: Uint8Array): void {
    const joined = new Uint8Array(this.length + bytes.length);
    joined.set(this.#bytes.subarray(this.#at));
    joined.set(bytes, this.length);
    this.#bytes = joined;
    this.#at = 0;
  }

  /** @param index Below `length` */
  peek(index: number): number {
    return this.#bytes[this.#at + index];
  }

  /** @returns the next `length` bytes, which must be there; the caller's to keep */
  take(length: number): Uint8Array {
    const taken = this.#bytes.slice(this.#at, this.#at + length);
    this.#at += length;
    return taken;
  }
}
