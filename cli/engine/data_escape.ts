import type { Block } from "../../ffi/linux/block.ts";
import type { Escape, Source } from "../../lib/dataplane/plane.ts";
import {
  putRecord,
  putRecordEndpoint,
  RECORD_HEADER_LENGTH,
  RecordKind,
} from "../../lib/dataplane/records.ts";
import { Stat } from "../../lib/dataplane/stats.ts";
import type { RingWriter } from "./ring.ts";

/** What a ring to the control thread is filled from. */
export interface EscapeSources {
  readonly arena: Block;
  readonly ring: RingWriter;
  /** Bytes of the ring that are not for packets. */
  readonly spareBytes: number;
  /** Counted in by {@linkcode Stat}. */
  readonly stats: Float64Array;
}

/** {@linkcode Escape} by the ring to the control thread. What finds no room is dropped, and counted. */
export class RingEscape implements Escape {
  readonly #sources: EscapeSources;

  constructor(sources: EscapeSources) {
    this.#sources = sources;
  }

  sealed(at: number, length: number, source: Source): void {
    this.#packet(RecordKind.DATAGRAM, at, length, source);
  }

  opened(at: number, length: number, source: Source): void {
    this.#packet(RecordKind.OPENED, at, length, source);
  }

  #packet(kind: RecordKind, at: number, length: number, source: Source): void {
    const record = this.#reserve(length);
    if (record < 0) return;
    const { view } = this.#sources.ring;
    putRecord(view, record, kind, source.socketId);
    const { ip, ipAt, ipLength, port } = source;
    putRecordEndpoint(view, record, ip, ipAt, ipLength, port);
    this.#copyOut(record, at, length);
  }

  frame(at: number, length: number, port: number): void {
    const record = this.#reserve(length);
    if (record < 0) return;
    putRecord(this.#sources.ring.view, record, RecordKind.FRAME, port);
    this.#copyOut(record, at, length);
  }

  #reserve(length: number): number {
    const { ring, spareBytes, stats } = this.#sources;
    const record = ring.reserve(RECORD_HEADER_LENGTH + length, spareBytes);
    if (record < 0) stats[Stat.DROPPED_RING_FULL]++;
    return record;
  }

  #copyOut(record: number, at: number, length: number): void {
    const { arena, ring } = this.#sources;
    // A subarray costs 100 bytes of garbage, a loop over bytes a microsecond per packet: the subarray wins.
    ring.bytes.set(arena.bytes.subarray(at, at + length), record + RECORD_HEADER_LENGTH);
    ring.commit();
  }
}
