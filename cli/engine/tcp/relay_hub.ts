/**
 * The relay a root offers to those whose UDP is blocked: their tunnels, what each may do, and where their datagrams go.
 *
 * It is no open reflector. A datagram for this root goes straight into the node, as if from a
 * socket of its own, and the answers come back the same way. Anything else is passed on by UDP only
 * when the far end has proved over this very tunnel that it is a node we know, and only to
 * endpoints that other nodes have proved to be theirs. Whoever does not prove itself is cut off
 * soon and cheaply.
 *
 * Source: spec 03 section 21.3, with the restrictions it asks for.
 * @module
 */
import { WireError } from "../../../lib/base/errors.ts";
import {
  type Endpoint,
  formatEndpoint,
  formatIp,
  type Ip,
  sameEndpoint,
  Scope,
  scopeOf,
} from "../../../lib/base/ip.ts";
import { TokenBucket } from "../../../lib/base/rate.ts";
import { ACCEPTED_SOCKET_MIN, type LocalSocket, type SocketId } from "../../../lib/peer/path.ts";
import type { ByteStream } from "./byte_stream.ts";
import type { Framing } from "./framing.ts";
import { decodePayload, encodePayload } from "./payload.ts";
import { GREETING_LENGTH } from "./reference_framing.ts";

/** Most tunnels at once: each costs up to four descriptors and 128 KB of queues. */
export const TUNNELS_MAX = 1_024;
/**
 * Most tunnels from one {@linkcode siteOf}, so that one host cannot take all places. While half of
 * them are free only those count over which nobody proved to be a node: an office of hundreds is
 * behind one NAT, or in one /64.
 */
export const TUNNELS_PER_SITE_MAX = 64;
/** A tunnel over which nobody proved to be a node by now is cut. */
export const UNPROVED_MS = 30_000;
/** Most bytes taken from who has not proved itself: some fifty HELLOs. */
export const UNPROVED_BYTES_MAX = 65_536;
/** Without a word for this long a tunnel is cut; reference 300 s. Nodes send every 20 s. */
export const IDLE_MS = 300_000;
/** A tunnel's share of our line, each way; a burst of half a second. */
const BYTES_PER_SECOND = 8 * 1024 * 1024;
const BYTES_BURST = 4 * 1024 * 1024;
const OWN_ENDPOINTS_MAX = 64; // under how many addresses this root may be asked for
const DATAGRAM_LENGTH_MIN = 16; // as the reference's: shorter ones are no packets

const SITE_LENGTH = 8; // bytes of an IPv6 address: one host has all that begin with them

/**
 * Whom connections from an address are counted for; undefined for loopback: what comes by it comes
 * through a proxy of this machine's owner, for many.
 */
export function siteOf(ip: Ip): string | undefined {
  if (scopeOf(ip) === Scope.LOOPBACK) return undefined;
  return ip.length === 4 ? formatIp(ip) : ip.subarray(0, SITE_LENGTH).join(".");
}

/** Sends a tunnel's datagrams on by UDP, and its answers back. */
export interface Forwarder {
  send(to: Endpoint, datagram: Uint8Array): void;
  close(): void;
}

/** What the relay needs of the node and the machine. */
export interface HubOptions {
  readonly nowMs: () => number;
  /** Whether this endpoint is this root itself: listed in its world, or bound. */
  readonly isSelf: (endpoint: Endpoint) => boolean;
  /** Whether a node has proved that it is reached by this tunnel. */
  readonly isProved: (socket: SocketId, from: Endpoint) => boolean;
  /** Whether a node we know has proved this endpoint over UDP. */
  readonly isKnown: (endpoint: Endpoint) => boolean;
  /** A datagram for the node. Bytes are lent. */
  readonly onDatagram: (socket: SocketId, from: Endpoint, bytes: Uint8Array) => void;
  /** {@linkcode RelayHub.sockets} has one more. */
  readonly onSocket: () => void;
  readonly onHungUp: (socket: SocketId, from: Endpoint) => void;
  readonly forwarder: (
    family: 4 | 6,
    onDatagram: (from: Endpoint, bytes: Uint8Array) => void,
  ) => Forwarder;
}

/** One client. */
export class AcceptedTunnel {
  readonly createdMs: number;
  lastInMs: number;
  greeted = false;
  proved = false;
  unprovedBytes = 0;
  readonly inbound = new TokenBucket(BYTES_PER_SECOND, BYTES_BURST);
  readonly outbound = new TokenBucket(BYTES_PER_SECOND, BYTES_BURST);
  readonly forwarders = new Map<4 | 6, Forwarder>();
  /** Sockets of ours it was heard on. */
  readonly heardOn = new Set<SocketId>();
  readonly site: string | undefined;

  constructor(
    /** The far end of the TCP connection. */
    readonly remote: Endpoint,
    readonly stream: ByteStream,
    readonly framing: Framing,
    /** Whether its first message must be the reference's greeting. */
    readonly greets: boolean,
    nowMs: number,
  ) {
    this.createdMs = this.lastInMs = nowMs;
    this.site = siteOf(remote.ip);
  }
}

export class RelayHub {
  readonly #options: HubOptions;
  readonly #tunnels = new Map<string, AcceptedTunnel>(); // the oldest first
  /** The endpoints this root was asked for, each with its socket: answers must come from where the question went. */
  readonly #own: Endpoint[] = [];

  constructor(options: HubOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#tunnels.size;
  }

  /** What the node is to know as its sockets. */
  get sockets(): LocalSocket[] {
    return this.#own.map(({ ip }, index) => ({
      id: ACCEPTED_SOCKET_MIN + index,
      ip: new Uint8Array(ip.length),
      port: 0,
    }));
  }

  /** Whether there is room for one more from there; asked before a connection costs anything. */
  hasRoomFor(remote: Endpoint): boolean {
    const rivals = this.#rivalsOf(siteOf(remote.ip));
    return !rivals || rivals.some((tunnel) => !this.#isProved(tunnel));
  }

  /** Of whom one would have to go for one more from there; undefined while there is room for all. */
  #rivalsOf(site: string | undefined): AcceptedTunnel[] | undefined {
    const all = [...this.#tunnels.values()];
    const near = site === undefined ? [] : all.filter((tunnel) => tunnel.site === site);
    const isRoomy = all.length < TUNNELS_MAX / 2;
    const counted = isRoomy ? near.filter((tunnel) => !this.#isProved(tunnel)) : near;
    if (counted.length >= TUNNELS_PER_SITE_MAX) return counted;
    return all.length >= TUNNELS_MAX ? all : undefined;
  }

  #isProved(tunnel: AcceptedTunnel): boolean {
    return tunnel.proved ||= [...tunnel.heardOn].some((socket) =>
      this.#options.isProved(socket, tunnel.remote)
    );
  }

  /**
   * Takes in a connection; where there is no room, the oldest makes some of which nobody proved to
   * be a node: who is one has proved it within a second. From now on its bytes go to
   * {@linkcode take} and its end to {@linkcode remove}.
   * @returns undefined when there is no room
   */
  add(
    remote: Endpoint,
    stream: ByteStream,
    framing: Framing,
    greets: boolean,
  ): AcceptedTunnel | undefined {
    const key = formatEndpoint(remote);
    if (this.#tunnels.has(key)) return undefined;
    const rivals = this.#rivalsOf(siteOf(remote.ip));
    if (rivals) {
      const oldest = rivals.find((tunnel) => !this.#isProved(tunnel));
      if (!oldest) return undefined;
      oldest.stream.close();
    }
    const tunnel = new AcceptedTunnel(remote, stream, framing, greets, this.#options.nowMs());
    this.#tunnels.set(key, tunnel);
    return tunnel;
  }

  /** Bytes of a client. @throws {WireError} when they break the protocol: close it */
  take(tunnel: AcceptedTunnel, bytes: Uint8Array): void {
    tunnel.lastInMs = this.#options.nowMs();
    if (!tunnel.proved) {
      tunnel.unprovedBytes += bytes.length;
      if (tunnel.unprovedBytes > UNPROVED_BYTES_MAX) throw new WireError("tunnel", "not proved");
    }
    for (const message of tunnel.framing.take(bytes)) {
      if (tunnel.inbound.take(tunnel.lastInMs, message.length)) this.#message(tunnel, message);
    }
  }

  #message(tunnel: AcceptedTunnel, message: Uint8Array): void {
    if (tunnel.greets && message.length === GREETING_LENGTH) {
      tunnel.greeted = true;
      return;
    }
    // Clients older than the greeting name no destination; we serve none of them.
    if (tunnel.greets && !tunnel.greeted) throw new WireError("tunnel", "no greeting");
    const tunnelled = decodePayload(message);
    if (!tunnelled || tunnelled.datagram.length < DATAGRAM_LENGTH_MIN) return;
    const { endpoint, datagram } = tunnelled;
    const socket = this.#socketOf(endpoint);
    if (socket === undefined) return this.#forward(tunnel, endpoint, datagram);
    tunnel.heardOn.add(socket);
    this.#options.onDatagram(socket, tunnel.remote, datagram);
    tunnel.proved ||= this.#options.isProved(socket, tunnel.remote);
  }

  /** The socket that stands for an endpoint of ours; undefined when it is not ours. */
  #socketOf(endpoint: Endpoint): SocketId | undefined {
    const index = this.#own.findIndex((own) => sameEndpoint(own, endpoint));
    if (index >= 0) return ACCEPTED_SOCKET_MIN + index;
    if (this.#own.length >= OWN_ENDPOINTS_MAX || !this.#options.isSelf(endpoint)) return undefined;
    this.#own.push(endpoint);
    this.#options.onSocket();
    return ACCEPTED_SOCKET_MIN + this.#own.length - 1;
  }

  #forward(tunnel: AcceptedTunnel, to: Endpoint, datagram: Uint8Array): void {
    if (!tunnel.proved || !this.#options.isKnown(to)) return;
    const family = to.ip.length === 4 ? 4 : 6;
    let forwarder = tunnel.forwarders.get(family);
    if (!forwarder) {
      forwarder = this.#options.forwarder(
        family,
        (endpoint, bytes) => this.#back(tunnel, endpoint, bytes),
      );
      tunnel.forwarders.set(family, forwarder);
    }
    forwarder.send(to, datagram);
  }

  /** A datagram for a client. */
  #back(tunnel: AcceptedTunnel, endpoint: Endpoint, datagram: Uint8Array): boolean {
    if (!tunnel.outbound.take(this.#options.nowMs(), datagram.length)) return false;
    return tunnel.stream.write(tunnel.framing.wrap(encodePayload({ endpoint, datagram })));
  }

  /** Sends for the node. @returns false when it is lost: no such tunnel, or too much waits there */
  send(socket: SocketId, to: Endpoint, datagram: Uint8Array): boolean {
    const own = this.#own[socket - ACCEPTED_SOCKET_MIN];
    const tunnel = this.#tunnels.get(formatEndpoint(to));
    return own !== undefined && tunnel !== undefined && this.#back(tunnel, own, datagram);
  }

  /** A client is gone. */
  remove(tunnel: AcceptedTunnel): void {
    const key = formatEndpoint(tunnel.remote);
    if (this.#tunnels.get(key) !== tunnel) return;
    this.#tunnels.delete(key);
    for (const forwarder of tunnel.forwarders.values()) forwarder.close();
    for (const socket of tunnel.heardOn) this.#options.onHungUp(socket, tunnel.remote);
  }

  /** Cuts who is idle, and who did not prove itself in time. To be called every few seconds. */
  sweep(): void {
    const nowMs = this.#options.nowMs();
    for (const tunnel of [...this.#tunnels.values()]) {
      const late = !this.#isProved(tunnel) && nowMs - tunnel.createdMs >= UNPROVED_MS;
      if (late || nowMs - tunnel.lastInMs >= IDLE_MS) tunnel.stream.close();
    }
  }

  /** Ends every tunnel. */
  close(): void {
    for (const tunnel of [...this.#tunnels.values()]) tunnel.stream.close();
  }
}
