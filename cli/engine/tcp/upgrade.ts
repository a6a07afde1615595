/**
 * The HTTP exchange that turns a connection into a WebSocket, from both ends.
 *
 * Source: RFC 6455 section 4. Our subprotocol is named so that a later one can be told apart.
 * @module
 */
import { createHash } from "node:crypto";
import { Buffer } from "node:buffer";
import { WireError } from "../../../lib/base/errors.ts";

/** Name of what our WebSockets carry: messages of `payload.ts`. */
export const SUBPROTOCOL = "zt-datagrams";
/** A head longer than this is none of ours; browsers' stay below. */
export const HEAD_LENGTH_MAX = 8_192;
const MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 section 1.3
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

/** What a client sends. @param nonce 16 random bytes */
export function upgradeRequest(host: string, nonce: Uint8Array): Uint8Array {
  return encode([
    "GET / HTTP/1.1",
    `Host: ${host}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${Buffer.from(nonce).toString("base64")}`,
    `Sec-WebSocket-Protocol: ${SUBPROTOCOL}`,
  ]);
}

/** Whether a server agreed to what was asked with this nonce. */
export function isUpgraded({ line, fields }: Head, nonce: Uint8Array): boolean {
  return /^HTTP\/1\.1 101( |$)/.test(line) &&
    fields.get("sec-websocket-accept") === acceptOf(Buffer.from(nonce).toString("base64")) &&
    fields.get("sec-websocket-protocol") === SUBPROTOCOL;
}

/** @returns what a server answers; `accepted` false when it then has to close */
export function answerUpgrade({ line, fields }: Head): { accepted: boolean; answer: Uint8Array } {
  const key = fields.get("sec-websocket-key");
  const accepted = /^GET \S+ HTTP\/1\.1$/.test(line) && key !== undefined &&
    listed(fields.get("upgrade"), "websocket") && listed(fields.get("connection"), "upgrade") &&
    fields.get("sec-websocket-version") === "13" &&
    listed(fields.get("sec-websocket-protocol"), SUBPROTOCOL);
  const answer = accepted
    ? encode([
      "HTTP/1.1 101 Switching Protocols",
      "Connection: Upgrade",
      "Upgrade: websocket",
      `Sec-WebSocket-Accept: ${acceptOf(key)}`,
      `Sec-WebSocket-Protocol: ${SUBPROTOCOL}`,
    ])
    : encode(["HTTP/1.1 404 Not Found", "Connection: close", "Content-Length: 0"]);
  return { accepted, answer };
}

function listed(field: string | undefined, word: string): boolean {
  return field?.split(",").some((part) => part.trim().toLowerCase() === word) ?? false;
}

function acceptOf(key: string): string {
  return createHash("sha1").update(key + MAGIC).digest("base64");
}

function encode(lines: readonly string[]): Uint8Array {
  return new TextEncoder().encode(lines.join("\r\n") + END);
}
