/**
 * One simulated machine: interfaces and sockets, a disk, a process that runs the shipping `Node`
 * (and `Controller`), and a TAP for every network. It does what the engine does and nothing else:
 * handle, poll, deadline.
 * @module
 */
import type { Address, NetworkId } from "../../lib/base/ids.ts";
import { type Endpoint, formatEndpoint, type Ip, type Prefix } from "../../lib/base/ip.ts";
import { Reader } from "../../lib/base/bytes.ts";
import { Controller, type JsonValue } from "../../lib/controller/mod.ts";
import type { Identity } from "../../lib/identity/identity.ts";
import { decodeWorld, type World as Planet } from "../../lib/identity/world.ts";
import type { Action, Input, NodeEvent, Persistent } from "../../lib/node/machine.ts";
import type { NodeSettings } from "../../lib/node/machine.ts";
import { Node } from "../../lib/node/node.ts";
import { type CachedPeer, decodeCachedPeer } from "../../lib/node/peer_cache.ts";
import { isTunnel, type LocalSocket, type SocketId } from "../../lib/peer/path.ts";
import {
  type Attachment,
  type Datagram,
  datagramOf,
  type LinkConditions,
  type Realm,
  wireBytes,
} from "./internet.ts";
import type { Firewall } from "./nat.ts";
import type { Rng } from "./rng.ts";
import { type Ping, Stack } from "./stack.ts";
import { SimStore } from "./store.ts";
import { SimTcp } from "./tcp.ts";
import type { World } from "./world.ts";

/** A network card: one address in one realm. */
export interface Interface {
  readonly realm: Realm;
  readonly ip: Ip;
  readonly link: LinkConditions;
  readonly firewall?: Firewall;
  readonly device?: string;
}

/** What a machine sent or received, IP and UDP headers included. */
export interface Traffic {
  packetsOut: number;
  bytesOut: number;
  packetsIn: number;
  bytesIn: number;
}

/** What an API call to the machine's controller came to. */
export interface ApiAnswer {
  readonly status: number;
  readonly json: JsonValue | undefined;
}

/** Where a machine takes the ports from that a program does not choose. */
const DOOR_PORT_MIN = 32_768;
const DOOR_PORTS = 28_232;
/** Between a frame leaving the node and the operating system answering it. */
const TAP_DELAY_MS = 1 / 64;

interface Bound {
  readonly interface: Interface;
  readonly socket: LocalSocket;
  readonly attachment: Attachment;
}

export interface HostConfig {
  readonly name: string;
  readonly identity: Identity;
  readonly world: World;
  readonly rng: Rng;
  readonly hasController: boolean;
  /** What its sockets are bound to at the next start. */
  udpPort: number;
  readonly settings: Partial<NodeSettings>;
}

export class SimHost {
  readonly name: string;
  readonly events: { atMs: number; event: NodeEvent }[] = [];
  readonly traffic: Traffic = { packetsOut: 0, bytesOut: 0, packetsIn: 0, bytesIn: 0 };
  readonly stacks = new Map<NetworkId, Stack>();
  /** Files of the home folder, by what they are. */
  disk = new Map<string, Kept>();
  store = new SimStore();
  node!: Node;
  isUp = false;
  /** World time of the last start. */
  bootedMs = -Infinity;
  isAsleep = false;
  /** Where its world has TCP. */
  tcp: SimTcp | undefined;
  /** How far its wall clock is off. */
  wallSkewMs = 0;
  #bound: Bound[] = [];
  /** Sockets the node asked for, by id: each shares the address of another, on a port of its own. */
  readonly #beside = new Map<SocketId, Bound>();
  #nextSocket = 1;
  #processes = 0;
  #nextTicket = 1;
  readonly #bootOffsetMs: number;
  readonly #replies = new Map<number, ApiAnswer>();
  readonly #backlog: (() => void)[] = [];

  constructor(readonly config: HostConfig) {
    this.name = config.name;
    this.#bootOffsetMs = config.rng.fork("boot").below(1_000_000);
  }

  get address(): Address {
    return this.config.identity.address;
  }

  get interfaces(): Interface[] {
    return this.#bound.map((bound) => bound.interface);
  }

  /** How many sockets the node asked for. */
  get socketsBeside(): number {
    return this.#beside.size;
  }

  /** Where others send to reach its sockets inside its own realm. */
  get endpoints(): Endpoint[] {
    return this.#bound.map(({ socket }) => ({ ip: socket.ip, port: socket.port }));
  }

  /** World time of the node's next deadline, never before it by rounding. */
  get deadlineMs(): number {
    if (!this.isUp || this.isAsleep) return Infinity;
    return Math.ceil((this.node.deadlineMs - this.#bootOffsetMs) * 1024) / 1024;
  }

  // --- power

  /** Starts the service, from what is on the disk. */
  boot(planet: Planet): void {
    const { identity, world, rng, hasController, settings } = this.config;
    const random = rng.fork(`process ${this.#processes++}`);
    const fill = (bytes: Uint8Array) => random.fill(bytes);
    const { primitives, kernel } = world;
    const controller = hasController
      ? new Controller({ identity, primitives, random: fill })
      : undefined;
    const saved = this.disk.get("planet");
    this.node = new Node({
      identity,
      planet: saved?.what === "planet" ? decodeWorld(new Reader(saved.bytes, "planet")) : planet,
      primitives,
      random: fill,
      kernel,
      controller,
      settings,
      recall: (address) => this.#recall(address),
    });
    if (world.options.hasTcp) this.tcp = new SimTcp(this, fill);
    this.isUp = true;
    this.bootedMs = world.nowMs;
    this.isAsleep = false;
    this.stacks.clear();
    this.#beside.clear();
    if (controller) {
      this.hand({ kind: "controller", input: { kind: "load", ...this.store.load() } });
    }
    this.#rebind(this.interfaces);
    for (const record of [...this.disk.values()]) {
      if (record.what !== "network") continue;
      const { network, bytes } = record;
      const members = this.disk.get(`members ${network}`);
      this.hand({
        kind: "command",
        command: {
          kind: "join",
          network,
          config: bytes,
          members: members?.what === "members" ? members.members : [],
        },
      });
    }
  }

  #recall(address: Address): CachedPeer | undefined {
    const record = this.disk.get(`peer ${address}`);
    return record?.what === "peer" ? decodeCachedPeer(record.bytes) : undefined;
  }

  /**
   * Ends the process.
   * @param graceful Whether it may still write what it wants to keep
   */
  stop(graceful = false): void {
    if (!this.isUp) return;
    if (graceful) {
      this.node.shutdown();
      this.#drain();
    }
    this.tcp?.end();
    this.tcp = undefined;
    this.isUp = false;
    this.#processes++;
    this.#backlog.length = 0;
    this.config.world.schedule(this);
  }

  /** Forgets everything on the disk but the identity. */
  wipe(): void {
    this.disk.clear();
    this.store = new SimStore();
  }

  /** The lid closes: nothing runs, clocks go on. */
  sleep(): void {
    this.isAsleep = true;
    this.config.world.schedule(this);
  }

  wake(): void {
    this.isAsleep = false;
    this.hand({ kind: "links", sockets: this.#sockets(), own: this.#own(), woke: true });
    for (const run of this.#backlog.splice(0)) run();
  }

  // --- links

  /** Has other interfaces from now on; the node hears of it `noticeMs` later, as netlink tells. */
  connect(interfaces: Interface[], noticeMs = 0): void {
    const { world } = this.config;
    for (const { interface: { realm, ip } } of this.#bound) realm.detach(ip);
    const kept = this.#bound;
    this.#bound = interfaces.map((card) =>
      kept.find((bound) => bound.interface === card) ?? this.#bind(card)
    );
    for (const { interface: { realm, ip }, attachment } of this.#bound) {
      realm.attach(ip, attachment);
    }
    const tell = () => {
      if (this.isUp) this.#handLinks();
    };
    if (noticeMs === 0) tell();
    else world.after(noticeMs, () => this.#whenAwake(tell));
  }

  #rebind(interfaces: Interface[]): void {
    for (const { realm, ip } of interfaces) realm.detach(ip);
    this.#bound = interfaces.map((card) => this.#bind(card));
    for (const { interface: { realm, ip }, attachment } of this.#bound) {
      realm.attach(ip, attachment);
    }
    this.#handLinks();
  }

  #bind(card: Interface): Bound {
    const { ip, device } = card;
    const socket = { id: this.#nextSocket++, ip, port: this.config.udpPort, device };
    const receive = (datagram: Datagram) =>
      this.#receive(card, this.#at(socket, datagram), datagram);
    return { interface: card, socket, attachment: { link: card.link, receive, owner: this } };
  }

  /** The socket a datagram to one's address is for. */
  #at(socket: LocalSocket, { to: { port } }: Datagram): LocalSocket {
    if (port === socket.port || this.#beside.size === 0) return socket;
    const found = [...this.#beside.values()].find((one) =>
      one.socket.port === port && one.socket.ip === socket.ip
    );
    return found?.socket ?? socket;
  }

  #openSocket({ socket: id, beside }: Action & { kind: "open-socket" }): void {
    const bound = this.#bound.find(({ socket }) => socket.id === beside);
    if (!bound) return;
    const port = DOOR_PORT_MIN + id % DOOR_PORTS;
    this.#beside.set(id, { ...bound, socket: { id, ip: bound.socket.ip, port } });
  }

  /** The node is to know its sockets anew. */
  tellLinks(): void {
    if (this.isUp) this.#handLinks();
  }

  #handLinks(): void {
    this.hand({ kind: "links", sockets: this.#sockets(), own: this.#own() });
  }

  #sockets(): LocalSocket[] {
    return [...this.#bound.map((bound) => bound.socket), ...this.tcp?.sockets ?? []];
  }

  #own(): Prefix[] {
    return [...this.stacks.values()].flatMap((stack) => [...stack.port?.addresses ?? []]);
  }

  #receive(card: Interface, socket: LocalSocket, datagram: Datagram): void {
    if (!this.isUp || this.isAsleep || datagram.to.port !== socket.port) return;
    if (card.firewall && !card.firewall.admits(datagram)) return;
    const { from, bytes } = datagram;
    this.traffic.packetsIn++;
    this.traffic.bytesIn += wireBytes(bytes, from);
    this.config.world.safety.arrived(this, bytes, from);
    this.hand({ kind: "datagram", socket: socket.id, from, bytes });
  }

  // --- the node

  /** Hands the node an input and carries out what it wants. */
  hand(input: Input): void {
    const { world } = this.config;
    world.trace.note(this.name, input.kind, world.nowMs);
    this.node.handle(input, this.#time());
    this.#drain();
  }

  timeout(): void {
    const { world } = this.config;
    world.safety.timeout(this, world.nowMs);
    this.hand({ kind: "timeout" });
  }

  #time(): { nowMs: number; wallMs: number } {
    const { world } = this.config;
    return {
      nowMs: world.nowMs + this.#bootOffsetMs,
      wallMs: Math.floor(world.wallMs + this.wallSkewMs),
    };
  }

  #drain(): void {
    let actions = 0;
    for (let action = this.node.poll(); action; action = this.node.poll()) {
      actions++;
      this.#carryOut(action);
    }
    this.config.world.safety.step(this, actions);
    this.config.world.schedule(this);
  }

  #carryOut(action: Action): void {
    const { world } = this.config;
    switch (action.kind) {
      case "send":
        return this.#send(action);
      case "open-socket":
        return this.#openSocket(action);
      case "close-socket":
        this.#beside.delete(action.socket);
        return;
      case "deliver":
        world.trace.bytes(this.name, "deliver", world.nowMs, action.bytes);
        world.safety.delivered(this, action.network, action.bytes, world.nowMs);
        return this.#deliver(action);
      case "configure":
        return this.#configure(action);
      case "unconfigure":
        this.stacks.delete(action.network);
        return;
      case "validate": {
        const { ticket, identity } = action;
        const valid = world.isGenuine(identity);
        return this.#later(
          world.validateMs,
          () => this.hand({ kind: "validated", ticket, valid }),
        );
      }
      case "controller":
        return this.#controllerAction(action.action);
      case "persist":
        return this.#persist(action.record);
      case "event":
        this.events.push({ atMs: world.nowMs, event: action.event });
        if (action.event.name === "upstream") this.tcp?.check();
    }
  }

  #send({ socket, to, bytes, ttl }: Action & { kind: "send" }): void {
    const { world } = this.config;
    if (isTunnel(socket)) return this.tcp?.send(socket, to, bytes);
    const bound = this.#beside.get(socket) ??
      this.#bound.find((candidate) => candidate.socket.id === socket);
    world.trace.bytes(this.name, `send ${formatEndpoint(to)}`, world.nowMs, bytes);
    world.safety.sent(this, this.node, bytes, to);
    if (!bound || bound.socket.ip.length !== to.ip.length) return;
    this.traffic.packetsOut++;
    this.traffic.bytesOut += wireBytes(bytes, to);
    const from = { ip: bound.socket.ip, port: bound.socket.port };
    bound.interface.firewall?.note(from, to);
    const datagram = datagramOf({ from, to, bytes, ttl, origin: this });
    bound.interface.realm.send(datagram, bound.attachment);
  }

  /** The operating system takes the frame up a moment later: no input is handed in while actions are drained. */
  #deliver({ network, bytes }: Action & { kind: "deliver" }): void {
    this.#later(TAP_DELAY_MS, () => this.stacks.get(network)?.receive(bytes));
  }

  #configure({ network, port }: Action & { kind: "configure" }): void {
    let stack = this.stacks.get(network);
    if (!stack) {
      stack = new Stack({
        nowMs: () => this.config.world.nowMs,
        after: (delayMs, run) => this.#later(delayMs, run),
        send: (bytes) => this.hand({ kind: "frame", network, bytes }),
      });
      this.stacks.set(network, stack);
    }
    stack.configure(port);
    const groups = stack.groups();
    this.#later(1, () => {
      this.hand({ kind: "groups", network, groups });
      this.#handLinks();
    });
  }

  #controllerAction(action: (Action & { kind: "controller" })["action"]): void {
    if (action.kind === "apiReply") {
      this.#replies.set(action.ticket, { status: action.status, json: action.json });
      return;
    }
    const { ticket, kind: _, ...write } = action;
    const { store } = this;
    this.#later(this.config.world.storeMs, () => {
      const result = store.write(write);
      this.hand({ kind: "controller", input: { kind: "stored", ticket, ...result } });
    });
  }

  #persist(record: Persistent): void {
    const name = fileOf(record);
    if (record.what === "members") {
      this.disk.set(name, record);
      return;
    }
    if (record.bytes === undefined) this.disk.delete(name);
    else this.disk.set(name, record as Kept);
  }

  /** Runs later, unless the process has ended by then; when asleep, on waking. */
  #later(delayMs: number, run: () => void): void {
    const process = this.#processes;
    this.config.world.after(delayMs, () =>
      this.#whenAwake(() => {
        if (process === this.#processes && this.isUp) run();
      }));
  }

  #whenAwake(run: () => void): void {
    if (this.isAsleep) this.#backlog.push(run);
    else run();
  }

  // --- what a user does

  join(network: NetworkId): void {
    this.hand({ kind: "command", command: { kind: "join", network } });
  }

  leave(network: NetworkId): void {
    this.hand({ kind: "command", command: { kind: "leave", network } });
  }

  /** Asks the controller's API; takes simulated time. */
  api(method: string, path: string, body: JsonValue = {}): ApiAnswer {
    const ticket = this.#nextTicket++;
    const input = { kind: "api" as const, ticket, method, path, body: JSON.stringify(body) };
    this.hand({ kind: "controller", input });
    const what = `the controller answers ${method} ${path}`;
    this.config.world.runUntil(() => this.#replies.has(ticket), { withinMs: 10_000, what });
    const reply = this.#replies.get(ticket)!;
    this.#replies.delete(ticket);
    return reply;
  }

  /** The stack of a network, or of the only one. */
  stack(network?: NetworkId): Stack | undefined {
    return network === undefined ? [...this.stacks.values()][0] : this.stacks.get(network);
  }

  /** Sends one ping over a network, resolving the MAC as a host does. */
  ping(
    other: SimHost,
    { network, lengthBytes }: { network?: NetworkId; lengthBytes?: number } = {},
  ): Ping {
    const to = other.stack(network)?.ip;
    const stack = this.stack(network);
    if (!to || !stack?.ip) return { sentMs: 0, lengthBytes: 0, receivedMs: undefined };
    return stack.ping(to, lengthBytes);
  }

  // --- what a test looks at

  /** Whether the node has a usable configuration and address. */
  isOn(network: NetworkId): boolean {
    return this.stacks.get(network)?.ip !== undefined &&
      this.node.networks.find(network)?.status === "OK";
  }

  /** Whether packets to the other go by a direct path now. */
  isDirectTo(other: SimHost): boolean {
    const { vl1 } = this.node;
    return vl1.peers.get(other.address)?.best(vl1.nowMs) !== undefined;
  }

  /** Whether an endpoint has answered: some peer has a path there. */
  hasProved(endpoint: Endpoint): boolean {
    const { paths, sockets } = this.node.vl1;
    return sockets.some((socket) => paths.has(socket.id, endpoint));
  }
}

/** A record on the disk: what was deleted is not. */
type Kept = Persistent & ({ what: "members" } | { bytes: Uint8Array });

/** The file a record is kept in. */
function fileOf(record: Persistent): string {
  switch (record.what) {
    case "planet":
      return "planet";
    case "moon":
      return `moon ${record.world}`;
    case "network":
      return `network ${record.network}`;
    case "members":
      return `members ${record.network}`;
    case "peer":
      return `peer ${record.address}`;
  }
}
