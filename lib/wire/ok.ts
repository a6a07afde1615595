/**
 * OK (verb 0x03): the answer to a packet we sent. What follows its nine bytes is laid out in the file of the verb it
 * answers.
 *
 *     offset  bytes  field
 *     0       1      verb it answers; 0x08 also for a pushed network configuration (quirk of the reference)
 *     1       8      id of the packet it answers, as that was on the wire
 *     9       n      depends on the verb
 *
 * Source: spec 02 section 10.4; reference `Packet.hpp`, `VERB_OK`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";

/** What an OK or ERROR refers to. */
export interface InRe {
  readonly inReVerb: number;
  readonly inRePacketId: bigint;
}

/** An OK with the part its verb explains. */
export interface Ok extends InRe {
  /** A view into the payload. */
  readonly body: Uint8Array;
}

/** @throws {WireError} when truncated */
export function decodeOk(payload: Uint8Array): Ok {
  const r = new Reader(payload, "OK");
  return { inReVerb: r.u8(), inRePacketId: r.u64(), body: r.rest() };
}

/** Writes the nine bytes the body follows. */
export function encodeInRe(inRe: InRe, w: Writer): void {
  w.u8(inRe.inReVerb).u64(inRe.inRePacketId);
}
