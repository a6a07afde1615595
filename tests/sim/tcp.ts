/**
 * TCP where UDP is blocked, as the engine does it: its own decision when to dial and when to hang
 * up, its own framing, its own relay. Only the connections are simulated: bytes arrive whole, in
 * order, after what the links take.
 * @module
 */
import { Engagement } from "../../cli/engine/tcp/engagement.ts";
import type { ByteStream } from "../../cli/engine/tcp/byte_stream.ts";
import { decodePayload, encodePayload } from "../../cli/engine/tcp/payload.ts";
import { encodeGreeting, ReferenceFraming } from "../../cli/engine/tcp/reference_framing.ts";
import { RelayHub } from "../../cli/engine/tcp/relay_hub.ts";
import { type Endpoint, sameEndpoint } from "../../lib/base/ip.ts";
import {
  isAccepted,
  type LocalSocket,
  type SocketId,
  TUNNEL_SOCKET_MIN,
} from "../../lib/peer/path.ts";
import type { SimHost } from "./host.ts";

const ONE_WAY_MS = 10; // from a node's link to a root's, as they are unless a scenario says otherwise
const TICK_MS = 1_000;
const SWEEP_TICKS = 5;
const CLIENT_PORT_MIN = 40_000;

/** One end of a connection; what is written comes out at the other. */
class Pipe implements ByteStream {
  other: Pipe | undefined; // until the far end has taken it up
  isOpen = true;

  constructor(
    readonly host: SimHost,
    readonly onData: (bytes: Uint8Array) => void,
    readonly onClosed: () => void,
  ) {}

  write(bytes: Uint8Array): boolean {
    if (!this.isOpen) return false;
    const { other } = this;
    this.host.config.world.after(ONE_WAY_MS, () => {
      if (other?.isOpen && other.host.isUp && !other.host.isAsleep) other.onData(bytes);
    });
    return true;
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.onClosed();
    const { other } = this;
    this.host.config.world.after(ONE_WAY_MS, () => other?.close());
  }
}

/** The connection of a node to a relay. */
interface Outgoing {
  readonly pipe: Pipe;
  readonly framing: ReferenceFraming;
  readonly socket: LocalSocket;
  isOpen: boolean;
}

/** What one process has of TCP. */
export class SimTcp {
  readonly #engagement: Engagement;
  readonly #hub: RelayHub;
  #outgoing: Outgoing | undefined;
  #nextSocket = TUNNEL_SOCKET_MIN;
  #ports = CLIENT_PORT_MIN;
  #ticks = 0;
  #decisions = 0;
  #isEnded = false;

  constructor(readonly host: SimHost, random: (bytes: Uint8Array) => void) {
    const { paths } = host.node.vl1;
    this.#engagement = new Engagement(random);
    this.#hub = new RelayHub({
      nowMs: () => host.config.world.nowMs,
      isSelf: (endpoint) => host.endpoints.some((own) => sameEndpoint(own, endpoint)),
      isProved: (socket, from) => paths.has(socket, from),
      isKnown: (endpoint) => paths.knows(endpoint),
      onDatagram: (socket, from, bytes) =>
        host.hand({ kind: "datagram", socket, from, bytes: bytes.slice() }),
      onSocket: () => host.tellLinks(),
      onHungUp: (socket, from) => host.hand({ kind: "hung-up", socket, from }),
      // For other roots than the one it is a tunnel to; nodes reach those through it as members' packets do.
      forwarder: () => ({ send: () => {}, close: () => {} }),
    });
    this.#tick();
  }

  get sockets(): LocalSocket[] {
    const { isOpen, socket } = this.#outgoing ?? {};
    return [...(isOpen ? [socket!] : []), ...this.#hub.sockets];
  }

  #tick(): void {
    if (this.#isEnded) return;
    if (++this.#ticks % SWEEP_TICKS === 0) this.#hub.sweep();
    if (!this.host.isAsleep) this.#decide();
    this.host.config.world.after(TICK_MS, () => this.#tick());
  }

  /** A root began or stopped to answer. */
  check(): void {
    this.host.config.world.after(0, () => this.#decide());
  }

  #isReached(accept: (socket: SocketId) => boolean): boolean {
    return this.host.node.vl1.upstreams.isReachedBy((path) => accept(path.socket));
  }

  #decide(): void {
    if (this.#isEnded) return;
    const { world } = this.host.config;
    const { upstreams } = this.host.node.vl1;
    const outgoing = this.#outgoing;
    const answers = outgoing !== undefined && this.#isReached((id) => id === outgoing.socket.id);
    const verdict = this.#engagement.decide({
      nowMs: world.nowMs,
      allowed: !upstreams.amUpstream && upstreams.addresses.length > 0,
      forced: false,
      udp: upstreams.isReachedBy((path) => !path.isTunnel),
      tunnel: outgoing === undefined ? "none" : outgoing.isOpen ? "up" : "dialing",
      tunnelAnswers: answers,
    });
    if (verdict === "hang-up") this.#outgoing?.pipe.close();
    if (verdict === "dial") this.#dial();
    const decision = ++this.#decisions;
    const waitMs = this.#engagement.nextMs - world.nowMs;
    if (waitMs === Infinity) return;
    world.after(Math.max(0, waitMs), () => {
      if (decision === this.#decisions) this.#decide();
    });
  }

  /** Connects to one of the roots that are up; a handshake takes a round trip, and so does a refusal. */
  #dial(): void {
    const { world, rng } = this.host.config;
    const roots = world.roots.filter((root) =>
      this.host.node.vl1.upstreams.isUpstream(root.address)
    );
    const root = rng.pick(roots);
    const socket = { id: this.#nextSocket++, ip: new Uint8Array(4), port: 0 };
    const framing = new ReferenceFraming();
    const pipe = new Pipe(
      this.host,
      (bytes) => this.#take(framing, socket.id, bytes),
      () => this.#closed(socket.id),
    );
    this.#outgoing = { pipe, framing, socket, isOpen: false };
    world.after(2 * ONE_WAY_MS, () => {
      if (!pipe.isOpen) return;
      const from = { ip: world.publicIp(), port: this.#ports++ };
      if (!root.isUp || !root.tcp!.accept(from, pipe)) return pipe.close();
      this.#outgoing!.isOpen = true;
      pipe.write(framing.wrap(encodeGreeting([1, 14, 1])));
      this.host.tellLinks();
    });
  }

  #take(framing: ReferenceFraming, socket: SocketId, bytes: Uint8Array): void {
    for (const message of framing.take(bytes)) {
      const tunnelled = decodePayload(message);
      if (!tunnelled) continue;
      const { endpoint: from, datagram } = tunnelled;
      this.host.hand({ kind: "datagram", socket, from, bytes: datagram.slice() });
    }
  }

  #closed(socket: SocketId): void {
    if (this.#outgoing?.socket.id !== socket) return;
    const { isOpen } = this.#outgoing;
    this.#outgoing = undefined;
    if (this.#isEnded) return;
    const { nowMs } = this.host.config.world;
    if (isOpen) this.#engagement.broke(nowMs);
    else this.#engagement.failed(nowMs);
    this.check();
    if (isOpen) this.host.tellLinks();
  }

  /** Somebody connects. @returns false when there is no room */
  accept(from: Endpoint, far: Pipe): boolean {
    const near = new Pipe(
      this.host,
      (bytes) => this.#hub.take(tunnel!, bytes),
      () => this.#hub.remove(tunnel!),
    );
    near.other = far;
    far.other = near;
    const tunnel = this.#hub.add(from, near, new ReferenceFraming(), true);
    return tunnel !== undefined;
  }

  /** Sends for the node. */
  send(socket: SocketId, to: Endpoint, datagram: Uint8Array): void {
    if (isAccepted(socket)) return void this.#hub.send(socket, to, datagram);
    if (this.#outgoing?.socket.id !== socket) return;
    const { pipe, framing } = this.#outgoing;
    pipe.write(framing.wrap(encodePayload({ endpoint: to, datagram })));
  }

  /** The process ends. */
  end(): void {
    this.#isEnded = true;
    this.#outgoing?.pipe.close();
    this.#hub.close();
  }
}
