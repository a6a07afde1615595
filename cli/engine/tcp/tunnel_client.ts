/**
 * One tunnel to a relay, and the attempt that finds it. An attempt starts one connection after the
 * other, each a moment after the one before, and hands all of them to the node as sockets; the
 * first by which a root's authenticated answer comes is the tunnel, and the others are closed. So
 * whatever a firewall does to either protocol, the faster way through wins. Connections through an
 * HTTP proxy run beside the direct ones, a moment behind: neither kind waits for the other.
 * @module
 */
import type { Endpoint, Ip } from "../../../lib/base/ip.ts";
import type { Random } from "../../../lib/crypto/primitives.ts";
import { type LocalSocket, type SocketId, TUNNEL_SOCKET_MIN } from "../../../lib/peer/path.ts";
import { OutgoingTunnel, type Relay } from "./outgoing_tunnel.ts";
import type { ProxyHop, ProxyTrouble } from "./proxy_dial.ts";

/** Wait before the next connection of an attempt: a near relay has answered by then. */
const STAGGER_MS = 300;
const CONNECT_MS = 5_000; // until a connection must be open
const PROVE_MS = 3_000; // from then until a root must have answered
/**
 * Most TLS handshakes cut short on one network; then TLS is left alone there. Deno 2.4 keeps the
 * descriptor of each until the far end closes, and where so many hang somebody swallows TLS anyway.
 */
export const STUCK_MAX = 256;
/**
 * Most connections of one kind in one attempt: bounds descriptors, and what a planet of many roots
 * makes us ask at once.
 */
export const CANDIDATES_MAX = 8;

/** What finding a tunnel needs of the node. */
export interface TunnelClientOptions {
  readonly random: Random;
  readonly version: readonly [number, number, number];
  readonly isOwn: (ip: Ip) => boolean;
  /** Whether a root answers by one of these sockets. */
  readonly isReachedBy: (sockets: readonly SocketId[]) => boolean;
  /** What a proxy said; undefined when it let us through. */
  readonly onProxy: (hop: ProxyHop, trouble: ProxyTrouble | undefined) => void;
  /** A datagram for the node. */
  readonly onDatagram: (socket: SocketId, from: Endpoint, bytes: Uint8Array) => void;
  /** {@linkcode TunnelClient.sockets} changed. */
  readonly onSockets: () => void;
  /** The attempt found a tunnel, or came to nothing, or the tunnel broke. */
  readonly onChange: (what: "up" | "failed" | "broken") => void;
}

/** Connections that are started one after the other: the direct ones of an attempt, or those through a proxy. */
interface Lane {
  /** Not started yet. */
  waiting: Relay[];
  /** More will be said of them. */
  isComing: boolean;
  stagger: ReturnType<typeof setTimeout> | undefined;
}

interface Candidate {
  readonly lane: Lane;
  readonly tunnel: OutgoingTunnel;
  /** One socket for each family of endpoints. */
  readonly sockets: readonly LocalSocket[];
  isOpen: boolean;
  timer: ReturnType<typeof setTimeout>;
}

export class TunnelClient {
  readonly #options: TunnelClientOptions;
  #candidates: Candidate[] = [];
  #lanes: Lane[] = []; // of the attempt
  #up: Candidate | undefined;
  #stuck = 0; // TLS handshakes cut short
  #nextSocket = TUNNEL_SOCKET_MIN; // never reused, as no socket's id is

  constructor(options: TunnelClientOptions) {
    this.#options = options;
  }

  get state(): "none" | "dialing" | "up" {
    if (this.#up) return "up";
    const isWaiting = this.#lanes.some(({ waiting, isComing }) => isComing || waiting.length > 0);
    return this.#candidates.length > 0 || isWaiting ? "dialing" : "none";
  }

  /** The relay in use. */
  get relay(): Relay | undefined {
    return this.#up?.tunnel.relay;
  }

  /** Of the attempt or the tunnel, whether connected yet or not. */
  get relays(): Relay[] {
    const waiting = this.#lanes.flatMap((lane) => lane.waiting);
    return [...this.#candidates.map(({ tunnel }) => tunnel.relay), ...waiting];
  }

  /** What the node is to know as its sockets. */
  get sockets(): LocalSocket[] {
    return this.#candidates.flatMap((candidate) => candidate.isOpen ? candidate.sockets : []);
  }

  /** Whether a root answers over the tunnel. */
  get isAnswered(): boolean {
    return this.#up !== undefined && this.#isReached(this.#up);
  }

  /**
   * Begins an attempt.
   * @param relays In the order to try them; of many only the first are
   * @param proxied The same through a proxy, when there is one; never rejects. They begin a moment after they are known
   */
  dial(relays: readonly Relay[], proxied?: Promise<readonly Relay[]>): void {
    this.hangUp();
    const direct: Lane = { waiting: this.#usable(relays), isComing: false, stagger: undefined };
    this.#lanes = [direct];
    if (proxied) {
      const lane: Lane = { waiting: [], isComing: true, stagger: undefined };
      this.#lanes.push(lane);
      void proxied.then((found) => this.#found(lane, found));
    }
    this.#next(direct);
    this.#checkFailed();
  }

  #usable(relays: readonly Relay[]): Relay[] {
    return relays
      .filter(({ protocol }) => this.#stuck < STUCK_MAX || protocol === "reference")
      .slice(0, CANDIDATES_MAX);
  }

  #found(lane: Lane, relays: readonly Relay[]): void {
    if (!this.#lanes.includes(lane)) return; // the attempt is over
    lane.isComing = false;
    lane.waiting = this.#usable(relays);
    lane.stagger = setTimeout(() => this.#next(lane), STAGGER_MS);
    this.#checkFailed();
  }

  #checkFailed(): void {
    if (this.state === "none") this.#options.onChange("failed");
  }

  /** Starts the next connection of a lane. */
  #next(lane: Lane): void {
    clearTimeout(lane.stagger);
    const relay = lane.waiting.shift();
    if (!relay) return;
    const { random, version, isOwn } = this.#options;
    const ids = [this.#nextSocket++, this.#nextSocket++];
    const sockets = [4, 16].map((length, i) => ({
      id: ids[i],
      ip: new Uint8Array(length),
      port: 0,
    }));
    const tunnel = new OutgoingTunnel(relay, {
      random,
      version,
      isOwn,
      onProxy: (hop, trouble) => this.#proxySaid(lane, hop, trouble),
      onOpen: () => this.#opened(candidate),
      onDatagram: (from, bytes) => this.#datagram(candidate, from, bytes),
      onClosed: () => this.#closed(candidate),
    });
    const timer = setTimeout(() => this.#cut(candidate), CONNECT_MS);
    const candidate: Candidate = { lane, tunnel, sockets, isOpen: false, timer };
    this.#candidates.push(candidate);
    if (lane.waiting.length > 0) lane.stagger = setTimeout(() => this.#next(lane), STAGGER_MS);
  }

  #proxySaid(lane: Lane, hop: ProxyHop, trouble: ProxyTrouble | undefined): void {
    if (trouble?.kind === "password") lane.waiting = []; // asked again, it may lock the account
    this.#options.onProxy(hop, trouble);
  }

  #opened(candidate: Candidate): void {
    candidate.isOpen = true;
    clearTimeout(candidate.timer);
    candidate.timer = setTimeout(() => this.#cut(candidate), PROVE_MS);
    this.#options.onSockets();
  }

  #datagram(candidate: Candidate, from: Endpoint, bytes: Uint8Array): void {
    const socket = candidate.sockets.find(({ ip }) => ip.length === from.ip.length)!;
    this.#options.onDatagram(socket.id, from, bytes);
    if (!this.#up && this.#candidates.includes(candidate) && this.#isReached(candidate)) {
      this.#won(candidate);
    }
  }

  #isReached(candidate: Candidate): boolean {
    return this.#options.isReachedBy(candidate.sockets.map(({ id }) => id));
  }

  #won(winner: Candidate): void {
    clearTimeout(winner.timer);
    this.#endLanes();
    this.#up = winner;
    const losers = this.#candidates.filter((candidate) => candidate !== winner);
    this.#candidates = [winner];
    for (const loser of losers) this.#cut(loser);
    if (losers.some((loser) => loser.isOpen)) this.#options.onSockets();
    this.#options.onChange("up");
  }

  #closed(candidate: Candidate): void {
    clearTimeout(candidate.timer);
    if (!this.#candidates.includes(candidate)) return; // we closed it
    this.#candidates = this.#candidates.filter((other) => other !== candidate);
    const broken = this.#up === candidate;
    if (broken) this.#up = undefined;
    if (candidate.isOpen) this.#options.onSockets();
    if (broken) return this.#options.onChange("broken");
    this.#next(candidate.lane); // no need to wait for a connection that failed
    this.#checkFailed();
  }

  #cut(candidate: Candidate): void {
    clearTimeout(candidate.timer);
    if (candidate.tunnel.isInHandshake) this.#stuck++;
    candidate.tunnel.close();
  }

  /** The network is another one: TLS may work there. */
  forgive(): void {
    this.#stuck = 0;
  }

  /** Ends tunnel and attempt. */
  hangUp(): void {
    this.#endLanes();
    this.#up = undefined;
    const ended = this.#candidates;
    this.#candidates = [];
    for (const candidate of ended) this.#cut(candidate);
    if (ended.some((candidate) => candidate.isOpen)) this.#options.onSockets();
  }

  #endLanes(): void {
    for (const lane of this.#lanes) {
      clearTimeout(lane.stagger);
      lane.waiting = []; // a connection of it that ends now starts no other
    }
    this.#lanes = [];
  }

  /** Sends for the node. @returns false when it is lost */
  send(socket: SocketId, to: Endpoint, bytes: Uint8Array): boolean {
    const owner = this.#candidates.find(({ sockets }) => sockets.some(({ id }) => id === socket));
    return owner?.tunnel.send(to, bytes) ?? false;
  }
}
