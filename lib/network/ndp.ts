/**
 * IPv6 neighbour discovery emulation: on networks with derived IPv6 addresses the answer to "who
 * has this address" can be computed, so no solicitation has to be multicast.
 *
 * Source: spec 04 section 12.8.
 * @module
 */
import type { Address, Mac, NetworkId } from "../base/ids.ts";
import { macOf } from "../base/ids.ts";
import { type Ip, type Prefix, sixPlane } from "../base/ip.ts";
import { buildFrame, type EthernetFrame, ETHERTYPE_IPV6, putMac } from "./ethernet.ts";

const ICMPV6 = 0x3a;
const NEIGHBOR_SOLICITATION = 0x87;
const NEIGHBOR_ADVERTISEMENT = 0x88;
const FLAGS_SOLICITED_OVERRIDE = 0x60;
const OPTION_TARGET_LINK_ADDRESS = 2;

/** Whose addresses the emulation knows. */
export interface NdpHost {
  readonly networkId: NetworkId;
  readonly self: Address;
  readonly staticIps: readonly Prefix[];
}

/** @returns the frame to hand to our own TAP in answer, or undefined when the solicitation has to be multicast */
export function emulateNdp(host: NdpHost, frame: EthernetFrame): Uint8Array | undefined {
  const { payload } = frame;
  const asks = frame.etherType === ETHERTYPE_IPV6 && payload.length >= 64 &&
    payload[6] === ICMPV6 && payload[40] === NEIGHBOR_SOLICITATION;
  if (!asks) return undefined;
  const target = payload.slice(48, 64);
  for (const own of host.staticIps) {
    const peer = ownerOf(host, own, target);
    if (peer === undefined) continue;
    if (peer === 0 || peer === host.self) return undefined;
    const mac = macOf(peer, host.networkId);
    return buildFrame({
      destination: frame.source,
      source: mac,
      etherType: ETHERTYPE_IPV6,
      payload: advertisement(target, own.ip, mac),
    });
  }
  return undefined;
}

/** The member a derived address belongs to; undefined when it is not of the same scheme as `own`. */
function ownerOf(host: NdpHost, own: Prefix, target: Ip): Address | undefined {
  const { ip, bits } = own;
  if (ip.length !== 16) return undefined;
  if (bits === 88 && ip[0] === 0xfd && ip[9] === 0x99 && ip[10] === 0x93) {
    return startsLike(ip, target, 11) ? addressAt(target, 11) : undefined;
  }
  if (bits === 40 && startsLike(ip, sixPlane(host.networkId, host.self).ip, 5)) {
    return startsLike(ip, target, 5) ? addressAt(target, 5) : undefined;
  }
  return undefined;
}

function startsLike(a: Ip, b: Ip, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function addressAt(ip: Ip, at: number): Address {
  let address = 0;
  for (let i = 0; i < 5; i++) address = address * 256 + ip[at + i];
  return address as Address;
}

/** IPv6 and ICMPv6 of an advertisement; its destination is our own address, as the reference's is. */
function advertisement(target: Ip, own: Ip, mac: Mac): Uint8Array {
  const packet = new Uint8Array(72);
  packet[0] = 0x60;
  packet[5] = 32; // payload length
  packet[6] = ICMPV6;
  packet[7] = 255; // hop limit
  packet.set(target, 8);
  packet.set(own, 24);
  packet[40] = NEIGHBOR_ADVERTISEMENT;
  packet[44] = FLAGS_SOLICITED_OVERRIDE;
  packet.set(target, 48);
  packet[64] = OPTION_TARGET_LINK_ADDRESS;
  packet[65] = 1; // in units of 8 bytes
  putMac(packet, 66, mac);
  const checksum = icmpv6Checksum(packet);
  packet[42] = checksum >>> 8;
  packet[43] = checksum;
  return packet;
}

/** One's complement sum over pseudo-header and ICMPv6 message, checksum field 0. */
function icmpv6Checksum(packet: Uint8Array): number {
  let sum = (packet.length - 40) + ICMPV6;
  for (let at = 8; at < packet.length; at += 2) sum += (packet[at] << 8) | packet[at + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
