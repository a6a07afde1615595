/**
 * What every part of a node shares: who we are, whom we know, our sockets, and how a packet gets
 * out. Packets are built, compressed, sealed, split and registered here and nowhere else.
 *
 * Source: spec 02 sections 2 to 5, spec 03 section 13.
 * @module
 */
import type { Address } from "../base/ids.ts";
import { contains, type Prefix, sameIp } from "../base/ip.ts";
import { Slabs } from "../base/slab.ts";
import { Timers } from "../base/timers.ts";
import { Waiting } from "../base/waiting.ts";
import type { Identity } from "../identity/identity.ts";
import {
  isAccepted,
  isTunnel,
  type LocalSocket,
  type Path,
  Paths,
  type SocketId,
} from "../peer/path.ts";
import { BondMode } from "../peer/bond_policy.ts";
import { Peer, type PeerPath, sent } from "../peer/peer.ts";
import { Armor } from "../wire/armor.ts";
import { compress } from "../wire/compress.ts";
import { fragmentCount, split } from "../wire/fragment.ts";
import {
  AT_FLAGS,
  AT_VERB,
  buildPacket,
  Cipher,
  FLAG_FRAGMENTED,
  HEADER_LENGTH,
  packetId,
  PROTOCOL_VERSION_AES,
  Verb,
  VERB_COMPRESSED,
} from "../wire/packet.ts";
import type { Version } from "../wire/version.ts";
import { Counters } from "./counters.ts";
import { Expected } from "./expected.ts";
import { DEFAULT_SETTINGS, type NodeConfig, type NodeSettings, type Time } from "./machine.ts";
import { Outbox } from "./outbox.ts";
import { PacketIds, randomIdBlock } from "./packet_ids.ts";
import { Upstreams } from "./upstreams.ts";

/** Per destination 16 packets; destinations bounded against a scan of made-up addresses; reference life 5 s. */
const SEND_QUEUE = { perKeyMax: 16, keysMax: 1_024, lifeMs: 5_000 };
/**
 * Answers to an address that has not proved itself yet, until it does: a round trip later, or never. Bounded against
 * questions from made-up addresses.
 */
const HELD_ANSWERS = { perKeyMax: 8, keysMax: 512, lifeMs: 2_000 };
const PEERS_MAX = 262_144; // bounds memory at a root; a leaf knows a few hundred
const AT_ERROR_CODE = 9; // in the payload of an ERROR, behind verb and id of what it answers
const COMPRESS_FROM_BYTES = 65; // shorter payloads never gain; reference Packet.cpp

// As long as a peer is kept: so long ago an upstream may have shown that it reaches a peer, to be
// preferred
const SHOWN_MS = 500_000;
// Later than the best upstream it must have shown it, or packets would go now this way, now that
const GIVE_WAY_MS = 5_000;
const GIVE_WAY_LATER_MS = 20_000;
const NEXT_RELAY_MS = 1_000; // who has not answered through one upstream for so long may be reached by the next

/** How a packet is to travel. */
export interface SendOptions {
  /** Try to compress the payload: verbs that carry text and lists, see spec 02 section 5. */
  readonly compress?: boolean;
  /** Of a frame for one member: the flow it belongs to, which bonds keep together. */
  readonly flow?: number;
  /** Called with the id on the wire, once the packet is sealed. */
  readonly onSent?: (id: bigint) => void;
}

/** What is remembered of a packet that may be answered. */
interface Registration {
  /** An answer is expected. */
  readonly expect?: boolean;
  /** An answer proves the path. */
  readonly probe?: boolean;
  /** Length of the datagram, which must not be fragmented: the answer proves that the path carries it. */
  readonly mtuProbe?: number;
  /** We turn to that address of our own accord, at a rate that is bounded where it is decided. */
  readonly unasked?: boolean;
  /** Longest datagram, where it is not that of the path. */
  readonly mtu?: number;
}

/** How a packet is sealed and sent, where that is not as usual. */
interface Sealing {
  readonly cipher?: Cipher;
  /** Paths that carry the same packet, beside the one it is sent by. */
  readonly copies?: readonly Path[];
}

/** A packet not built yet. */
interface Unsent {
  readonly verb: Verb;
  readonly payload: Uint8Array;
  readonly options: SendOptions;
}

/** Which way a packet for a peer goes now. */
export interface Route {
  readonly via: PeerPath;
  /** The upstream that relays it; undefined when `via` is the peer's own. */
  readonly relay: Peer | undefined;
}

export class Vl1 {
  readonly identity: Identity;
  readonly settings: NodeSettings;
  readonly armor: Armor;
  readonly outbox = new Outbox();
  readonly counters = new Counters();
  readonly expected = new Expected();
  readonly paths = new Paths();
  readonly peers = new Map<Address, Peer>();
  readonly upstreams: Upstreams;
  /** Packets that wait for an identity or a path. */
  readonly queue = new Waiting<Address, Unsent>(SEND_QUEUE);
  /** This step's clocks; refilled at each `handle()`. */
  readonly time: Time = { nowMs: 0, wallMs: 0 };
  /** When each peer needs attention: unanswered probes, keepalive, first contact. */
  readonly timers = new Timers<Peer>();
  /** Datagrams held back from addresses that proved nothing. */
  readonly #held = new Waiting<Path, { bytes: Uint8Array; whole: boolean }>(HELD_ANSWERS);
  sockets: LocalSocket[] = [];
  /** Sockets that open ports of a symmetric NAT, each beside one of the others; bounded by `port_probing.ts`. */
  readonly doors = new Map<SocketId, SocketId>();
  /** Addresses of our own virtual interfaces: no path may run through them. */
  own: Prefix[] = [];
  /** Asks the upstreams who an address is; set by the node that owns the asking. */
  whois: (address: Address) => void = () => {};
  /** Something was relayed to a peer we have no direct path to. */
  onRelayed: (peer: Peer) => void = () => {};
  /** A path to a peer was learned. */
  onLearned: (peer: Peer) => void = () => {};
  /** The MTU of a path to a peer changed. */
  onMtu: (peer: Peer) => void = () => {};
  /** A path to a peer stopped answering. */
  onSuspect: (peer: Peer) => void = () => {};
  readonly #ids: PacketIds;
  #tickets = 0;
  readonly #slabs = new Slabs();

  constructor(readonly config: NodeConfig) {
    this.identity = config.identity;
    this.settings = { ...DEFAULT_SETTINGS, ...config.settings };
    this.armor = new Armor(config.kernel);
    this.#ids = new PacketIds(config.takeIds ?? (() => randomIdBlock(config.random)));
    this.upstreams = new Upstreams(this, config.planet);
  }

  get nowMs(): number {
    return this.time.nowMs;
  }

  /** The versions we tell others. */
  get announced(): Version {
    const [major, minor, revision] = this.settings.announceVersion;
    return { protocol: this.settings.announceProtocol, major, minor, revision };
  }

  get address(): Address {
    return this.identity.address;
  }

  /** That many bytes nobody can foresee. */
  random(lengthBytes: number): Uint8Array {
    const bytes = new Uint8Array(lengthBytes);
    this.config.random(bytes);
    return bytes;
  }

  /** Eight bytes fit for a packet's id. */
  newPacketId(): Uint8Array {
    return this.#ids.next();
  }

  /** Names a proof of work that is to be checked. */
  newTicket(): number {
    return ++this.#tickets;
  }

  /**
   * Makes a peer of an identity that was proved, or found in a place we trust.
   * @returns the peer known by that address, which an earlier identity keeps; undefined when none can be made
   */
  addPeer(identity: Identity): Peer | undefined {
    const known = this.peers.get(identity.address);
    if (known) return known;
    const peer = Peer.meet(this.config.primitives, this.identity, identity, this.nowMs);
    return peer && this.adopt(peer);
  }

  /** Takes up a peer whose key is agreed already. @returns as {@linkcode Vl1.addPeer} */
  adopt(peer: Peer): Peer | undefined {
    const known = this.peers.get(peer.address);
    if (known) return known;
    if (peer.address === this.address || this.peers.size >= PEERS_MAX) return undefined;
    const settled = peer.settled(this.config.primitives, this.#slabs);
    this.peers.set(settled.address, settled);
    return settled;
  }

  /** Whether a socket of that id is still open. */
  hasSocket(id: SocketId): boolean {
    return this.sockets.some((socket) => socket.id === id) || this.doors.has(id);
  }

  /** The sockets to try an endpoint of a peer from: those of its family, and tunnels for upstreams, which come last. */
  socketsFor(endpoint: { ip: Uint8Array }, peer: Address): LocalSocket[] {
    return this.sockets.filter(({ id, ip }) =>
      ip.length === endpoint.ip.length &&
      (!isTunnel(id) || (!isAccepted(id) && this.upstreams.isUpstream(peer)))
    );
  }

  /**
   * The way to a peer: what its bond picks, or its best path; else through the best upstream; else
   * any path it ever had.
   * @param flow Of a frame, see {@linkcode SendOptions}
   * @returns undefined when there is no way at all
   */
  route(peer: Peer, flow?: number): Route | undefined {
    const picked = flow === undefined ? undefined : peer.bond?.pick(flow, this.nowMs);
    const direct = picked ?? peer.preferred(this.nowMs);
    if (direct) return { via: direct, relay: undefined };
    const relay = this.#relayTo(peer);
    const relayed = relay?.best(this.nowMs);
    if (relayed) return { via: relayed, relay };
    const last = peer.anyPath() ?? relay?.anyPath();
    return last && { via: last, relay: peer.paths.includes(last) ? undefined : relay };
  }

  /**
   * Not every root is in reach of everybody, and what goes to one that is not is lost: the best
   * upstream, unless only another shows that it reaches the peer; and while the peer does not
   * answer, each in turn.
   */
  #relayTo(peer: Peer): Peer | undefined {
    const { nowMs } = this;
    const relay = this.#provenRelay(peer);
    const silentMs = peer.lastReceiveMs < peer.relayedSinceMs ? nowMs - peer.relayedSinceMs : 0;
    if (!relay || silentMs < NEXT_RELAY_MS) return relay;
    const usable = this.upstreams.peers().filter((other) => other !== peer && other.best(nowMs));
    const turn = Math.floor(silentMs / NEXT_RELAY_MS);
    return usable[(usable.indexOf(relay) + turn) % usable.length] ?? relay;
  }

  /** Of two peers that come to prefer each other's root at once, the one with the lower address gives way first. */
  #provenRelay(peer: Peer): Peer | undefined {
    const best = this.upstreams.best(peer.address);
    const { shownBy } = peer;
    if (!best || !shownBy) return best;
    const patienceMs = this.address < peer.address ? GIVE_WAY_MS : GIVE_WAY_LATER_MS;
    const bestMs = shownBy.get(best.address) ?? -Infinity;
    let latestMs = Math.max(this.nowMs - SHOWN_MS, bestMs + patienceMs);
    let relay = best;
    for (const [address, atMs] of shownBy) {
      if (atMs <= latestMs || !this.upstreams.isUpstream(address)) continue;
      const other = this.peers.get(address);
      if (!other?.best(this.nowMs)) continue;
      relay = other;
      latestMs = atMs;
    }
    return relay;
  }

  /** An upstream has shown that it reaches a peer: it brought a packet of it. */
  shown(peer: Peer, upstream: Peer): void {
    (peer.shownBy ??= new Map()).set(upstream.address, this.nowMs);
  }

  /**
   * Sends a packet to an address, whether or not we know who that is: it waits for WHOIS, or for a way there.
   * @param payload What follows the verb byte
   */
  send(to: Address, verb: Verb, payload: Uint8Array, options: SendOptions = {}): void {
    if (to === this.address) return;
    const peer = this.peers.get(to);
    const route = peer && this.route(peer, options.flow);
    if (peer && route) {
      this.#sendBy(route, peer, verb, payload, options);
      return;
    }
    if (!this.queue.push(to, { verb, payload, options }, this.nowMs)) {
      this.counters.drop("queue-full");
    }
    if (!peer) this.whois(to);
  }

  /** Sends what waited for this peer, if there is a way now. */
  flushQueue(peer: Peer): void {
    const route = this.route(peer);
    if (!route) return;
    for (const { verb, payload, options } of this.queue.take(peer.address, this.nowMs)) {
      this.#sendBy(route, peer, verb, payload, options);
    }
  }

  #sendBy(
    route: Route,
    peer: Peer,
    verb: Verb,
    payload: Uint8Array,
    options: SendOptions,
  ): void {
    const copies = route.relay || options.flow === undefined ? [] : this.#copies(peer, route.via);
    const id = this.transmit(peer, route.via.path, verb, payload, {
      expect: true,
      ...options,
      copies: copies.map(({ path }) => path),
    });
    this.noteSent(route.relay ?? peer, route.via);
    for (const copy of copies) this.noteSent(peer, copy);
    options.onSent?.(id);
    if (route.relay) this.onRelayed(peer);
  }

  /** Where else a frame goes: by all paths of a bond that broadcasts. */
  #copies({ bond }: Peer, via: PeerPath): PeerPath[] {
    if (bond?.mode !== BondMode.BROADCAST) return [];
    return bond.inUse.map(({ path }) => path).filter((path) => path !== via);
  }

  /** Something went by a path of a peer: that it is heard there again is looked after. */
  noteSent(peer: Peer, path: PeerPath): void {
    if (path.quietSinceMs === undefined) {
      this.timers.setEarlier(peer, this.nowMs + peer.quietMs);
    }
    sent(path, this.nowMs);
  }

  /** Answers on the path a packet came by; such packets are never themselves answered. */
  reply(peer: Peer, path: Path, verb: Verb, payload: Uint8Array): void {
    this.transmit(peer, path, verb, payload, {});
    path.lastOutMs = this.nowMs;
  }

  /**
   * Builds, compresses, seals, registers, splits and emits one packet for `peer` on one path.
   * @returns its id on the wire
   */
  transmit(
    peer: Peer,
    path: Path,
    verb: Verb,
    payload: Uint8Array,
    options: SendOptions & Registration & Sealing,
  ): bigint {
    const { copies = [] } = options;
    const packet = this.#build(peer, verb, payload, options.compress ?? false);
    const mtu = copies.reduce((least, copy) => Math.min(least, copy.mtu), path.mtu);
    const pieces = fragmentCount(packet.length, options.mtuProbe ?? mtu);
    if (pieces === undefined) {
      this.counters.drop("malformed");
      return 0n;
    }
    if (pieces > 1) packet[AT_FLAGS] |= FLAG_FRAGMENTED;
    const cipher = options.cipher ?? this.#cipherFor(peer);
    this.armor.seal(packet, peer.keys, cipher);
    this.counters.sent[verb]++;
    this.counters.sentByCipher[cipher]++;
    peer.packetsOut++;
    if (verb === Verb.ECHO) path.echoMs = this.nowMs;
    if (verb === Verb.ERROR) this.counters.errorsSent[payload[AT_ERROR_CODE]]++;
    const id = this.emit(peer.address, path, verb, packet, { ...options, mtu });
    for (const copy of copies) this.emit(peer.address, copy, verb, packet, { mtu });
    if (peer.bond && verb !== Verb.QOS_MEASUREMENT) {
      peer.bond.find(path)?.qos.noteSent(id, this.nowMs);
    }
    return id;
  }

  /** Registers a sealed packet if it may be answered, and puts it on the wire. */
  emit(
    to: Address,
    path: Path,
    verb: Verb,
    packet: Uint8Array,
    options: Registration,
  ): bigint {
    const id = packetId(packet);
    if (options.expect || options.probe) {
      const asked = options.probe ? path : undefined;
      const { mtuProbe } = options;
      const isUnproven = asked !== undefined && !options.unasked && !this.isProved(asked);
      this.expected.add(id, { to, verb, sentMs: this.nowMs, path: asked, mtuProbe }, isUnproven);
    }
    const mtu = options.mtuProbe ?? options.mtu ?? path.mtu;
    const whole = options.mtuProbe !== undefined;
    const reserveBytes = options.probe ? 0 : HEADER_LENGTH;
    for (const bytes of packet.length > mtu ? split(packet, mtu) : [packet]) {
      if (options.unasked || this.#spend(path, bytes.length, reserveBytes)) {
        this.datagram(path, bytes, { whole });
      } else if (!options.probe) {
        this.#hold(path, bytes, whole);
      } else {
        this.counters.drop("unproven");
      }
    }
    return id;
  }

  /**
   * Whether an answer of that length may go there now: at will where the address has proved itself,
   * else no more than came from it (spec 03 section 28 item 23), and so that the question by which
   * it proves itself can still be asked.
   */
  mayAnswer(path: Path, lengthBytes: number): boolean {
    return this.isProved(path) || path.creditBytes >= lengthBytes + HEADER_LENGTH;
  }

  /** Whether the far end of a path is where it claims to be: it answered us there, or a connection stands. */
  isProved(path: Path): boolean {
    return path.isProved || path.isTunnel || this.paths.knows(path.endpoint);
  }

  #spend(path: Path, lengthBytes: number, reserveBytes: number): boolean {
    if (this.isProved(path)) return true;
    if (path.creditBytes < lengthBytes + reserveBytes) return false;
    path.creditBytes -= lengthBytes;
    return true;
  }

  #hold(path: Path, bytes: Uint8Array, whole: boolean): void {
    if (!this.#held.push(path, { bytes, whole }, this.nowMs)) this.counters.drop("unproven");
  }

  /** An address has proved itself: it gets what was held back. */
  releaseHeld(path: Path): void {
    for (const { bytes, whole } of this.#held.take(path, this.nowMs)) {
      this.datagram(path, bytes, { whole });
    }
  }

  /** One datagram on its way; whether it may be sent there is decided before. */
  datagram(path: Path, bytes: Uint8Array, how: { ttl?: number; whole?: boolean } = {}): void {
    const { socket, endpoint: to } = path;
    this.outbox.push({ kind: "send", socket, to, bytes, ...how });
  }

  #build(peer: Peer, verb: Verb, payload: Uint8Array, mayCompress: boolean): Uint8Array {
    const smaller = mayCompress && payload.length >= COMPRESS_FROM_BYTES
      ? compress(payload)
      : undefined;
    const header = {
      id: this.#ids.next(),
      destination: peer.address,
      source: this.address,
      verb,
    };
    const packet = buildPacket(header, smaller ?? payload);
    if (smaller) packet[AT_VERB] |= VERB_COMPRESSED;
    return packet;
  }

  #cipherFor(peer: Peer): Cipher {
    // What goes out here is mostly short, and this thread has no fast AES: only on request and when
    // understood. Long frames are the data plane's, which has its own say (`publisher.ts`).
    const aes = this.settings.cipher === "aes" && peer.version.protocol >= PROTOCOL_VERSION_AES;
    return aes ? Cipher.AES_GMAC_SIV : Cipher.POLY1305_SALSA2012;
  }

  /** Whether a physical address may lead to a peer (spec 03 section 6.2), apart from what the engine forbids. */
  mayUse(peer: Address, path: Path): boolean {
    const { endpoint } = path;
    if (!path.isAccepted && !this.#isPlausible(peer, path)) return false;
    if (this.own.some((prefix) => contains(prefix, endpoint.ip))) return false;
    return !this.settings.isForbidden?.(endpoint, peer);
  }

  /**
   * Whether a datagram can be sent there at all, and an upstream is where its world says. Addresses
   * of 2001:470::/32, which the reference leaves out, are used: some have no other of IPv6.
   */
  #isPlausible(peer: Address, { endpoint, scope }: Path): boolean {
    if (endpoint.port === 0 || !USABLE_SCOPES.has(scope)) return false;
    const listed = this.upstreams.endpointsOf(peer);
    return !listed || listed.length === 0 || listed.some((root) => sameIp(root.ip, endpoint.ip));
  }
}

/** Pseudo-private, global, shared and private: what a datagram can be sent to beyond this link. */
const USABLE_SCOPES = new Set<number>([3, 4, 6, 7]);
