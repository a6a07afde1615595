/**
 * FRAME (verb 0x06): an Ethernet frame between two members; both MACs follow from their addresses.
 *
 *     offset  bytes  field
 *     0       8      network id
 *     8       2      EtherType
 *     10      n      Ethernet payload; empty is legal and means nothing
 *
 * Source: spec 02 section 10.7; reference `Packet.hpp`, `VERB_FRAME`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";
import type { NetworkId } from "../base/ids.ts";

export interface Frame {
  readonly networkId: NetworkId;
  readonly etherType: number;
  /** Ethernet payload: a view into the packet when decoded. */
  readonly frame: Uint8Array;
}

/** @throws {WireError} when truncated */
export function decodeFrame(payload: Uint8Array): Frame {
  const r = new Reader(payload, "FRAME");
  return { networkId: r.u64() as NetworkId, etherType: r.u16(), frame: r.rest() };
}

export function encodeFrame(frame: Frame, w: Writer): void {
  w.u64(frame.networkId).u16(frame.etherType).raw(frame.frame);
}
