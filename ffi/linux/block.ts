/**
 * Memory the kernel reads and writes: bytes whose address is known and never changes.
 * @module
 */
import { addressOf } from "./libc.ts";

const LOW_WORD = 0x1_0000_0000;

/** A fixed stretch of memory. Whoever hands its address to C keeps the block referenced until C is done with it. */
export class Block {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The same as whole words: what the kernel's structures are made of, in the machine's order. */
  readonly words: Uint32Array;
  /** Of the first byte. Sums with an offset are made once and kept: making one allocates. */
  readonly address: bigint;
  readonly #addressNumber: number;

  /** @param memory Its length in bytes for fresh zeroed memory, or memory that exists, which is then shared */
  constructor(memory: number | ArrayBufferLike) {
    const buffer = typeof memory === "number" ? new ArrayBuffer(memory) : memory;
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.words = new Uint32Array(buffer, 0, buffer.byteLength >> 2);
    this.address = addressOf(this.bytes);
    this.#addressNumber = Number(this.address); // user space is 47 or 48 bits: exact
  }

  /** Address of the byte at `offset`. Allocates: for tables filled at start. */
  addressAt(offset: number): bigint {
    return this.address + BigInt(offset);
  }

  /**
   * Writes the address of this block's byte `offset` into a table, as C keeps a pointer. Allocates nothing.
   * @param at Byte of `table`, a multiple of 4
   */
  putAddress(table: Uint32Array, at: number, offset: number): void {
    const address = this.#addressNumber + offset;
    table[at >> 2] = address >>> 0;
    table[(at >> 2) + 1] = Math.floor(address / LOW_WORD);
  }

  /** Writes the iovec of this block's bytes from `offset` on into a table that was zero. Allocates nothing. */
  putVector(table: Uint32Array, at: number, offset: number, lengthBytes: number): void {
    this.putAddress(table, at, offset);
    table[(at >> 2) + 2] = lengthBytes; // the high word stays 0
  }
}
