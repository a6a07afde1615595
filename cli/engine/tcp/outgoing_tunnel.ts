/**
 * One connection to a relay, in either protocol, direct or through an HTTP proxy. It makes no
 * decisions: it opens, carries datagrams and ends.
 * @module
 */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { concat } from "../../../lib/base/bytes.ts";
import { WireError } from "../../../lib/base/errors.ts";
import { type Endpoint, formatIp, type Ip, parseIp } from "../../../lib/base/ip.ts";
import type { Random } from "../../../lib/crypto/primitives.ts";
import { SocketStream } from "./byte_stream.ts";
import type { Framing } from "./framing.ts";
import { decodePayload, encodePayload } from "./payload.ts";
import { encodeGreeting, ReferenceFraming } from "./reference_framing.ts";
import { HEAD_LENGTH_MAX, parseHead } from "../http_head.ts";
import { ProxyDial, type ProxyHop, type ProxyTrouble } from "./proxy_dial.ts";
import { isUpgraded, upgradeRequest } from "./upgrade.ts";
import { WebSocketFraming } from "./websocket_framing.ts";

const NONCE_LENGTH = 16;

/** A relay and how to talk to it. */
export interface Relay {
  readonly endpoint: Endpoint;
  /** The reference's framing, or TLS with a WebSocket inside. */
  readonly protocol: "reference" | "websocket";
  /** The proxy on the way; absent for a direct connection. */
  readonly hop?: ProxyHop;
}

/** Where the machine itself connects to. */
export function firstHop({ endpoint, hop }: Relay): Endpoint {
  return hop?.at ?? endpoint;
}

/** What a tunnel needs and tells. */
export interface OutgoingOptions {
  readonly random: Random;
  /** Announced in the reference's greeting. */
  readonly version: readonly [number, number, number];
  /** Whether a local address is one of our own networks': a tunnel through ourselves would carry itself. */
  readonly isOwn: (ip: Ip) => boolean;
  /** What the proxy on the way said; undefined when it let us through. Not called without one. */
  readonly onProxy: (hop: ProxyHop, trouble: ProxyTrouble | undefined) => void;
  /** It can carry datagrams now. */
  readonly onOpen: () => void;
  /** Bytes are the receiver's to keep. */
  readonly onDatagram: (from: Endpoint, bytes: Uint8Array) => void;
  /** It is over, or never came to be. Called once. */
  readonly onClosed: () => void;
}

export class OutgoingTunnel {
  readonly relay: Relay;
  readonly #options: OutgoingOptions;
  readonly #dial: ProxyDial | undefined;
  #stream: SocketStream | undefined; // none while the proxy is asked
  readonly #nonce = new Uint8Array(NONCE_LENGTH);
  #framing: Framing | undefined; // while undefined the WebSocket is being agreed on
  #head: Uint8Array = new Uint8Array(0);
  #open = false;
  #isInHandshake = false;
  #isOver = false;

  constructor(relay: Relay, options: OutgoingOptions) {
    this.relay = relay;
    this.#options = options;
    const { hop } = relay;
    if (!hop) {
      this.#start(undefined);
      return;
    }
    this.#dial = new ProxyDial(hop, relay.endpoint, {
      onThrough: (socket) => {
        options.onProxy(hop, undefined);
        this.#start(socket);
      },
      onRefused: (trouble) => {
        options.onProxy(hop, trouble);
        this.close();
      },
    });
  }

  /** Whether TLS is being agreed on. */
  get isInHandshake(): boolean {
    return this.#isInHandshake;
  }

  /** @param through The relay is at its other end already; without it a connection is made */
  #start(through: Socket | undefined): void {
    const { endpoint: { ip, port }, protocol } = this.relay;
    const host = formatIp(ip);
    const to = through ? { socket: through } : { host, port };
    const isTls = this.#isInHandshake = protocol === "websocket";
    const socket: Socket = isTls
      // Who the relay is does not matter: what passes is sealed, and only our roots' answers count.
      ? connectTls({ ...to, rejectUnauthorized: false })
      : through ?? connectTcp({ host, port });
    // What a proxy gave us has it. Deno 2.4 hangs when TLS over a socket is told so.
    if (!through) socket.setNoDelay(true);
    this.#stream = new SocketStream(socket, {
      onData: (bytes) => this.#take(bytes),
      onClosed: () => this.#end(),
    });
    if (isTls) socket.once("secureConnect", () => this.#connected(socket, host));
    else if (!through) socket.once("connect", () => this.#connected(socket, host));
    else {
      through.resume();
      this.#connected(through, host);
    }
  }

  #connected(socket: Socket, host: string): void {
    this.#isInHandshake = false;
    const local = parseIp((socket.localAddress ?? "").replace(/^::ffff:(?=\d+\.)/i, ""));
    if (local && this.#options.isOwn(local)) return this.close();
    if (this.relay.protocol === "reference") {
      this.#framing = new ReferenceFraming();
      this.#stream!.write(this.#framing.wrap(encodeGreeting(this.#options.version)));
      return this.#opened();
    }
    this.#options.random(this.#nonce);
    const name = host.includes(":") ? `[${host}]` : host;
    this.#stream!.write(upgradeRequest(name, this.#nonce));
  }

  #opened(): void {
    this.#open = true;
    this.#options.onOpen();
  }

  #take(bytes: Uint8Array): void {
    if (this.#framing) return this.#messages(bytes);
    if (this.#head.length > HEAD_LENGTH_MAX) throw new WireError("HTTP head", "too long");
    this.#head = concat(this.#head, bytes);
    const head = parseHead(this.#head);
    if (!head) return;
    if (!isUpgraded(head, this.#nonce)) throw new WireError("WebSocket", "refused");
    const { random } = this.#options;
    this.#framing = new WebSocketFraming({ random, reply: (reply) => this.#stream!.write(reply) });
    this.#opened();
    this.#messages(head.rest);
  }

  #messages(bytes: Uint8Array): void {
    for (const message of this.#framing!.take(bytes)) {
      if (message.length === 4) continue; // a greeting: relays send none, and the reference ignores it
      const tunnelled = decodePayload(message);
      if (tunnelled) this.#options.onDatagram(tunnelled.endpoint, tunnelled.datagram);
    }
  }

  /** @returns false when it is lost: not open, or too much waits */
  send(to: Endpoint, datagram: Uint8Array): boolean {
    if (!this.#open || !this.#framing) return false;
    return this.#stream!.write(this.#framing.wrap(encodePayload({ endpoint: to, datagram })));
  }

  close(): void {
    this.#open = false;
    this.#dial?.close();
    if (this.#stream) this.#stream.close();
    else this.#end();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.onClosed();
  }
}
