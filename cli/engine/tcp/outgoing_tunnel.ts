/**
 * One connection to a relay, in either protocol. It makes no decisions: it opens, carries datagrams and ends.
 * @module
 */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { WireError } from "../../../lib/base/errors.ts";
import { type Endpoint, formatIp, type Ip, parseIp } from "../../../lib/base/ip.ts";
import type { Random } from "../../../lib/crypto/primitives.ts";
import { SocketStream } from "./byte_stream.ts";
import type { Framing } from "./framing.ts";
import { decodePayload, encodePayload } from "./payload.ts";
import { encodeGreeting, ReferenceFraming } from "./reference_framing.ts";
import { HEAD_LENGTH_MAX, parseHead } from "../http_head.ts";
import { isUpgraded, upgradeRequest } from "./upgrade.ts";
import { WebSocketFraming } from "./websocket_framing.ts";

const NONCE_LENGTH = 16;

/** A relay and how to talk to it. */
export interface Relay {
  readonly endpoint: Endpoint;
  /** The reference's framing, or TLS with a WebSocket inside. */
  readonly protocol: "reference" | "websocket";
}

/** What a tunnel needs and tells. */
export interface OutgoingOptions {
  readonly random: Random;
  /** Announced in the reference's greeting. */
  readonly version: readonly [number, number, number];
  /** Whether a local address is one of our own networks': a tunnel through ourselves would carry itself. */
  readonly isOwn: (ip: Ip) => boolean;
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
  readonly #stream: SocketStream;
  readonly #nonce = new Uint8Array(NONCE_LENGTH);
  #framing: Framing | undefined; // while undefined the WebSocket is being agreed on
  #head = new Uint8Array(0);
  #open = false;

  constructor(relay: Relay, options: OutgoingOptions) {
    this.relay = relay;
    this.#options = options;
    const { ip, port } = relay.endpoint;
    const host = formatIp(ip);
    const isTls = relay.protocol === "websocket";
    const socket: Socket = isTls
      // Who the relay is does not matter: what passes is sealed, and only our roots' answers count.
      ? connectTls({ host, port, rejectUnauthorized: false })
      : connectTcp({ host, port });
    this.#stream = new SocketStream(socket, {
      onData: (bytes) => this.#take(bytes),
      onClosed: () => options.onClosed(),
    });
    socket.once(isTls ? "secureConnect" : "connect", () => this.#connected(socket, host));
  }

  #connected(socket: Socket, host: string): void {
    const local = parseIp((socket.localAddress ?? "").replace(/^::ffff:(?=\d+\.)/i, ""));
    if (local && this.#options.isOwn(local)) return this.close();
    if (this.relay.protocol === "reference") {
      this.#framing = new ReferenceFraming();
      this.#stream.write(this.#framing.wrap(encodeGreeting(this.#options.version)));
      return this.#opened();
    }
    this.#options.random(this.#nonce);
    const name = host.includes(":") ? `[${host}]` : host;
    this.#stream.write(upgradeRequest(name, this.#nonce));
  }

  #opened(): void {
    this.#open = true;
    this.#options.onOpen();
  }

  #take(bytes: Uint8Array): void {
    if (this.#framing) return this.#messages(bytes);
    if (this.#head.length > HEAD_LENGTH_MAX) throw new WireError("HTTP head", "too long");
    this.#head = Uint8Array.of(...this.#head, ...bytes);
    const head = parseHead(this.#head);
    if (!head) return;
    if (!isUpgraded(head, this.#nonce)) throw new WireError("WebSocket", "refused");
    const { random } = this.#options;
    this.#framing = new WebSocketFraming({ random, reply: (reply) => this.#stream.write(reply) });
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
    return this.#stream.write(this.#framing.wrap(encodePayload({ endpoint: to, datagram })));
  }

  close(): void {
    this.#open = false;
    this.#stream.close();
  }
}
