/**
 * A network record read once into the types configs are made of, and kept until the record changes:
 * what a request costs does then not depend on how much JSON describes the network.
 *
 * Source: spec 05 sections 3.1 to 3.7 and 4.1.
 * @module
 */
import { type Address, type NetworkId, parseAddress } from "../base/ids.ts";
import type { Ip, Prefix } from "../base/ip.ts";
import { Writer } from "../base/bytes.ts";
import { CAPABILITY_RULES_MAX } from "../credential/capability.ts";
import { MTU_DEFAULT, MTU_MAX, MTU_MIN } from "../credential/network_config.ts";
import { ConfigLimits, type Dns } from "../credential/network_config_binary.ts";
import { encodeRules, type Rule, RuleType } from "../credential/rule_codec.ts";
import { parseAddressText, parseTarget } from "./coerced_fields.ts";
import {
  type JsonObject,
  type JsonValue,
  memberOf,
  toArray,
  toBoolean,
  toInteger,
  toText,
} from "./json.ts";
import {
  MULTICAST_LIMIT_MAX,
  SHORT_NAME_LENGTH_MAX,
  WINDOW_DEFAULT_MS,
  WINDOW_MAX_MS,
  WINDOW_MIN_MS,
} from "./limits.ts";
import { toUint32 } from "./member_record.ts";
import { parseRules } from "./rule_list.ts";
import { cutText } from "../base/cut_text.ts";

export interface NetworkRoute {
  readonly target: Prefix;
  /** Gateway of the target's family; undefined: on the network itself. */
  readonly via: Ip | undefined;
}

/** A range addresses are handed out from; both ends of one family. */
export interface Pool {
  readonly start: Ip;
  readonly end: Ip;
}

export interface NetworkCapability {
  /** Encoded, at most 64. */
  readonly rules: Uint8Array;
  readonly isDefault: boolean;
}

export interface CompiledNetwork {
  readonly id: NetworkId;
  readonly isPrivate: boolean;
  readonly revision: number;
  readonly name: string;
  readonly mtu: number;
  readonly multicastLimit: number;
  readonly broadcast: boolean;
  readonly traceTarget: Address;
  readonly traceLevel: number;
  /** How far apart in time two members' credentials may be. */
  readonly windowMs: number;
  /** Encoded. */
  readonly rules: Uint8Array;
  readonly capabilities: ReadonlyMap<number, NetworkCapability>;
  /** Default value of every tag that has one, by id. */
  readonly tagDefaults: ReadonlyMap<number, number>;
  readonly routes: readonly NetworkRoute[];
  readonly pools: readonly Pool[];
  readonly assignV4: boolean;
  readonly assignV6: boolean;
  readonly rfc4193: boolean;
  readonly sixPlane: boolean;
  readonly dns: Dns;
  readonly ssoEnabled: boolean;
  /** Whether members are told each other's names. */
  readonly names: boolean;
}

/** The only rule a node without a rules engine is given. */
export const ACCEPT_ALL: readonly Rule[] = [
  { type: RuleType.ACTION_ACCEPT, not: false, or: false, kind: "none" },
];

/** Reads a stored record, however odd: what does not parse is left out. */
export function compileNetwork(record: JsonObject, id: NetworkId): CompiledNetwork {
  const window = toInteger(record.certificateTimeoutWindowSize, WINDOW_DEFAULT_MS);
  return {
    id,
    isPrivate: toBoolean(record.private, true),
    revision: toInteger(record.revision, 0),
    name: cutText(toText(record.name, ""), SHORT_NAME_LENGTH_MAX),
    mtu: Math.min(Math.max(toInteger(record.mtu, MTU_DEFAULT), MTU_MIN), MTU_MAX),
    multicastLimit: Math.min(toInteger(record.multicastLimit, 32), MULTICAST_LIMIT_MAX),
    broadcast: toBoolean(record.enableBroadcast, true),
    traceTarget: parseAddress(toText(record.remoteTraceTarget, "")) ?? 0 as Address,
    traceLevel: toInteger(record.remoteTraceLevel, 0),
    windowMs: Math.min(Math.max(window, WINDOW_MIN_MS), WINDOW_MAX_MS),
    rules: encodeRecordRules(record.rules, ConfigLimits.RULES),
    capabilities: new Map(toArray(record.capabilities).map(compileCapability)),
    tagDefaults: compileTags(record.tags),
    routes: compileRoutes(record.routes),
    pools: compilePools(record.ipAssignmentPools),
    assignV4: toBoolean(memberOf(record.v4AssignMode, "zt"), false),
    assignV6: toBoolean(memberOf(record.v6AssignMode, "zt"), false),
    rfc4193: toBoolean(memberOf(record.v6AssignMode, "rfc4193"), false),
    sixPlane: toBoolean(memberOf(record.v6AssignMode, "6plane"), false),
    dns: compileDns(record.dns),
    ssoEnabled: toBoolean(record.ssoEnabled, false),
    // Off unless said: names in records made by other software were written for the owner's eyes only.
    names: toBoolean(record.names, false),
  };
}

function encodeRecordRules(rules: JsonValue | undefined, countMax: number): Uint8Array {
  const w = new Writer();
  encodeRules(parseRules(toArray(rules), countMax), w);
  return w.finish();
}

function compileCapability(item: JsonValue): [number, NetworkCapability] {
  const rules = encodeRecordRules(memberOf(item, "rules"), CAPABILITY_RULES_MAX);
  return [
    toUint32(memberOf(item, "id")),
    { rules, isDefault: toBoolean(memberOf(item, "default"), false) },
  ];
}

function compileTags(tags: JsonValue | undefined): Map<number, number> {
  const defaults = new Map<number, number>();
  for (const item of toArray(tags)) {
    const value = memberOf(item, "default");
    if (typeof value === "number") defaults.set(toUint32(memberOf(item, "id")), toUint32(value));
  }
  return defaults;
}

function compileRoutes(routes: JsonValue | undefined): NetworkRoute[] {
  const compiled: NetworkRoute[] = [];
  for (const item of toArray(routes)) {
    if (compiled.length === ConfigLimits.ROUTES) break;
    const target = parseTarget(memberOf(item, "target"));
    if (!target) continue;
    const via = parseAddressText(memberOf(item, "via"));
    compiled.push({ target, via: via?.length === target.ip.length ? via : undefined });
  }
  return compiled;
}

function compilePools(pools: JsonValue | undefined): Pool[] {
  return toArray(pools).flatMap((item) => {
    const start = parseAddressText(memberOf(item, "ipRangeStart"));
    const end = parseAddressText(memberOf(item, "ipRangeEnd"));
    return start && end && start.length === end.length ? [{ start, end }] : [];
  });
}

/** The first four servers; those that are no address are left out. */
function compileDns(dns: JsonValue | undefined): Dns {
  const domain = memberOf(dns, "domain");
  const texts = toArray(memberOf(dns, "servers")).slice(0, ConfigLimits.DNS_SERVERS);
  return {
    domain: typeof domain === "string" ? cutText(domain, SHORT_NAME_LENGTH_MAX) : "",
    servers: texts.map(parseAddressText).filter((ip) => ip !== undefined),
  };
}

/** Whether a token opens the network now: listed with an expiry of 0 (never) or later. */
export function isTokenValid(record: JsonObject, token: string, wallMs: number): boolean {
  const expiryMs = memberOf(record.authTokens, token);
  return typeof expiryMs === "number" && (expiryMs === 0 || expiryMs > wallMs);
}
