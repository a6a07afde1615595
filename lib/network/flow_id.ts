/**
 * The number of the flow a frame belongs to: source port ^ destination port ^ protocol, 16 bits.
 * The same in both directions, so that both ends may keep a flow on one path of a bond.
 *
 * Source: spec 03 section 24.2.
 * @module
 */
import { NO_FLOW } from "../peer/bond_flows.ts";
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "./ethernet.ts";

const IPV4_HEADER_MIN = 20;
const IPV6_HEADER_LENGTH = 40;
const TCP = 6;
const UDP = 17;
const SCTP = 0x84;
const UDP_LITE = 0x88;

/**
 * Allocates nothing.
 * @param at Where the payload begins that follows the Ethernet header
 * @param length Of that payload, in bytes
 * @returns 0 to 65535, or {@linkcode NO_FLOW}
 */
export function flowOf(bytes: Uint8Array, at: number, length: number, etherType: number): number {
  let protocol = 0;
  let portsAt = 0;
  if (etherType === ETHERTYPE_IPV4 && length >= IPV4_HEADER_MIN) {
    const isFragment = ((bytes[at + 6] & 0x1f) | bytes[at + 7]) !== 0;
    if (isFragment) return NO_FLOW; // has no ports
    protocol = bytes[at + 9];
    portsAt = (bytes[at] & 0x0f) * 4;
  } else if (etherType === ETHERTYPE_IPV6 && length >= IPV6_HEADER_LENGTH) {
    protocol = bytes[at + 6];
    portsAt = IPV6_HEADER_LENGTH;
  }
  if (protocol !== TCP && protocol !== UDP && protocol !== SCTP && protocol !== UDP_LITE) {
    return NO_FLOW;
  }
  if (length < portsAt + 4) return NO_FLOW;
  const source = (bytes[at + portsAt] << 8) | bytes[at + portsAt + 1];
  const destination = (bytes[at + portsAt + 2] << 8) | bytes[at + portsAt + 3];
  return source ^ destination ^ protocol;
}
