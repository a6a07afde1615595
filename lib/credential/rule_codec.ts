/**
 * A list of network rules as bytes: in a network configuration and in capabilities. What rules mean
 * is `lib/network/`'s.
 *
 *     offset  bytes  field
 *     0       1      0x80 not, 0x40 or, type in the low six bits
 *     1       1      length n of the value
 *     2       n      value, see {@linkcode RuleType}
 *
 * A known type reads its fields at the start of the value whatever n is, then moves on by n; an
 * unknown one keeps its type and nothing else. Reading past the end rejects the list.
 *
 * Source: spec 04b section 1.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";
import type { Address, Mac } from "../base/ids.ts";
import type { Ip } from "../base/ip.ts";

const FLAG_NOT = 0x80;
const FLAG_OR = 0x40;
const MASK_TYPE = 0x3f;

/** Types 0 to 15 are actions, 16 to 63 are matches. */
export const RuleType = {
  ACTION_DROP: 0,
  ACTION_ACCEPT: 1,
  ACTION_TEE: 2,
  ACTION_WATCH: 3,
  ACTION_REDIRECT: 4,
  ACTION_BREAK: 5,
  ACTION_PRIORITY: 6,
  MATCH_SOURCE_ZEROTIER_ADDRESS: 24,
  MATCH_DEST_ZEROTIER_ADDRESS: 25,
  MATCH_VLAN_ID: 26,
  MATCH_VLAN_PCP: 27,
  MATCH_VLAN_DEI: 28,
  MATCH_MAC_SOURCE: 29,
  MATCH_MAC_DEST: 30,
  MATCH_IPV4_SOURCE: 31,
  MATCH_IPV4_DEST: 32,
  MATCH_IPV6_SOURCE: 33,
  MATCH_IPV6_DEST: 34,
  MATCH_IP_TOS: 35,
  MATCH_IP_PROTOCOL: 36,
  MATCH_ETHERTYPE: 37,
  MATCH_ICMP: 38,
  MATCH_IP_SOURCE_PORT_RANGE: 39,
  MATCH_IP_DEST_PORT_RANGE: 40,
  MATCH_CHARACTERISTICS: 41,
  MATCH_FRAME_SIZE_RANGE: 42,
  MATCH_RANDOM: 43,
  MATCH_TAGS_DIFFERENCE: 44,
  MATCH_TAGS_BITWISE_AND: 45,
  MATCH_TAGS_BITWISE_OR: 46,
  MATCH_TAGS_BITWISE_XOR: 47,
  MATCH_TAGS_EQUAL: 48,
  MATCH_TAG_SENDER: 49,
  MATCH_TAG_RECEIVER: 50,
  INTEGER_RANGE: 51,
} as const;
export type RuleType = typeof RuleType[keyof typeof RuleType];

/** The fields of a rule's value, by shape. */
export type RuleValue =
  | { readonly kind: "none" }
  /** TEE, WATCH, REDIRECT: where to, flags, how much of the frame (65535: all) */
  | {
    readonly kind: "forward";
    readonly address: Address;
    readonly flags: number;
    readonly length: number;
  }
  | { readonly kind: "address"; readonly address: Address }
  /** VLAN fields, IP protocol, EtherType, probability; unsigned, as wide as the type says */
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "mac"; readonly mac: Mac }
  /** `bits` is as sent: it may exceed the address */
  | { readonly kind: "ip"; readonly ip: Ip; readonly bits: number }
  | { readonly kind: "tos"; readonly mask: number; readonly start: number; readonly end: number }
  | {
    readonly kind: "icmp";
    readonly icmpType: number;
    readonly icmpCode: number;
    /** 0x01: the code is compared too */
    readonly flags: number;
  }
  /** Ports and frame sizes, both ends included */
  | { readonly kind: "range"; readonly start: number; readonly end: number }
  | { readonly kind: "characteristics"; readonly mask: bigint }
  | { readonly kind: "tag"; readonly id: number; readonly value: number }
  /** Both ends included; at most 2^32 - 1 apart */
  | {
    readonly kind: "integer";
    readonly start: bigint;
    readonly end: bigint;
    readonly index: number;
    readonly format: number;
  };

/** One action or match. */
export type Rule = {
  /** A {@linkcode RuleType}, or a number up to 63 nobody has assigned yet (its value is then "none"). */
  readonly type: number;
  readonly not: boolean;
  readonly or: boolean;
} & RuleValue;

/** How the value of each type is laid out; types not listed have none. */
const LAYOUTS: Readonly<Record<number, Layout>> = {
  [RuleType.ACTION_TEE]: "forward",
  [RuleType.ACTION_WATCH]: "forward",
  [RuleType.ACTION_REDIRECT]: "forward",
  [RuleType.MATCH_SOURCE_ZEROTIER_ADDRESS]: "address",
  [RuleType.MATCH_DEST_ZEROTIER_ADDRESS]: "address",
  [RuleType.MATCH_VLAN_ID]: "u16",
  [RuleType.MATCH_VLAN_PCP]: "u8",
  [RuleType.MATCH_VLAN_DEI]: "u8",
  [RuleType.MATCH_MAC_SOURCE]: "mac",
  [RuleType.MATCH_MAC_DEST]: "mac",
  [RuleType.MATCH_IPV4_SOURCE]: "ipv4",
  [RuleType.MATCH_IPV4_DEST]: "ipv4",
  [RuleType.MATCH_IPV6_SOURCE]: "ipv6",
  [RuleType.MATCH_IPV6_DEST]: "ipv6",
  [RuleType.MATCH_IP_TOS]: "tos",
  [RuleType.MATCH_IP_PROTOCOL]: "u8",
  [RuleType.MATCH_ETHERTYPE]: "u16",
  [RuleType.MATCH_ICMP]: "icmp",
  [RuleType.MATCH_IP_SOURCE_PORT_RANGE]: "range",
  [RuleType.MATCH_IP_DEST_PORT_RANGE]: "range",
  [RuleType.MATCH_CHARACTERISTICS]: "characteristics",
  [RuleType.MATCH_FRAME_SIZE_RANGE]: "range",
  [RuleType.MATCH_RANDOM]: "u32",
  [RuleType.MATCH_TAGS_DIFFERENCE]: "tag",
  [RuleType.MATCH_TAGS_BITWISE_AND]: "tag",
  [RuleType.MATCH_TAGS_BITWISE_OR]: "tag",
  [RuleType.MATCH_TAGS_BITWISE_XOR]: "tag",
  [RuleType.MATCH_TAGS_EQUAL]: "tag",
  [RuleType.MATCH_TAG_SENDER]: "tag",
  [RuleType.MATCH_TAG_RECEIVER]: "tag",
  [RuleType.INTEGER_RANGE]: "integer",
};

type Layout =
  | "forward"
  | "address"
  | "u8"
  | "u16"
  | "u32"
  | "mac"
  | "ipv4"
  | "ipv6"
  | "tos"
  | "icmp"
  | "range"
  | "characteristics"
  | "tag"
  | "integer";

/**
 * Reads rules until the bytes end.
 * @param countMax Rules after this many are not looked at; spec 04 section 4 gives 1024 for a
 * network, 64 for a capability
 * @throws {WireError} when a rule is cut short
 */
export function decodeRules(bytes: Uint8Array, countMax = Infinity): Rule[] {
  const r = new Reader(bytes, "rules");
  const rules: Rule[] = [];
  while (r.remaining > 0 && rules.length < countMax) rules.push(decodeRule(r));
  return rules;
}

/** Reads one rule; the reader is left behind it. */
export function decodeRule(r: Reader): Rule {
  const head = r.u8();
  const length = r.u8();
  const type = head & MASK_TYPE;
  const value = decodeValue(LAYOUTS[type], new Reader(r.bytes, r.where, r.at));
  r.skip(length);
  return { type, not: (head & FLAG_NOT) !== 0, or: (head & FLAG_OR) !== 0, ...value };
}

function decodeValue(layout: Layout | undefined, r: Reader): RuleValue {
  switch (layout) {
    case undefined:
      return { kind: "none" };
    case "forward": {
      r.skip(3); // the upper bits of a 64-bit address
      return { kind: "forward", address: r.address(), flags: r.u32(), length: r.u16() };
    }
    case "address":
      return { kind: "address", address: r.address() };
    case "u8":
      return { kind: "number", value: r.u8() };
    case "u16":
      return { kind: "number", value: r.u16() };
    case "u32":
      return { kind: "number", value: r.u32() };
    case "mac":
      return { kind: "mac", mac: r.mac() };
    case "ipv4":
      return { kind: "ip", ip: r.copy(4), bits: r.u8() };
    case "ipv6":
      return { kind: "ip", ip: r.copy(16), bits: r.u8() };
    case "tos":
      return { kind: "tos", mask: r.u8(), start: r.u8(), end: r.u8() };
    case "icmp":
      return { kind: "icmp", icmpType: r.u8(), icmpCode: r.u8(), flags: r.u8() };
    case "range":
      return { kind: "range", start: r.u16(), end: r.u16() };
    case "characteristics":
      return { kind: "characteristics", mask: r.u64() };
    case "tag":
      return { kind: "tag", id: r.u32(), value: r.u32() };
    case "integer": {
      const start = r.u64();
      const span = (r.u64() - start) & 0xffff_ffffn; // the reference keeps 32 bits of the distance
      return {
        kind: "integer",
        start,
        end: BigInt.asUintN(64, start + span),
        index: r.u16(),
        format: r.u8(),
      };
    }
  }
}

export function encodeRules(rules: readonly Rule[], w: Writer): void {
  for (const rule of rules) encodeRule(rule, w);
}

export function encodeRule(rule: Rule, w: Writer): void {
  w.u8((rule.not ? FLAG_NOT : 0) | (rule.or ? FLAG_OR : 0) | (rule.type & MASK_TYPE));
  switch (rule.kind) {
    case "none":
      w.u8(0);
      break;
    case "forward":
      w.u8(14).u16(0).u8(0).address(rule.address).u32(rule.flags).u16(rule.length);
      break;
    case "address":
      w.u8(5).address(rule.address);
      break;
    case "number":
      encodeNumber(LAYOUTS[rule.type], rule.value, w);
      break;
    case "mac":
      w.u8(6).mac(rule.mac);
      break;
    case "ip":
      w.u8(rule.ip.length + 1).raw(rule.ip).u8(rule.bits);
      break;
    case "tos":
      w.u8(3).u8(rule.mask).u8(rule.start).u8(rule.end);
      break;
    case "icmp":
      w.u8(3).u8(rule.icmpType).u8(rule.icmpCode).u8(rule.flags);
      break;
    case "range":
      w.u8(4).u16(rule.start).u16(rule.end);
      break;
    case "characteristics":
      w.u8(8).u64(rule.mask);
      break;
    case "tag":
      w.u8(8).u32(rule.id).u32(rule.value);
      break;
    case "integer":
      w.u8(19).u64(rule.start).u64(rule.end).u16(rule.index).u8(rule.format);
      break;
  }
}

function encodeNumber(layout: Layout | undefined, value: number, w: Writer): void {
  switch (layout) {
    case "u8":
      w.u8(1).u8(value);
      break;
    case "u32":
      w.u8(4).u32(value);
      break;
    default:
      w.u8(2).u16(value);
  }
}
