/**
 * What the commands of the controller share: reading settings as a user types them, and naming objects.
 * @module
 */
import { ApiError, UsageError } from "../../lib/base/errors.ts";
import { networkOf, parsePrefix, type Prefix } from "../../lib/base/ip.ts";
import { formatIp, formatPrefix } from "../../lib/base/ip.ts";
import type { ApiClient } from "../api/client.ts";
import { isObject, type Json, type JsonObject, parseJson } from "../engine/json.ts";

/** How the value of a setting looks: "json" is JSON of a form only the controller knows, or text. */
type SettingKind = "text" | "flag" | "number" | "list" | "json";

/**
 * What may be set, by name. The controller itself drops or bends what it cannot read, as the
 * reference does: too late to tell.
 */
export type SettingKinds = Readonly<Record<string, SettingKind>>;

/** Settings of a network. Source: spec 05 section 7.1. */
export const NETWORK_SETTINGS: SettingKinds = {
  name: "text",
  private: "flag",
  enableBroadcast: "flag",
  multicastLimit: "number",
  mtu: "number",
  v4AssignMode: "json",
  v6AssignMode: "json",
  routes: "list",
  ipAssignmentPools: "list",
  rules: "list",
  capabilities: "list",
  tags: "list",
  authTokens: "json",
  dns: "json",
  names: "flag",
  remoteTraceTarget: "json",
  remoteTraceLevel: "number",
};

/** Settings of a member. Source: spec 05 section 7.1. */
export const MEMBER_SETTINGS: SettingKinds = {
  name: "text",
  authorized: "flag",
  activeBridge: "flag",
  noAutoAssignIps: "flag",
  ipAssignments: "list",
  tags: "list",
  capabilities: "list",
  authenticationExpiryTime: "number",
  remoteTraceTarget: "json",
  remoteTraceLevel: "number",
};

const KIND_WORDS: Record<Exclude<SettingKind, "text" | "json">, string> = {
  flag: "true or false",
  number: "a whole number from 0",
  list: "a list in JSON",
};

/**
 * Settings typed as key=value.
 * @throws {UsageError} when there is no "=", no such setting, or the value cannot be one
 */
export function parseAssignments(words: readonly string[], kinds: SettingKinds): JsonObject {
  const settings: JsonObject = {};
  for (const word of words) {
    const at = word.indexOf("=");
    if (at <= 0) throw new UsageError(`"${word}" is not key=value, e.g. name=office`);
    const key = word.slice(0, at);
    if (!Object.hasOwn(kinds, key)) {
      throw new UsageError(`there is no setting "${key}", but ${Object.keys(kinds).join(", ")}`);
    }
    settings[key] = valueOf(key, word.slice(at + 1), kinds[key]);
  }
  return settings;
}

function valueOf(key: string, text: string, kind: SettingKind): Json {
  if (kind === "text") return text;
  const value = parseValue(text);
  if (kind === "json" || isOfKind(value, kind)) return value;
  throw new UsageError(`${key} must be ${KIND_WORDS[kind]}, not "${text}"`);
}

function isOfKind(value: Json, kind: keyof typeof KIND_WORDS): boolean {
  switch (kind) {
    case "flag":
      return typeof value === "boolean";
    case "number":
      return Number.isSafeInteger(value) && Number(value) >= 0;
    case "list":
      return Array.isArray(value);
  }
}

function parseValue(text: string): Json {
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}

/**
 * The settings that make a controller hand out IPv4 addresses of a network: a route, a pool of its hosts, the mode.
 * @throws {UsageError} when it is no IPv4 network with room for two, or more than one organization has
 */
export function addressPool(text: string): JsonObject {
  const prefix = parsePrefix(text);
  if (
    !prefix || prefix.ip.length !== 4 || !text.includes("/") || prefix.bits > 30 ||
    prefix.bits < 8
  ) {
    throw new UsageError(`"${text}" is not an IPv4 network like 10.147.17.0/24`);
  }
  const network = networkOf(prefix);
  return {
    ipAssignmentPools: [{ ipRangeStart: hostAt(network, 1), ipRangeEnd: hostAt(network, -2) }],
    routes: [{ target: formatPrefix(network), via: null }],
    v4AssignMode: { zt: true },
  };
}

/** A host of a network: 1 the first, -1 the broadcast address, -2 the last. */
function hostAt(network: Prefix, index: number): string {
  const base = network.ip.reduce((sum, byte) => sum * 256 + byte, 0);
  const size = 2 ** (32 - network.bits);
  const host = base + (index < 0 ? size + index : index);
  return formatIp(Uint8Array.of(host >>> 24, host >>> 16, host >>> 8, host));
}

/** The object a route answers with. @throws {ApiError} in the user's words when there is none */
export async function controllerObject(
  api: ApiClient,
  method: string,
  path: string,
  what: string,
  body?: JsonObject,
): Promise<JsonObject> {
  const value = await callController(api, method, path, what, body);
  if (isObject(value)) return value;
  throw new ApiError(200, `the controller did not describe ${what}`);
}

/** @param what Named when it does not exist, e.g. "network 8056c2e21c000001" */
export async function callController(
  api: ApiClient,
  method: string,
  path: string,
  what: string,
  body?: JsonObject,
): Promise<Json> {
  try {
    return await api.call(method, path, body);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    throw new ApiError(404, `this controller has no ${what}`);
  }
}
