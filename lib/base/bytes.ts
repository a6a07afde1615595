/**
 * Bytes: hexadecimal text, comparison, and the {@linkcode Reader} and {@linkcode Writer} every codec is made of.
 * All integers on the wire are unsigned and big-endian.
 * @module
 */
import type { Address, Mac } from "./ids.ts";
import { WireError } from "./errors.ts";

const HEX: string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** UTF-8 bytes of a string. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Text of UTF-8 bytes; malformed sequences become U+FFFD. */
export function text(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Lower-case hexadecimal, two digits a byte. */
export function toHex(bytes: Uint8Array): string {
  let hex = "";
  for (let i = 0; i < bytes.length; i++) hex += HEX[bytes[i]];
  return hex;
}

/**
 * @param hex Pairs of hexadecimal digits, either case
 * @throws {RangeError} when a digit is not hexadecimal or the length is odd
 */
export function fromHex(hex: string): Uint8Array {
  if (hex.length % 2 !== 0 || /[^0-9a-fA-F]/.test(hex)) {
    throw new RangeError(`not hexadecimal: "${hex.slice(0, 40)}"`);
  }
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Equality of public bytes; not constant-time, see {@linkcode equalSecret}. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Equality whose time depends on the lengths only: for authenticators and tokens. */
export function equalSecret(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i];
  return difference === 0;
}

/** Lexicographic order of bytes: negative, 0 or positive. */
export function compare(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

/** One new array holding all the parts in order. */
export function concat(...parts: Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Reads a structure front to back. Every read past the end throws {@linkcode WireError}. */
export class Reader {
  #at: number;
  readonly #end: number;

  /**
   * @param bytes Lent; slices returned by {@linkcode bytesOf} are views into it
   * @param where Name of the structure, for errors
   * @param start Offset to begin at
   */
  constructor(readonly bytes: Uint8Array, readonly where: string, start = 0) {
    this.#at = start;
    this.#end = bytes.length;
  }

  /** Offset of the next byte. */
  get at(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  #take(length: number): number {
    const at = this.#at;
    if (length < 0 || at + length > this.#end) {
      throw new WireError(this.where, `truncated: ${length} bytes wanted at ${at} of ${this.#end}`);
    }
    this.#at = at + length;
    return at;
  }

  skip(length: number): void {
    this.#take(length);
  }

  u8(): number {
    return this.bytes[this.#take(1)];
  }

  u16(): number {
    const at = this.#take(2);
    return (this.bytes[at] << 8) | this.bytes[at + 1];
  }

  u32(): number {
    const at = this.#take(4);
    const b = this.bytes;
    return ((b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3]) >>> 0;
  }

  /** A 40-bit node address. */
  address(): Address {
    const high = this.u8();
    return (high * 0x1_0000_0000 + this.u32()) as Address;
  }

  /** A 48-bit MAC address. */
  mac(): Mac {
    const high = this.u16();
    return (high * 0x1_0000_0000 + this.u32()) as Mac;
  }

  u64(): bigint {
    const high = this.u32();
    return (BigInt(high) << 32n) | BigInt(this.u32());
  }

  /** A 64-bit time in milliseconds as a number; times past 2^53 lose precision, which no honest clock shows. */
  time(): number {
    const high = this.u32();
    return high * 0x1_0000_0000 + this.u32();
  }

  /** A view of the next `length` bytes: copy it to keep it. */
  view(length: number): Uint8Array {
    const at = this.#take(length);
    return this.bytes.subarray(at, at + length);
  }

  /** A copy of the next `length` bytes. */
  copy(length: number): Uint8Array {
    const at = this.#take(length);
    return this.bytes.slice(at, at + length);
  }

  /** A view of everything left. */
  rest(): Uint8Array {
    return this.view(this.remaining);
  }
}

/** Writes a structure front to back into a buffer that grows. */
export class Writer {
  #bytes: Uint8Array;
  #at = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#at;
  }

  #grow(length: number): number {
    const at = this.#at;
    if (at + length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(at + length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
    }
    this.#at = at + length;
    return at;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#bytes[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2);
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
    return this;
  }

  u32(value: number): this {
    const at = this.#grow(4);
    const b = this.#bytes;
    b[at] = value >>> 24;
    b[at + 1] = value >>> 16;
    b[at + 2] = value >>> 8;
    b[at + 3] = value;
    return this;
  }

  address(value: Address): this {
    return this.u8(Math.floor(value / 0x1_0000_0000)).u32(value % 0x1_0000_0000);
  }

  mac(value: Mac): this {
    return this.u16(Math.floor(value / 0x1_0000_0000)).u32(value % 0x1_0000_0000);
  }

  u64(value: bigint): this {
    return this.u32(Number((value >> 32n) & 0xffff_ffffn)).u32(Number(value & 0xffff_ffffn));
  }

  /** A time in milliseconds as 64 bits. */
  time(value: number): this {
    return this.u32(Math.floor(value / 0x1_0000_0000)).u32(value % 0x1_0000_0000);
  }

  raw(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** Overwrites 16 bits written earlier: for counts known only at the end. */
  patchU16(at: number, value: number): this {
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
    return this;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#at);
  }
}
