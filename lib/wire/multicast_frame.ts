/**
 * MULTICAST_FRAME (verb 0x0e): an Ethernet frame to a group, one copy for each member.
 *
 *     bytes  field                   present
 *     8      network id              always
 *     1      flags                   always; 0x08 asks a replicator to spread it, others as below
 *     c      certificate             with flag 0x01; not sent any more
 *     4      gather limit            with flag 0x02: how many members the sender would like to learn of
 *     6      source MAC              with flag 0x04; else the sender's own on this network
 *     6      destination MAC         always
 *     4      ADI                     always
 *     2      EtherType               always
 *     n      Ethernet payload        always; may be empty
 *
 * OK(MULTICAST_FRAME), after the nine bytes of `ok.ts`:
 *
 *     bytes  field                   present
 *     8      network id              always
 *     6      group MAC               always
 *     4      ADI                     always
 *     1      flags                   always
 *     c      certificate             with flag 0x01; not sent any more
 *     n      members                 with flag 0x02, see `gather_result.ts`
 *
 * Source: spec 02 section 10.15, spec 04 section 12.5; reference `Packet.hpp`, `VERB_MULTICAST_FRAME`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";
import type { Mac, NetworkId } from "../base/ids.ts";
import type { MulticastGroup } from "../base/multicast_group.ts";
import {
  type CertificateOfMembership,
  decodeCom,
  encodeCom,
} from "../credential/certificate_of_membership.ts";
import { decodeGatherResult, encodeGatherResult, type GatherResult } from "./gather_result.ts";

const FLAG_COM = 0x01;
const FLAG_GATHER = 0x02;
const FLAG_SOURCE_MAC = 0x04;
const FLAG_REPLICATE = 0x08;

export interface MulticastFrame {
  readonly networkId: NetworkId;
  readonly com: CertificateOfMembership | undefined;
  /** undefined is not the same on the wire as 0, and means the same: nothing is wanted. */
  readonly gatherLimit: number | undefined;
  /** undefined: the sender's own MAC on this network. */
  readonly source: Mac | undefined;
  /** A replicator is asked to send it on. */
  readonly replicate: boolean;
  /** Destination MAC and ADI. */
  readonly group: MulticastGroup;
  readonly etherType: number;
  /** Ethernet payload: a view into the packet when decoded. */
  readonly frame: Uint8Array;
}

/** @throws {WireError} when truncated or the certificate is malformed */
export function decodeMulticastFrame(payload: Uint8Array): MulticastFrame {
  const r = new Reader(payload, "MULTICAST_FRAME");
  const networkId = r.u64() as NetworkId;
  const flags = r.u8();
  return {
    networkId,
    com: flags & FLAG_COM ? decodeCom(r) : undefined,
    gatherLimit: flags & FLAG_GATHER ? r.u32() : undefined,
    source: flags & FLAG_SOURCE_MAC ? r.mac() : undefined,
    replicate: (flags & FLAG_REPLICATE) !== 0,
    group: { mac: r.mac(), adi: r.u32() },
    etherType: r.u16(),
    frame: r.rest(),
  };
}

export function encodeMulticastFrame(multicast: MulticastFrame, w: Writer): void {
  const { com, gatherLimit, source, replicate, group } = multicast;
  w.u64(multicast.networkId);
  w.u8(
    (com ? FLAG_COM : 0) | (gatherLimit !== undefined ? FLAG_GATHER : 0) |
      (source !== undefined ? FLAG_SOURCE_MAC : 0) | (replicate ? FLAG_REPLICATE : 0),
  );
  if (com) encodeCom(com, w);
  if (gatherLimit !== undefined) w.u32(gatherLimit);
  if (source !== undefined) w.mac(source);
  w.mac(group.mac).u32(group.adi).u16(multicast.etherType).raw(multicast.frame);
}

export interface OkMulticastFrame {
  readonly networkId: NetworkId;
  readonly group: MulticastGroup;
  readonly com: CertificateOfMembership | undefined;
  readonly result: GatherResult | undefined;
}

/** @throws {WireError} when truncated or the certificate is malformed */
export function decodeOkMulticastFrame(body: Uint8Array): OkMulticastFrame {
  const r = new Reader(body, "OK(MULTICAST_FRAME)");
  const networkId = r.u64() as NetworkId;
  const group = { mac: r.mac(), adi: r.u32() };
  const flags = r.u8();
  return {
    networkId,
    group,
    com: flags & FLAG_COM ? decodeCom(r) : undefined,
    result: flags & FLAG_GATHER ? decodeGatherResult(r) : undefined,
  };
}

export function encodeOkMulticastFrame(ok: OkMulticastFrame, w: Writer): void {
  w.u64(ok.networkId).mac(ok.group.mac).u32(ok.group.adi);
  w.u8((ok.com ? FLAG_COM : 0) | (ok.result ? FLAG_GATHER : 0));
  if (ok.com) encodeCom(ok.com, w);
  if (ok.result) encodeGatherResult(ok.result, w);
}
