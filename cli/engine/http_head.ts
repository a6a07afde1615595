/**
 * The head of an HTTP/1.1 message: its first line and its fields.
 *
 * Source: RFC 9112 sections 2 to 5.
 * @module
 */
import { Buffer } from "node:buffer";
import { WireError } from "../../lib/base/errors.ts";

/** A head longer than this is none of ours; browsers' stay below. */
export const HEAD_LENGTH_MAX = 8_192;
const END = "\r\n\r\n";

/** First line and header fields of a request or response. */
export interface Head {
  readonly line: string;
  /** By name in small letters. */
  readonly fields: ReadonlyMap<string, string>;
  /** What came behind it. */
  readonly rest: Uint8Array;
}

/**
 * @returns undefined until the head is whole
 * @throws {WireError} when it is too long or no head
 */
export function parseHead(bytes: Uint8Array): Head | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  const end = text.indexOf(END);
  if (end > HEAD_LENGTH_MAX || (end < 0 && bytes.length > HEAD_LENGTH_MAX)) {
    throw new WireError("HTTP head", "too long");
  }
  if (end < 0) return undefined;
  const [line, ...lines] = text.slice(0, end).split("\r\n");
  const fields = new Map<string, string>();
  for (const field of lines) {
    const colon = field.indexOf(":");
    if (colon <= 0) throw new WireError("HTTP head", "a field without a name");
    const name = field.slice(0, colon).toLowerCase();
    const known = fields.get(name);
    const value = field.slice(colon + 1).trim();
    fields.set(name, known === undefined ? value : `${known}, ${value}`);
  }
  return { line, fields, rest: bytes.slice(end + END.length) };
}
