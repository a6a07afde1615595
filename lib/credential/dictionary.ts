/**
 * Dictionaries: `key=value` lines, one LF between two of them, in which controllers and nodes write
 * what has many optional parts. Values are bytes; five of these are escaped: NUL `\0`, CR `\r`, LF
 * `\n`, backslash `\\`, `=` `\e`.
 *
 * A NUL ends the dictionary. The first line with a key counts. A line without `=` holds nothing; a CR ends a value.
 *
 * Source: spec 04 section 3.
 * @module
 */
import { text, utf8, Writer } from "../base/bytes.ts";
import type { Address } from "../base/ids.ts";

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;

const ESCAPES: ReadonlyMap<number, number> = new Map([
  [NUL, 0x30], // 0
  [CR, 0x72], // r
  [LF, 0x6e], // n
  [BACKSLASH, BACKSLASH],
  [EQUALS, 0x65], // e
]);
const UNESCAPES: ReadonlyMap<number, number> = new Map(
  [...ESCAPES].map(([byte, letter]) => [letter, byte]),
);

const UINT_DIGITS = 16;
const UINT_MAX = 0xffff_ffff_ffff_ffffn;
const NUMBER_MAX = 2 ** 64 - 2 ** 11; // the last number of double precision that 64 bits hold
const ADDRESS_MASK = 0xff_ffff_ffffn;

/** A dictionary to look things up in. */
export class Dictionary {
  /** Values still escaped, by key, one character a byte. */
  readonly #values = new Map<string, Uint8Array>();

  /**
   * Never throws: what is not a line of a dictionary is not found. @param bytes Lent for as long as
   * the dictionary lives
   */
  static decode(bytes: Uint8Array): Dictionary {
    const dictionary = new Dictionary();
    const nul = bytes.indexOf(NUL);
    const end = nul < 0 ? bytes.length : nul;
    for (let start = 0; start < end;) {
      const newline = bytes.indexOf(LF, start);
      const lineEnd = newline < 0 || newline > end ? end : newline;
      dictionary.#addLine(bytes.subarray(start, lineEnd));
      start = lineEnd + 1;
    }
    return dictionary;
  }

  #addLine(line: Uint8Array): void {
    const equals = line.indexOf(EQUALS);
    if (equals < 0) return;
    const key = latin1(line.subarray(0, equals));
    if (this.#values.has(key)) return;
    const value = line.subarray(equals + 1);
    const cr = value.indexOf(CR);
    this.#values.set(key, cr < 0 ? value : value.subarray(0, cr));
  }

  /** Keys in the order they came. */
  keys(): string[] {
    return [...this.#values.keys()];
  }

  /** The value, unescaped, a new array; undefined when there is no such key. */
  get(key: string): Uint8Array | undefined {
    const value = this.#values.get(key);
    return value && unescape(value);
  }

  /** The value as UTF-8 text; "" when there is no such key. */
  getText(key: string): string {
    return text(this.get(key) ?? new Uint8Array(0));
  }

  /**
   * The value as C's `strtoull` reads base 16: white space, sign and "0x" first, then digits as far
   * as they go, the largest number when there are too many; a minus sign wraps around.
   * @param otherwise When there is no such key or its value is empty
   */
  getUint(key: string, otherwise = 0n): bigint {
    const value = this.get(key);
    if (!value || value.length === 0) return otherwise;
    const match = /^[ \t\n\v\f\r]*([+-]?)(?:0[xX](?=[0-9a-fA-F]))?([0-9a-fA-F]*)/.exec(
      latin1(value),
    );
    const [, sign, digits] = match!;
    if (digits === "") return 0n;
    const magnitude = BigInt(`0x${digits}`);
    if (magnitude > UINT_MAX) return UINT_MAX;
    return sign === "-" ? BigInt.asUintN(64, -magnitude) : magnitude;
  }

  /** As {@linkcode getUint}, for times, limits and flags: exact below 2^53, and always less than 2^64. */
  getNumber(key: string, otherwise = 0): number {
    return Math.min(Number(this.getUint(key, BigInt(otherwise))), NUMBER_MAX);
  }

  /** The low 40 bits of the number; 0 when there is none. */
  getAddress(key: string): Address {
    return Number(this.getUint(key) & ADDRESS_MASK) as Address;
  }

  /** Whether the value begins with 1, t or T. @param otherwise When there is no such key */
  getBoolean(key: string, otherwise = false): boolean {
    const value = this.get(key);
    if (!value) return otherwise;
    return "1tT".includes(String.fromCharCode(value[0] ?? NUL)) && value.length > 0;
  }
}

/** Writes a dictionary line by line. */
export class DictionaryWriter {
  readonly #w = new Writer(1024);

  /** @throws {RangeError} when the key has a byte that would end it */
  bytes(key: string, value: Uint8Array): this {
    // deno-lint-ignore no-control-regex -- these are the bytes that cannot be in a key
    if (/[\x00\r\n=]/.test(key)) throw new RangeError(`dictionary key: "${key}"`);
    if (this.#w.length > 0) this.#w.u8(LF);
    this.#w.raw(utf8(key)).u8(EQUALS);
    for (const byte of value) {
      const letter = ESCAPES.get(byte);
      if (letter === undefined) this.#w.u8(byte);
      else this.#w.u8(BACKSLASH).u8(letter);
    }
    return this;
  }

  text(key: string, value: string): this {
    return this.bytes(key, utf8(value));
  }

  /**
   * Sixteen digits.
   * @throws {RangeError} when negative, fractional or beyond 64 bits (the reference loses the sign; we never write one)
   */
  uint(key: string, value: number | bigint): this {
    const number = BigInt(value);
    if (number < 0n || number > UINT_MAX) throw new RangeError(`dictionary value: ${value}`);
    return this.text(key, number.toString(16).padStart(UINT_DIGITS, "0"));
  }

  boolean(key: string, value: boolean): this {
    return this.text(key, value ? "1" : "0");
  }

  finish(): Uint8Array {
    return this.#w.finish();
  }
}

function latin1(bytes: Uint8Array): string {
  let characters = "";
  for (const byte of bytes) characters += String.fromCharCode(byte);
  return characters;
}

/** A backslash before any other byte is dropped, and so is one at the end. */
function unescape(value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(value.length);
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    let byte = value[i];
    if (byte === BACKSLASH) {
      if (++i === value.length) break;
      byte = UNESCAPES.get(value[i]) ?? value[i];
    }
    bytes[length++] = byte;
  }
  return bytes.slice(0, length);
}
