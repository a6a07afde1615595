/**
 * One node: the state machine over everything in `lib/`. Datagrams, frames, commands and the clock go in; datagrams,
 * frames, configurations and records come out. Start reading at {@linkcode Node.handle}.
 *
 * Source: spec 02 section 4, spec 03 sections 7 and 8.
 * @module
 */
import type { Address } from "../base/ids.ts";
import { type Endpoint, sameIp } from "../base/ip.ts";
import { Networks } from "../network/networks.ts";
import { isTunnel, type Path } from "../peer/path.ts";
import { heard, type Peer } from "../peer/peer.ts";
import { Relay } from "../root/relay.ts";
import { Verb } from "../wire/packet.ts";
import { ControllerAuthority } from "./authority.ts";
import { Beacons } from "./beacons.ts";
import { Bonds } from "./bonds.ts";
import { Claims } from "./claims.ts";
import { Contact } from "./contact.ts";
import { DirectPaths } from "./direct_paths.ts";
import { Doubts } from "./doubts.ts";
import { Greeter } from "./hello.ts";
import { Liveness } from "./liveness.ts";
import type { Action, Command, Input, Machine, NodeConfig, Time } from "./machine.ts";
import { Memory } from "./memory.ts";
import { PathMtu } from "./path_mtu.ts";
import { PortProbing } from "./port_probing.ts";
import { Publisher } from "./publisher.ts";
import { Receiver } from "./receiver.ts";
import { Surface } from "./surface.ts";
import { Vl1 } from "./vl1.ts";
import { VerbHandlers } from "./verbs.ts";
import { Whois } from "./whois.ts";

const HOUSEKEEPING_MS = 30_000; // reference ZT_HOUSEKEEPING_PERIOD
const OFFLINE_AFTER_MS = 60_000; // no upstream heard for this long: keepalive is 20 s, so three were missed

/** An authenticated, decompressed packet and how it came. */
export interface Received {
  readonly peer: Peer;
  readonly path: Path;
  readonly hops: number;
  readonly verb: number;
  readonly id: bigint;
  /** What follows the verb byte; lent. */
  readonly payload: Uint8Array;
}

/** What of a packet matters whatever it says. */
type Arrival = Pick<Received, "peer" | "path" | "hops" | "verb"> & { readonly id?: bigint };

/** What handling a packet came to: whether it counts as received, and whether the sender proved membership. */
export type Outcome = "received" | "trusted" | "dropped";

export class Node implements Machine {
  readonly vl1: Vl1;
  readonly whois: Whois;
  readonly greeter: Greeter;
  readonly claims: Claims;
  readonly contact: Contact;
  readonly bonds: Bonds;
  readonly liveness: Liveness;
  readonly pathMtu: PathMtu;
  readonly surface = new Surface();
  readonly portProbing: PortProbing;
  readonly directPaths: DirectPaths;
  readonly relay: Relay;
  readonly networks: Networks;
  readonly beacons: Beacons;
  readonly publisher: Publisher;
  readonly receiver: Receiver;
  readonly doubts: Doubts;
  readonly memory: Memory;
  readonly #verbs: VerbHandlers;
  readonly #authority: ControllerAuthority | undefined;
  #online = false;
  #housekeepingMs = -Infinity;

  constructor(config: NodeConfig) {
    const vl1 = this.vl1 = new Vl1(config);
    this.whois = new Whois(vl1);
    this.greeter = new Greeter(vl1, (greeting) => this.#verbs.greeted(greeting));
    this.claims = new Claims(vl1, this.whois, this.greeter.strangers);
    this.contact = new Contact(vl1, this.greeter);
    this.bonds = new Bonds(vl1, this.contact);
    this.liveness = new Liveness(vl1, this.contact, this.bonds);
    this.pathMtu = new PathMtu(vl1);
    this.portProbing = new PortProbing(vl1, this.contact, this.surface);
    const { contact, surface, portProbing, bonds } = this;
    this.directPaths = new DirectPaths(vl1, contact, surface, portProbing, bonds);
    this.relay = new Relay(vl1);
    this.networks = new Networks(vl1);
    this.memory = new Memory(this, vl1);
    this.beacons = new Beacons(vl1, contact, {
      isWanted: () => this.networks.all().length > 0,
      find: (address) => this.memory.recall(address) ?? vl1.peers.get(address),
    });
    this.receiver = new Receiver(this, vl1);
    this.doubts = new Doubts(this, vl1);
    this.#verbs = new VerbHandlers(this);
    this.publisher = new Publisher(vl1, this.networks, this);
    if (config.controller) {
      this.#authority = new ControllerAuthority(vl1, this.networks, config.controller);
      this.networks.authority = this.#authority;
    }
    this.#connect();
    vl1.upstreams.install();
  }

  /** What happens in one part and concerns another that it does not know. */
  #connect(): void {
    const { vl1, liveness, networks } = this;
    vl1.whois = (address) => {
      if (!this.memory.recall(address) && !this.whois.ask(address)) vl1.counters.drop("queue-full");
    };
    vl1.onRelayed = (peer) => this.#relayed(peer);
    vl1.onSuspect = (peer) => this.doubts.confirmed(peer);
    vl1.onLearned = (peer) => this.#learned(peer);
    // While its proof of work is checked here, it can check ours.
    this.claims.onClaimed = (peer) => this.#presentTo(peer);
    liveness.keeps = (address) => networks.keeps(address);
    networks.verbs.redispatch = (received) => this.dispatch(received);
    networks.onRemembered = (member) => {
      const peer = vl1.peers.get(member);
      if (peer) this.memory.remember(peer);
    };
  }

  get address(): Address {
    return this.vl1.address;
  }

  /** Whether an upstream answers us; a root always is. */
  get isOnline(): boolean {
    return this.#online || this.vl1.upstreams.amUpstream;
  }

  /** Takes in one thing that happened. Afterwards `poll()` until undefined. */
  handle(input: Input, time: Time): void {
    this.vl1.time.nowMs = time.nowMs;
    this.vl1.time.wallMs = time.wallMs;
    switch (input.kind) {
      case "datagram":
        return this.receiver.datagram(input.socket, input.from, input.bytes, input.whole ?? false);
      case "frame":
        return this.networks.frame(input.network, input.bytes);
      case "links":
        return this.#links(input);
      case "hung-up":
        return this.contact.hangUp(this.vl1.paths.get(input.socket, input.from));
      case "groups":
        return this.networks.groups(input.network, input.groups);
      case "port":
        return this.networks.port(input.network, input.failed);
      case "command":
        return this.#command(input.command);
      case "validated": {
        const { ticket, valid } = input;
        const peer = this.greeter.validated(ticket, valid) ?? this.claims.validated(ticket, valid);
        if (!peer) return;
        this.met(peer);
        // A root's nodes return all at once when it restarts, and their proofs would take it minutes.
        if (this.vl1.upstreams.amUpstream) this.memory.remember(peer);
        return;
      }
      case "opened":
        return this.receiver.opened(input.socket, input.from, input.bytes);
      case "traffic":
        return this.publisher.traffic(input);
      case "relayed":
        return this.relay.reported(input);
      case "plane-reset":
        return this.publisher.republish();
      case "controller":
        return this.#authority?.handle(input.input);
      case "timeout":
        return this.#timeout();
    }
  }

  poll(): Action | undefined {
    return this.vl1.outbox.poll();
  }

  get deadlineMs(): number {
    return Math.min(
      this.vl1.timers.nextMs,
      this.whois.deadlineMs,
      this.contact.deadlineMs,
      this.portProbing.deadlineMs,
      this.pathMtu.deadlineMs,
      this.beacons.deadlineMs,
      this.networks.deadlineMs,
      this.#authority?.deadlineMs ?? Infinity,
      this.publisher.deadlineMs,
      this.receiver.deadlineMs,
      this.#housekeepingMs + HOUSEKEEPING_MS,
    );
  }

  /** Runs the handler of an opened packet, then what every packet that counts brings about. */
  dispatch(received: Received): void {
    // Before the packet is handled: an answer must not go where the peer is no more.
    const { peer, path, hops, verb } = received;
    if (hops > 0 && NONTRIVIAL.has(verb)) this.doubts.raise(peer, path);
    const outcome = this.#verbs.handle(received);
    if (outcome !== "dropped") this.received(received, outcome === "trusted");
  }

  /**
   * The *received* procedure of spec 03 section 8: liveness, trust, paths.
   * @param received Its `id` may be missing: what the data plane reports are many packets
   */
  received(received: Arrival, trusted: boolean): void {
    const { peer, path, hops, verb, id } = received;
    const { nowMs } = this.vl1;
    const wasQuiet = nowMs - peer.lastReceiveMs > 0;
    peer.lastReceiveMs = nowMs;
    path.lastInMs = nowMs;
    if (NONTRIVIAL.has(verb)) {
      if (!peer.isActive(nowMs)) this.vl1.timers.setEarlier(peer, nowMs);
      peer.lastNontrivialMs = nowMs;
    }
    if (trusted) peer.lastTrustedMs = path.lastTrustedMs = nowMs;
    if (hops === 0) {
      const known = peer.find(path);
      if (known && ASKS.has(verb)) known.lastInMs = nowMs;
      else if (known) heard(known, nowMs);
      else if (verb !== Verb.OK) {
        const isNew = id !== undefined && !this.contact.isCopy(peer, id);
        const isAsked = this.contact.confirm(peer, path, isNew);
        if (isAsked && isNew && verb === Verb.HELLO) this.doubts.greeted(peer);
      }
      if (wasQuiet && this.vl1.upstreams.isUpstream(peer.address)) this.#heardUpstream(peer);
    }
    const relay = hops > 0 ? this.vl1.upstreams.at(path) : undefined;
    if (relay) this.vl1.shown(peer, relay);
    // What the data plane opened comes here only: `dispatch()` has raised them for the rest.
    if (hops > 0 && NONTRIVIAL.has(verb)) this.doubts.raise(peer, path);
    if (hops === 0 && NONTRIVIAL.has(verb)) this.doubts.diverted(peer, path);
    if (hops > 0 && TO_ONE.has(verb)) this.portProbing.used(peer);
    if (peer.isTrusted(nowMs)) {
      this.directPaths.maybePush(peer, path, peer.best(nowMs) !== undefined);
    }
    this.networks.seen(peer.address);
  }

  #heardUpstream(peer: Peer): void {
    if (!this.#online && peer.best(this.vl1.nowMs)) this.#setOnline(true);
  }

  #setOnline(online: boolean): void {
    this.#online = online;
    this.vl1.outbox.push({ kind: "event", event: { name: online ? "online" : "offline" } });
  }

  /** An identity became known: what waited for it can go on. */
  met(peer: Peer): void {
    this.whois.resolved(peer.address);
    this.receiver.met(peer);
    this.greeter.met(peer);
    if (peer.lastHelloSentMs === -Infinity) this.#presentTo(peer);
    this.vl1.flushQueue(peer);
    if (this.vl1.upstreams.isSeed(peer.address)) this.vl1.timers.set(peer, this.vl1.nowMs);
    this.#verbs.met(peer);
    this.networks.verbs.met(peer);
  }

  /**
   * Something is about to go by relay to a peer who may not know us. With our HELLO before it, it
   * need not ask a root who we are before it checks our identity.
   */
  #presentTo(peer: Peer): void {
    if (!this.vl1.queue.has(peer.address)) return;
    const route = this.vl1.route(peer);
    if (route?.relay) this.greeter.hello(peer, route.via.path, { relayed: true });
  }

  #learned(peer: Peer): void {
    this.portProbing.learned(peer);
    this.publisher.check(peer.address);
    if (this.vl1.upstreams.isUpstream(peer.address)) {
      this.upstreamChanged(peer);
      this.#heardUpstream(peer);
      this.#retryWaiting();
      this.networks.upstreamReached();
    }
  }

  /** A packet had to go by relay: see to it that a direct way is looked for. */
  #relayed(peer: Peer): void {
    peer.lastRelayedMs = this.vl1.nowMs;
    if (peer.lastReceiveMs >= peer.relayedSinceMs) peer.relayedSinceMs = this.vl1.nowMs;
    const hintMs = this.contact.hints.dueMs(peer.address);
    if (hintMs !== Infinity) this.vl1.timers.setEarlier(peer, Math.max(hintMs, this.vl1.nowMs));
  }

  /** How an upstream is reached changed. */
  upstreamChanged({ address }: Peer): void {
    this.vl1.outbox.push({ kind: "event", event: { name: "upstream", peer: address } });
  }

  /** The machine's sockets or addresses changed, or it woke from sleep. */
  #links(input: Input & { kind: "links" }): void {
    const { vl1 } = this;
    const gone = vl1.sockets.filter((old) => !input.sockets.some((socket) => socket.id === old.id));
    const added = input.sockets.filter((socket) =>
      !vl1.sockets.some((old) => old.id === socket.id)
    );
    // A tunnel that comes or goes says nothing about the paths there are, nor about where we are;
    // nor does another port of an address.
    const arrived = added.some(({ id, ip }) =>
      !isTunnel(id) && !vl1.sockets.some((old) => sameIp(old.ip, ip) && !gone.includes(old))
    );
    vl1.sockets = input.sockets;
    vl1.own = input.own;
    for (const socket of gone) {
      vl1.paths.dropSocket(socket.id);
      this.surface.dropSocket(socket.id);
    }
    this.portProbing.closeUnused();
    if (gone.length === 0 && added.length === 0 && !input.woke) return;
    const moved = input.woke || arrived || gone.some((socket) => !isTunnel(socket.id));
    for (const peer of vl1.peers.values()) {
      if (peer.paths.length === 0) continue;
      for (const path of [...peer.paths]) {
        if (!vl1.hasSocket(path.path.socket)) this.contact.lose(peer, path);
      }
      if (input.woke || arrived) peer.suspectAll();
      if (moved) {
        peer.pushesSent = 0;
        peer.lastPushSentMs = -Infinity; // where we are now is worth telling at once
      }
      vl1.timers.set(peer, vl1.nowMs);
    }
    this.liveness.contactUpstreams();
    this.liveness.handleTimeout();
    this.beacons.consider();
  }

  #command(command: Command): void {
    switch (command.kind) {
      case "join":
        this.networks.join(command.network, command.config, command.members);
        return this.beacons.consider();
      case "leave":
        return this.networks.leave(command.network);
      case "orbit":
        this.vl1.upstreams.orbit(command.world, command.seed, command.moon);
        this.#askSeeds();
        return this.liveness.contactUpstreams();
      case "deorbit":
        return this.vl1.upstreams.deorbit(command.world);
      case "planet":
        this.vl1.upstreams.usePlanet(command.planet);
        return this.liveness.contactUpstreams();
      case "try":
        return this.#try(command.addresses);
      case "mapped":
        return this.directPaths.setMapped(command.endpoints);
      case "greet-upstreams":
        return this.liveness.greetUpstreams();
      case "measure-upstreams":
        return this.#measureUpstreams();
    }
  }

  #measureUpstreams(): void {
    const { upstreams, nowMs } = this.vl1;
    for (const peer of upstreams.peers()) {
      const best = peer.best(nowMs);
      if (best && !best.path.isTunnel) this.pathMtu.use(peer, best.path);
    }
  }

  /** Takes what the configuration names; who is not known yet is asked for. */
  #try(addresses: ReadonlyMap<Address, readonly Endpoint[]>): void {
    const { vl1 } = this;
    this.contact.hints.configure(addresses, vl1.nowMs);
    for (const address of addresses.keys()) {
      const peer = vl1.peers.get(address);
      if (peer) vl1.timers.setEarlier(peer, vl1.nowMs);
      else vl1.whois(address);
    }
  }

  #timeout(): void {
    const { nowMs } = this.vl1;
    this.liveness.handleTimeout();
    this.contact.handleTimeout();
    this.portProbing.handleTimeout();
    this.pathMtu.handleTimeout();
    this.beacons.handleTimeout();
    this.whois.handleTimeout();
    this.networks.handleTimeout();
    this.publisher.handleTimeout();
    this.#authority?.handle({ kind: "timeout" });
    this.receiver.handleTimeout();
    if (nowMs >= this.#housekeepingMs + HOUSEKEEPING_MS) this.#housekeeping();
  }

  /** A way to an upstream opened: packets without a route, and questions nobody could be asked, go now. */
  #retryWaiting(): void {
    for (const address of this.vl1.queue.keys()) {
      const peer = this.vl1.peers.get(address);
      if (peer) this.vl1.flushQueue(peer);
      else this.whois.askAgain(address);
    }
    this.#askSeeds();
  }

  /** Turns to the seeds of moons we want: who they are, then for the moon. */
  #askSeeds(): void {
    for (const { seed } of this.vl1.upstreams.wanted) {
      const peer = this.vl1.peers.get(seed);
      if (peer) this.vl1.timers.setEarlier(peer, this.vl1.nowMs);
      else this.whois.ask(seed);
    }
  }

  #housekeeping(): void {
    const { vl1 } = this;
    const { nowMs } = vl1;
    this.#housekeepingMs = nowMs;
    vl1.queue.expire(nowMs);
    this.#askSeeds();
    this.beacons.consider();
    this.surface.expire(nowMs);
    this.portProbing.closeUnused();
    const heardMs = Math.max(...vl1.upstreams.peers().map((peer) => peer.lastReceiveMs));
    if (this.#online && nowMs - heardMs > OFFLINE_AFTER_MS) this.#setOnline(false);
    const used = new Set<Path>();
    for (const peer of vl1.peers.values()) {
      if (this.#isForgettable(peer)) {
        this.memory.remember(peer);
        vl1.timers.delete(peer);
        vl1.peers.delete(peer.address);
        this.bonds.end(peer);
        this.contact.forget(peer);
      } else {
        for (const path of peer.paths) used.add(path.path);
        this.contact.forgetProbed(peer);
      }
    }
    vl1.paths.collect((path) => !used.has(path));
  }

  #isForgettable(peer: Peer): boolean {
    const { nowMs, upstreams } = this.vl1;
    if (peer.isAlive(nowMs) || upstreams.isUpstream(peer.address)) return false;
    if (upstreams.mayUpdateWorlds(peer.address) || this.networks.needs(peer.address)) return false;
    // Known by WHOIS only and never heard: give it the time of a first contact.
    return peer.lastReceiveMs > -Infinity || nowMs - peer.metMs > HOUSEKEEPING_MS;
  }

  /** What should survive a restart: call before stopping. */
  shutdown(): void {
    for (const peer of this.vl1.peers.values()) this.memory.remember(peer);
    this.networks.rememberMembers();
  }
}

/**
 * Verbs that ask whether we are still there. They show that the peer reaches us, and rather that we
 * do not reach the peer: they must not quiet our own doubts, or a path that died in one direction
 * only would never be given up.
 */
const ASKS = new Set<number>([Verb.ECHO, Verb.HELLO]);
/** Verbs of frames for one receiver. */
const TO_ONE = new Set<number>([Verb.FRAME, Verb.EXT_FRAME]);
/** Verbs that show a peer is in use: only such peers are kept alive (spec 03 section 2). */
const NONTRIVIAL = new Set<number>([
  Verb.FRAME,
  Verb.EXT_FRAME,
  Verb.MULTICAST_FRAME,
  Verb.NETWORK_CONFIG_REQUEST,
  Verb.NETWORK_CONFIG,
]);
