/**
 * What network and member records share: how a posted field is coerced, and fields that never reach the store.
 *
 * Source: spec 05 sections 7.1 to 7.3 and 8.1.
 * @module
 */
import { formatIp, type Ip, parsePrefix, type Prefix } from "../base/ip.ts";
import { type JsonObject, jsonTypeName, type JsonValue } from "./json.ts";
import { ARRAY_LENGTH_MAX } from "./limits.ts";

/** A posted value of a type no coercion covers. Nothing is saved; the message is the reference's description. */
export class JsonTypeError extends Error {
  override name = "JsonTypeError";
  constructor(wanted: string, value: JsonValue) {
    super(`[json.exception.type_error.302] type must be ${wanted}, but is ${jsonTypeName(value)}`);
  }
}

/** Maps a posted array, leaving out what maps to undefined; at most 16384 items are kept. */
export function mapArray<T>(
  items: readonly JsonValue[],
  map: (item: JsonValue) => T | undefined,
): T[] {
  const kept: T[] = [];
  for (const item of items) {
    if (kept.length === ARRAY_LENGTH_MAX) break;
    const value = map(item);
    if (value !== undefined) kept.push(value);
  }
  return kept;
}

/** Sorts by key; of several with one key the last wins. */
export function uniqueByKey<T>(items: readonly T[], keyOf: (item: T) => number): T[] {
  const byKey = new Map(items.map((item) => [keyOf(item), item]));
  return [...byKey.entries()].sort(([a], [b]) => a - b).map(([, item]) => item);
}

/** A ten-character address text, else null. */
export function toTraceTarget(value: JsonValue | undefined): string | null {
  return typeof value === "string" && value.length === 10 ? value : null;
}

/**
 * "ip/bits". Missing bits mean 0, as in the reference: a route without them covers everything.
 * Text that is no address is refused, where the reference reads "1.2.3" as 0.0.0.0.
 */
export function parseTarget(value: JsonValue | undefined): Prefix | undefined {
  if (typeof value !== "string") return undefined;
  return parsePrefix(value.includes("/") ? value : `${value}/0`);
}

/** The address in "ip" or "ip/bits". */
export function parseAddressText(value: JsonValue | undefined): Ip | undefined {
  return typeof value === "string" ? parsePrefix(value)?.ip : undefined;
}

/** The address in canonical text, without its prefix length. */
export function normalizeAddress(value: JsonValue | undefined): string | undefined {
  const ip = parseAddressText(value);
  return ip && formatIp(ip);
}

/** A copy without the fields that are computed for display and must not be stored. */
export function withoutFields(record: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));
}
