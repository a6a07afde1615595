/**
 * Reads one HTTP/1.1 request from a connection, within bounds.
 *
 * Source: RFC 9112 sections 2 to 7.
 * @module
 */
import { concat, text, utf8 } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import { type Head, parseHead } from "../engine/http_head.ts";

const BODY_MAX_BYTES = 4 * 1024 * 1024; // bounds memory a request takes; a network with 1,024 rules has 200 KB
const READ_BYTES = 16_384;
const CHUNK_LINE_LENGTH_MAX = 256; // a length in hexadecimal, and extensions nobody uses
const CONTINUE = utf8("HTTP/1.1 100 Continue\r\n\r\n");

/** A request without its body. */
export interface RequestHead {
  method: string;
  /** Path and query; begins with "/". */
  target: string;
  /** By name in small letters. */
  fields: ReadonlyMap<string, string>;
}

/** A request, whole. */
export interface HttpRequest extends RequestHead {
  body: string;
}

/** The request cannot be served; the client is told so by this status. */
export class HttpRefusal extends Error {
  override name = "HttpRefusal";

  constructor(readonly status: number) {
    super(`HTTP status ${status}`);
  }
}

/**
 * @param wantsBody Asked when the head is there; without its body a request is as if it had none
 * @returns undefined when the client hung up before it was whole
 * @throws {HttpRefusal} when it is none, or too large; whatever the connection throws
 */
export async function readRequest(
  conn: Deno.Conn,
  wantsBody: (head: RequestHead) => boolean,
): Promise<HttpRequest | undefined> {
  const source = new Source(conn);
  try {
    const { line, fields } = await source.takeHead();
    const [, method, target] = /^([!-~]+) ([!-~]+) HTTP\/1\.[01]$/.exec(line) ?? refuse(400);
    if (!target.startsWith("/")) refuse(400);
    const head = { method, target, fields };
    const body = wantsBody(head) ? text(await readBody(source, fields, conn)) : "";
    return { ...head, body };
  } catch (error) {
    if (error instanceof HungUp) return undefined;
    if (error instanceof WireError) refuse(400); // no head
    throw error;
  }
}

async function readBody(
  source: Source,
  fields: ReadonlyMap<string, string>,
  conn: Deno.Conn,
): Promise<Uint8Array> {
  const coding = fields.get("transfer-encoding");
  const length = fields.get("content-length");
  // Both at once is how requests are smuggled past something in between.
  if (coding !== undefined && length !== undefined) refuse(400);
  if (coding !== undefined && coding.toLowerCase() !== "chunked") refuse(501);
  if (length !== undefined && !/^\d+$/.test(length)) refuse(400);
  if (Number(length ?? 0) > BODY_MAX_BYTES) refuse(413);
  if (coding === undefined && length === undefined) return new Uint8Array(0);
  if (fields.get("expect")?.toLowerCase() === "100-continue") await writeAll(conn, CONTINUE);
  return coding === undefined ? await source.take(Number(length)) : await readChunks(source);
}

async function readChunks(source: Source): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let lengthBytes = 0;;) {
    const [, digits] = /^([0-9a-fA-F]{1,8})(?:[ \t]*;.*)?$/.exec(await source.takeLine()) ??
      refuse(400);
    const chunkBytes = parseInt(digits, 16);
    lengthBytes += chunkBytes;
    if (lengthBytes > BODY_MAX_BYTES) refuse(413);
    if (chunkBytes === 0) break;
    chunks.push(await source.take(chunkBytes));
    if (await source.takeLine() !== "") refuse(400);
  }
  // Fields may follow, which nobody needs.
  for (let lines = 0; await source.takeLine() !== "";) if (++lines > 16) refuse(400);
  return concat(...chunks);
}

function refuse(status: number): never {
  throw new HttpRefusal(status);
}

/** Writes every byte. */
export async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

class HungUp extends Error {}

/** What a connection brings, taken piece by piece. */
class Source {
  #held: Uint8Array = new Uint8Array(0);

  constructor(readonly conn: Deno.Conn) {}

  async #more(): Promise<void> {
    const chunk = new Uint8Array(READ_BYTES);
    const lengthBytes = await this.conn.read(chunk);
    if (lengthBytes === null) throw new HungUp();
    this.#held = concat(this.#held, chunk.subarray(0, lengthBytes));
  }

  /** @throws {WireError} when it is too long or no head */
  async takeHead(): Promise<Head> {
    for (;;) {
      const head = parseHead(this.#held);
      if (head) {
        this.#held = head.rest;
        return head;
      }
      await this.#more();
    }
  }

  async takeLine(): Promise<string> {
    for (;;) {
      const end = this.#held.indexOf(10);
      if (end > 0 && this.#held[end - 1] === 13) {
        const line = text(this.#held.subarray(0, end - 1));
        this.#held = this.#held.subarray(end + 1);
        return line;
      }
      if (end >= 0 || this.#held.length > CHUNK_LINE_LENGTH_MAX) refuse(400);
      await this.#more();
    }
  }

  async take(lengthBytes: number): Promise<Uint8Array> {
    const whole = new Uint8Array(lengthBytes);
    const at = Math.min(this.#held.length, lengthBytes);
    whole.set(this.#held.subarray(0, at));
    this.#held = this.#held.subarray(at);
    for (let have = at; have < lengthBytes;) {
      const got = await this.conn.read(whole.subarray(have));
      if (got === null) throw new HungUp();
      have += got;
    }
    return whole;
  }
}
