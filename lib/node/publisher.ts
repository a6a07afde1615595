/**
 * Keeps the data plane's tables as the node sees the world: sessions, routes, networks, members. A
 * member is published once the slow path exchanged a frame with it, and taken back when nothing
 * passed for a while; what changed is sent as records.
 *
 * Source: DESIGN.md section 3. Reports of traffic come as records only when there was some, so that an idle node costs
 * nothing, where DESIGN has a page that control reads every 100 ms.
 * @module
 */
import { Writer } from "../base/bytes.ts";
import type { Address, NetworkId } from "../base/ids.ts";
import { sameEndpoint } from "../base/ip.ts";
import { AES_SESSIONS_MAX } from "../dataplane/arena.ts";
import { SLOT_REST_MS, Slots } from "../dataplane/slots.ts";
import { routeBy, type TableRecord } from "../dataplane/table_records.ts";
import type { Membership } from "../network/membership.ts";
import type { Network } from "../network/network.ts";
import type { Networks } from "../network/networks.ts";
import type { Bond } from "../peer/bond.ts";
import { BondMode } from "../peer/bond_policy.ts";
import { type Peer, VERSION_UNKNOWN } from "../peer/peer.ts";
import { encodeNetworkCredentials } from "../wire/network_credentials.ts";
import { HEADER_LENGTH, PROTOCOL_VERSION_AES, Verb } from "../wire/packet.ts";
import type { Input } from "./machine.ts";
import type { Node } from "./node.ts";
import type { Vl1 } from "./vl1.ts";

const MEMBERS_MAX = 16_384; // as the arena
const NETWORKS_MAX = 1_024; // as many as can be joined
/**
 * Packets this long or longer are sealed with AES-GMAC-SIV, shorter ones with Salsa20/12, which
 * costs less until there: measured by `deno task bench --crypto`, both take 0.65 us for 700 bytes.
 */
const AES_FROM_BYTES = 700;
const IDLE_MS = 60_000; // without traffic for this long a session is taken back
const CHECK_MS = 5_000; // how often what is published is compared with what should be, without any event

interface Session {
  readonly slot: number;
  readonly peer: Peer;
  readonly members: Map<NetworkId, Member>;
  hasAes: boolean;
  /** What was published; empty for no route. */
  route: string;
  /** The bond whose paths were published, and how they were; empty for none. */
  bond: Bond | undefined;
  paths: string;
  lastUsedMs: number;
}

interface Member {
  readonly slot: number;
  readonly network: Network;
  admitted: boolean;
  /** What was published, of which version; the version is -1 when nothing was. */
  membership: Membership | undefined;
  version: number;
}

interface PublishedNetwork {
  readonly slot: number;
  config: unknown;
}

export class Publisher {
  readonly #sessions = new Map<Address, Session>();
  readonly #bySlot: (Session | undefined)[] = [];
  readonly #networks = new Map<NetworkId, PublishedNetwork>();
  readonly #sessionSlots = new Slots(AES_SESSIONS_MAX, SLOT_REST_MS);
  readonly #memberSlots = new Slots(MEMBERS_MAX);
  readonly #networkSlots = new Slots(NETWORKS_MAX);
  /** Whom what changed concerns; none that nothing is published of. */
  readonly #changed = new Set<Address>();
  #changedMs = Infinity;
  #checkMs = Infinity;

  constructor(readonly vl1: Vl1, readonly networks: Networks, readonly node: Node) {
    networks.onChange = (member) => this.check(member);
    networks.frames.onExchange = (network, peer) => this.want(network, peer);
    vl1.onMtu = (peer) => this.check(peer.address);
    // Published by who relays, compared here with everything else.
    node.relay.flows.onAdded = () => this.#expectCheck();
  }

  /** The slow path exchanged a frame with a member: from now on the data plane may. */
  want(network: Network, peer: Peer): void {
    const session = this.#sessions.get(peer.address) ?? this.#addSession(peer);
    if (!session) return;
    session.lastUsedMs = this.vl1.nowMs;
    if (!session.members.has(network.id)) this.#addMember(session, network);
  }

  #addSession(peer: Peer): Session | undefined {
    if (this.#mustWait(peer)) return undefined;
    const { nowMs } = this.vl1;
    const slot = this.#sessionSlots.take(nowMs);
    if (slot === undefined) return undefined;
    const session = {
      slot,
      peer,
      members: new Map(),
      hasAes: false,
      route: "",
      bond: undefined,
      paths: "",
      lastUsedMs: nowMs,
    };
    this.#sessions.set(peer.address, session);
    this.#bySlot[slot] = session;
    this.#publishSession(session);
    this.#expectCheck();
    return session;
  }

  /** When we are to use AES wherever it is understood, whether it is has to be known first. */
  #mustWait({ version }: Peer): boolean {
    const isKnown = version.protocol !== VERSION_UNKNOWN.protocol;
    return this.vl1.settings.cipher === "aes" && !isKnown;
  }

  /**
   * Whether frames to and from a peer may be sealed with AES-GMAC-SIV: when it announces that, and
   * we do or are told to use it.
   */
  #usesAes({ version }: Peer): boolean {
    const { cipher, announceProtocol } = this.vl1.settings;
    return version.protocol >= PROTOCOL_VERSION_AES &&
      (cipher === "aes" || announceProtocol >= PROTOCOL_VERSION_AES);
  }

  #expectCheck(): void {
    this.#checkMs = Math.min(this.#checkMs, this.vl1.nowMs + CHECK_MS);
  }

  #publishSession(session: Session): void {
    const { slot, peer } = session;
    session.hasAes = this.#usesAes(peer);
    const from = this.vl1.settings.cipher === "aes" ? 1 : AES_FROM_BYTES;
    const aes = session.hasAes ? { k0: peer.keys.k0, k1: peer.keys.k1, from } : undefined;
    const key = peer.keys.salsa.slice();
    this.#publish({ kind: "session", slot, address: peer.address, key, aes });
    this.#publishRoute(session);
  }

  #publishRoute(session: Session): void {
    const way = this.vl1.route(session.peer);
    // The data plane knows sockets only: what goes by TCP passes through here.
    const path = way?.via.path.isTunnel ? undefined : way?.via.path;
    if (way && path) this.node.pathMtu.use(way.relay ?? session.peer, path);
    const route = path ? `${path.key}|${path.mtu}` : "";
    if (route !== session.route) {
      session.route = route;
      if (path) this.#publish({ kind: "route", session: session.slot, route: routeBy(path) });
      else this.#publish({ kind: "no-route", session: session.slot });
    }
    const { bond } = session.peer;
    this.#publishBond(session, path && !way?.relay && bond ? bond : undefined);
  }

  /** Where frames go by several paths: which, and what by which. A bond that uses one path at a time is but a route. */
  #publishBond(session: Session, bond: Bond | undefined): void {
    const several = bond && bond.mode !== BondMode.ACTIVE_BACKUP && bond.inUse.length > 1;
    if (!several) {
      if (session.paths !== "") this.#publish({ kind: "no-bond", session: session.slot });
      session.paths = "";
      session.bond = undefined;
      return;
    }
    const { links, groups } = bond.plan();
    for (const { path: { path } } of links) this.node.pathMtu.use(session.peer, path);
    const paths = `${bond.revision}|${links.map(({ path: { path } }) => path.mtu).join(",")}`;
    if (session.bond === bond && session.paths === paths) return;
    session.bond = bond;
    session.paths = paths;
    const routes = links.map(({ path: { path } }) => routeBy(path));
    const { mode, policy: { packetsPerLink } } = bond;
    this.#publish({
      kind: "bond",
      session: session.slot,
      bond: { mode, packetsPerLink, routes, groups },
    });
  }

  #addMember(session: Session, network: Network): void {
    if (!this.#publishNetwork(network)) return;
    const slot = this.#memberSlots.take(this.vl1.nowMs);
    if (slot === undefined) return;
    const member = { slot, network, admitted: false, membership: undefined, version: -1 };
    session.members.set(network.id, member);
    this.#publishMember(session, member);
  }

  /** @returns false when the network has no configuration, or too many are published */
  #publishNetwork(network: Network): boolean {
    if (!network.config) return false;
    let known = this.#networks.get(network.id);
    if (!known) {
      const slot = this.#networkSlots.take(this.vl1.nowMs);
      if (slot === undefined) return false;
      this.#networks.set(network.id, known = { slot, config: undefined });
    }
    if (known.config !== network.config) {
      known.config = network.config;
      const { id, mac } = network;
      const config = network.dictionary()!; // costs more than all the rest of a check
      this.#publish({ kind: "network", slot: known.slot, id, port: 0, mac, config });
    }
    return true;
  }

  #publishMember(session: Session, member: Member): void {
    const { peer } = session;
    const membership = member.network.findMembership(peer.address);
    const admitted = member.network.admits(peer);
    const version = membership?.version ?? 0;
    const same = member.admitted === admitted && member.membership === membership;
    if (same && member.version === version) return;
    member.admitted = admitted;
    member.membership = membership;
    member.version = version;
    const w = new Writer(256);
    encodeNetworkCredentials({
      coms: [],
      revocations: [],
      ...membership?.valid() ?? { capabilities: [], tags: [], ownerships: [] },
    }, w);
    this.#publish({
      kind: "member",
      slot: member.slot,
      network: this.#networks.get(member.network.id)!.slot,
      session: session.slot,
      admitted,
      credentials: w.finish(),
    });
  }

  /**
   * Something changed: what is published is to be compared before anything else happens, once for all that changed.
   * @param about Whom alone it concerns; what concerns an upstream concerns everybody it relays for
   */
  check(about?: Address): void {
    const { flows } = this.node.relay;
    if (this.#networks.size === 0 && flows.size === 0) return;
    if (about === undefined || this.vl1.upstreams.isUpstream(about)) {
      this.#checkMs = this.vl1.nowMs;
    } else if (this.#sessions.has(about) || flows.leadTo(about)) {
      this.#changed.add(about);
      this.#changedMs = this.vl1.nowMs;
    }
  }

  get deadlineMs(): number {
    return Math.min(this.#checkMs, this.#changedMs);
  }

  /** Compares everything with what was published. */
  #compare(): void {
    const { nowMs } = this.vl1;
    for (const session of this.#sessions.values()) this.#compareSession(session);
    for (const [id, { slot }] of this.#networks) {
      if (this.networks.find(id)) continue;
      this.#networks.delete(id);
      this.#networkSlots.give(slot, nowMs);
      this.#publish({ kind: "no-network", slot });
    }
    const { flows } = this.node.relay;
    flows.compare();
    this.#checkMs = this.#sessions.size > 0 || flows.size > 0 ? nowMs + CHECK_MS : Infinity;
    this.#changed.clear();
    this.#changedMs = Infinity;
  }

  /** A few comparisons. */
  #compareSession(session: Session): void {
    const known = this.vl1.peers.get(session.peer.address) === session.peer;
    const idleMs = this.vl1.nowMs - session.lastUsedMs;
    const changed = session.hasAes !== this.#usesAes(session.peer);
    if (!known || idleMs >= IDLE_MS || changed) return this.#dropSession(session);
    this.#publishRoute(session);
    for (const member of [...session.members.values()]) {
      const joined = this.networks.find(member.network.id) === member.network;
      if (!joined || !this.#publishNetwork(member.network)) this.#dropMember(session, member);
      else this.#publishMember(session, member);
    }
  }

  handleTimeout(): void {
    const { nowMs } = this.vl1;
    if (nowMs >= this.#checkMs) return this.#compare();
    if (nowMs < this.#changedMs) return;
    for (const address of this.#changed) {
      const session = this.#sessions.get(address);
      if (session) this.#compareSession(session);
      this.node.relay.flows.compareTo(address);
    }
    this.#changed.clear();
    this.#changedMs = Infinity;
  }

  #dropMember(session: Session, member: Member): void {
    session.members.delete(member.network.id);
    this.#memberSlots.give(member.slot, this.vl1.nowMs);
    this.#publish({ kind: "no-member", slot: member.slot });
  }

  #dropSession(session: Session): void {
    for (const member of [...session.members.values()]) this.#dropMember(session, member);
    this.#sessions.delete(session.peer.address);
    this.#bySlot[session.slot] = undefined;
    this.#sessionSlots.give(session.slot, this.vl1.nowMs);
    this.#publish({ kind: "no-session", slot: session.slot });
  }

  /** What the data plane did for one session since its last word: as if the packets had come through here. */
  traffic(report: Input & { kind: "traffic" }): void {
    const session = this.#bySlot[report.session];
    if (!session) return;
    const { peer } = session;
    session.lastUsedMs = this.vl1.nowMs;
    if (report.heard) {
      const { socket, from, isRelayed } = report.heard;
      const known = peer.paths.find(({ path }) =>
        path.socket === socket && sameEndpoint(path.endpoint, from)
      );
      const path = known?.path ??
        this.vl1.paths.hear(this.vl1.paths.get(socket, from), HEADER_LENGTH);
      this.node.received({ peer, path, hops: isRelayed ? 1 : 0, verb: Verb.FRAME }, true);
    }
    const route = this.vl1.route(peer);
    this.#count(session, report.packetsOut, report.packetsIn);
    if (report.packetsOut > 0 && route) {
      // Which of a bond's paths it was is not told: all of them are to be heard of.
      const carriers = session.bond?.inUse.map(({ path }) => path) ?? [route.via];
      for (const path of carriers) this.vl1.noteSent(route.relay ?? peer, path);
      if (route.relay) this.vl1.onRelayed(peer);
      for (const { network } of session.members.values()) {
        this.networks.credentials.pushIfDue(network, peer.address);
      }
    }
    this.#publishRoute(session);
  }

  /** Reports do not say of which network the frames were: known only while there is one. */
  #count({ peer, members }: Session, out: number, into: number): void {
    peer.packetsOut += out;
    peer.packetsIn += into;
    if (members.size !== 1) return;
    for (const { network: { counts } } of members.values()) {
      counts.sentAccepted += out;
      counts.receivedAccepted += into;
    }
  }

  /** The data plane lost its tables: tell it everything again. */
  republish(): void {
    for (const network of this.#networks.values()) network.config = undefined;
    for (const session of this.#sessions.values()) {
      session.route = "";
      session.paths = "";
      this.#publishSession(session);
      for (const member of session.members.values()) {
        member.version = -1;
        if (this.#publishNetwork(member.network)) this.#publishMember(session, member);
      }
    }
    this.node.relay.flows.republish();
  }

  #publish(record: TableRecord): void {
    this.vl1.outbox.push({ kind: "publish", record });
  }
}
