/**
 * Reads the headers inside a frame one question at a time: the obvious twin of `FrameView`, for the interpreter.
 *
 * Source: spec 04b sections 2.4 and 2.6.
 * @module
 */
import type { Mac } from "../../base/ids.ts";
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "../ethernet.ts";

/** An Ethernet frame. */
export interface Frame {
  readonly macSource: Mac;
  readonly macDestination: Mac;
  readonly etherType: number;
  /** What follows the Ethernet header */
  readonly payload: Uint8Array;
}

export function isIpv4(frame: Frame): boolean {
  return frame.etherType === ETHERTYPE_IPV4 && frame.payload.length >= 20;
}

export function isIpv6(frame: Frame): boolean {
  return frame.etherType === ETHERTYPE_IPV6 && frame.payload.length >= 40;
}

/** Length of the IPv4 header as it claims: 0 to 60, not checked. */
function ipv4HeaderLength(payload: Uint8Array): number {
  return 4 * (payload[0] & 0x0f);
}

/** IPv6 extension headers that are walked over: hop-by-hop, routing, destination options, mobility. */
const WALKED = new Set([0, 43, 60, 135]);

/** @returns the header after the extension headers and where it begins; undefined when cut short */
function ipv6FinalHeader(payload: Uint8Array): { header: number; at: number } | undefined {
  if (payload.length < 40) return undefined;
  let at = 40;
  let header = payload[6];
  while (at <= payload.length) {
    if (!WALKED.has(header)) return { header, at };
    if (at + 8 > payload.length) return undefined;
    header = payload[at];
    at += payload[at + 1] * 8 + 8;
  }
  return undefined;
}

/** The protocol above IP and where its header begins; undefined when the frame is not IP or is cut short. */
export function transport(frame: Frame): { header: number; at: number } | undefined {
  const { payload } = frame;
  if (isIpv4(frame)) return { header: payload[9], at: ipv4HeaderLength(payload) };
  return isIpv6(frame) ? ipv6FinalHeader(payload) : undefined;
}

const PROTOCOLS_WITH_PORTS = new Set([6, 17, 0x84, 0x88]);

/** @returns the port, "none" when IP carries none, undefined when the frame is not (whole) IP */
export function port(frame: Frame, which: "source" | "destination"): number | "none" | undefined {
  const found = transport(frame);
  if (!found) return undefined;
  if (!PROTOCOLS_WITH_PORTS.has(found.header) || frame.payload.length <= found.at + 4) {
    return "none";
  }
  const at = found.at + (which === "source" ? 0 : 2);
  const value = (frame.payload[at] << 8) | frame.payload[at + 1];
  // Quirk: the reference takes port 0 over IPv6 for no port.
  return value === 0 && isIpv6(frame) ? "none" : value;
}

/** @returns type and code, undefined when the frame is not ICMP or is cut short */
export function icmp(frame: Frame): { icmpType: number; icmpCode: number } | undefined {
  const found = transport(frame);
  const expected = isIpv4(frame) ? 1 : 0x3a;
  if (!found || found.header !== expected || frame.payload.length < found.at + 2) return undefined;
  return { icmpType: frame.payload[found.at], icmpCode: frame.payload[found.at + 1] };
}

/** @returns the type of service or traffic class, undefined when the frame is not IP */
export function typeOfService(frame: Frame): number | undefined {
  const { payload } = frame;
  if (isIpv4(frame)) return payload[1];
  return isIpv6(frame) ? ((payload[0] << 4) & 0xf0) | (payload[1] >> 4) : undefined;
}

/** @returns bits 11 to 0 of the characteristics; 0 when the frame is not TCP */
export function tcpBits(frame: Frame): number {
  const found = transport(frame);
  if (!found || found.header !== 6) return 0;
  if (isIpv6(frame) && frame.payload.length <= found.at + 14) return 0;
  // The reference reads past the end of a short IPv4 frame; missing bytes are 0 here.
  const [high, low] = [frame.payload[found.at + 12] ?? 0, frame.payload[found.at + 13] ?? 0];
  return ((high & 0x0f) << 8) | low;
}

const NEIGHBOR_SOLICITATION = 0x87;
const NEIGHBOR_ADVERTISEMENT = 0x88;

/** @returns the address the sender claims, "any" when it need not own one, undefined when there is none */
export function claimedSource(frame: Frame): Uint8Array | "any" | undefined {
  const { payload } = frame;
  let claimed: Uint8Array | undefined;
  if (isIpv4(frame)) {
    claimed = payload.subarray(12, 16);
  } else if (frame.etherType === ETHERTYPE_ARP && payload.length >= 28) {
    claimed = payload.subarray(14, 18);
  } else if (isIpv6(frame)) {
    const discovery = payload.length >= 64 && payload[6] === 0x3a ? payload[40] : 0;
    if (discovery === NEIGHBOR_SOLICITATION) return "any";
    const at = discovery === NEIGHBOR_ADVERTISEMENT ? 48 : 8;
    claimed = payload.subarray(at, at + 16);
  }
  return claimed?.some((byte) => byte !== 0) ? claimed : undefined;
}

/**
 * The number an INTEGER_RANGE looks at (spec 04b section 2.7).
 * @param at Offset in the payload
 * @param format 0x80 little-endian; low 6 bits: width in bits, less one
 * @returns 0 when it lies outside the frame
 */
export function integerAt(payload: Uint8Array, at: number, format: number): bigint {
  const bits = (format & 0x3f) + 1;
  const length = Math.ceil(bits / 8);
  const little = (format & 0x80) !== 0;
  // Quirk: a big-endian number is the low end of an 8-byte word, so it is read further on.
  const start = little ? at : at + 8 - length;
  if (start + length > payload.length) return 0n;
  const bytes = [...payload.subarray(start, start + length)];
  if (little) bytes.reverse();
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  // Quirk: of a little-endian number with a width that is not whole bytes, the upper bits count.
  return little ? value >> BigInt(8 * length - bits) : value & ((1n << BigInt(bits)) - 1n);
}
