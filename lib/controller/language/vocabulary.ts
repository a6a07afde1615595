/**
 * The names the rule language knows, and what they stand for. Source: spec 04b sections 4.2 and 4.3.
 * @module
 */
import { RuleType } from "../../credential/rule_codec.ts";

export { CHARACTERISTICS } from "../../network/rules/characteristics.ts";

export const ETHERTYPES: ReadonlyMap<string, number> = new Map([
  ["ipv4", 0x0800],
  ["arp", 0x0806],
  ["wol", 0x0842],
  ["rarp", 0x8035],
  ["ipv6", 0x86dd],
  ["atalk", 0x809b],
  ["aarp", 0x80f3],
  ["ipx_a", 0x8137],
  ["ipx_b", 0x8138],
]);

/** The first name of a number is the one we write. */
export const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ["icmp4", 1],
  ["icmpv4", 1],
  ["igmp", 2],
  ["ipip", 4],
  ["tcp", 6],
  ["egp", 8],
  ["igp", 9],
  ["udp", 0x11],
  ["rdp", 0x1b],
  ["esp", 0x32],
  ["ah", 0x33],
  ["icmp6", 0x3a],
  ["icmpv6", 0x3a],
  ["l2tp", 0x73],
  ["sctp", 0x84],
  ["udplite", 0x88],
]);

/** What kind of arguments a match takes. */
export type MatchShape =
  | "address"
  | "vlan"
  | "ethertype"
  | "mac"
  | "ip"
  | "tos"
  | "protocol"
  | "icmp"
  | "range"
  | "characteristics"
  | "random"
  | "tag";

/** A match keyword. */
export interface MatchKeyword {
  readonly type: number;
  readonly shape: MatchShape;
  /** How many words follow */
  readonly argumentCount: number;
}

function keyword(type: number, shape: MatchShape, argumentCount = 1): MatchKeyword {
  return { type, shape, argumentCount };
}

export const MATCHES: ReadonlyMap<string, MatchKeyword> = new Map([
  ["ztsrc", keyword(RuleType.MATCH_SOURCE_ZEROTIER_ADDRESS, "address")],
  ["ztdest", keyword(RuleType.MATCH_DEST_ZEROTIER_ADDRESS, "address")],
  ["vlan", keyword(RuleType.MATCH_VLAN_ID, "vlan")],
  ["vlanpcp", keyword(RuleType.MATCH_VLAN_PCP, "vlan")],
  ["vlandei", keyword(RuleType.MATCH_VLAN_DEI, "vlan")],
  ["ethertype", keyword(RuleType.MATCH_ETHERTYPE, "ethertype")],
  ["macsrc", keyword(RuleType.MATCH_MAC_SOURCE, "mac")],
  ["macdest", keyword(RuleType.MATCH_MAC_DEST, "mac")],
  // The IPv4 type; an IPv6 argument makes it the IPv6 type.
  ["ipsrc", keyword(RuleType.MATCH_IPV4_SOURCE, "ip")],
  ["ipdest", keyword(RuleType.MATCH_IPV4_DEST, "ip")],
  ["iptos", keyword(RuleType.MATCH_IP_TOS, "tos", 2)],
  ["ipprotocol", keyword(RuleType.MATCH_IP_PROTOCOL, "protocol")],
  ["icmp", keyword(RuleType.MATCH_ICMP, "icmp", 2)],
  ["sport", keyword(RuleType.MATCH_IP_SOURCE_PORT_RANGE, "range")],
  ["dport", keyword(RuleType.MATCH_IP_DEST_PORT_RANGE, "range")],
  ["framesize", keyword(RuleType.MATCH_FRAME_SIZE_RANGE, "range")],
  ["chr", keyword(RuleType.MATCH_CHARACTERISTICS, "characteristics")],
  ["random", keyword(RuleType.MATCH_RANDOM, "random")],
  ["tand", keyword(RuleType.MATCH_TAGS_BITWISE_AND, "tag", 2)],
  ["tor", keyword(RuleType.MATCH_TAGS_BITWISE_OR, "tag", 2)],
  ["txor", keyword(RuleType.MATCH_TAGS_BITWISE_XOR, "tag", 2)],
  ["tdiff", keyword(RuleType.MATCH_TAGS_DIFFERENCE, "tag", 2)],
  ["teq", keyword(RuleType.MATCH_TAGS_EQUAL, "tag", 2)],
  ["tseq", keyword(RuleType.MATCH_TAG_SENDER, "tag", 2)],
  ["treq", keyword(RuleType.MATCH_TAG_RECEIVER, "tag", 2)],
]);

/** Action keywords and their types. `priority` opens a block and is then refused, as in the reference. */
export const ACTIONS: ReadonlyMap<string, number> = new Map([
  ["drop", RuleType.ACTION_DROP],
  ["accept", RuleType.ACTION_ACCEPT],
  ["break", RuleType.ACTION_BREAK],
  ["tee", RuleType.ACTION_TEE],
  ["watch", RuleType.ACTION_WATCH],
  ["redirect", RuleType.ACTION_REDIRECT],
]);

/** Words that are neither names nor arguments. */
export const RESERVED: ReadonlySet<string> = new Set([
  ..."macro tag cap default drop accept tee watch redirect break priority".split(" "),
  ..."type enum class define import include log not xor or and set var let".split(" "),
  ...MATCHES.keys(),
]);

/** The JSON's name of a type. */
export function typeName(type: number): string {
  const entry = Object.entries(RuleType).find(([, value]) => value === type);
  return entry?.[0] ?? `${type < 16 ? "ACTION" : "MATCH"}_${type}`;
}

/** Numbers by their first name. */
export function namesByNumber(names: ReadonlyMap<string, number>): Map<number, string> {
  return new Map([...names].reverse().map(([name, number]) => [number, name]));
}
