/**
 * EXT_FRAME (verb 0x07): an Ethernet frame with its MACs: bridged, teed, redirected or watched.
 *
 *     offset  bytes  field
 *     0       8      network id
 *     8       1      flags: 0x01 certificate follows, 0x0e subtype << 1, 0x10 an OK is wanted; others ignored
 *     9       c      certificate of membership, only with flag 0x01; not sent any more
 *     9+c     6      destination MAC
 *     15+c    6      source MAC
 *     21+c    2      EtherType
 *     23+c    n      Ethernet payload
 *
 * The reference counts an EXT_FRAME cut short of the payload as received; we take it for malformed.
 *
 * OK(EXT_FRAME), after the nine bytes of `ok.ts`: network id (8).
 *
 * Source: spec 02 section 10.8, spec 04 section 11.1; reference `Packet.hpp`, `VERB_EXT_FRAME`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";
import type { Mac, NetworkId } from "../base/ids.ts";
import {
  type CertificateOfMembership,
  decodeCom,
  encodeCom,
} from "../credential/certificate_of_membership.ts";

const FLAG_COM = 0x01;
const FLAG_ACKNOWLEDGE = 0x10;

/** Why the frame is sent this way. Receivers do not look at it. */
export const FrameSubtype = {
  NORMAL: 0,
  TEE_OUT: 1,
  REDIRECT_OUT: 2,
  WATCH_OUT: 3,
  TEE_IN: 4,
  REDIRECT_IN: 5,
  WATCH_IN: 6,
} as const;
export type FrameSubtype = typeof FrameSubtype[keyof typeof FrameSubtype];

export interface ExtFrame {
  readonly networkId: NetworkId;
  /** A {@linkcode FrameSubtype}; 7 is unassigned. */
  readonly subtype: number;
  /** The sender wants an OK. */
  readonly acknowledge: boolean;
  readonly com: CertificateOfMembership | undefined;
  readonly destination: Mac;
  readonly source: Mac;
  readonly etherType: number;
  /** Ethernet payload: a view into the packet when decoded. */
  readonly frame: Uint8Array;
}

/** @throws {WireError} when truncated or the certificate is malformed */
export function decodeExtFrame(payload: Uint8Array): ExtFrame {
  const r = new Reader(payload, "EXT_FRAME");
  const networkId = r.u64() as NetworkId;
  const flags = r.u8();
  return {
    networkId,
    subtype: (flags >> 1) & 7,
    acknowledge: (flags & FLAG_ACKNOWLEDGE) !== 0,
    com: flags & FLAG_COM ? decodeCom(r) : undefined,
    destination: r.mac(),
    source: r.mac(),
    etherType: r.u16(),
    frame: r.rest(),
  };
}

export function encodeExtFrame(ext: ExtFrame, w: Writer): void {
  w.u64(ext.networkId);
  w.u8((ext.com ? FLAG_COM : 0) | (ext.subtype << 1) | (ext.acknowledge ? FLAG_ACKNOWLEDGE : 0));
  if (ext.com) encodeCom(ext.com, w);
  w.mac(ext.destination).mac(ext.source).u16(ext.etherType).raw(ext.frame);
}

/** @throws {WireError} when truncated */
export function decodeOkExtFrame(body: Uint8Array): NetworkId {
  return new Reader(body, "OK(EXT_FRAME)").u64() as NetworkId;
}

export function encodeOkExtFrame(networkId: NetworkId, w: Writer): void {
  w.u64(networkId);
}
