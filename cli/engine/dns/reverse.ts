/**
 * Addresses as names below `in-addr.arpa` and `ip6.arpa`.
 *
 * Source: RFC 1035 section 3.5, RFC 3596 section 2.5.
 * @module
 */
import { contains, type Ip, type Prefix } from "../../../lib/base/ip.ts";

const DOMAINS_MAX = 16; // of one prefix: those that need more are not worth a resolver's table
/** Shorter prefixes take in much that is not the network's: no domain is claimed for them. */
const BITS_MIN = { v4: 16, v6: 32 };

/** The name an address, or what it begins with, has. @param bits A multiple of 8 for IPv4, of 4 for IPv6 */
export function reverseName({ ip, bits }: Prefix): string {
  if (ip.length === 4) {
    return [...[...ip.subarray(0, bits / 8)].reverse(), "in-addr.arpa"].join(".");
  }
  const digits = [...ip].flatMap((byte) => [byte >> 4, byte & 15]).slice(0, bits / 4);
  return [...digits.reverse().map((digit) => digit.toString(16)), "ip6.arpa"].join(".");
}

/** The address a name stands for, or what it begins with; undefined when it is no such name. */
export function parseReverse(name: string): Prefix | undefined {
  const labels = name.split(".");
  const root = labels.splice(-2).join(".");
  labels.reverse();
  if (root === "in-addr.arpa") {
    const isIp = labels.length <= 4 &&
      labels.every((label) => /^(0|[1-9]\d{0,2})$/.test(label) && Number(label) < 256);
    return isIp ? { ip: padded(labels.map(Number), 4), bits: labels.length * 8 } : undefined;
  }
  if (root !== "ip6.arpa") return undefined;
  if (labels.length > 32 || !labels.every((label) => /^[0-9a-f]$/.test(label))) return undefined;
  const pairs = labels.join("").match(/..?/g) ?? [];
  const bytes = pairs.map((pair) => parseInt(pair.padEnd(2, "0"), 16));
  return { ip: padded(bytes, 16), bits: labels.length * 4 };
}

function padded(bytes: number[], length: number): Ip {
  const ip = new Uint8Array(length);
  ip.set(bytes);
  return ip;
}

/** Bits rounded up to where a label ends. */
function wholeBits({ ip, bits }: Prefix): number {
  const step = ip.length === 4 ? 8 : 4;
  return Math.ceil(bits / step) * step;
}

/** The domain that holds the names of a prefix, or the part of it an address is in. */
export function reverseDomainOf(prefix: Prefix, ip: Ip): string {
  return reverseName({ ip, bits: wholeBits(prefix) });
}

/** The domains that hold all names of a prefix, and no others; none when it takes too many or is too wide. */
export function reverseDomains(prefix: Prefix): string[] {
  const { ip, bits } = prefix;
  const whole = wholeBits(prefix);
  const count = 2 ** (whole - bits);
  if (isWide(prefix) || count > DOMAINS_MAX) return [];
  const at = (whole - 1) >> 3; // the byte that counts
  const step = 1 << (at * 8 + 8 - whole);
  return Array.from({ length: count }, (_, i) => {
    const part = ip.slice();
    part[at] = (part[at] & ~(step * count - 1)) + i * step;
    return reverseName({ ip: part, bits: whole });
  });
}

/** Whether what a name below `arpa` stands for is addresses of a prefix only, and the prefix not too wide. */
export function leadsInto(prefix: Prefix, { ip, bits }: Prefix): boolean {
  return !isWide(prefix) && bits >= wholeBits(prefix) && contains(prefix, ip);
}

function isWide({ ip, bits }: Prefix): boolean {
  return bits < (ip.length === 4 ? BITS_MIN.v4 : BITS_MIN.v6);
}
