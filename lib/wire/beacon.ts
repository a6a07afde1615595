/**
 * The LAN beacon of versions before 1.0.4: a datagram that is not a packet. Never sent; may be answered by an empty NOP.
 *
 *     offset  bytes  field
 *     0       8      ignored
 *     8       5      address of the sender
 *
 * Source: spec 02 section 12.
 * @module
 */
import { Reader } from "../base/bytes.ts";
import type { Address } from "../base/ids.ts";

const LENGTH = 13;

/** @returns undefined when the datagram is not a beacon */
export function decodeBeacon(datagram: Uint8Array): Address | undefined {
  return datagram.length === LENGTH ? new Reader(datagram, "beacon", 8).address() : undefined;
}
