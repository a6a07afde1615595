/**
 * JSON values as the controller keeps them, and the coercions its API applies to what it is sent:
 * lenient, because tools post form values, numbers as text and the like.
 *
 * Source: spec 05 sections 7.1 and 9.2.
 * @module
 */

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;
export interface JsonObject {
  [key: string]: JsonValue;
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * An integer from 0 to 2^53 - 1: fractions are cut, text gives its leading decimal digits, booleans 0 or 1.
 * The reference wraps negatives around to 2^64; we clamp them to 0.
 * @param fallback For anything else, `null` included
 */
export function toInteger(value: JsonValue | undefined, fallback: number): number {
  switch (typeof value) {
    case "number":
      return clampInteger(value);
    case "string":
      return clampInteger(Number(/^\d+/.exec(value)?.[0] ?? 0));
    case "boolean":
      return value ? 1 : 0;
    default:
      return fallback;
  }
}

function clampInteger(value: number): number {
  return Math.min(Math.max(Math.trunc(value), 0), Number.MAX_SAFE_INTEGER);
}

/** A number is true when positive, text when it begins with "t", "T" or "1". */
export function toBoolean(value: JsonValue | undefined, fallback: boolean): boolean {
  switch (typeof value) {
    case "boolean":
      return value;
    case "number":
      return value > 0;
    case "string":
      return /^[tT1]/.test(value);
    default:
      return fallback;
  }
}

/** Numbers become decimal, booleans "1" and "0". */
export function toText(value: JsonValue | undefined, fallback: string): string {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
      return Number.isInteger(value) ? BigInt(value).toString() : String(value);
    case "boolean":
      return value ? "1" : "0";
    default:
      return fallback;
  }
}

/** The array, or an empty one. */
export function toArray(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}

/** The member of an object by name; undefined for anything that is not an object, and for inherited names. */
export function memberOf(value: JsonValue | undefined, key: string): JsonValue | undefined {
  return isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** Deep equality; the order of keys does not count. */
export function sameJson(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key], b[key]));
}

/** Whether two records say the same; `revision` counts the changes and is none itself. */
export function sameRecord(a: JsonObject, b: JsonObject): boolean {
  return sameJson({ ...a, revision: 0 }, { ...b, revision: 0 });
}

/** A deep copy whose objects list their keys in ascending order, as the reference prints them. */
export function sortKeys(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value).sort().map((key) => [key, sortKeys(value[key])]),
  );
}

/** The reference's name of a value's type, for its error texts. */
export function jsonTypeName(value: JsonValue): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
