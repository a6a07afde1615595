/**
 * JSON as the local API speaks it: keys in alphabetical order, nothing between tokens, and numbers
 * that keep every digit they came with (a planet's id has 64 bits).
 *
 * Source: spec 06 section 3.3.
 * @module
 */

/** Any JSON value. Integers past 2^53 are `bigint`; other numbers whose text matters are {@linkcode JsonNumber}. */
export type Json = null | boolean | number | bigint | string | JsonNumber | Json[] | JsonObject;
/** A JSON object; a key whose value is undefined is not written. */
export type JsonObject = { [key: string]: Json | undefined };

/** A number as it was written, where JavaScript would write it otherwise: "0.0". */
export class JsonNumber {
  /** @param text A valid JSON number */
  constructor(readonly text: string) {}
}

const DEPTH_MAX = 64; // protects the stack: no body of ours is nested deeper than ten

/** Whether a value is a JSON object, not an array, a number or null. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof JsonNumber);
}

/**
 * Parses JSON text, keeping the digits of numbers JavaScript cannot hold.
 * @throws {SyntaxError} when malformed or nested deeper than 64
 */
export function parseJson(text: string): Json {
  if (depthOf(text) > DEPTH_MAX) throw new SyntaxError(`nested deeper than ${DEPTH_MAX}`);
  const reviver = (_key: string, value: Json, context?: { source?: string }): Json =>
    typeof value === "number" ? exactNumber(value, context?.source) : value;
  return JSON.parse(text, reviver as (key: string, value: unknown) => unknown);
}

function exactNumber(value: number, source: string | undefined): Json {
  if (source === undefined || String(value) === source) return value;
  return /^-?\d+$/.test(source) ? BigInt(source) : new JsonNumber(source);
}

/** Deepest nesting of brackets outside strings; malformed text gets some number, the parser judges it later. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '"') at = endOfString(text, at);
    else if (char === "[" || char === "{") deepest = Math.max(deepest, ++depth);
    else if (char === "]" || char === "}") depth--;
  }
  return deepest;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at;
}

/**
 * Writes JSON with sorted keys.
 * @param indent Spaces a level: 0 puts everything on one line with no space at all
 */
export function formatJson(value: Json, indent = 0): string {
  return write(value, indent, "\n");
}

function write(value: Json, indent: number, newline: string): string {
  if (value instanceof JsonNumber) return value.text;
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = newline + " ".repeat(indent);
  const [open, close, items] = Array.isArray(value)
    ? ["[", "]", value.map((item) => write(item, indent, inner))]
    : ["{", "}", writeEntries(value, indent, inner)];
  if (items.length === 0) return open + close;
  return indent === 0
    ? open + items.join(",") + close
    : open + inner + items.join("," + inner) + newline + close;
}

function writeEntries(value: JsonObject, indent: number, inner: string): string[] {
  const colon = indent === 0 ? ":" : ": ";
  const entries: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const item = value[key];
    if (item === undefined) continue;
    entries.push(JSON.stringify(key) + colon + write(item, indent, inner));
  }
  return entries;
}
