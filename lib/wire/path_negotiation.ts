/**
 * PATH_NEGOTIATION_REQUEST (verb 0x16): how much the sender likes the path it arrived on, for bonds to settle on one.
 *
 *     offset  bytes  field
 *     0       2      utility, signed
 *
 * Source: spec 02 section 10.21; reference `Packet.hpp`, `VERB_PATH_NEGOTIATION_REQUEST`.
 * @module
 */
import type { Writer } from "../base/bytes.ts";

const LENGTH = 2;

/** @returns the utility, -32768 to 32767; undefined when the length is not exactly 2, which is ignored */
export function decodePathNegotiation(payload: Uint8Array): number | undefined {
  if (payload.length !== LENGTH) return undefined;
  return ((payload[0] << 8 | payload[1]) << 16) >> 16;
}

export function encodePathNegotiation(utility: number, w: Writer): void {
  w.u16(utility & 0xffff);
}
