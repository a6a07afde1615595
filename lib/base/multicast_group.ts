/**
 * Multicast groups: a MAC address and 32 bits of additional distinguishing information (ADI), which keep ARP questions
 * about different IPv4 addresses apart although all are broadcast.
 *
 * Source: spec 02 section 6.5, spec 04 section 12.1.
 * @module
 */
import { BROADCAST_MAC, formatMac, type Mac } from "./ids.ts";
import type { Ip } from "./ip.ts";

/** Never changed once made. */
export interface MulticastGroup {
  readonly mac: Mac;
  /** 0 except for IPv4 address resolution; an unsigned 32-bit number. */
  readonly adi: number;
}

/** Where Ethernet broadcasts that are not ARP questions go. */
export const BROADCAST_GROUP: MulticastGroup = { mac: BROADCAST_MAC, adi: 0 };

/** A key for maps: equal for equal groups. */
export function groupKey(group: MulticastGroup): string {
  return `${formatMac(group.mac)}/${group.adi.toString(16)}`;
}

/**
 * Where a question for the MAC address of an IP address goes: broadcast with its IPv4 as ADI, or
 * the solicited-node group.
 */
export function addressResolutionGroup(ip: Ip): MulticastGroup {
  if (ip.length === 4) {
    return { mac: BROADCAST_MAC, adi: new DataView(ip.buffer, ip.byteOffset).getUint32(0) };
  }
  const low = ip[13] * 0x1_0000 + ip[14] * 0x100 + ip[15];
  return { mac: 0x3333_ff00_0000 + low as Mac, adi: 0 };
}
