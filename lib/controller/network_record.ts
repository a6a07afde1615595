/**
 * The network object of the API: its defaults, and what a POST does to it.
 *
 * Source: spec 05 section 7.2.
 * @module
 */
import { formatIp } from "../base/ip.ts";
import {
  mapArray,
  normalizeAddress,
  parseAddressText,
  parseTarget,
  toTraceTarget,
  uniqueByKey,
  withoutFields,
} from "./coerced_fields.ts";
import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  memberOf,
  toArray,
  toBoolean,
  toInteger,
  toText,
} from "./json.ts";
import { MTU_DEFAULT, MTU_MAX, MTU_MIN } from "../credential/network_config.ts";
import { normalizeRules } from "./rule_list.ts";

const NOT_STORED = [
  "clock",
  "authorizedMemberCount",
  "activeMemberCount",
  "totalMemberCount",
  "lastModified",
];
const V6_MODES = ["6plane", "rfc4193", "zt"];

/** A network record with every field present. @param id 16 lower-case digits */
function completeNetwork(
  stored: JsonObject | undefined,
  id: string,
  wallMs: number,
): JsonObject {
  return {
    name: "",
    private: true,
    creationTime: wallMs,
    revision: 0,
    enableBroadcast: true,
    multicastLimit: 32,
    mtu: MTU_DEFAULT,
    v4AssignMode: { zt: false },
    v6AssignMode: { "6plane": false, rfc4193: false, zt: false },
    routes: [],
    ipAssignmentPools: [],
    rules: [{ not: false, or: false, type: "ACTION_ACCEPT" }],
    capabilities: [],
    tags: [],
    authTokens: [null],
    dns: [],
    remoteTraceTarget: null,
    remoteTraceLevel: 0,
    rulesSource: "",
    ssoEnabled: false,
    clientId: "",
    authorizationEndpoint: "",
    ...withoutFields(stored ?? {}, NOT_STORED),
    id,
    nwid: id,
    objtype: "network",
  };
}

/** How each posted field is stored; undefined leaves the stored value as it is. */
const FIELDS: Record<string, (value: JsonValue) => JsonValue | undefined> = {
  name: (value) => toText(value, ""),
  private: (value) => toBoolean(value, true),
  enableBroadcast: (value) => toBoolean(value, false),
  multicastLimit: (value) => toInteger(value, 32),
  mtu: toMtu,
  v4AssignMode: toV4Mode,
  v6AssignMode: toV6Mode,
  routes: ifArray(toRoute),
  ipAssignmentPools: ifArray(toPool),
  rules: (value) => Array.isArray(value) ? normalizeRules(value) : undefined,
  capabilities: toCapabilities,
  tags: toTags,
  authTokens: toTokens,
  dns: toDns,
  remoteTraceTarget: toTraceTarget,
  names: (value) => toBoolean(value, false), // ours; a record without it is as the reference has it
};

/**
 * The record after a POST; the stored one is left alone. Only fields present in the body change, except that
 * `remoteTraceLevel` falls back to 0 when absent, as in the reference.
 * @throws {JsonTypeError} when a field has a type no coercion covers
 */
export function updateNetwork(
  stored: JsonObject | undefined,
  body: JsonObject,
  id: string,
  wallMs: number,
): JsonObject {
  const record = completeNetwork(stored, id, wallMs);
  for (const [name, coerce] of Object.entries(FIELDS)) {
    if (!Object.hasOwn(body, name)) continue;
    const value = coerce(body[name]);
    if (value !== undefined) record[name] = value;
  }
  record.remoteTraceLevel = toInteger(memberOf(body, "remoteTraceLevel"), 0);
  return record;
}

function ifArray(
  map: (item: JsonValue) => JsonValue | undefined,
): (value: JsonValue) => JsonValue | undefined {
  return (value) => Array.isArray(value) ? mapArray(value, map) : undefined;
}

function toMtu(value: JsonValue): number {
  if (typeof value === "number" && value < 0) return MTU_MAX; // the reference wraps, then clamps
  return Math.min(Math.max(toInteger(value, MTU_DEFAULT), MTU_MIN), MTU_MAX);
}

function toV4Mode(value: JsonValue): JsonValue {
  if (typeof value === "string") return { zt: value === "zt" };
  return { zt: toBoolean(memberOf(value, "zt"), false) };
}

function toV6Mode(value: JsonValue): JsonValue {
  if (isJsonObject(value)) {
    const given = V6_MODES.filter((mode) => Object.hasOwn(value, mode));
    return Object.fromEntries(given.map((mode) => [mode, toBoolean(value[mode], false)]));
  }
  const named = typeof value === "string" ? value.split(",").map((mode) => mode.trim()) : [];
  return Object.fromEntries(V6_MODES.map((mode) => [mode, named.includes(mode)]));
}

function toRoute(item: JsonValue): JsonValue | undefined {
  const target = parseTarget(memberOf(item, "target"));
  if (!target) return undefined;
  const via = parseAddressText(memberOf(item, "via"));
  return {
    target: `${formatIp(target.ip)}/${target.bits}`,
    via: via && via.length === target.ip.length ? formatIp(via) : null,
  };
}

function toPool(item: JsonValue): JsonValue | undefined {
  const start = normalizeAddress(memberOf(item, "ipRangeStart"));
  const end = normalizeAddress(memberOf(item, "ipRangeEnd"));
  if (start === undefined || end === undefined) return undefined;
  if (start.includes(":") !== end.includes(":")) return undefined;
  return { ipRangeStart: start, ipRangeEnd: end };
}

function toCapabilities(value: JsonValue): JsonValue | undefined {
  if (!Array.isArray(value)) return undefined;
  const items = mapArray(value, (item) =>
    isJsonObject(item)
      ? {
        id: toInteger(item.id, 0),
        default: toBoolean(item.default, false),
        rules: normalizeRules(toArray(item.rules)),
      }
      : undefined);
  return uniqueByKey(items, (item) => item.id);
}

function toTags(value: JsonValue): JsonValue | undefined {
  if (!Array.isArray(value)) return undefined;
  const items = mapArray(value, (item) =>
    isJsonObject(item)
      ? {
        id: toInteger(item.id, 0),
        default: item.default === null || item.default === undefined
          ? null
          : toInteger(item.default, 0),
      }
      : undefined);
  return uniqueByKey(items, (item) => item.id);
}

function toTokens(value: JsonValue): JsonValue {
  if (!isJsonObject(value)) return [null];
  const valid = Object.entries(value).filter(([, expiry]) =>
    typeof expiry === "number" && expiry >= 0
  );
  return valid.length > 0 ? Object.fromEntries(valid) : null;
}

function toDns(value: JsonValue): JsonValue | undefined {
  if (!isJsonObject(value)) return undefined;
  const dns: JsonObject = { domain: value.domain ?? null };
  if (Array.isArray(value.servers)) dns.servers = value.servers;
  return dns;
}
