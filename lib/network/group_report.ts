/**
 * Tells frames in which a machine says that it joined or left multicast groups: it sends one the
 * moment it does, long before the next look at its list of groups.
 *
 * Source: RFC 3376 section 4 (IGMP), RFC 2710 section 3 and RFC 3810 section 5.2 (MLD).
 * @module
 */
import { ETHERNET_HEADER_LENGTH, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "./ethernet.ts";

const IPV4_PROTOCOL = ETHERNET_HEADER_LENGTH + 9;
const IGMP = 2;
const IPV6_NEXT_HEADER = ETHERNET_HEADER_LENGTH + 6;
const HOP_BY_HOP = 0;
const HOP_BY_HOP_NEXT_HEADER = ETHERNET_HEADER_LENGTH + 40;
const ICMPV6 = 58;
// MLD always has one hop-by-hop header, of 8 bytes, with the router alert
const ICMPV6_TYPE = HOP_BY_HOP_NEXT_HEADER + 8;
const MLD_TYPES: readonly number[] = [131, 132, 143]; // report, done, report of version 2

/** Whether a frame is IGMP, or a report of MLD. @param bytes With Ethernet header */
export function isGroupReport(bytes: Uint8Array): boolean {
  if (bytes.length <= ETHERNET_HEADER_LENGTH) return false;
  const etherType = (bytes[12] << 8) | bytes[13];
  if (etherType === ETHERTYPE_IPV4) return bytes[IPV4_PROTOCOL] === IGMP;
  return etherType === ETHERTYPE_IPV6 && bytes[IPV6_NEXT_HEADER] === HOP_BY_HOP &&
    bytes[HOP_BY_HOP_NEXT_HEADER] === ICMPV6 && MLD_TYPES.includes(bytes[ICMPV6_TYPE]);
}
