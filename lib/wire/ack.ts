/**
 * ACK (verb 0x12): obsolete. Ignored by the reference, not even counted as received, and never sent.
 *
 *     offset  bytes  field
 *     0       4      bytes received since the last ACK
 *
 * Source: spec 02 section 10.17; reference `Packet.hpp`, `VERB_ACK`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";

/** Bytes received since the last one. @throws {WireError} when truncated */
export function decodeAck(payload: Uint8Array): number {
  return new Reader(payload, "ACK").u32();
}

export function encodeAck(receivedBytes: number, w: Writer): void {
  w.u32(receivedBytes);
}
