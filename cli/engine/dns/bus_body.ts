/**
 * Writes values as the message bus wants them: little-endian, each aligned to its size.
 *
 * Source: D-Bus specification 0.42, "Marshaling".
 * @module
 */
import { utf8 } from "../../../lib/base/bytes.ts";

/** Bytes of a message, from a multiple of 8 on. Each call adds a value and returns the writer. */
export class BodyWriter {
  readonly #bytes: number[] = [];

  /** Zeros up to a multiple; structures begin at one of 8. */
  align(to: number): this {
    while (this.#bytes.length % to !== 0) this.#bytes.push(0);
    return this;
  }

  byte(value: number): this {
    this.#bytes.push(value);
    return this;
  }

  u32(value: number): this {
    this.align(4).#bytes.push(...word(value));
    return this;
  }

  bool(value: boolean): this {
    return this.u32(value ? 1 : 0);
  }

  /** A string or an object path. */
  text(value: string): this {
    const bytes = utf8(value);
    this.u32(bytes.length).#bytes.push(...bytes, 0);
    return this;
  }

  signature(value: string): this {
    const bytes = utf8(value);
    this.#bytes.push(bytes.length, ...bytes, 0);
    return this;
  }

  /** An array. @param alignment Of its elements; the bytes before the first do not count to its length */
  array(alignment: number, fill: () => void): this {
    const at = this.u32(0).#bytes.length - 4;
    const start = this.align(alignment).#bytes.length;
    fill();
    this.#bytes.splice(at, 4, ...word(this.#bytes.length - start));
    return this;
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

function word(value: number): number[] {
  return [value & 0xff, value >>> 8 & 0xff, value >>> 16 & 0xff, value >>> 24];
}
