/**
 * The member object of the API: its defaults, and what a POST does to it.
 *
 * Source: spec 05 section 7.3.
 * @module
 */
import {
  JsonTypeError,
  mapArray,
  normalizeAddress,
  toTraceTarget,
  uniqueByKey,
  withoutFields,
} from "./coerced_fields.ts";
import { type JsonObject, type JsonValue, toBoolean, toInteger, toText } from "./json.ts";

const NOT_STORED = [
  "clock",
  "physicalAddr",
  "recentLog",
  "lastModified",
  "lastRequestMetaData",
  "authenticationURL",
  "authenticationClientID",
];
const UINT32 = 0x1_0000_0000;

/** Whose record: ids in lower-case hexadecimal, 16 and 10 digits. */
export interface MemberIds {
  readonly network: string;
  readonly member: string;
}

/** A member record with every field present, except `name` and `identity`, which have no default. */
export function completeMember(
  stored: JsonObject | undefined,
  ids: MemberIds,
  wallMs: number,
): JsonObject {
  return {
    authorized: false,
    activeBridge: false,
    noAutoAssignIps: false,
    ipAssignments: [],
    tags: [],
    capabilities: [],
    authenticationExpiryTime: 0,
    remoteTraceTarget: null,
    remoteTraceLevel: 0,
    ssoExempt: false,
    creationTime: wallMs,
    revision: 0,
    lastAuthorizedTime: 0,
    lastDeauthorizedTime: 0,
    lastAuthorizedCredentialType: null,
    lastAuthorizedCredential: null,
    vMajor: -1,
    vMinor: -1,
    vRev: -1,
    vProto: -1,
    ...withoutFields(stored ?? {}, NOT_STORED),
    id: ids.member,
    address: ids.member,
    nwid: ids.network,
    objtype: "member",
  };
}

/** How each posted field is stored; undefined leaves the stored value as it is. */
const FIELDS: Record<string, (value: JsonValue) => JsonValue | undefined> = {
  name: (value) => toText(value, ""),
  activeBridge: (value) => toBoolean(value, false),
  noAutoAssignIps: (value) => toBoolean(value, false),
  authenticationExpiryTime: (value) => toInteger(value, 0),
  remoteTraceTarget: toTraceTarget,
  // The reference resets the level whenever it is not posted, and at every config request; we keep it.
  remoteTraceLevel: (value) => toInteger(value, 0),
  ipAssignments: toAssignments,
  tags: toTagPairs,
  capabilities: toCapabilityIds,
};

/**
 * The record after a POST; the stored one is left alone. Only fields present in the body change.
 * @throws {JsonTypeError} when an assigned address is not text
 */
export function updateMember(
  stored: JsonObject | undefined,
  body: JsonObject,
  ids: MemberIds,
  wallMs: number,
): JsonObject {
  const record = completeMember(stored, ids, wallMs);
  for (const [name, coerce] of Object.entries(FIELDS)) {
    if (!Object.hasOwn(body, name)) continue;
    const value = coerce(body[name]);
    if (value !== undefined) record[name] = value;
  }
  if (Object.hasOwn(body, "authorized")) {
    setAuthorized(record, toBoolean(body.authorized, false), wallMs);
  }
  return record;
}

function setAuthorized(record: JsonObject, authorized: boolean, wallMs: number): void {
  if (authorized === isAuthorized(record)) return;
  if (authorized) authorize(record, { type: "api", credential: null }, wallMs);
  else Object.assign(record, { authorized: false, lastDeauthorizedTime: wallMs });
}

/** What let a member in: the API, a public network, or a token. */
export interface AuthorizedBy {
  readonly type: "api" | "public" | "token";
  /** Text of the token. */
  readonly credential: string | null;
}

/** Marks a record authorized. */
export function authorize(record: JsonObject, by: AuthorizedBy, wallMs: number): void {
  record.authorized = true;
  record.lastAuthorizedTime = wallMs;
  record.lastAuthorizedCredentialType = by.type;
  record.lastAuthorizedCredential = by.credential;
}

export function isAuthorized(record: JsonObject | undefined): boolean {
  return toBoolean(record?.authorized, false);
}

/** Whether a record was made by a stranger asking, and nobody has touched or authorized it since. */
export function isStranger(record: JsonObject): boolean {
  return !isAuthorized(record) && record.revision === 1 && typeof record.identity === "string" &&
    toInteger(record.lastAuthorizedTime, 0) === 0;
}

function toAssignments(value: JsonValue): JsonValue | undefined {
  if (!Array.isArray(value)) return undefined;
  return mapArray(value, (item) => {
    if (typeof item !== "string") throw new JsonTypeError("string", item);
    return normalizeAddress(item);
  });
}

function toTagPairs(value: JsonValue): JsonValue | undefined {
  if (!Array.isArray(value)) return undefined;
  const pairs = mapArray(
    value,
    (item) =>
      Array.isArray(item) && item.length === 2 ? [toUint32(item[0]), toUint32(item[1])] : undefined,
  );
  return uniqueByKey(pairs, ([id]) => id);
}

function toCapabilityIds(value: JsonValue): JsonValue | undefined {
  if (!Array.isArray(value)) return undefined;
  return uniqueByKey(mapArray(value, (item) => toInteger(item, 0)), (id) => id);
}

/** An integer masked to 32 bits. */
export function toUint32(value: JsonValue | undefined): number {
  return toInteger(value, 0) % UINT32;
}
