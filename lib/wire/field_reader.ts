/**
 * Reads a packet and writes down what it reads: name, place and value of every field, for people to look at.
 * @module
 */
import { Reader, toHex } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { formatAddress, formatMac } from "../base/ids.ts";
import { formatIp } from "../base/ip.ts";

/** One field of a packet. */
export interface Field {
  /** Parts of a structure are joined by ".", elements of a list are numbered in "[]". */
  readonly name: string;
  /** From the first byte of the packet. */
  readonly offset: number;
  readonly length: number;
  readonly hex: string;
  /** Numbers of up to 32 bits as numbers, longer ones and all else as text; absent for plain bytes. */
  readonly value?: string | number;
}

/** A cursor over a packet that remembers where it has been. */
export class FieldReader {
  readonly fields: Field[] = [];
  readonly #r: Reader;
  #prefix = "";

  /** @param start Offset of the first field */
  constructor(readonly packet: Uint8Array, start: number) {
    this.#r = new Reader(packet, "packet", start);
  }

  get remaining(): number {
    return this.#r.remaining;
  }

  /** The next byte, left where it is; undefined at the end. */
  peek(): number | undefined {
    return this.packet[this.#r.at];
  }

  /** Reads a structure whose fields are named "name.field". */
  group(name: string, read: () => void): void {
    const outer = this.#prefix;
    this.#prefix = `${outer}${name}.`;
    read();
    this.#prefix = outer;
  }

  /**
   * Reads everything; what cannot be read ends up in a last field named "unreadable", what is left
   * over in one named "rest".
   */
  whole(read: () => void): Field[] {
    try {
      read();
      if (this.remaining > 0) this.#note("rest", this.#r.at, this.#r.rest());
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#prefix = "";
      this.#note("unreadable", this.#r.at, this.#r.rest(), error.reason);
    }
    return this.fields;
  }

  u8(name: string): number {
    return this.#number(name, 1);
  }

  u16(name: string): number {
    return this.#number(name, 2);
  }

  u32(name: string): number {
    return this.#number(name, 4);
  }

  /** 64 bits read as a decimal number. */
  u64(name: string): bigint {
    return this.#wide(name, (value) => value.toString());
  }

  /** 64 bits read as an id. */
  id(name: string): bigint {
    return this.#wide(name, (value) => value.toString(16).padStart(16, "0"));
  }

  address(name: string): number {
    const at = this.#r.at;
    const bytes = this.#r.view(5);
    const address = new Reader(bytes, "address").address();
    this.#note(name, at, bytes, formatAddress(address));
    return address;
  }

  mac(name: string): void {
    this.read(name, 6, (bytes) => formatMac(new Reader(bytes, "mac").mac()));
  }

  ip(name: string, length: number): void {
    this.read(name, length, formatIp);
  }

  /** Bytes that mean nothing to us. */
  bytes(name: string, length = this.remaining): Uint8Array {
    const at = this.#r.at;
    const bytes = this.#r.view(length);
    this.#note(name, at, bytes);
    return bytes;
  }

  /** A dictionary: one character a byte, so that none is lost. */
  dictionary(name: string, length: number): void {
    this.read(name, length, (bytes) => Array.from(bytes, (b) => String.fromCharCode(b)).join(""));
  }

  /** Bytes with a reading of their own. */
  read(name: string, length: number, value: (bytes: Uint8Array) => string | number): void {
    const at = this.#r.at;
    const bytes = this.#r.view(length);
    this.#note(name, at, bytes, value(bytes));
  }

  // A view is taken first: a field that is cut short is then left whole for what comes after the error.
  #number(name: string, length: 1 | 2 | 4): number {
    const at = this.#r.at;
    const bytes = this.#r.view(length);
    const value = bytes.reduce((number, byte) => number * 256 + byte, 0);
    this.#note(name, at, bytes, value);
    return value;
  }

  #wide(name: string, format: (value: bigint) => string): bigint {
    const at = this.#r.at;
    const bytes = this.#r.view(8);
    const value = new Reader(bytes, "number").u64();
    this.#note(name, at, bytes, format(value));
    return value;
  }

  #note(name: string, offset: number, bytes: Uint8Array, value?: string | number): void {
    const field = { name: this.#prefix + name, offset, length: bytes.length, hex: toHex(bytes) };
    this.fields.push(value === undefined ? field : { ...field, value });
  }
}
