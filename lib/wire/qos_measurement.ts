/**
 * QOS_MEASUREMENT (verb 0x13): how long packets were held before this answer, for bonds to measure their links.
 *
 *     offset  bytes    field
 *     0       10 each  packet id (8), ms between receipt of that packet and sending this one (2)
 *
 * Both numbers are in the sender's own byte order, in practice little-endian. A payload of fewer
 * than 9 or more than 1400 bytes is ignored, and so is a rest of fewer than 10 bytes.
 *
 * Source: spec 02 section 10.18; reference `Packet.hpp`, `VERB_QOS_MEASUREMENT`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";

const LENGTH_MIN = 9;
const LENGTH_MAX = 1_400;
const RECORD_LENGTH = 10;
/** Most records in one packet. */
export const QOS_RECORDS_MAX = LENGTH_MAX / RECORD_LENGTH;

export interface QosRecord {
  /** As it was on the wire in the packet's own header. */
  readonly packetId: bigint;
  readonly holdingTimeMs: number;
}

/** @returns undefined when the length is one to ignore */
export function decodeQosMeasurement(payload: Uint8Array): QosRecord[] | undefined {
  if (payload.length < LENGTH_MIN || payload.length > LENGTH_MAX) return undefined;
  const r = new Reader(payload, "QOS_MEASUREMENT");
  const records: QosRecord[] = [];
  while (r.remaining >= RECORD_LENGTH) {
    const packetId = swap64(r.u64());
    records.push({ packetId, holdingTimeMs: swap16(r.u16()) });
  }
  return records;
}

export function encodeQosMeasurement(records: readonly QosRecord[], w: Writer): void {
  for (const { packetId, holdingTimeMs } of records) {
    w.u64(swap64(packetId)).u16(swap16(holdingTimeMs));
  }
}

function swap16(value: number): number {
  return ((value & 0xff) << 8) | (value >> 8);
}

function swap64(value: bigint): bigint {
  let swapped = 0n;
  for (let i = 0n; i < 8n; i++) swapped = (swapped << 8n) | ((value >> (8n * i)) & 0xffn);
  return swapped;
}
