/**
 * The simulated world: one clock, the Internet and its NATs, and machines that run the shipping
 * `Node` and `Controller`. Everything follows from one seed. Read a scenario first, e.g.
 * `meeting_test.ts`.
 * @module
 */
import {
  type Address,
  formatAddress,
  formatNetworkId,
  type NetworkId,
} from "../../lib/base/ids.ts";
import { parseNetworkId } from "../../lib/base/ids.ts";
import { formatIp, type Ip } from "../../lib/base/ip.ts";
import { Timers } from "../../lib/base/timers.ts";
import type { JsonObject } from "../../lib/controller/mod.ts";
import type { Primitives } from "../../lib/crypto/primitives.ts";
import { Identity, publicKeyOf } from "../../lib/identity/identity.ts";
import { signWorld, type World as Planet, WorldType } from "../../lib/identity/world.ts";
import { PacketKernel } from "../../lib/kernel/mod.ts";
import type { NodeSettings } from "../../lib/node/machine.ts";
import { machinePrimitives } from "../../cli/engine/primitives.ts";
import { EventQueue } from "./event_queue.ts";
import { type Interface, SimHost } from "./host.ts";
import {
  type Attachment,
  type Datagram,
  datagramOf,
  type Fabric,
  GOOD_LINK,
  type LinkConditions,
  type Named,
  Realm,
} from "./internet.ts";
import { Firewall, Nat, type NatBehaviour, NATS } from "./nat.ts";
import { Rng } from "./rng.ts";
import { Safety } from "./safety.ts";
import { Trace } from "./trace.ts";

const WALL_EPOCH_MS = 1_790_000_000_000; // what the clocks on the walls say when a world begins
const UDP_PORT = 9_993;
const INTERNET_ROUTERS = 3; // more than the packets that only open one's own NAT survive
/** Within a local network nothing goes wrong: what is bad is the way to the Internet. */
const WIRE: Partial<LinkConditions> = { latencyMs: 1 / 8 };
const STEPS_MAX = 50_000_000; // a run that needs more is stuck
const MILLISECOND_PARTS = 1024; // times are multiples of this: exact in binary, whatever is added

/** Something did not happen in time. */
export class LivenessViolation extends Error {
  override name = "LivenessViolation";
}

/** Where a machine stands: a kind of NAT, "pub" for none, "dbl" for two, "udpb" where no UDP passes. */
export type Place = "pub" | "dbl" | keyof typeof NATS;

/** A local network behind a NAT. */
export interface Lan {
  readonly realm: Realm;
  readonly nat: Nat;
  /** The next free address. */
  next(): Ip;
}

export interface NodeOptions {
  /** What is between it and the Internet; default "pub". */
  readonly place?: Place;
  /** Joins a LAN that exists instead. */
  readonly lan?: Lan;
  /** Which families its Internet connection has; NATs are for IPv4. Default "v4". */
  readonly family?: "v4" | "v6" | "dual";
  /** Whether a stateful firewall guards its public addresses. */
  readonly firewall?: boolean;
  /** Its way to the Internet; behind a NAT, the NAT's. */
  readonly link?: Partial<LinkConditions>;
  readonly controller?: boolean;
  readonly settings?: Partial<NodeSettings>;
  /** Leave it off; `boot()` starts it. */
  readonly off?: boolean;
}

export interface WorldOptions {
  readonly seed: number | string;
  /** What every link is like unless it says otherwise. */
  readonly link?: Partial<LinkConditions>;
  /** Time a proof-of-work check takes. */
  readonly validateMs?: number;
  /** Whether roots offer their relay by TCP and nodes dial it, as the program does. */
  readonly hasTcp?: boolean;
  /** Time a controller's store takes. */
  readonly storeMs?: number;
  /** Slow primitives; the machine's by default. Large runs may give a stand-in. */
  readonly primitives?: Primitives;
}

export class World implements Fabric {
  nowMs = 0;
  steps = 0;
  readonly rng: Rng;
  readonly linkRng: Rng;
  readonly hosts: SimHost[] = [];
  readonly safety = new Safety();
  readonly trace = new Trace();
  readonly primitives: Primitives;
  /** Keeps no state between packets, so one serves all. */
  readonly kernel = new PacketKernel();
  readonly internet: Realm;
  validateMs: number;
  storeMs: number;
  readonly #link: Partial<LinkConditions>;
  readonly #queue = new EventQueue();
  readonly #deadlines = new Timers<SimHost>();
  readonly #genuine = new Map<Address, Identity>();
  readonly #filters = new Set<(datagram: Datagram, to: Named | undefined) => boolean>();
  readonly #roots: SimHost[] = [];
  #planet: Planet | undefined;
  #planetSigner: Identity | undefined;
  #publicAddresses = 0;
  #lans = 0;

  constructor(readonly options: WorldOptions) {
    this.rng = new Rng(`world ${options.seed}`);
    this.linkRng = this.rng.fork("links");
    this.#link = options.link ?? {};
    this.validateMs = options.validateMs ?? 40;
    this.storeMs = options.storeMs ?? 1;
    this.primitives = options.primitives ?? machinePrimitives;
    this.internet = new Realm("internet", this, INTERNET_ROUTERS);
  }

  get wallMs(): number {
    return WALL_EPOCH_MS + this.nowMs;
  }

  // --- building

  /** A new link's conditions; change them at any time. */
  link(changes: Partial<LinkConditions> = {}): LinkConditions {
    return { ...GOOD_LINK, ...this.#link, ...changes };
  }

  publicIp(family: "v4" | "v6" = "v4"): Ip {
    const n = ++this.#publicAddresses;
    if (family === "v4") return Uint8Array.of(44, n >> 16, n >> 8, n);
    return Uint8Array.of(0x26, 0, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n >> 16, n >> 8, n);
  }

  /** A local network; one within another makes a double NAT. */
  addLan(
    behaviour: NatBehaviour = NATS.pr,
    { outer = this.internet, outerIp = this.publicIp(), link = this.link() }: {
      outer?: Realm;
      outerIp?: Ip;
      link?: LinkConditions;
    } = {},
  ): Lan {
    const number = ++this.#lans;
    const realm = new Realm(`lan ${number}`, this, 0);
    const rng = this.rng.fork(`nat ${number}`);
    const nat = new Nat(behaviour, {
      inner: realm,
      outer,
      outerIp,
      link,
      rng,
      nowMs: () => this.nowMs,
    });
    let hosts = 9;
    const next = () => Uint8Array.of(192, 168 + (number >> 8), number, ++hosts);
    return { realm, nat, next };
  }

  /** A root of the planet: public, and reached by its address. Add all roots before the first node. */
  addRoot(options: NodeOptions = {}): SimHost {
    if (this.#planet) throw new TypeError("roots are added before nodes: the planet is signed");
    const root = this.#make(`root${this.#roots.length + 1}`, { family: "dual", ...options });
    this.#roots.push(root);
    return root;
  }

  addNode(options: NodeOptions = {}): SimHost {
    this.planet();
    const host = this.#make(`node${this.hosts.length - this.#roots.length + 1}`, options);
    if (!options.off) host.boot(this.planet());
    return host;
  }

  /** A machine whose node is a controller. */
  addController(options: NodeOptions = {}): SimHost {
    return this.addNode({ ...options, controller: true });
  }

  get roots(): readonly SimHost[] {
    return this.#roots;
  }

  /** The planet; made when first asked for, and then the roots start. */
  planet(): Planet {
    if (this.#planet) return this.#planet;
    this.#planet = this.planetOf(this.#roots, 1n);
    for (const root of this.#roots) root.boot(this.#planet);
    return this.#planet;
  }

  /** A version of the planet with some of the roots, validly signed; what nodes start with has timestamp 1. */
  planetOf(roots: readonly SimHost[], timestamp: bigint): Planet {
    this.#planetSigner ??= this.makeIdentity(this.rng.fork("planet"));
    return signWorld(this.primitives, this.#planetSigner, {
      type: WorldType.PLANET,
      id: 0x7a74n,
      timestamp,
      updatesMustBeSignedBy: this.#planetSigner.publicKey,
      roots: roots.map((root) => ({
        identity: root.config.identity.publicOnly(),
        endpoints: root.endpoints,
      })),
    });
  }

  #make(name: string, options: NodeOptions): SimHost {
    const rng = this.rng.fork(name);
    const host = new SimHost({
      name,
      identity: this.makeIdentity(rng.fork("identity")),
      world: this,
      rng,
      hasController: options.controller ?? false,
      udpPort: UDP_PORT,
      settings: options.settings ?? {},
    });
    this.hosts.push(host);
    host.connect(this.interfacesFor(options));
    return host;
  }

  /** Network cards as the options ask for; also for moving a machine elsewhere. */
  interfacesFor(options: NodeOptions = {}): Interface[] {
    const { place = "pub", family = "v4", lan } = options;
    const link = this.link(options.link);
    const guard = () =>
      options.firewall ? new Firewall(NATS.pr.timeoutMs, () => this.nowMs) : undefined;
    const cards: Interface[] = [];
    if (lan) cards.push({ realm: lan.realm, ip: lan.next(), link: { ...GOOD_LINK, ...WIRE } });
    else if (family !== "v6") cards.push(this.#cardAt(place, link, guard()));
    if (family !== "v4") {
      cards.push({ realm: this.internet, ip: this.publicIp("v6"), link, firewall: guard() });
    }
    return cards;
  }

  #cardAt(place: Place, link: LinkConditions, firewall: Firewall | undefined): Interface {
    if (place === "pub") return { realm: this.internet, ip: this.publicIp(), link, firewall };
    let lan: Lan;
    if (place === "dbl") {
      const outer = this.addLan(NATS.pr, { link });
      const wire = { ...GOOD_LINK, ...WIRE };
      lan = this.addLan(NATS.pr, { outer: outer.realm, outerIp: outer.next(), link: wire });
    } else {
      lan = this.addLan(NATS[place], { link });
    }
    return { realm: lan.realm, ip: lan.next(), link: { ...GOOD_LINK, ...WIRE } };
  }

  /** An identity everybody's validator accepts; without proof of work. */
  makeIdentity(rng: Rng): Identity {
    const secretKey = rng.bytes(64);
    const publicKey = publicKeyOf(this.primitives, secretKey);
    let address = 0 as Address;
    while (address === 0 || this.#genuine.has(address)) {
      address = (rng.below(0xfe) + 1) * 0x1_0000_0000 + rng.u32() as Address;
    }
    const identity = new Identity({ address, publicKey, secretKey });
    this.#genuine.set(address, identity);
    return identity;
  }

  /** What the proof-of-work check says. */
  isGenuine(identity: Identity): boolean {
    return this.#genuine.get(identity.address)?.equals(identity) ?? false;
  }

  // --- networks

  /** Makes a network at a controller. Addresses come from 10.147.0.0/16. */
  addNetwork(controller: SimHost, fields: JsonObject = {}): NetworkId {
    const number = this.rng.fork("networks").below(0xffff) +
      controller.store.load().networks.length;
    const id = (BigInt(controller.address) << 24n | BigInt(number + 1)) as NetworkId;
    const answer = controller.api("POST", `/controller/network/${formatNetworkId(id)}`, {
      name: "sim",
      v4AssignMode: { zt: true },
      routes: [{ target: "10.147.0.0/16" }],
      ipAssignmentPools: [{ ipRangeStart: "10.147.0.1", ipRangeEnd: "10.147.255.254" }],
      ...fields,
    });
    if (answer.status !== 200) throw new Error(`network not made: ${JSON.stringify(answer)}`);
    return parseNetworkId(formatNetworkId(id))!;
  }

  /** Authorizes a member, or removes it. */
  authorize(controller: SimHost, network: NetworkId, member: SimHost, authorized = true): void {
    this.setMember(controller, network, member, { authorized });
    this.safety.setMember(network, member.address, authorized, this.nowMs);
  }

  /** Writes some fields of a member's record. */
  setMember(controller: SimHost, network: NetworkId, member: SimHost, fields: JsonObject): void {
    const path = `/controller/network/${formatNetworkId(network)}/member/${
      formatAddress(member.address)
    }`;
    const answer = controller.api("POST", path, fields);
    if (answer.status !== 200) throw new Error(`member not written: ${JSON.stringify(answer)}`);
  }

  /** Joins and waits until each has its address. */
  joinAll(network: NetworkId, members: readonly SimHost[], withinMs = 10_000): void {
    for (const member of members) member.join(network);
    this.runUntil(() => members.every((member) => member.isOn(network)), {
      withinMs,
      what: "all members have their configuration",
    });
  }

  // --- faults

  /** Forbids datagrams the filter says true to, until the returned function is called. */
  filter(forbids: (datagram: Datagram, to: Named | undefined) => boolean): () => void {
    this.#filters.add(forbids);
    return () => this.#filters.delete(forbids);
  }

  /** Cuts two groups of machines off from each other. @returns what heals it */
  partition(one: readonly SimHost[], other: readonly SimHost[]): () => void {
    const sides = [new Set<Named>(one), new Set<Named>(other)];
    return this.filter(({ origin }, to) =>
      origin !== undefined && to !== undefined &&
      sides.some((side, i) => side.has(origin) && sides[1 - i].has(to))
    );
  }

  isCut(datagram: Datagram, receiver: Attachment): boolean {
    for (const forbids of this.#filters) if (forbids(datagram, receiver.owner)) return true;
    return false;
  }

  /** Makes a datagram appear on the Internet, from any address: what a hostile host can do. */
  inject(parts: Pick<Datagram, "from" | "to" | "bytes">): void {
    const link = this.link({ latencyMs: 1, lossFraction: 0, jitterMs: 0 });
    this.internet.send(datagramOf(parts), { link, receive: () => {} });
  }

  // --- time

  after(delayMs: number, run: () => void): void {
    this.#queue.push(this.#quantized(this.nowMs + delayMs), run);
  }

  #quantized(atMs: number): number {
    return Math.ceil(atMs * MILLISECOND_PARTS) / MILLISECOND_PARTS;
  }

  /** A host's deadline may have changed. */
  schedule(host: SimHost): void {
    this.#deadlines.set(host, host.deadlineMs);
  }

  /** Lets time pass. */
  run(durationMs: number): void {
    const endMs = this.#quantized(this.nowMs + durationMs);
    while (this.#step(endMs));
    this.nowMs = endMs;
  }

  /**
   * Lets time pass until something holds.
   * @returns how long it took
   * @throws {LivenessViolation} when it does not in time
   */
  runUntil(
    holds: () => boolean,
    { withinMs, what = "what was waited for" }: { withinMs: number; what?: string },
  ): number {
    const startMs = this.nowMs;
    const endMs = this.#quantized(startMs + withinMs);
    while (!holds()) {
      if (!this.#step(endMs)) {
        this.nowMs = endMs;
        throw new LivenessViolation(`not within ${withinMs} ms: ${what}`);
      }
    }
    return this.nowMs - startMs;
  }

  /** One event or timeout. @returns false when none is due by then */
  #step(endMs: number): boolean {
    const eventMs = this.#queue.nextMs;
    const deadlineMs = this.#deadlines.nextMs;
    if (Math.min(eventMs, deadlineMs) > endMs) return false;
    if (++this.steps > STEPS_MAX) throw new LivenessViolation(`more than ${STEPS_MAX} steps`);
    if (eventMs <= deadlineMs) {
      this.nowMs = eventMs;
      this.#queue.pop()();
      return true;
    }
    this.nowMs = Math.max(this.nowMs, deadlineMs);
    const host = this.#deadlines.pop(this.nowMs)!;
    host.timeout();
    return true;
  }

  // --- reports

  /** The world in a line: for failures. */
  describe(): string {
    const { lossFraction, reorderFraction } = this.link();
    const percent = (fraction: number) => `${Math.round(fraction * 100)}%`;
    return `${this.hosts.length} nodes, loss ${percent(lossFraction)}, reorder ` +
      `${percent(reorderFraction)}`;
  }

  /** Where a host is, for messages. */
  addressesOf(host: SimHost): string {
    return host.interfaces.map((card) => formatIp(card.ip)).join(" ");
  }
}
