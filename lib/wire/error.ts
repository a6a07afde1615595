/**
 * ERROR (verb 0x02): why a packet of ours was not answered.
 *
 *     offset  bytes  field
 *     0       1      verb it answers
 *     1       8      id of the packet it answers
 *     9       1      error code
 *     10      n      depends on the code:
 *                    3, 5, 6, 7: network id (8)
 *                    8: network id (8), MAC (6), ADI (4)
 *                    9: network id (8), then, if more than two bytes follow, length (2) and a dictionary
 *
 * Source: spec 02 sections 10.3 and 11, spec 04 section 7.2; reference `Packet.hpp`, `VERB_ERROR`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";
import type { NetworkId } from "../base/ids.ts";
import type { MulticastGroup } from "../base/multicast_group.ts";
import { encodeInRe, type InRe } from "./ok.ts";

/** An ERROR with the part its code explains. */
export interface ErrorReply extends InRe {
  /** An `ErrorCode`, or a number nobody has assigned yet. */
  readonly code: number;
  /** A view into the payload. */
  readonly body: Uint8Array;
}

/** @throws {WireError} when truncated */
export function decodeError(payload: Uint8Array): ErrorReply {
  const r = new Reader(payload, "ERROR");
  return { inReVerb: r.u8(), inRePacketId: r.u64(), code: r.u8(), body: r.rest() };
}

export function encodeError(error: ErrorReply, w: Writer): void {
  encodeInRe(error, w);
  w.u8(error.code).raw(error.body);
}

/**
 * Body of the codes that name a network: 3, 5, 6, 7, and the start of 8 and 9.
 * @throws {WireError} when truncated
 */
export function decodeErrorNetwork(body: Uint8Array): NetworkId {
  return new Reader(body, "ERROR").u64() as NetworkId;
}

export function encodeErrorNetwork(networkId: NetworkId, w: Writer): void {
  w.u64(networkId);
}

/** Body of code 8: the sender does not want this group's frames. Never sent by the reference. */
export interface UnwantedMulticast {
  readonly networkId: NetworkId;
  readonly group: MulticastGroup;
}

/** @throws {WireError} when truncated */
export function decodeUnwantedMulticast(body: Uint8Array): UnwantedMulticast {
  const r = new Reader(body, "ERROR");
  return { networkId: r.u64() as NetworkId, group: { mac: r.mac(), adi: r.u32() } };
}

export function encodeUnwantedMulticast(unwanted: UnwantedMulticast, w: Writer): void {
  w.u64(unwanted.networkId).mac(unwanted.group.mac).u32(unwanted.group.adi);
}

/** Body of code 9: the network wants its user to sign in. */
export interface AuthenticationRequired {
  readonly networkId: NetworkId;
  /** Dictionary saying where; empty when nothing or too little was sent. A view. */
  readonly details: Uint8Array;
}

/**
 * Details longer than the packet count as none, as in the reference.
 * @throws {WireError} when the network id is truncated
 */
export function decodeAuthenticationRequired(body: Uint8Array): AuthenticationRequired {
  const r = new Reader(body, "ERROR");
  const networkId = r.u64() as NetworkId;
  const length = r.remaining > 2 ? r.u16() : 0;
  return { networkId, details: r.view(length <= r.remaining ? length : 0) };
}

export function encodeAuthenticationRequired(required: AuthenticationRequired, w: Writer): void {
  w.u64(required.networkId);
  if (required.details.length > 0) w.u16(required.details.length).raw(required.details);
}
