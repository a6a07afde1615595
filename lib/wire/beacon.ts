/**
 * The LAN beacon: a datagram that is not a packet, broadcast to port 9993. Versions since 1.0.4
 * send none but answer with an empty NOP when they know the sender.
 *
 *     offset  bytes  field
 *     0       8      random; ignored
 *     8       5      address of the sender
 *
 * Source: spec 02 section 12, spec 03 section 28 item 8.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";
import type { Address } from "../base/ids.ts";

/** Length of a beacon, in bytes; no packet is as short. */
export const BEACON_LENGTH = 13;
/** Where beacons go, whatever port the sender has itself. */
export const BEACON_PORT = 9_993;
const AT_ADDRESS = 8;

/** @returns undefined when the datagram is not a beacon */
export function decodeBeacon(datagram: Uint8Array): Address | undefined {
  return datagram.length === BEACON_LENGTH
    ? new Reader(datagram, "beacon", AT_ADDRESS).address()
    : undefined;
}

/** @param random 8 bytes */
export function encodeBeacon(sender: Address, random: Uint8Array, w: Writer): void {
  w.raw(random).address(sender);
}
