/**
 * RENDEZVOUS (verb 0x05): a root tells two peers where to find each other, so both can punch at once.
 *
 *     offset  bytes    field
 *     0       1        flags; sent as 0, ignored on receipt
 *     1       5        address of the peer to meet
 *     6       2        UDP port, big-endian, never 0
 *     8       1        length of the IP that follows: 4 or 16
 *     9       4 or 16  IP, network byte order; later bytes are ignored
 *
 * Offsets are within the verb payload. Source: spec 02 section 10.6; reference `Packet.hpp`, `VERB_RENDEZVOUS`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";
import type { Address } from "../base/ids.ts";
import type { Endpoint } from "../base/ip.ts";

/** Whom to meet, and where. */
export interface Rendezvous {
  readonly peer: Address;
  readonly endpoint: Endpoint;
}

/**
 * @returns undefined when there is nobody to meet (port 0, odd IP length): the packet still counts as received
 * @throws {WireError} when truncated
 */
export function decodeRendezvous(payload: Uint8Array): Rendezvous | undefined {
  const r = new Reader(payload, "RENDEZVOUS");
  r.skip(1); // flags
  const peer = r.address();
  const port = r.u16();
  const ipLength = r.u8();
  if (port === 0 || (ipLength !== 4 && ipLength !== 16)) return undefined;
  return { peer, endpoint: { ip: r.copy(ipLength), port } };
}

export function encodeRendezvous(rendezvous: Rendezvous, w: Writer): void {
  const { ip, port } = rendezvous.endpoint;
  w.u8(0).address(rendezvous.peer).u16(port).u8(ip.length).raw(ip);
}
