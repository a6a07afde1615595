/**
 * A path: one of our sockets and one remote endpoint. Peers that share a remote endpoint (those
 * behind one relay, or one that changed its identity) share its record.
 *
 * Source: spec 03 sections 2 and 9.
 * @module
 */
import { DEFAULT_PHYSICAL_MTU } from "../wire/packet.ts";
import { Slabs } from "../base/slab.ts";
import { type Endpoint, type Ip, type Scope, scopeOf } from "../base/ip.ts";
import { dropOldest } from "../base/oldest.ts";

/** Names one of this machine's sockets; never reused within a process. */
export type SocketId = number;

/**
 * Ids from here on are sockets a node asked for to open ports of its NAT
 * (`lib/node/port_probing.ts`): used for the path found there and for nothing else.
 */
export const DOOR_SOCKET_MIN: SocketId = 0x2000_0000;
/**
 * Ids from here on are tunnels: TCP connections that carry datagrams where UDP is blocked. They
 * lead to upstreams only, and are never preferred to a socket (spec 03 section 28 item 16).
 */
export const TUNNEL_SOCKET_MIN: SocketId = 0x4000_0000;
/** Of which ids from here on are tunnels that others made to us: they lead nowhere but back to who made them. */
export const ACCEPTED_SOCKET_MIN: SocketId = 0x6000_0000;

export function isTunnel(socket: SocketId): boolean {
  return socket >= TUNNEL_SOCKET_MIN;
}

export function isAccepted(socket: SocketId): boolean {
  return socket >= ACCEPTED_SOCKET_MIN;
}

/** One socket this node may send from. */
export interface LocalSocket {
  readonly id: SocketId;
  /** Address it is bound to; all zero for any. */
  readonly ip: Ip;
  readonly port: number;
  /** Interface the address belongs to, where that is known. */
  readonly device?: string;
}

/**
 * The other side answers one ECHO per path in 166 ms (spec 03 section 20); the rest is for
 * rounding.
 */
export const ECHO_GAP_MS = 170;

const SLOWER_WEIGHT = 0.125; // share of a sample above the smoothed latency: one late answer means little
const FASTER_WEIGHT = 0.5; // and of one below it: the first, with the other side's work in it, is soon forgotten

/** Endpoint as a map key that is cheap to make: a number for IPv4, a string for IPv6. */
export function endpointKey(endpoint: Endpoint): number | string {
  const { ip, port } = endpoint;
  if (ip.length === 4) {
    return ((ip[0] * 256 + ip[1]) * 256 + ip[2]) * 16_777_216 + ip[3] * 65_536 + port;
  }
  let key = "";
  for (let i = 0; i < 16; i += 2) key += String.fromCharCode((ip[i] << 8) | ip[i + 1]);
  return key + String.fromCharCode(port);
}

/** Endpoint as 32 bits that nobody can foresee who does not know the seed. */
export function endpointHash({ ip, port }: Endpoint, seed: number): number {
  let hash = seed ^ port;
  for (let i = 0; i < ip.length; i++) {
    hash = Math.imul(hash ^ ip[i], 0x85eb_ca6b);
    hash ^= hash >>> 13;
  }
  hash = Math.imul(hash, 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export class Path {
  readonly scope: Scope;
  /** Smoothed round trip in milliseconds; undefined until measured. */
  latencyMs: number | undefined;
  /** Last time anything authenticated arrived by it, from whichever peer. */
  lastInMs = -Infinity;
  lastOutMs = -Infinity;
  /** Last time a packet of a fellow member arrived by it: what a leaf relays for (spec 02 section 8). */
  lastTrustedMs = -Infinity;
  /**
   * Until when the ECHOs answered by it would have taken, one at a time at the rate they are
   * answered at: those of peers it is not known to lead to.
   */
  echoesUntilMs = -Infinity;
  /** Last time an ECHO of ours left by it, or was answered. */
  echoMs = -Infinity;
  /** Longest datagram it is taken to carry, in bytes of UDP payload. */
  mtu = DEFAULT_PHYSICAL_MTU;
  mtuCheckedMs = -Infinity;
  /** When it is asked again for more, and how long that was waited for; undefined where there is no more. */
  widening: { readonly delayMs: number; readonly dueMs: number } | undefined;
  /** Whether its address has answered a question of ours, and so is where it claims to be. */
  isProved = false;
  /**
   * Bytes that may still be sent there before it proves itself: what came from there minus what went
   * (spec 03 section 28 item 23).
   */
  creditBytes = 0;

  #endpoint: Endpoint;

  constructor(readonly socket: SocketId, endpoint: Endpoint) {
    this.#endpoint = endpoint;
    this.scope = scopeOf(endpoint.ip);
  }

  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  /** Keeps the address in slabs: for paths that stay. */
  settle(slabs: Slabs): void {
    const { ip, port } = this.#endpoint;
    this.#endpoint = { ip: slabs.copy(ip), port };
  }

  /** Socket and endpoint as a map key. */
  get key(): string {
    return pathKey(this.socket, this.#endpoint);
  }

  get isIpv4(): boolean {
    return this.endpoint.ip.length === 4;
  }

  /** Whether it runs over TCP; see {@linkcode TUNNEL_SOCKET_MIN}. */
  get isTunnel(): boolean {
    return isTunnel(this.socket);
  }

  /** Whether it is a tunnel the peer made to us: its endpoint is the far end of a TCP connection. */
  get isAccepted(): boolean {
    return isAccepted(this.socket);
  }

  /** From when on an ECHO that can wait may be sent: one sent sooner might not be answered. */
  get echoFreeMs(): number {
    return this.echoMs + ECHO_GAP_MS;
  }

  /** @param sampleMs One measured round trip */
  addLatency(sampleMs: number): void {
    const beforeMs = this.latencyMs ?? sampleMs;
    const weight = sampleMs < beforeMs ? FASTER_WEIGHT : SLOWER_WEIGHT;
    this.latencyMs = beforeMs + (sampleMs - beforeMs) * weight;
  }
}

const PATHS_MAX = 262_144; // bounds memory; a root with 100,000 clients uses about two a client
const UNPROVEN_MAX = 2_048; // bounds memory: sources of authentic packets that proved nothing; the oldest goes first
const CREDIT_MAX_BYTES = 16_384; // bounds what one address can be sent at once, however much came from it
/**
 * What a place may be sent that we turned to of our own accord, beside what we asked it: the
 * answers to its own questions, which cross ours. Introductions have a budget each, so nobody is
 * flooded.
 */
const INVITED_BYTES = 128;

/** All paths that peers have proved, by socket and endpoint; and for a while those that have not. */
export class Paths {
  readonly #bySocket = new Map<SocketId, Map<number | string, Path>>();
  readonly #slabs = new Slabs();
  readonly #unproven = new Map<string, Path>(); // the one heard longest ago first
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Sources remembered that have not proved their address. */
  get unprovenSize(): number {
    return this.#unproven.size;
  }

  /**
   * The known path, or a fresh one nobody remembers until {@linkcode keep} or {@linkcode hear}:
   * strangers cost nothing.
   */
  get(socket: SocketId, endpoint: Endpoint): Path {
    return this.#bySocket.get(socket)?.get(endpointKey(endpoint)) ??
      this.#unproven.get(pathKey(socket, endpoint)) ?? new Path(socket, endpoint);
  }

  /**
   * Something authentic came from there: as much may be sent back before the address proves itself.
   * @returns the path to go on with, which is the remembered one if there is one
   */
  hear(path: Path, lengthBytes: number): Path {
    if (path.isProved) return path;
    const known = this.get(path.socket, path.endpoint);
    const kept = known.isProved ? known : this.#remember(known);
    kept.creditBytes = Math.min(CREDIT_MAX_BYTES, kept.creditBytes + lengthBytes);
    return kept;
  }

  /** We turn to that address of our own accord: somebody introduced it, or it is an upstream's. */
  invite(path: Path): void {
    if (path.isProved || path.isTunnel) return;
    const kept = this.#remember(this.get(path.socket, path.endpoint));
    kept.creditBytes = Math.max(INVITED_BYTES, kept.creditBytes);
  }

  #remember(path: Path): Path {
    if (path.isTunnel) return path;
    const key = path.key;
    this.#unproven.delete(key);
    if (this.#unproven.size >= UNPROVEN_MAX) dropOldest(this.#unproven);
    this.#unproven.set(key, path);
    return path;
  }

  /** Whether a peer has proved this path. */
  has(socket: SocketId, endpoint: Endpoint): boolean {
    return this.#bySocket.get(socket)?.has(endpointKey(endpoint)) ?? false;
  }

  /** Whether a peer has proved this endpoint over UDP, by whichever socket. */
  knows(endpoint: Endpoint): boolean {
    const key = endpointKey(endpoint);
    for (const [socket, paths] of this.#bySocket) {
      if (!isTunnel(socket) && paths.has(key)) return true;
    }
    return false;
  }

  /** @returns false when the table is full */
  keep(path: Path): boolean {
    let paths = this.#bySocket.get(path.socket);
    if (!paths) this.#bySocket.set(path.socket, paths = new Map());
    const key = endpointKey(path.endpoint);
    if (paths.get(key) === path) return true;
    if (this.#size >= PATHS_MAX) return false;
    path.isProved = true;
    path.settle(this.#slabs);
    this.#unproven.delete(path.key);
    if (!paths.has(key)) this.#size++;
    paths.set(key, path);
    return true;
  }

  /** Forgets paths `unused` says nobody refers to. */
  collect(unused: (path: Path) => boolean): void {
    for (const paths of this.#bySocket.values()) {
      for (const [key, path] of paths) {
        if (unused(path)) {
          path.isProved = false;
          paths.delete(key);
          this.#size--;
        }
      }
    }
  }

  /** Forgets every path of a socket that was closed. */
  dropSocket(socket: SocketId): void {
    this.#size -= this.#bySocket.get(socket)?.size ?? 0;
    this.#bySocket.delete(socket);
    for (const [key, path] of this.#unproven) {
      if (path.socket === socket) this.#unproven.delete(key);
    }
  }
}

function pathKey(socket: SocketId, endpoint: Endpoint): string {
  return `${socket}|${endpointKey(endpoint)}`;
}
