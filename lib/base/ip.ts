/**
 * IP addresses, endpoints ("ip/port") and prefixes ("ip/bits"): text, order, scope, and the encoding worlds, HELLOs and
 * network configurations share.
 *
 * Source: spec 01 section 8 and 1.3, spec 02 section 6.1, spec 03 section 6.
 * @module
 */
import { compare, type Reader, type Writer } from "./bytes.ts";
import { WireError } from "./errors.ts";
import type { Address, Mac, NetworkId } from "./ids.ts";

/** 4 bytes for IPv4, 16 for IPv6, network byte order. Never changed once made. */
export type Ip = Uint8Array;

/** Where a datagram comes from or goes to. Never changed once made. */
export interface Endpoint {
  readonly ip: Ip;
  /** 0 to 65535 */
  readonly port: number;
}

/** An address with a prefix length: an assigned address, a route's target, a filter. */
export interface Prefix {
  readonly ip: Ip;
  readonly bits: number;
}

/** What an address can be used for; the numbers are the reference's and order RENDEZVOUS and path quality. */
export const Scope = {
  NONE: 0,
  MULTICAST: 1,
  LOOPBACK: 2,
  PSEUDOPRIVATE: 3,
  GLOBAL: 4,
  LINK_LOCAL: 5,
  SHARED: 6,
  PRIVATE: 7,
} as const;
export type Scope = typeof Scope[keyof typeof Scope];

/** @returns undefined when the text is neither IPv4 in dotted decimal nor IPv6 */
export function parseIp(text: string): Ip | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): Ip | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!match) return undefined;
  const octets = match.slice(1).map(Number);
  return octets.every((octet) => octet <= 255) ? Uint8Array.from(octets) : undefined;
}

function parseIpv6(text: string): Ip | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(parseGroups);
  if (!head || (halves.length === 2 && !tail)) return undefined;
  const missing = 16 - head.length - (tail?.length ?? 0);
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...(tail ?? [])]);
}

/** Bytes of colon-separated groups, the last of which may be IPv4 in dotted decimal. */
function parseGroups(text: string): number[] | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [index, group] of groups.entries()) {
    if (group.includes(".") && index === groups.length - 1) {
      const ipv4 = parseIpv4(group);
      if (!ipv4) return undefined;
      bytes.push(...ipv4);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
      const value = parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    }
  }
  return bytes;
}

/** Dotted decimal, or the shortest IPv6 form of RFC 5952 (IPv4-mapped addresses end in dotted decimal). */
export function formatIp(ip: Ip): string {
  if (ip.length === 4) return ip.join(".");
  if (isMappedIpv4(ip)) return `::ffff:${ip.subarray(12).join(".")}`;
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((ip[i] << 8) | ip[i + 1]);
  const { start, length } = longestZeroRun(groups);
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (length < 2) return hex(groups);
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

function isMappedIpv4(ip: Ip): boolean {
  for (let i = 0; i < 10; i++) if (ip[i] !== 0) return false;
  return ip[10] === 0xff && ip[11] === 0xff;
}

function longestZeroRun(groups: number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (start + length < groups.length && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}

/** The endpoint as "ip/port": also its key in maps. */
export function formatEndpoint(endpoint: Endpoint): string {
  return `${formatIp(endpoint.ip)}/${endpoint.port}`;
}

/** @returns undefined unless the text is "ip/port"; a missing port means 0 */
export function parseEndpoint(text: string): Endpoint | undefined {
  const numbered = parseNumbered(text, 65_535);
  return numbered && { ip: numbered.ip, port: numbered.number ?? 0 };
}

/** "ip/bits". */
export function formatPrefix(prefix: Prefix): string {
  return `${formatIp(prefix.ip)}/${prefix.bits}`;
}

/** @returns undefined unless the text is "ip/bits"; missing bits mean a single address */
export function parsePrefix(text: string): Prefix | undefined {
  const numbered = parseNumbered(text, 128);
  if (!numbered) return undefined;
  const bits = numbered.number ?? numbered.ip.length * 8;
  return bits <= numbered.ip.length * 8 ? { ip: numbered.ip, bits } : undefined;
}

function parseNumbered(text: string, max: number): { ip: Ip; number?: number } | undefined {
  const [ipText, numberText, ...rest] = text.trim().split("/");
  const ip = parseIp(ipText);
  if (!ip || rest.length > 0) return undefined;
  if (numberText === undefined) return { ip };
  if (!/^\d{1,5}$/.test(numberText) || Number(numberText) > max) return undefined;
  return { ip, number: Number(numberText) };
}

/** Same address and same port. */
export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && sameIp(a.ip, b.ip);
}

export function sameIp(a: Ip, b: Ip): boolean {
  return compare(a, b) === 0;
}

/** Whether `ip` lies inside `prefix`; false across families. */
export function contains(prefix: Prefix, ip: Ip): boolean {
  return ip.length === prefix.ip.length && commonBits(prefix.ip, ip) >= prefix.bits;
}

/** Number of leading bits two addresses of one family share. */
export function commonBits(a: Ip, b: Ip): number {
  for (let i = 0; i < a.length; i++) {
    const difference = a[i] ^ b[i];
    if (difference !== 0) return i * 8 + Math.clz32(difference) - 24;
  }
  return a.length * 8;
}

/** The prefix with its host bits cleared. */
export function networkOf(prefix: Prefix): Prefix {
  const ip = prefix.ip.slice();
  for (let i = 0; i < ip.length; i++) {
    const keep = Math.min(8, Math.max(0, prefix.bits - i * 8));
    ip[i] &= 0xff00 >> keep;
  }
  return { ip, bits: prefix.bits };
}

/** First octets of IPv4 space that is public on paper and private in practice: the reference scores it worse. */
const PSEUDOPRIVATE_OCTETS = new Set([6, 11, 21, 22, 25, 26, 28, 29, 30, 51, 55, 56]);
const PRIVATE_PREFIXES: Prefix[] = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "192.0.2.0/24",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
].map((text) => parsePrefix(text)!);

/** Classifies an address as the reference does (spec 03 section 6.1, quirks included). */
export function scopeOf(ip: Ip): Scope {
  return ip.length === 4 ? scopeOfIpv4(ip) : scopeOfIpv6(ip);
}

function scopeOfIpv4(ip: Ip): Scope {
  const first = ip[0];
  if (first === 0 || first === 255) return Scope.NONE;
  if (first === 127) return Scope.LOOPBACK;
  if (first >= 224 && first < 240) return Scope.MULTICAST;
  if (first >= 240 || PSEUDOPRIVATE_OCTETS.has(first)) return Scope.PSEUDOPRIVATE;
  if (first === 169 && ip[1] === 254) return Scope.LINK_LOCAL;
  return PRIVATE_PREFIXES.some((prefix) => contains(prefix, ip)) ? Scope.PRIVATE : Scope.GLOBAL;
}

function scopeOfIpv6(ip: Ip): Scope {
  if (ip[0] === 0xff) return Scope.MULTICAST;
  if (isMappedIpv4(ip) && ip[12] === 127) return Scope.LOOPBACK;
  const lowIsOne = ip[15] === 1 && ip.subarray(2, 15).every((byte) => byte === 0);
  if (ip[0] === 0xfe && (ip[1] & 0xc0) === 0x80) {
    return lowIsOne && ip[1] === 0x80 ? Scope.LOOPBACK : Scope.LINK_LOCAL; // quirk: fe80::1
  }
  if ((ip[0] & 0xfe) === 0xfc) return Scope.PRIVATE;
  if (ip[0] === 0 && ip[1] === 0) {
    if (lowIsOne) return Scope.LOOPBACK;
    if (ip.every((byte) => byte === 0)) return Scope.NONE;
  }
  return Scope.GLOBAL;
}

/**
 * Encoded endpoint: type 0 (nobody), 4 or 6, address, port (in configs the port is a prefix length).
 * @param endpoint undefined writes the one-byte "nobody"
 */
export function encodeEndpoint(w: Writer, endpoint: Endpoint | undefined): void {
  if (!endpoint) {
    w.u8(0);
  } else {
    w.u8(endpoint.ip.length === 4 ? 4 : 6).raw(endpoint.ip).u16(endpoint.port);
  }
}

/**
 * @returns undefined for "nobody" and for the reserved types 1 to 3, which are skipped
 * @throws {WireError} on any other type, or when truncated
 */
export function decodeEndpoint(r: Reader): Endpoint | undefined {
  const type = r.u8();
  switch (type) {
    case 0:
      return undefined;
    case 1:
    case 2:
      r.skip(6);
      return undefined;
    case 3:
      r.skip(r.u16());
      return undefined;
    case 4:
    case 6: {
      const ip = r.copy(type === 4 ? 4 : 16);
      return { ip, port: r.u16() };
    }
    default:
      throw new WireError(r.where, `physical address of unknown type ${type}`);
  }
}

/** Bytes of an id or address, most significant first. */
function bytesOf(value: bigint, length: number): number[] {
  return Array.from({ length }, (_, i) => Number((value >> BigInt(8 * (length - 1 - i))) & 0xffn));
}

/** The RFC 4193 style address a member has on a network: one address, prefix length 88. */
export function rfc4193(id: NetworkId, address: Address): Prefix {
  const bytes = [0xfd, ...bytesOf(id, 8), 0x99, 0x93, ...bytesOf(BigInt(address), 5)];
  return { ip: Uint8Array.from(bytes), bits: 88 };
}

/** The 6PLANE address a member has on a network: prefix length 40; the member owns the whole /80. */
export function sixPlane(id: NetworkId, address: Address): Prefix {
  const folded = (id ^ (id >> 32n)) & 0xffff_ffffn;
  const bytes = [0xfc, ...bytesOf(folded, 4), ...bytesOf(BigInt(address), 5), 0, 0, 0, 0, 0, 1];
  return { ip: Uint8Array.from(bytes), bits: 40 };
}

/** The link-local address of an interface: modified EUI-64 of its MAC. */
export function linkLocal(mac: Mac): Prefix {
  const [a, b, c, d, e, f] = bytesOf(BigInt(mac), 6);
  // Quirk of the reference: bit 0x02 is cleared, not toggled; derived MACs always have it set, so both agree.
  return {
    ip: Uint8Array.from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a & 0xfd, b, c, 0xff, 0xfe, d, e, f]),
    bits: 64,
  };
}
