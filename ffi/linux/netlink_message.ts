/**
 * Netlink messages, byte by byte.
 *
 *     nlmsghdr (16)   length u32, type u16, flags u16, sequence u32, port id u32
 *     then the family's own header, then attributes:
 *     attribute       length u16 = 4 + data, type u16, data, zeros up to a multiple of 4
 *
 * All numbers in the machine's order, which is little-endian on both architectures we run on.
 *
 * Source: spec 07 section 5 "rtnetlink"; `linux/netlink.h`.
 * @module
 */
import type { Mac } from "../../lib/base/ids.ts";

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_DUMP = 0x300;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;

export const MESSAGE_HEADER_LENGTH = 16;
const MESSAGE_LENGTH_MAX = 1024; // ours: what we send is far below
const NESTED_MASK = 0x3fff; // the two upper bits of an attribute type are flags

/** Builds one request. Its length and sequence number are filled in when it is sent. */
export class MessageWriter {
  readonly #bytes = new Uint8Array(new ArrayBuffer(MESSAGE_LENGTH_MAX));
  readonly #view = new DataView(this.#bytes.buffer);
  #at = MESSAGE_HEADER_LENGTH;

  constructor(type: number, flags: number) {
    this.#view.setUint16(4, type, true);
    this.#view.setUint16(6, NLM_F_REQUEST | flags, true);
  }

  u8(value: number): this {
    this.#view.setUint8(this.#at, value);
    this.#at += 1;
    return this;
  }

  u16(value: number): this {
    this.#view.setUint16(this.#at, value, true);
    this.#at += 2;
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
    return this;
  }

  /** An attribute of raw bytes. */
  attribute(type: number, data: Uint8Array): this {
    this.u16(4 + data.length).u16(type);
    this.#bytes.set(data, this.#at);
    this.#at += (data.length + 3) & ~3;
    return this;
  }

  /** An attribute of one number of 32 bits. */
  attributeU32(type: number, value: number): this {
    return this.u16(8).u16(type).u32(value);
  }

  /** An attribute of text with a zero at its end. */
  attributeText(type: number, text: string): this {
    return this.attribute(type, new TextEncoder().encode(`${text}\0`));
  }

  /** An attribute that holds what `fill` writes. */
  nest(type: number, fill: () => void): this {
    const start = this.#at;
    this.u16(0).u16(type);
    fill();
    this.#view.setUint16(start, this.#at - start, true);
    return this;
  }

  /** The finished message, lent. */
  finish(sequence: number): Uint8Array<ArrayBuffer> {
    this.#view.setUint32(0, this.#at, true);
    this.#view.setUint32(8, sequence, true);
    return this.#bytes.subarray(0, this.#at);
  }
}

/** One received message, valid until the next is received. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** After the 16 bytes of header. */
  readonly body: DataView;
}

/** The messages in what one receive gave, until the first that is cut short. */
export function* messagesIn(bytes: Uint8Array): Generator<Message> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  while (at + MESSAGE_HEADER_LENGTH <= bytes.length) {
    const length = view.getUint32(at, true);
    if (length < MESSAGE_HEADER_LENGTH || at + length > bytes.length) return;
    yield {
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      body: subview(view, at + MESSAGE_HEADER_LENGTH, length - MESSAGE_HEADER_LENGTH),
    };
    at += (length + 3) & ~3;
  }
}

/** Attributes by type; of a repeated one the last. @param from Offset of the first in `body` */
export function attributesIn(body: DataView, from: number): Map<number, DataView> {
  const found = new Map<number, DataView>();
  let at = from;
  while (at + 4 <= body.byteLength) {
    const length = body.getUint16(at, true);
    if (length < 4 || at + length > body.byteLength) break;
    found.set(body.getUint16(at + 2, true) & NESTED_MASK, subview(body, at + 4, length - 4));
    at += (length + 3) & ~3;
  }
  return found;
}

function subview(view: DataView, at: number, length: number): DataView {
  return new DataView(view.buffer, view.byteOffset + at, length);
}

/** The bytes of an attribute as a copy that stays. */
export function bytesOf(data: DataView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
}

/** The text of an attribute, up to its zero. */
export function textOf(data: DataView): string {
  const bytes = bytesOf(data);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** The six bytes of a MAC address. */
export function macBytes(mac: Mac): Uint8Array {
  return Uint8Array.from({ length: 6 }, (_, i) => Math.floor(mac / 2 ** (8 * (5 - i))) & 0xff);
}

/** @returns undefined unless the attribute holds six bytes */
export function macOf(data: DataView): Mac | undefined {
  if (data.byteLength !== 6) return undefined;
  return (data.getUint16(0) * 0x1_0000_0000 + data.getUint32(2)) as Mac;
}
