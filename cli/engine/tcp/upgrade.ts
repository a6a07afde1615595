/**
 * The HTTP exchange that turns a connection into a WebSocket, from both ends.
 *
 * Source: RFC 6455 section 4. Our subprotocol is named so that a later one can be told apart.
 * @module
 */
import { createHash } from "node:crypto";
import { Buffer } from "node:buffer";
import type { Head } from "../http_head.ts";

/** Name of what our WebSockets carry: messages of `payload.ts`. */
const SUBPROTOCOL = "zt-datagrams";
const MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 section 1.3
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
  return new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
}
