/**
 * The TCP port of a root's relay. The first byte says what a connection is: the reference's
 * framing, TLS with a WebSocket inside, or a WebSocket without TLS, for whoever puts a web server
 * with a real certificate in front.
 *
 * Deno serves TLS only on listeners of its own, and can put none over a connection that was read
 * from. So TLS connections are piped, as they are, through a listener on loopback that only we may
 * use.
 * @module
 */
import { concat } from "../../../lib/base/bytes.ts";
import { messageOf, SystemError, WireError } from "../../../lib/base/errors.ts";
import { type Endpoint, parseIp } from "../../../lib/base/ip.ts";
import { closeConn, ConnStream } from "./byte_stream.ts";
import type { Certificate } from "./certificate.ts";
import { FairTurns } from "./fair_turns.ts";
import type { Framing } from "./framing.ts";
import { REFERENCE_FIRST_BYTE, ReferenceFraming } from "./reference_framing.ts";
import { type RelayHub, siteOf } from "./relay_hub.ts";
import { HEAD_LENGTH_MAX, parseHead } from "../http_head.ts";
import { answerUpgrade } from "./upgrade.ts";
import { WebSocketFraming } from "./websocket_framing.ts";

const TLS_FIRST_BYTE = 0x16; // a handshake record
const HTTP_FIRST_BYTE = 0x47; // "G" of GET
const OPENING_MS = 10_000; // until a connection must have become a tunnel
/** Connections on their way to become one: bounds descriptors against who opens and says nothing. */
export const OPENING_MAX = 256;
const OPENING_PER_SITE_MAX = 32; // of which one host may have so many
const ORIGIN_MS = 2_000; // a connection to the loopback listener that is not ours by then is somebody else's
const ACCEPT_PAUSE_MS = 100; // after a failed accept, which is mostly want of descriptors
const READ_BYTES = 4_096;
const LOOPBACK = "127.0.0.1";

/** The outer end of a connection whose TLS ends at our loopback listener. */
interface Origin {
  readonly remote: Endpoint;
  /** It has become a tunnel: it no longer counts as opening. */
  readonly admitted: () => void;
  /** Ends all of it. */
  readonly drop: () => void;
}

export class RelayListener {
  readonly port: number;
  readonly #hub: RelayHub;
  readonly #public: Deno.TcpListener;
  readonly #tls: Deno.TlsListener;
  readonly #tlsPort: number;
  /** On their way to become tunnels, the oldest first; with whom they are counted for. */
  readonly #opening = new Map<Deno.Conn, string | undefined>();
  /** All that are open, to be closed in the end; with what is to end when one does. */
  readonly #conns = new Map<Deno.Conn, () => void>();
  /** Who is behind a connection to the loopback listener, by its port. */
  readonly #origins = new Map<number, PromiseWithResolvers<Origin | undefined>>();
  readonly #turns = new FairTurns();
  #closed = false;

  private constructor(
    hub: RelayHub,
    listener: Deno.TcpListener,
    tls: Deno.TlsListener,
    readonly openingMs: number,
  ) {
    this.#hub = hub;
    this.#public = listener;
    this.#tls = tls;
    this.port = (listener.addr as Deno.NetAddr).port;
    this.#tlsPort = (tls.addr as Deno.NetAddr).port;
    void this.#accept(listener, (conn) => this.#open(conn));
    void this.#accept(tls, (conn) => this.#openInner(conn));
  }

  /**
   * Listens on all addresses.
   * @param port 0 picks one
   * @param openingMs Time a connection has to become a tunnel; for tests
   * @throws {SystemError} when the port is taken or not allowed
   */
  static open(
    port: number,
    hub: RelayHub,
    certificate: Certificate,
    openingMs = OPENING_MS,
  ): RelayListener {
    const listener = listen(port);
    try {
      const tls = Deno.listenTls({ hostname: LOOPBACK, port: 0, ...certificate });
      return new RelayListener(hub, listener, tls, openingMs);
    } catch (error) {
      listener.close();
      throw refusal(port, error);
    }
  }

  async #accept(listener: Deno.Listener, serve: (conn: Deno.Conn) => Promise<void>): Promise<void> {
    while (!this.#closed) {
      let conn: Deno.Conn;
      try {
        conn = await listener.accept();
      } catch {
        if (!this.#closed) await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE_MS));
        continue;
      }
      this.#conns.set(conn, () => {});
      serve(conn).catch(() => this.#drop(conn)); // whatever broke was the far end's or the line's fault
    }
  }

  #drop(conn: Deno.Conn): void {
    const dropOthers = this.#conns.get(conn);
    this.#conns.delete(conn);
    closeConn(conn);
    dropOthers?.();
  }

  /** A connection from outside. */
  async #open(conn: Deno.Conn): Promise<void> {
    const remote = endpointOf(conn.remoteAddr as Deno.NetAddr);
    if (!remote || !this.#hub.hasRoomFor(remote)) return this.#drop(conn);
    const site = siteOf(remote.ip);
    this.#makeRoom(site);
    this.#opening.set(conn, site);
    await this.#inTime(conn, () => this.#become(conn, remote))
      .finally(() => this.#opening.delete(conn));
  }

  /** Drops the oldest: who means it is a tunnel within a few round trips. */
  #makeRoom(site: string | undefined): void {
    const all = [...this.#opening.keys()];
    const near = all.filter((conn) => site !== undefined && this.#opening.get(conn) === site);
    const isCrowded = near.length >= OPENING_PER_SITE_MAX;
    const oldest = isCrowded ? near[0] : all.length >= OPENING_MAX ? all[0] : undefined;
    if (!oldest) return;
    this.#opening.delete(oldest);
    this.#drop(oldest);
  }

  /** Always at the outer end: one in the middle of its TLS handshake is not ended by closing the inner. */
  async #inTime(conn: Deno.Conn, work: () => Promise<void>): Promise<void> {
    const timer = setTimeout(() => this.#drop(conn), this.openingMs);
    await work().finally(() => clearTimeout(timer));
  }

  async #become(conn: Deno.Conn, remote: Endpoint): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    const length = await conn.read(buffer);
    const first = buffer.subarray(0, length ?? 0);
    switch (first[0]) {
      case REFERENCE_FIRST_BYTE:
        return this.#admit(conn, remote, () => new ReferenceFraming(), first);
      case TLS_FIRST_BYTE:
        return await this.#pipe(conn, remote, first);
      case HTTP_FIRST_BYTE:
        return await this.#upgrade(conn, remote, first);
      default:
        return this.#drop(conn);
    }
  }

  /** Pipes a TLS connection through our own listener. Returns when it has become a tunnel, or ended before. */
  async #pipe(conn: Deno.Conn, remote: Endpoint, first: Uint8Array): Promise<void> {
    const inner = await Deno.connect({ hostname: LOOPBACK, port: this.#tlsPort });
    this.#conns.set(inner, () => {});
    const settled = Promise.withResolvers<void>();
    const { port } = inner.localAddr as Deno.NetAddr;
    const origin = this.#origin(port);
    const drop = () => {
      // Left only where nobody asked in time: the next connection from that port is another's.
      if (this.#origins.get(port) === origin) this.#origins.delete(port);
      this.#drop(inner);
      this.#drop(conn);
      settled.resolve();
    };
    origin.resolve({ remote, admitted: settled.resolve, drop });
    const writer = inner.writable.getWriter();
    await writer.write(first);
    writer.releaseLock();
    const pipes = [conn.readable.pipeTo(inner.writable), inner.readable.pipeTo(conn.writable)];
    for (const pipe of pipes) pipe.catch(() => {}).finally(drop);
    await settled.promise;
  }

  #origin(port: number): PromiseWithResolvers<Origin | undefined> {
    let origin = this.#origins.get(port);
    if (!origin) this.#origins.set(port, origin = Promise.withResolvers());
    return origin;
  }

  /** The same connection where its TLS ends. */
  async #openInner(conn: Deno.Conn): Promise<void> {
    const { port } = conn.remoteAddr as Deno.NetAddr;
    const waiting = this.#origin(port);
    const timer = setTimeout(() => waiting.resolve(undefined), ORIGIN_MS);
    const origin = await waiting.promise;
    clearTimeout(timer);
    this.#origins.delete(port);
    if (!origin) return this.#drop(conn);
    await this.#upgrade(conn, origin.remote, new Uint8Array(0));
    if (!this.#conns.has(conn)) return; // refused; what it was told is on its way
    // Pipes do not end while the far end takes nothing of what is in them.
    this.#conns.set(conn, origin.drop);
    origin.admitted();
  }

  /** @param first What was read of it before */
  async #upgrade(conn: Deno.Conn, remote: Endpoint, first: Uint8Array): Promise<void> {
    let bytes: Uint8Array = first.slice();
    let head = parseHead(bytes);
    const buffer = new Uint8Array(READ_BYTES);
    while (!head) {
      const length = await conn.read(buffer);
      if (length === null || bytes.length > HEAD_LENGTH_MAX) return this.#drop(conn);
      bytes = concat(bytes, buffer.subarray(0, length));
      head = parseHead(bytes);
    }
    const { accepted, answer } = answerUpgrade(head);
    for (let at = 0; at < answer.length;) at += await conn.write(answer.subarray(at));
    if (!accepted) return this.#drop(conn);
    this.#admit(conn, remote, (reply) => new WebSocketFraming({ reply }), head.rest);
  }

  #admit(
    conn: Deno.Conn,
    remote: Endpoint,
    framingOf: (reply: (bytes: Uint8Array) => void) => Framing,
    first: Uint8Array,
  ): void {
    const stream = new ConnStream(conn, {
      onData: (bytes) => {
        if (!tunnel) throw new WireError("tunnel", "no room");
        this.#hub.take(tunnel, bytes);
      },
      onClosed: () => {
        this.#drop(conn);
        if (tunnel) this.#hub.remove(tunnel);
      },
    }, this.#turns);
    const framing = framingOf((bytes) => stream.write(bytes));
    const greets = framing instanceof ReferenceFraming;
    const tunnel = this.#hub.add(remote, stream, framing, greets);
    if (!tunnel) return stream.close();
    setNoDelay(conn);
    stream.start(first);
  }

  /** Ends the port and every connection. */
  close(): void {
    this.#closed = true;
    this.#public.close();
    this.#tls.close();
    this.#hub.close();
    for (const conn of [...this.#conns.keys()]) this.#drop(conn);
    for (const origin of this.#origins.values()) origin.resolve(undefined);
  }
}

/** Both families where there is IPv6, else IPv4 alone. */
function listen(port: number): Deno.TcpListener {
  let last: unknown;
  for (const hostname of ["::", "0.0.0.0"]) {
    try {
      return Deno.listen({ hostname, port });
    } catch (error) {
      last = error;
      if (error instanceof Deno.errors.AddrInUse) break;
      if (error instanceof Deno.errors.PermissionDenied) break;
    }
  }
  throw refusal(port, last);
}

function refusal(port: number, error: unknown): SystemError {
  const [code, remedy] = error instanceof Deno.errors.AddrInUse
    ? ["EADDRINUSE", "another program uses it; choose another with tcpRelayPort"]
    : error instanceof Deno.errors.PermissionDenied
    ? ["EACCES", "ports below 1024 need root or cap_net_bind_service"]
    : [messageOf(error), undefined];
  return new SystemError(`listen on TCP port ${port}`, code ?? "", remedy);
}

/** The other end; IPv4 that came in over an IPv6 socket is IPv4. */
function endpointOf({ hostname, port }: Deno.NetAddr): Endpoint | undefined {
  const ip = parseIp(hostname.replace(/^::ffff:(?=\d+\.)/i, ""));
  return ip && { ip, port };
}

function setNoDelay(conn: Deno.Conn): void {
  if ("setNoDelay" in conn) (conn as Deno.TcpConn).setNoDelay(true);
}
