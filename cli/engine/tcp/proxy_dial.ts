/**
 * Asking an HTTP proxy for a way to a relay: one connection, one CONNECT, one answer.
 *
 * Source: RFC 9110 section 9.3.6 (CONNECT), RFC 7617 (Basic).
 * @module
 */
import { connect, type Socket } from "node:net";
import { concat } from "../../../lib/base/bytes.ts";
import { WireError } from "../../../lib/base/errors.ts";
import { type Endpoint, formatEndpoint, formatIp } from "../../../lib/base/ip.ts";
import { type Head, parseHead } from "../http_head.ts";
import type { HttpProxy } from "./http_proxy.ts";

/** Until the way must be there: a second less than a connection of an attempt has, for what follows. */
const ANSWER_MS = 4_000;
const SCHEMES_LENGTH_MAX = 60; // of what a proxy calls the ways to log in: it stands in one line
/** 407; tinyproxy answers 401 to a password that is wrong. */
const PASSWORD_STATUSES = ["407", "401"];

/** A proxy, and one of the addresses its name has. */
export interface ProxyHop {
  readonly proxy: HttpProxy;
  readonly at: Endpoint;
}

/** Why there is no way through. */
export interface ProxyTrouble {
  /**
   * - `unreachable`: the connection was refused, or there is no way to it.
   * - `silent`: it was not reached in time.
   * - `password`: 407, or 401.
   * - `refused`: any other answer, or none.
   * - `garbage`: something that is no HTTP.
   */
  readonly kind: "unreachable" | "silent" | "password" | "refused" | "garbage";
  /** One line that follows the proxy's name, e.g. "does not answer". */
  readonly text: string;
}

/** How it ends; one of them is called, once, unless it is closed before. */
export interface ProxyDialEvents {
  /** The relay is at the other end. The socket is the receiver's, and paused. */
  readonly onThrough: (socket: Socket) => void;
  readonly onRefused: (trouble: ProxyTrouble) => void;
}

export class ProxyDial {
  readonly #hop: ProxyHop;
  readonly #target: Endpoint;
  readonly #events: ProxyDialEvents;
  readonly #socket: Socket;
  readonly #timer: ReturnType<typeof setTimeout>;
  #head: Uint8Array = new Uint8Array(0);
  #isConnected = false;
  #isOver = false;
  readonly #onData = (bytes: Uint8Array) => this.#take(bytes);

  /** Begins at once. @param answerMs For tests */
  constructor(hop: ProxyHop, target: Endpoint, events: ProxyDialEvents, answerMs = ANSWER_MS) {
    this.#hop = hop;
    this.#target = target;
    this.#events = events;
    this.#timer = setTimeout(() => this.#refuse(this.#silence()), answerMs);
    const { ip, port } = hop.at;
    const socket = this.#socket = connect({ host: formatIp(ip), port });
    socket.setNoDelay(true);
    socket.once("connect", () => this.#connected());
    socket.on("data", this.#onData);
    // They stay when the socket is given away, and mean nothing then.
    socket.on("error", (error: NodeJS.ErrnoException) => this.#refuse(this.#broken(error.code)));
    socket.on("end", () => this.#refuse(this.#broken(undefined)));
    socket.on("close", () => this.#refuse(this.#broken(undefined)));
  }

  #connected(): void {
    this.#isConnected = true;
    this.#socket.write(connectRequest(this.#target, this.#hop.proxy));
  }

  #take(bytes: Uint8Array): void {
    if (this.#isOver) return;
    try {
      this.#head = concat(this.#head, bytes);
      const head = parseHead(this.#head);
      if (!head) return;
      const trouble = verdictOf(head, this.#hop.proxy, this.#target);
      if (trouble) return this.#refuse(trouble);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return this.#refuse({ kind: "garbage", text: `is no HTTP proxy (${error.message})` });
    }
    this.#end();
    this.#socket.off("data", this.#onData);
    this.#socket.pause();
    this.#events.onThrough(this.#socket);
  }

  #silence(): ProxyTrouble {
    const target = formatEndpoint(this.#target);
    return this.#isConnected
      ? { kind: "refused", text: `does not answer to CONNECT ${target}` }
      : { kind: "silent", text: "does not answer" };
  }

  #broken(code: string | undefined): ProxyTrouble {
    const why = code === undefined ? "" : ` (${code})`;
    return this.#isConnected
      ? { kind: "refused", text: `closed the connection instead of an answer${why}` }
      : { kind: "unreachable", text: `cannot be reached${why}` };
  }

  #refuse(trouble: ProxyTrouble): void {
    if (this.#isOver) return;
    this.close();
    this.#events.onRefused(trouble);
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  /** Gives up, without a word. Does nothing once it has ended. */
  close(): void {
    if (this.#isOver) return;
    this.#end();
    this.#socket.destroy();
  }
}

/** What a client sends to be connected. */
export function connectRequest({ ip, port }: Endpoint, { authorization }: HttpProxy): Uint8Array {
  const host = ip.length === 4 ? formatIp(ip) : `[${formatIp(ip)}]`;
  const lines = [`CONNECT ${host}:${port} HTTP/1.1`, `Host: ${host}:${port}`];
  if (authorization !== undefined) lines.push(`Proxy-Authorization: ${authorization}`);
  return new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
}

/** @returns undefined when we are through */
function verdictOf(head: Head, proxy: HttpProxy, target: Endpoint): ProxyTrouble | undefined {
  const status = /^HTTP\/1\.[01] ([1-5]\d\d)( |$)/.exec(head.line)?.[1];
  if (status === undefined) return { kind: "garbage", text: "is no HTTP proxy" };
  if (PASSWORD_STATUSES.includes(status)) {
    return { kind: "password", text: `${wish(head, proxy)} (${status})` };
  }
  if (!status.startsWith("2")) {
    return { kind: "refused", text: `answers ${status} to CONNECT ${formatEndpoint(target)}` };
  }
  // Neither TLS nor the reference's relay begins to talk.
  return head.rest.length === 0
    ? undefined
    : { kind: "garbage", text: "says more than it was asked" };
}

/** What would make it let us in. */
function wish({ fields }: Head, { authorization }: HttpProxy): string {
  const offered = fields.get("proxy-authenticate") ?? "";
  if (offered !== "" && !/\bbasic\b/i.test(offered)) {
    const shown = offered.replace(/[^\w -]/g, " ").slice(0, SCHEMES_LENGTH_MAX).trim();
    return `wants a log-in other than Basic, which is all zt knows: ${shown}`;
  }
  return authorization === undefined
    ? "asks for a user and a password"
    : "does not take the user and password it is given";
}
