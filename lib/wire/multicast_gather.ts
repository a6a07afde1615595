/**
 * MULTICAST_GATHER (verb 0x0d): who else listens to this group?
 *
 *     offset  bytes  field
 *     0       8      network id
 *     8       1      flags: 0x01 certificate at the end; others ignored
 *     9       6      group MAC
 *     15      4      ADI
 *     19      4      most members wanted
 *     23      c      certificate of membership, only with flag 0x01; a malformed one counts as none
 *
 * OK(MULTICAST_GATHER), after the nine bytes of `ok.ts`:
 *
 *     offset  bytes  field
 *     0       8      network id
 *     8       6      group MAC
 *     14      4      ADI
 *     18      n      members, see `gather_result.ts`
 *
 * Source: spec 02 section 10.14; reference `Packet.hpp`, `VERB_MULTICAST_GATHER`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import type { NetworkId } from "../base/ids.ts";
import type { MulticastGroup } from "../base/multicast_group.ts";
import {
  type CertificateOfMembership,
  decodeCom,
  encodeCom,
} from "../credential/certificate_of_membership.ts";
import { decodeGatherResult, encodeGatherResult, type GatherResult } from "./gather_result.ts";

const FLAG_COM = 0x01;

export interface MulticastGather {
  readonly networkId: NetworkId;
  readonly group: MulticastGroup;
  /** 0 asks for nothing. */
  readonly limit: number;
  readonly com: CertificateOfMembership | undefined;
}

/** @throws {WireError} when truncated before the certificate */
export function decodeMulticastGather(payload: Uint8Array): MulticastGather {
  const r = new Reader(payload, "MULTICAST_GATHER");
  const networkId = r.u64() as NetworkId;
  const flags = r.u8();
  const group = { mac: r.mac(), adi: r.u32() };
  const limit = r.u32();
  return { networkId, group, limit, com: flags & FLAG_COM ? tryDecodeCom(r) : undefined };
}

function tryDecodeCom(r: Reader): CertificateOfMembership | undefined {
  try {
    return decodeCom(r);
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

export function encodeMulticastGather(gather: MulticastGather, w: Writer): void {
  w.u64(gather.networkId).u8(gather.com ? FLAG_COM : 0);
  w.mac(gather.group.mac).u32(gather.group.adi).u32(gather.limit);
  if (gather.com) encodeCom(gather.com, w);
}

export interface OkMulticastGather {
  readonly networkId: NetworkId;
  readonly group: MulticastGroup;
  readonly result: GatherResult;
}

/** @throws {WireError} when truncated */
export function decodeOkMulticastGather(body: Uint8Array): OkMulticastGather {
  const r = new Reader(body, "OK(MULTICAST_GATHER)");
  const networkId = r.u64() as NetworkId;
  const group = { mac: r.mac(), adi: r.u32() };
  return { networkId, group, result: decodeGatherResult(r) };
}

export function encodeOkMulticastGather(ok: OkMulticastGather, w: Writer): void {
  w.u64(ok.networkId).mac(ok.group.mac).u32(ok.group.adi);
  encodeGatherResult(ok.result, w);
}
