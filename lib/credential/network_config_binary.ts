/**
 * The binary parts of a network configuration: values of its dictionary.
 *
 *     key  contents
 *     C    the member's certificate of membership
 *     CAP  capabilities, one after the other; an error ends the list and keeps what was read
 *     TAG  tags, likewise
 *     COO  certificates of ownership
 *     S    specialists: 8 bytes each, roles (24 bits) and address (40 bits)
 *     RT   routes: target and gateway as endpoints whose port is a prefix length, flags (2), metric (2)
 *     I    static addresses: endpoints whose port is a prefix length
 *     R    rules
 *     DNS  domain (128, zero-padded), four servers as endpoints; always written
 *
 * An error in C, COO, RT, I, R or DNS rejects the whole configuration; elements past a limit are dropped.
 *
 * Source: spec 04 sections 4 and 8.
 * @module
 */
import { Reader, text, utf8, Writer } from "../base/bytes.ts";
import { cutText } from "../base/cut_text.ts";
import { WireError } from "../base/errors.ts";
import type { Address } from "../base/ids.ts";
import { decodeEndpoint, encodeEndpoint, type Ip, type Prefix } from "../base/ip.ts";
import { type Capability, decodeCapability, encodeCapability } from "./capability.ts";
import { type CertificateOfMembership, decodeCom, encodeCom } from "./certificate_of_membership.ts";
import {
  type CertificateOfOwnership,
  decodeOwnership,
  encodeOwnership,
} from "./certificate_of_ownership.ts";
import type { Dictionary, DictionaryWriter } from "./dictionary.ts";
import { decodeRules, encodeRules } from "./rule_codec.ts";
import { decodeTag, encodeTag, type Tag } from "./tag.ts";

/** Most of each that a configuration may hold; they bound what a controller can make a member keep. */
export const ConfigLimits = {
  RULES: 1_024,
  CAPABILITIES: 128,
  TAGS: 128,
  OWNERSHIPS: 4,
  SPECIALISTS: 256,
  ROUTES: 128,
  STATIC_IPS: 32,
  DNS_SERVERS: 4,
} as const;

const SPECIALIST_LENGTH = 8;
const DOMAIN_LENGTH = 128;
const DOMAIN_LENGTH_MAX = 127; // the last byte is always NUL

/** Bits of {@linkcode Specialist.roles}; they combine. */
export const Role = {
  ACTIVE_BRIDGE: 0x2,
  ANCHOR: 0x4,
  MULTICAST_REPLICATOR: 0x8,
} as const;

/** A member with a special job. */
export interface Specialist {
  readonly address: Address;
  /** Bits of {@linkcode Role}. */
  readonly roles: number;
}

/** A route members install. */
export interface Route {
  readonly target: Prefix;
  /** undefined: on the link. */
  readonly via: Ip | undefined;
  readonly flags: number;
  readonly metric: number;
}

/** Name servers of a domain; "" and none when there are none. */
export interface Dns {
  readonly domain: string;
  /** At most 4. */
  readonly servers: readonly Ip[];
}

/** See `NetworkConfig`, whose fields these are. */
export interface BinaryParts {
  readonly com: CertificateOfMembership | undefined;
  readonly capabilities: readonly Capability[];
  readonly tags: readonly Tag[];
  readonly ownerships: readonly CertificateOfOwnership[];
  readonly specialists: readonly Specialist[];
  readonly routes: readonly Route[];
  readonly staticIps: readonly Prefix[];
  readonly rules: Uint8Array;
  readonly dns: Dns;
}

/** @throws {WireError} when a part that must be right is not */
export function decodeBinaryParts(d: Dictionary): BinaryParts {
  const reader = (key: string) => new Reader(d.get(key) ?? new Uint8Array(0), `config ${key}`);
  const com = reader("C");
  return {
    com: com.remaining > 0 ? decodeCom(com) : undefined,
    capabilities: readSigned(reader("CAP"), decodeCapability, ConfigLimits.CAPABILITIES),
    tags: readSigned(reader("TAG"), decodeTag, ConfigLimits.TAGS),
    ownerships: readAll(reader("COO"), decodeOwnership, ConfigLimits.OWNERSHIPS),
    specialists: readSpecialists(reader("S")),
    routes: readAll(reader("RT"), decodeRoute, ConfigLimits.ROUTES).filter(isPresent),
    staticIps: readAll(reader("I"), decodePrefix, ConfigLimits.STATIC_IPS).filter(isPresent),
    rules: readRules(d.get("R")),
    dns: readDns(reader("DNS")),
  };
}

function isPresent<T>(value: T | undefined): value is T {
  return value !== undefined;
}

/** Reads to the end, keeps the first `max`. @throws {WireError} on the first malformed element, kept or not */
function readAll<T>(r: Reader, read: (r: Reader) => T, max: number): T[] {
  const items: T[] = [];
  while (r.remaining > 0) {
    const item = read(r);
    if (items.length < max) items.push(item);
  }
  return items;
}

/** Reads as far as it goes, at most `max`; ascending by id. */
function readSigned<T extends { id: number }>(r: Reader, read: (r: Reader) => T, max: number): T[] {
  const items: T[] = [];
  try {
    while (r.remaining > 0 && items.length < max) items.push(read(r));
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
  return items.sort((a, b) => a.id - b.id);
}

/** A rest of fewer than eight bytes is ignored. */
function readSpecialists(r: Reader): Specialist[] {
  const specialists: Specialist[] = [];
  while (r.remaining >= SPECIALIST_LENGTH && specialists.length < ConfigLimits.SPECIALISTS) {
    const roles = r.u16() * 0x100 + r.u8();
    specialists.push({ address: r.address(), roles });
  }
  return specialists;
}

function decodeRoute(r: Reader): Route | undefined {
  const target = decodePrefix(r);
  const via = decodeEndpoint(r)?.ip;
  const flags = r.u16();
  const metric = r.u16();
  return target && { target, via, flags, metric };
}

/** An endpoint whose port is a prefix length; undefined for "nobody". */
function decodePrefix(r: Reader): Prefix | undefined {
  const endpoint = decodeEndpoint(r);
  if (!endpoint) return undefined;
  const { ip, port: bits } = endpoint;
  if (bits > ip.length * 8) throw new WireError(r.where, `prefix length ${bits}`);
  return { ip, bits };
}

/** In the shortest form of each rule. */
function readRules(bytes: Uint8Array | undefined): Uint8Array {
  if (!bytes) return new Uint8Array(0);
  const w = new Writer(bytes.length);
  encodeRules(decodeRules(bytes).slice(0, ConfigLimits.RULES), w);
  return w.finish();
}

function readDns(r: Reader): Dns {
  if (r.remaining === 0) return { domain: "", servers: [] };
  const domain = r.view(DOMAIN_LENGTH).subarray(0, DOMAIN_LENGTH_MAX);
  const nul = domain.indexOf(0);
  const servers: Ip[] = [];
  for (let i = 0; i < ConfigLimits.DNS_SERVERS; i++) {
    const server = decodeEndpoint(r)?.ip;
    if (server) servers.push(server);
  }
  const whole = text(nul < 0 ? domain : domain.subarray(0, nul)); // malformed UTF-8 grows
  return { domain: cutText(whole, DOMAIN_LENGTH_MAX), servers };
}

/**
 * Writes the parts that are not empty, and DNS always.
 * @throws {RangeError} when a list is longer than a receiver reads
 */
export function encodeBinaryParts(parts: BinaryParts, d: DictionaryWriter): void {
  checkLimits(parts);
  const put = (key: string, write: (w: Writer) => void) => {
    const w = new Writer();
    write(w);
    if (w.length > 0) d.bytes(key, w.finish());
  };
  put("C", (w) => parts.com && encodeCom(parts.com, w));
  put("CAP", (w) => parts.capabilities.forEach((capability) => encodeCapability(capability, w)));
  put("TAG", (w) => parts.tags.forEach((tag) => encodeTag(tag, w)));
  put("COO", (w) => parts.ownerships.forEach((ownership) => encodeOwnership(ownership, w)));
  put("S", (w) => parts.specialists.forEach((specialist) => encodeSpecialist(specialist, w)));
  put("RT", (w) => parts.routes.forEach((route) => encodeRoute(route, w)));
  put("I", (w) => parts.staticIps.forEach((prefix) => encodePrefix(prefix, w)));
  put("R", (w) => w.raw(parts.rules));
  put("DNS", (w) => encodeDns(parts.dns, w));
}

function checkLimits(parts: BinaryParts): void {
  const counts: [name: string, count: number, max: number][] = [
    ["capabilities", parts.capabilities.length, ConfigLimits.CAPABILITIES],
    ["tags", parts.tags.length, ConfigLimits.TAGS],
    ["ownerships", parts.ownerships.length, ConfigLimits.OWNERSHIPS],
    ["specialists", parts.specialists.length, ConfigLimits.SPECIALISTS],
    ["routes", parts.routes.length, ConfigLimits.ROUTES],
    ["static IPs", parts.staticIps.length, ConfigLimits.STATIC_IPS],
    ["rules", decodeRules(parts.rules).length, ConfigLimits.RULES],
    ["DNS servers", parts.dns.servers.length, ConfigLimits.DNS_SERVERS],
  ];
  for (const [name, count, max] of counts) {
    if (count > max) throw new RangeError(`${name}: ${count} exceed ${max}`);
  }
  if (utf8(parts.dns.domain).length > DOMAIN_LENGTH_MAX) {
    throw new RangeError(`DNS domain: more than ${DOMAIN_LENGTH_MAX} bytes`);
  }
}

function encodeSpecialist(specialist: Specialist, w: Writer): void {
  w.u16(specialist.roles >>> 8).u8(specialist.roles).address(specialist.address);
}

function encodeRoute(route: Route, w: Writer): void {
  encodePrefix(route.target, w);
  encodeEndpoint(w, route.via && { ip: route.via, port: 0 });
  w.u16(route.flags).u16(route.metric);
}

function encodePrefix(prefix: Prefix, w: Writer): void {
  encodeEndpoint(w, { ip: prefix.ip, port: prefix.bits });
}

function encodeDns(dns: Dns, w: Writer): void {
  const domain = new Uint8Array(DOMAIN_LENGTH);
  domain.set(utf8(dns.domain));
  w.raw(domain);
  for (let i = 0; i < ConfigLimits.DNS_SERVERS; i++) {
    const ip = dns.servers[i];
    encodeEndpoint(w, ip && { ip, port: 0 });
  }
}
