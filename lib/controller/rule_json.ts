/**
 * Rules as the controller API's JSON has them: what tools post, what the API returns, what `zt rules compile` prints.
 *
 * Source: spec 04b section 3, spec 05 sections 7.1 and 8.4.
 * @module
 */
import { type Address, formatAddress, formatMac, type Mac } from "../base/ids.ts";
import { formatPrefix, type Ip, parseIp } from "../base/ip.ts";
import { type Rule, RuleType, type RuleValue } from "../credential/rule_codec.ts";
import { ICMP_CODE_MATCHED } from "../network/rules/matches.ts";
import { type JsonObject, type JsonValue, toBoolean, toText } from "./json.ts";

/** A rule as JSON: `type`, for matches `not` and `or`, and the fields of its type. */
export interface RuleJson extends JsonObject {
  type: string;
}

/** What the JSON calls a type, by number. */
const NAMES = new Map<number, string>(Object.entries(RuleType).map(([name, type]) => [type, name]));
/**
 * Types the API takes. Quirk: the reference renders INTEGER_RANGE and cannot parse it; a PRIORITY
 * without its bucket would be an ACCEPT.
 */
const PARSED = new Map<string, number>(
  Object.entries(RuleType).filter(([name]) =>
    name !== "ACTION_PRIORITY" && name !== "INTEGER_RANGE"
  ),
);

/** @returns undefined for a type the API does not take: the rule is left out of its list */
export function parseRule(json: JsonObject): Rule | undefined {
  const type = typeof json.type === "string" ? PARSED.get(json.type) : undefined;
  if (type === undefined) return undefined;
  const { not, or } = { not: toBoolean(json.not, false), or: toBoolean(json.or, false) };
  return { type, not, or, ...parseValue(type, json) };
}

/** An integer masked to a width: fractions are cut, negatives wrap around, text gives its leading decimal digits. */
function integer(value: JsonValue | undefined, bits: number): number {
  if (typeof value === "number") return Number(BigInt.asUintN(bits, BigInt(Math.trunc(value))));
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value !== "string") return 0;
  return Number(BigInt.asUintN(bits, BigInt(/^\d+/.exec(value)?.[0] ?? 0)));
}

/** Leading hexadecimal digits, the lowest `bits` of them. */
function hexadecimal(text: string, bits: number): bigint {
  const digits = /^[0-9a-fA-F]{1,16}/.exec(text)?.[0];
  return BigInt.asUintN(bits, digits ? BigInt(`0x${digits}`) : 0n);
}

function address(value: JsonValue | undefined): Address {
  return Number(hexadecimal(toText(value, ""), 40)) as Address;
}

function mac(value: JsonValue | undefined): Mac {
  return Number(hexadecimal(toText(value, "").replace(/[:-]/g, ""), 48)) as Mac;
}

/** Quirks: missing bits are /0, text that is no address is all zero. */
function prefix(value: JsonValue | undefined, length: 4 | 16): RuleValue {
  const [ipText, bitsText] = toText(value, "").split("/");
  const parsed = parseIp(ipText);
  const ip: Ip = parsed?.length === length ? parsed : new Uint8Array(length);
  const bits = Number(/^\d+/.exec(bitsText ?? "")?.[0] ?? 0);
  return { kind: "ip", ip, bits: Math.min(bits, 8 * length) };
}

function range({ start: startJson, end: endJson }: JsonObject): RuleValue {
  const start = integer(startJson, 16);
  const hasEnd = ["number", "string", "boolean"].includes(typeof endJson);
  return { kind: "range", start, end: hasEnd ? integer(endJson, 16) : start };
}

function icmp({ icmpType, icmpCode }: JsonObject): RuleValue {
  const hasCode = icmpCode !== null && icmpCode !== undefined;
  return {
    kind: "icmp",
    icmpType: integer(icmpType, 8),
    icmpCode: hasCode ? integer(icmpCode, 8) : 0,
    flags: hasCode ? ICMP_CODE_MATCHED : 0,
  };
}

function mask(value: JsonValue | undefined): bigint {
  if (typeof value === "number") return BigInt.asUintN(64, BigInt(Math.trunc(value)));
  return typeof value === "string" ? hexadecimal(value, 64) : 0n;
}

function parseValue(type: number, json: JsonObject): RuleValue {
  switch (type) {
    case RuleType.ACTION_TEE:
    case RuleType.ACTION_WATCH:
    case RuleType.ACTION_REDIRECT: {
      const isRedirect = type === RuleType.ACTION_REDIRECT;
      const length = isRedirect ? 0 : integer(json.length, 16);
      const [to, flags] = [address(json.address), integer(json.flags, 32)];
      return { kind: "forward", address: to, flags, length };
    }
    case RuleType.MATCH_SOURCE_ZEROTIER_ADDRESS:
    case RuleType.MATCH_DEST_ZEROTIER_ADDRESS:
      return { kind: "address", address: address(json.zt) };
    case RuleType.MATCH_MAC_SOURCE:
    case RuleType.MATCH_MAC_DEST:
      return { kind: "mac", mac: mac(json.mac) };
    case RuleType.MATCH_IPV4_SOURCE:
    case RuleType.MATCH_IPV4_DEST:
      return prefix(json.ip, 4);
    case RuleType.MATCH_IPV6_SOURCE:
    case RuleType.MATCH_IPV6_DEST:
      return prefix(json.ip, 16);
    case RuleType.MATCH_IP_TOS: {
      const [start, end] = [integer(json.start, 8), integer(json.end, 8)];
      return { kind: "tos", mask: integer(json.mask, 8), start, end };
    }
    case RuleType.MATCH_ICMP:
      return icmp(json);
    case RuleType.MATCH_IP_SOURCE_PORT_RANGE:
    case RuleType.MATCH_IP_DEST_PORT_RANGE:
    case RuleType.MATCH_FRAME_SIZE_RANGE:
      return range(json);
    case RuleType.MATCH_CHARACTERISTICS:
      return { kind: "characteristics", mask: mask(json.mask) };
    default:
      return parseNumbers(type, json);
  }
}

/** Types whose value is one number: its field and width. */
const NUMBERS = new Map<number, [field: string, bits: number]>([
  [RuleType.MATCH_VLAN_ID, ["vlanId", 16]],
  [RuleType.MATCH_VLAN_PCP, ["vlanPcp", 8]],
  [RuleType.MATCH_VLAN_DEI, ["vlanDei", 8]],
  [RuleType.MATCH_IP_PROTOCOL, ["ipProtocol", 8]],
  [RuleType.MATCH_ETHERTYPE, ["etherType", 16]],
  [RuleType.MATCH_RANDOM, ["probability", 32]],
]);

function parseNumbers(type: number, json: JsonObject): RuleValue {
  const number = NUMBERS.get(type);
  if (number) return { kind: "number", value: integer(json[number[0]], number[1]) };
  if (type >= RuleType.MATCH_TAGS_DIFFERENCE) {
    return { kind: "tag", id: integer(json.id, 32), value: integer(json.value, 32) };
  }
  return { kind: "none" };
}

/** The rule as the API returns it, keys in ascending order. Types without a name have only a number: "MATCH_63". */
export function renderRule(rule: Rule): RuleJson {
  const isMatch = rule.type >= 16;
  const type = NAMES.get(rule.type) ?? `${isMatch ? "MATCH" : "ACTION"}_${rule.type}`;
  const fields: RuleJson = { ...renderValue(rule), type };
  if (isMatch) {
    fields.not = rule.not;
    fields.or = rule.or;
  }
  return Object.fromEntries(Object.entries(fields).sort(([a], [b]) => a < b ? -1 : 1)) as RuleJson;
}

function renderValue(rule: Rule): JsonObject {
  switch (rule.kind) {
    case "forward": {
      const { flags, length } = rule;
      const to = { address: formatAddress(rule.address), flags };
      return rule.type === RuleType.ACTION_REDIRECT ? to : { ...to, length };
    }
    case "address":
      return { zt: formatAddress(rule.address) };
    case "number":
      return { [NUMBERS.get(rule.type)![0]]: rule.value };
    case "mac":
      return { mac: formatMac(rule.mac) };
    case "ip":
      return { ip: formatPrefix(rule) };
    case "tos":
      return { mask: rule.mask, start: rule.start, end: rule.end };
    case "icmp": {
      const hasCode = (rule.flags & ICMP_CODE_MATCHED) !== 0;
      return { icmpType: rule.icmpType, icmpCode: hasCode ? rule.icmpCode : null };
    }
    case "range":
      return { start: rule.start, end: rule.end };
    case "characteristics":
      return { mask: hex64(rule.mask) };
    case "tag":
      return { id: rule.id, value: rule.value };
    case "integer":
      return {
        start: hex64(rule.start),
        end: hex64(rule.end),
        idx: rule.index,
        little: (rule.format & 0x80) !== 0,
        bits: (rule.format & 0x3f) + 1,
      };
    case "none":
      return {};
  }
}

function hex64(value: bigint): string {
  return value.toString(16).padStart(16, "0");
}
