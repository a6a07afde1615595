/**
 * One writer, one reader: a ring of records in shared memory, so that two threads talk without waiting for each other.
 *
 *     word 0     head: bytes the reader has released, modulo 2^32
 *     word 16    tail: bytes the writer has committed, modulo 2^32
 *     word 32    1 while the reader sleeps and must be woken
 *     byte 192   the records: length u32, then that many bytes, then up to a multiple of 4
 *
 * A record never wraps: where it does not fit before the end, a length of all ones sends the reader to the start. The
 * words lie 64 bytes apart so that the two threads do not fight over a cache line.
 *
 * A reader that found nothing says {@linkcode RingReader.sleep}, which looks once more, then waits. A writer that
 * committed asks {@linkcode RingWriter.mustWake}. Each stores before it loads, so one of them sees the other.
 *
 * Source: spec 07 section 3.
 * @module
 */
import { assert } from "../../lib/base/errors.ts";

const HEAD = 0;
const TAIL = 16;
const SLEEPING = 32;
const DATA_AT = 192;
const LENGTH_FIELD = 4;
const WRAP = 0xffff_ffff;

/** Shared memory for a ring. @param capacityBytes A power of two, 64 to 2^30 */
export function ringMemory(capacityBytes: number): SharedArrayBuffer {
  const powerOfTwo = (capacityBytes & (capacityBytes - 1)) === 0;
  if (!powerOfTwo || capacityBytes < 64 || capacityBytes > 2 ** 30) {
    throw new RangeError(`ring capacity ${capacityBytes} is not a power of two from 64 to 2^30`);
  }
  return new SharedArrayBuffer(DATA_AT + capacityBytes);
}

function roundUp(lengthBytes: number): number {
  return (lengthBytes + 3) & ~3;
}

class RingEnd {
  /** All of the ring's memory: what record offsets point into. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly capacityBytes: number;
  protected readonly words: Int32Array;
  protected readonly mask: number;

  /** @param memory From {@linkcode ringMemory} */
  constructor(readonly memory: SharedArrayBuffer) {
    this.bytes = new Uint8Array(memory);
    this.view = new DataView(memory);
    this.words = new Int32Array(memory, 0, DATA_AT / 4);
    this.capacityBytes = memory.byteLength - DATA_AT;
    this.mask = this.capacityBytes - 1;
  }

  /** Longest record: half the ring, so that one always fits an empty ring wherever its head is. */
  get recordLengthMax(): number {
    return this.capacityBytes / 2 - LENGTH_FIELD;
  }
}

/** The writing end. Allocates nothing after construction. */
export class RingWriter extends RingEnd {
  #tail = Atomics.load(this.words, TAIL);
  #reservedAt = 0; // where the reserved record's length field goes, as an offset in the data
  #reservedLength = -1;
  #unannounced = false; // something was committed since the last mustWake()
  /** Records that found no room. */
  dropped = 0;

  /**
   * Makes room for a record.
   * @param lengthBytes At most `recordLengthMax`
   * @param spareBytes Room that must remain free behind it, kept for records that matter more
   * @returns offset in `bytes` to write the record at, then {@linkcode RingWriter.commit}; -1 when the ring is too full
   */
  reserve(lengthBytes: number, spareBytes = 0): number {
    if (lengthBytes > this.recordLengthMax) {
      throw new RangeError(`record of ${lengthBytes} bytes is over ${this.recordLengthMax}`);
    }
    const need = LENGTH_FIELD + roundUp(lengthBytes);
    const position = this.#tail & this.mask;
    const toEnd = this.capacityBytes - position;
    const skip = toEnd < need ? toEnd : 0;
    const used = (this.#tail - Atomics.load(this.words, HEAD)) >>> 0;
    if (used + skip + need + spareBytes > this.capacityBytes) {
      this.dropped++;
      return -1;
    }
    if (skip > 0) { // a multiple of 4, so there is room for the mark
      this.view.setUint32(DATA_AT + position, WRAP, true);
      this.#tail = (this.#tail + skip) | 0;
    }
    this.#reservedAt = this.#tail & this.mask;
    this.#reservedLength = lengthBytes;
    return DATA_AT + this.#reservedAt + LENGTH_FIELD;
  }

  /** Hands the reserved record to the reader. @param lengthBytes What it came to, at most what was reserved */
  commit(lengthBytes = this.#reservedLength): void {
    assert(
      this.#reservedLength >= 0 && lengthBytes <= this.#reservedLength,
      "a ring record is committed once, no longer than its reservation",
    );
    this.view.setUint32(DATA_AT + this.#reservedAt, lengthBytes, true);
    this.#tail = (this.#tail + LENGTH_FIELD + roundUp(lengthBytes)) | 0;
    this.#reservedLength = -1;
    this.#unannounced = true;
    Atomics.store(this.words, TAIL, this.#tail);
  }

  /** Writes a whole record. @returns false when there was no room */
  push(record: Uint8Array): boolean {
    const at = this.reserve(record.length);
    if (at < 0) return false;
    this.bytes.set(record, at);
    this.commit();
    return true;
  }

  /**
   * Whether something was committed since last asked and the reader sleeps: then the caller must wake it. Without the
   * first condition two ends that only look after each other would keep waking each other for ever.
   */
  mustWake(): boolean {
    if (!this.#unannounced) return false;
    this.#unannounced = false; // a reader awake now looks at the ring again before it sleeps
    return Atomics.exchange(this.words, SLEEPING, 0) === 1;
  }
}

/** The reading end. Allocates nothing after construction. */
export class RingReader extends RingEnd {
  #read = Atomics.load(this.words, HEAD); // runs ahead of the head the writer sees
  #length = 0;

  /**
   * Takes the next record.
   * @returns its offset in `bytes`, or -1 when there is none. It stays valid until {@linkcode RingReader.release}
   */
  next(): number {
    const tail = Atomics.load(this.words, TAIL);
    if (tail === this.#read) return -1;
    let position = this.#read & this.mask;
    let length = this.view.getUint32(DATA_AT + position, true);
    if (length === WRAP) {
      this.#read = (this.#read + this.capacityBytes - position) | 0;
      if (tail === this.#read) return -1;
      position = 0;
      length = this.view.getUint32(DATA_AT, true);
    }
    this.#length = length;
    this.#read = (this.#read + LENGTH_FIELD + roundUp(length)) | 0;
    return DATA_AT + position + LENGTH_FIELD;
  }

  /** Bytes of the record {@linkcode RingReader.next} gave. */
  get length(): number {
    return this.#length;
  }

  /** Gives the room of all records taken so far back to the writer. */
  release(): void {
    Atomics.store(this.words, HEAD, this.#read);
  }

  /** Announces that the reader is about to wait. @returns false when there is something to read after all */
  sleep(): boolean {
    // A store costs microseconds after a sleep. If it still says so nobody has taken it away, or somebody has just
    // now, and then wakes us.
    if (this.words[SLEEPING] === 0) Atomics.store(this.words, SLEEPING, 1);
    if (Atomics.load(this.words, TAIL) === this.#read) return true;
    this.awake();
    return false;
  }

  /** Takes the announcement back: no wake is needed. */
  awake(): void {
    Atomics.store(this.words, SLEEPING, 0);
  }
}
