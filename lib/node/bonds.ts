/**
 * Bonds of this node with its peers: makes and ends them, looks for more ways to a bonded peer, and
 * exchanges measurements.
 *
 * Source: spec 03 section 24, spec 02 sections 10.18 and 10.21. Round trips of ECHO are taken as
 * samples too, so that a bond with a peer that has none of its own works for longer than the
 * reference's ten minutes.
 * @module
 */
import { Writer } from "../base/bytes.ts";
import type { Address } from "../base/ids.ts";
import { type Endpoint, formatEndpoint, formatIp } from "../base/ip.ts";
import { dropOldest } from "../base/oldest.ts";
import { Bond, type BondLink, type LinkPlace } from "../peer/bond.ts";
import { type BondPolicy, estimationMs, monitorMs } from "../peer/bond_policy.ts";
import { isTunnel, type LocalSocket, type Path } from "../peer/path.ts";
import { isSuspect, type Peer } from "../peer/peer.ts";
import { decodePathNegotiation } from "../wire/path_negotiation.ts";
import {
  decodeQosMeasurement,
  encodeQosMeasurement,
  QOS_RECORDS_MAX,
} from "../wire/qos_measurement.ts";
import { Cipher, Verb } from "../wire/packet.ts";
import type { Contact } from "./contact.ts";
import type { Received } from "./node.ts";
import type { Vl1 } from "./vl1.ts";

const BONDS_MAX = 256; // each costs an ECHO a path every other second, and memory; further peers have none
const ENDPOINTS_MAX = 8; // addresses of one peer that more ways are looked for at
const SEARCHES_MAX = 64; // pairs of a socket and such an address
/** A pair that does not answer is asked ever more rarely, yet soon enough after an uplink came back. */
const SEARCH_DELAYS_MS = [0, 1_000, 2_000, 4_000, 8_000, 15_000];

const QOS_ASK_MS = 1_000; // between questions whose answers are to be measured

interface Search {
  tries: number;
  dueMs: number;
}

interface Known {
  readonly endpoint: Endpoint;
  /** It was reached there. Where not it is looked for a few times only: the address may be anybody's. */
  readonly isProved: boolean;
}

interface Bonded {
  /** Where the peer may be reached, by IP; the latest last. */
  readonly endpoints: Map<string, Known>;
  /** Ways looked for, by socket and endpoint. */
  searches: Map<string, Search>;
}

export class Bonds {
  readonly #bonded = new Map<Peer, Bonded>();
  readonly #linkMtus = new Map<string, number>(); // by interface and IP; as many as the user names

  constructor(readonly vl1: Vl1, readonly contact: Contact) {}

  /** Peers with a bond. */
  get size(): number {
    return this.#bonded.size;
  }

  /** Makes, keeps or ends the bond with a peer whose paths are looked after. @returns when to look again */
  tend(peer: Peer): number {
    const policy = this.#policyFor(peer);
    if (!policy || peer.paths.length === 0) {
      this.end(peer);
      return Infinity;
    }
    const { nowMs } = this.vl1;
    const bond = peer.bond ?? this.#begin(peer, policy);
    const updateMs = bond.update(nowMs);
    return Math.min(updateMs, this.#report(peer, bond), this.#search(peer, bond));
  }

  #policyFor(peer: Peer): BondPolicy | undefined {
    const policy = this.vl1.settings.bondPolicy?.(peer.address);
    if (!policy || this.vl1.upstreams.isUpstream(peer.address)) return undefined;
    return peer.bond || this.#bonded.size < BONDS_MAX ? policy : undefined;
  }

  #begin(peer: Peer, policy: BondPolicy): Bond {
    this.#bonded.set(peer, { endpoints: new Map(), searches: new Map() });
    const place = (path: Path) => this.#placeOf(path);
    return peer.bond = new Bond(policy, peer.paths, place, this.vl1.nowMs);
  }

  /** The peer is forgotten, or no path of it is left. */
  end(peer: Peer): void {
    peer.bond = undefined;
    this.#bonded.delete(peer);
  }

  #placeOf(path: Path): LinkPlace | undefined {
    const socket = this.socketOf(path);
    if (!socket) return undefined;
    const way = `${formatIp(socket.ip)}|${formatIp(path.endpoint.ip)}`;
    const mtu = this.#linkMtus.get(`${socket.device}|${formatIp(socket.ip)}`);
    return { device: socket.device ?? "", way, mtu };
  }

  /** The socket a path leaves by. */
  socketOf(path: Path): LocalSocket | undefined {
    return this.vl1.sockets.find(({ id }) => id === path.socket);
  }

  // --- more ways

  /** A bonded peer says that it may be reached there. */
  offered(peer: Peer, endpoint: Endpoint): void {
    const endpoints = this.#bonded.get(peer)?.endpoints;
    if (!endpoints || endpoints.has(formatIp(endpoint.ip))) return;
    remember(endpoints, { endpoint, isProved: false });
    this.vl1.timers.setEarlier(peer, this.vl1.nowMs);
  }

  /** Asks by every pair of an address of ours and one of the peer that is not a way yet. */
  #search(peer: Peer, bond: Bond): number {
    const { nowMs } = this.vl1;
    const bonded = this.#bonded.get(peer)!;
    for (const { path } of peer.paths) {
      if (path.isTunnel) continue;
      remember(bonded.endpoints, { endpoint: path.endpoint, isProved: true });
    }
    const searches = new Map<string, Search>();
    let nextMs = Infinity;
    for (const [ip, { endpoint, isProved }] of bonded.endpoints) {
      for (const socket of this.#firstSockets(peer, endpoint, bond.policy)) {
        const way = `${formatIp(socket.ip)}|${ip}`;
        const works = bond.links.some((link) => link.way === way && !isSuspect(link.path));
        if (works || searches.size >= SEARCHES_MAX) continue;
        const key = `${socket.id}|${formatEndpoint(endpoint)}`;
        const search = bonded.searches.get(key) ?? { tries: 0, dueMs: nowMs };
        searches.set(key, search);
        if (!isProved && search.tries === SEARCH_DELAYS_MS.length - 1) continue;
        if (nowMs >= search.dueMs) {
          this.contact.explore(peer, endpoint, socket.id);
          search.tries = Math.min(search.tries + 1, SEARCH_DELAYS_MS.length - 1);
          search.dueMs = nowMs + SEARCH_DELAYS_MS[search.tries];
        }
        nextMs = Math.min(nextMs, search.dueMs);
      }
    }
    bonded.searches = searches;
    return nextMs;
  }

  /** Of each of our addresses one socket: other ports lead the same way. */
  #firstSockets(peer: Peer, endpoint: Endpoint, { links }: BondPolicy): LocalSocket[] {
    const found = new Map<string, LocalSocket>();
    for (const socket of this.vl1.socketsFor(endpoint, peer.address)) {
      const key = formatIp(socket.ip);
      const isAllowed = links.size === 0 || links.get(socket.device ?? "")?.enabled;
      if (!isTunnel(socket.id) && isAllowed && !found.has(key)) found.set(key, socket);
    }
    return [...found.values()];
  }

  // --- measuring

  /** Tells the peer what came by each path. @returns when that is due again */
  #report(peer: Peer, bond: Bond): number {
    const { nowMs } = this.vl1;
    const everyMs = estimationMs(bond.policy);
    let nextMs = Infinity;
    for (const link of bond.links) {
      if (!link.isBonded || isSuspect(link.path)) continue;
      const due = nowMs - link.qosSentMs >= everyMs;
      if (link.qos.waiting >= QOS_RECORDS_MAX || (due && link.qos.waiting > 0)) {
        this.#sendQos(peer, link);
      } else if (due || nowMs >= link.path.path.echoMs + monitorMs(bond.policy)) {
        this.#measure(peer, link);
      }
      nextMs = Math.min(nextMs, Math.max(nowMs, link.qosSentMs + everyMs));
    }
    return nextMs > nowMs ? nextMs : Infinity; // what is late waits for the next update
  }

  /**
   * Asks for an answer, which is a sample to us; half of all answers are samples to the peer, who
   * takes a path it is told nothing of for dead. Frames that the data Worker seals and opens are
   * not noted, yet keep the path from being asked whether it is alive.
   */
  #measure(peer: Peer, link: BondLink): void {
    const { nowMs } = this.vl1;
    const { path } = link.path;
    if (nowMs < Math.max(link.qosAskedMs + QOS_ASK_MS, path.echoFreeMs)) return;
    link.qosAskedMs = nowMs;
    this.contact.probe(peer, path);
  }

  #sendQos(peer: Peer, link: BondLink): void {
    const { nowMs } = this.vl1;
    link.qosSentMs = nowMs;
    const w = new Writer(QOS_RECORDS_MAX * 10);
    encodeQosMeasurement(link.qos.take(nowMs), w);
    this.vl1.transmit(peer, link.path.path, Verb.QOS_MEASUREMENT, w.finish(), {
      cipher: Cipher.POLY1305_NONE,
    });
  }

  /** An authentic packet came from a bonded peer. */
  sampled({ peer, path, hops, verb, id }: Received): void {
    if (hops !== 0 || verb === Verb.QOS_MEASUREMENT || verb === Verb.ACK) return;
    peer.bond?.find(path)?.qos.noteReceived(id, this.vl1.nowMs);
  }

  /** QOS_MEASUREMENT: what became of packets of ours. */
  measured({ peer, path, hops, payload }: Received): void {
    const { nowMs } = this.vl1;
    const link = hops === 0 ? peer.bond?.find(path) : undefined;
    const records = link && decodeQosMeasurement(payload);
    if (!link || !records) return;
    if (!peer.bond!.takesQos(nowMs)) return this.vl1.counters.drop("rate");
    for (const sampleMs of link.qos.measure(records, nowMs)) link.window.add(sampleMs);
  }

  /** PATH_NEGOTIATION_REQUEST: what a path is worth to the peer. */
  negotiated({ peer, path, hops, payload }: Received): void {
    const utility = decodePathNegotiation(payload);
    if (utility === undefined || hops !== 0) return;
    peer.bond?.negotiate(path, utility, peer.address > this.vl1.address, this.vl1.nowMs);
  }

  // --- what a user asks for

  /**
   * Gives the paths of one link an MTU.
   * @param mtu UDP payload in bytes
   * @returns false when no bond has such a link
   */
  setMtu(mtu: number, device: string, ip: string): boolean {
    let found = false;
    for (const { bond } of this.#bonded.keys()) {
      for (const link of bond?.links ?? []) {
        const socket = this.socketOf(link.path.path);
        if (socket?.device !== device || formatIp(socket.ip) !== ip) continue;
        link.mtu = mtu;
        found = true;
      }
    }
    if (found) this.#linkMtus.set(`${device}|${ip}`, mtu);
    return found;
  }

  /** The bond with an address, if there is one. */
  find(address: Address): Bond | undefined {
    return this.vl1.peers.get(address)?.bond;
  }
}

/** The one heard of longest ago makes room. */
function remember(endpoints: Map<string, Known>, known: Known): void {
  const key = formatIp(known.endpoint.ip);
  endpoints.delete(key);
  if (endpoints.size >= ENDPOINTS_MAX) dropOldest(endpoints);
  endpoints.set(key, known);
}
