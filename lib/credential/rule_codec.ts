/**
 * A rule list as configs and capabilities carry it: a plain concatenation of rules.
 *
 *     offset  bytes  field
 *     0       1      0x80 NOT, 0x40 OR, low 6 bits the type
 *     1       1      n, length of the value
 *     2       n      the value, see the table in {@linkcode decodeRules}
 *
 * Types 0 to 15 are actions, 16 to 63 are matches. Source: spec 04b section 1.
 * @module
 */
import { Reader, Writer } from "../base/bytes.ts";
import type { Address, Mac } from "../base/ids.ts";
import type { Ip } from "../base/ip.ts";

/** Rules one network may have; the rest of a longer list is ignored (spec 04b section 1). */
export const NETWORK_RULES_MAX = 1024;
/** Rules one capability may have; a longer list makes the capability undecodable. */
export const CAPABILITY_RULES_MAX = 64;
/** Types below this are actions, the others are matches. */
export const FIRST_MATCH_TYPE = 16;
/** Flag of an ICMP rule: the code counts too. */
export const ICMP_CODE_MATCHED = 0x01;

export const RuleType = {
  DROP: 0,
  ACCEPT: 1,
  TEE: 2,
  WATCH: 3,
  REDIRECT: 4,
  BREAK: 5,
  PRIORITY: 6,
  SOURCE_ADDRESS: 24,
  DESTINATION_ADDRESS: 25,
  VLAN_ID: 26,
  VLAN_PCP: 27,
  VLAN_DEI: 28,
  MAC_SOURCE: 29,
  MAC_DESTINATION: 30,
  IPV4_SOURCE: 31,
  IPV4_DESTINATION: 32,
  IPV6_SOURCE: 33,
  IPV6_DESTINATION: 34,
  IP_TOS: 35,
  IP_PROTOCOL: 36,
  ETHERTYPE: 37,
  ICMP: 38,
  SOURCE_PORT: 39,
  DESTINATION_PORT: 40,
  CHARACTERISTICS: 41,
  FRAME_SIZE: 42,
  RANDOM: 43,
  TAGS_DIFFERENCE: 44,
  TAGS_AND: 45,
  TAGS_OR: 46,
  TAGS_XOR: 47,
  TAGS_EQUAL: 48,
  TAG_SENDER: 49,
  TAG_RECEIVER: 50,
  INTEGER_RANGE: 51,
} as const;
type T = typeof RuleType;

/** What every rule has: its type (0 to 63) and two bits, which mean nothing on actions but survive. */
interface RuleBase {
  readonly type: number;
  readonly not: boolean;
  readonly or: boolean;
}

/** DROP, ACCEPT, BREAK, PRIORITY (its bucket is not transmitted). */
export interface PlainActionRule extends RuleBase {
  readonly kind: "action";
}
/** TEE, WATCH and REDIRECT (which ignores `lengthBytes`). */
export interface ForwardRule extends RuleBase {
  readonly kind: "forward";
  readonly type: T["TEE"] | T["WATCH"] | T["REDIRECT"];
  readonly address: Address;
  readonly flags: number;
  /** 0 and 65535 mean the whole frame */
  readonly lengthBytes: number;
}
/** SOURCE_ADDRESS, DESTINATION_ADDRESS. */
export interface AddressRule extends RuleBase {
  readonly kind: "address";
  readonly type: T["SOURCE_ADDRESS"] | T["DESTINATION_ADDRESS"];
  readonly address: Address;
}
/** Matches on one number: VLAN_ID (16 bits), VLAN_PCP, VLAN_DEI, IP_PROTOCOL (8), ETHERTYPE (16), RANDOM (32). */
export interface NumberRule extends RuleBase {
  readonly kind: "number";
  readonly type:
    | T["VLAN_ID"]
    | T["VLAN_PCP"]
    | T["VLAN_DEI"]
    | T["IP_PROTOCOL"]
    | T["ETHERTYPE"]
    | T["RANDOM"];
  readonly value: number;
}
/** MAC_SOURCE, MAC_DESTINATION. */
export interface MacRule extends RuleBase {
  readonly kind: "mac";
  readonly type: T["MAC_SOURCE"] | T["MAC_DESTINATION"];
  readonly mac: Mac;
}
/** IPv4 and IPv6 source and destination. */
export interface IpRule extends RuleBase {
  readonly kind: "ip";
  readonly type:
    | T["IPV4_SOURCE"]
    | T["IPV4_DESTINATION"]
    | T["IPV6_SOURCE"]
    | T["IPV6_DESTINATION"];
  /** 4 or 16 bytes, as the type says */
  readonly ip: Ip;
  /** Prefix length as transmitted: 0 to 255 */
  readonly bits: number;
}
/** IP_TOS: start <= (byte & mask) <= end. */
export interface TosRule extends RuleBase {
  readonly kind: "tos";
  readonly type: T["IP_TOS"];
  readonly mask: number;
  readonly start: number;
  readonly end: number;
}
/** ICMP type and, if flag {@linkcode ICMP_CODE_MATCHED} is set, code. */
export interface IcmpRule extends RuleBase {
  readonly kind: "icmp";
  readonly type: T["ICMP"];
  readonly icmpType: number;
  readonly icmpCode: number;
  readonly flags: number;
}
/** SOURCE_PORT, DESTINATION_PORT, FRAME_SIZE: 16 bits, both ends included. */
export interface RangeRule extends RuleBase {
  readonly kind: "range";
  readonly type: T["SOURCE_PORT"] | T["DESTINATION_PORT"] | T["FRAME_SIZE"];
  readonly start: number;
  readonly end: number;
}
/** CHARACTERISTICS: 64 bits of which any may be set. */
export interface CharacteristicsRule extends RuleBase {
  readonly kind: "characteristics";
  readonly type: T["CHARACTERISTICS"];
  readonly mask: bigint;
}
/** TAGS_* and TAG_*: both numbers are unsigned, 32 bits. */
export interface TagRule extends RuleBase {
  readonly kind: "tag";
  readonly type:
    | T["TAGS_DIFFERENCE"]
    | T["TAGS_AND"]
    | T["TAGS_OR"]
    | T["TAGS_XOR"]
    | T["TAGS_EQUAL"]
    | T["TAG_SENDER"]
    | T["TAG_RECEIVER"];
  readonly id: number;
  readonly value: number;
}
/** INTEGER_RANGE: a number inside the frame, 64 bits, both ends included. */
export interface IntegerRangeRule extends RuleBase {
  readonly kind: "integer";
  readonly type: T["INTEGER_RANGE"];
  readonly start: bigint;
  /** At most 2^32 - 1 above `start`: more cannot be held by the reference */
  readonly end: bigint;
  /** Offset in the frame's payload */
  readonly index: number;
  /** 0x80 little-endian; low 6 bits: width in bits, less one */
  readonly format: number;
}
/** A type nobody assigned; its value is skipped. */
export interface UnknownRule extends RuleBase {
  readonly kind: "unknown";
}

/** One rule. `kind` says which fields there are, `type` what they mean. Never changed once made. */
export type Rule =
  | PlainActionRule
  | ForwardRule
  | AddressRule
  | NumberRule
  | MacRule
  | IpRule
  | TosRule
  | IcmpRule
  | RangeRule
  | CharacteristicsRule
  | TagRule
  | IntegerRangeRule
  | UnknownRule;

/** Whether the rule is an action rather than a match. */
export function isAction(rule: Rule): boolean {
  return rule.type < FIRST_MATCH_TYPE;
}

/**
 * Decodes a whole list. Known types read their fields where the value begins whatever its length says, then the cursor
 * moves by that length (the reference's leniency, spec 04b section 1).
 * @param bytes Lent; nothing of it is kept
 * @throws {WireError} when truncated
 */
export function decodeRules(bytes: Uint8Array): Rule[] {
  const rules: Rule[] = [];
  const r = new Reader(bytes, "RULES");
  while (r.remaining > 0) {
    const first = r.u8();
    const length = r.u8();
    const head = { type: first & 0x3f, not: (first & 0x80) !== 0, or: (first & 0x40) !== 0 };
    rules.push(decodeValue(head, new Reader(bytes, "RULES", r.at)));
    r.skip(length);
  }
  return rules;
}

function decodeValue(head: RuleBase, r: Reader): Rule {
  switch (head.type) {
    case RuleType.TEE:
    case RuleType.WATCH:
    case RuleType.REDIRECT: {
      r.skip(3); // the address is 64 bits wide, of which the low 40 count
      const address = r.address();
      return {
        ...head,
        kind: "forward",
        type: head.type,
        address,
        flags: r.u32(),
        lengthBytes: r.u16(),
      };
    }
    case RuleType.SOURCE_ADDRESS:
    case RuleType.DESTINATION_ADDRESS:
      return { ...head, kind: "address", type: head.type, address: r.address() };
    case RuleType.VLAN_ID:
    case RuleType.ETHERTYPE:
      return { ...head, kind: "number", type: head.type, value: r.u16() };
    case RuleType.VLAN_PCP:
    case RuleType.VLAN_DEI:
    case RuleType.IP_PROTOCOL:
      return { ...head, kind: "number", type: head.type, value: r.u8() };
    case RuleType.RANDOM:
      return { ...head, kind: "number", type: head.type, value: r.u32() };
    case RuleType.MAC_SOURCE:
    case RuleType.MAC_DESTINATION:
      return { ...head, kind: "mac", type: head.type, mac: r.mac() };
    case RuleType.IPV4_SOURCE:
    case RuleType.IPV4_DESTINATION:
      return { ...head, kind: "ip", type: head.type, ip: r.copy(4), bits: r.u8() };
    case RuleType.IPV6_SOURCE:
    case RuleType.IPV6_DESTINATION:
      return { ...head, kind: "ip", type: head.type, ip: r.copy(16), bits: r.u8() };
    default:
      return decodeOther(head, r);
  }
}

function decodeOther(head: RuleBase, r: Reader): Rule {
  switch (head.type) {
    case RuleType.IP_TOS:
      return { ...head, kind: "tos", type: head.type, mask: r.u8(), start: r.u8(), end: r.u8() };
    case RuleType.ICMP:
      return {
        ...head,
        kind: "icmp",
        type: head.type,
        icmpType: r.u8(),
        icmpCode: r.u8(),
        flags: r.u8(),
      };
    case RuleType.SOURCE_PORT:
    case RuleType.DESTINATION_PORT:
    case RuleType.FRAME_SIZE:
      return { ...head, kind: "range", type: head.type, start: r.u16(), end: r.u16() };
    case RuleType.CHARACTERISTICS:
      return { ...head, kind: "characteristics", type: head.type, mask: r.u64() };
    case RuleType.TAGS_DIFFERENCE:
    case RuleType.TAGS_AND:
    case RuleType.TAGS_OR:
    case RuleType.TAGS_XOR:
    case RuleType.TAGS_EQUAL:
    case RuleType.TAG_SENDER:
    case RuleType.TAG_RECEIVER:
      return { ...head, kind: "tag", type: head.type, id: r.u32(), value: r.u32() };
    case RuleType.INTEGER_RANGE: {
      const start = r.u64();
      // Quirk: the reference keeps the width of the range in 32 bits.
      const width = (r.u64() - start) & 0xffff_ffffn;
      const end = (start + width) & 0xffff_ffff_ffff_ffffn;
      return {
        ...head,
        kind: "integer",
        type: head.type,
        start,
        end,
        index: r.u16(),
        format: r.u8(),
      };
    }
    case RuleType.DROP:
    case RuleType.ACCEPT:
    case RuleType.BREAK:
    case RuleType.PRIORITY:
      return { ...head, kind: "action" };
    default:
      return { ...head, kind: "unknown" };
  }
}

/** Encodes a list; {@linkcode decodeRules} of the result is the list. */
export function encodeRules(rules: readonly Rule[]): Uint8Array {
  const w = new Writer(16 * rules.length);
  for (const rule of rules) {
    const first = (rule.not ? 0x80 : 0) | (rule.or ? 0x40 : 0) | rule.type;
    const at = w.length;
    w.u16(0);
    encodeValue(rule, w);
    w.patchU16(at, (first << 8) | (w.length - at - 2));
  }
  return w.finish();
}

function encodeValue(rule: Rule, w: Writer): void {
  switch (rule.kind) {
    case "forward":
      w.u8(0).u16(0).address(rule.address).u32(rule.flags).u16(rule.lengthBytes);
      break;
    case "address":
      w.address(rule.address);
      break;
    case "number":
      encodeNumber(rule, w);
      break;
    case "mac":
      w.mac(rule.mac);
      break;
    case "ip":
      w.raw(rule.ip).u8(rule.bits);
      break;
    case "tos":
      w.u8(rule.mask).u8(rule.start).u8(rule.end);
      break;
    case "icmp":
      w.u8(rule.icmpType).u8(rule.icmpCode).u8(rule.flags);
      break;
    case "range":
      w.u16(rule.start).u16(rule.end);
      break;
    case "characteristics":
      w.u64(rule.mask);
      break;
    case "tag":
      w.u32(rule.id).u32(rule.value);
      break;
    case "integer":
      w.u64(rule.start).u64(rule.end).u16(rule.index).u8(rule.format);
      break;
    case "action":
    case "unknown":
      break;
  }
}

function encodeNumber(rule: NumberRule, w: Writer): void {
  switch (rule.type) {
    case RuleType.VLAN_ID:
    case RuleType.ETHERTYPE:
      w.u16(rule.value);
      break;
    case RuleType.RANDOM:
      w.u32(rule.value);
      break;
    default:
      w.u8(rule.value);
  }
}
