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
  /** Of the first byte. Sums with an offset are made once and kept: making one allocates. */
  readonly address: bigint;
  readonly #addressNumber: number;

  /** @param memory Its length in bytes for fresh zeroed memory, or memory that exists, which is then shared */
  constructor(memory: number | ArrayBufferLike) {
    const buffer = typeof memory === "number" ? new ArrayBuffer(memory) : memory;
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.address = addressOf(this.bytes);
    this.#addressNumber = Number(this.address); // user space is 47 or 48 bits: exact
  }

  /** Address of the byte at `offset`. Allocates: for tables filled at start. */
  addressAt(offset: number): bigint {
    return this.address + BigInt(offset);
  }

  /** Writes the address of this block's byte `offset` into `table` at `at`, as C keeps a pointer. Allocates nothing. */
  putAddress(table: DataView, at: number, offset: number): void {
    const address = this.#addressNumber + offset;
    table.setUint32(at, address >>> 0, true);
    table.setUint32(at + 4, Math.floor(address / LOW_WORD), true);
  }
}
