/**
 * Relaying: passing on sealed packets of others, and introducing the two ends to each other. A root
 * does it for every peer it knows; a leaf only for fellow members whose packets came by a trusted
 * path.
 *
 * Source: spec 02 section 8, spec 03 section 14. Differences (spec 03 section 28): a packet to
 * oneself is refused first (item 21), introductions are limited and never name dead paths (item
 * 18), a stranger's packets are not carried and each peer has a budget (item 28).
 * @module
 */
import { Writer } from "../base/bytes.ts";
import type { Address } from "../base/ids.ts";
import { dropOldest } from "../base/oldest.ts";
import { KeyedBudgets } from "../base/rate.ts";
import type { Vl1 } from "../node/vl1.ts";
import type { Path } from "../peer/path.ts";
import { isDead, isSuspect, type Peer, type PeerPath, TRUST_EXPIRATION_MS } from "../peer/peer.ts";
import {
  AT_FLAGS,
  destinationOf,
  HOPS_MAX,
  isFragment,
  MASK_HOPS,
  sourceOf,
  Verb,
} from "../wire/packet.ts";
import { encodeRendezvous } from "../wire/rendezvous.ts";
import { type NextHop, relayBudgetKey, RelayFlows, type RelayReport } from "./relay_flows.ts";

const AT_FRAGMENT_HOPS = 15;
const UNITE_MS = 30_000; // between two introductions of one pair; reference ZT_MIN_UNITE_INTERVAL
const UNITED_MAX = 65_536; // pairs remembered; the oldest goes first
const SOURCES_MAX = 65_536; // physical sources with a budget

export class Relay {
  readonly #united = new Map<string, number>();
  readonly #budgets: KeyedBudgets<string>; // in bytes, by physical source

  /** What the data plane relays. */
  readonly flows: RelayFlows;

  constructor(readonly vl1: Vl1) {
    const { settings } = vl1;
    this.#budgets = new KeyedBudgets({
      get perSecond() {
        return settings.relayBytesPerSecond; // as it is when a source comes: users change it
      },
      get burst() {
        return settings.relayBytesPerSecond;
      },
    }, SOURCES_MAX);
    this.flows = new RelayFlows(
      vl1,
      (destination, source) => this.#nextHop(destination, source),
    );
  }

  /** Passes on a datagram (packet, head or fragment) addressed to somebody else. */
  forward(datagram: Uint8Array, path: Path): void {
    const { vl1 } = this;
    const fragment = isFragment(datagram);
    const source = fragment ? undefined : sourceOf(datagram);
    const destination = destinationOf(datagram);
    if (!this.#mayRelay(path, source)) return vl1.counters.drop("not-for-us");
    const at = fragment ? AT_FRAGMENT_HOPS : AT_FLAGS;
    const hops = fragment ? datagram[at] : datagram[at] & MASK_HOPS;
    if (hops >= HOPS_MAX) return vl1.counters.drop("hops");
    const budget = this.#budgets.of(relayBudgetKey(path));
    if (!budget.take(vl1.nowMs, datagram.length)) return vl1.counters.drop("rate");
    const next = this.#nextHop(destination, source);
    if (!next) return vl1.counters.drop("no-route");
    const copy = datagram.slice();
    copy[at] = fragment ? (hops + 1) & MASK_HOPS : (copy[at] & ~MASK_HOPS) | (hops + 1);
    vl1.datagram(next.via.path, copy);
    vl1.noteSent(next.peer, next.via); // who is silent there may have gone over to another root
    vl1.counters.relayedPackets++;
    vl1.counters.relayedBytes += datagram.length;
    const sender = source === undefined ? undefined : vl1.peers.get(source);
    if (sender && next.peer.address === destination) this.introduce(sender, next.peer);
    if (sender && vl1.upstreams.amUpstream) {
      this.flows.forwarded(path, sender.address, destination, next);
    }
  }

  /** The data plane passed on datagrams of a flow. */
  reported(report: RelayReport): void {
    const { vl1 } = this;
    vl1.counters.relayedPackets += report.packets;
    vl1.counters.relayedBytes += report.bytes;
    const known = this.flows.reported(report);
    if (!known) return;
    const { source, destination, next } = known;
    vl1.noteSent(next.peer, next.via);
    if (next.peer.address === destination) this.introduce(source, next.peer);
  }

  /** A root relays for whoever it knows; a fragment names no source, so its path must be a known peer's. */
  #mayRelay(path: Path, source: Address | undefined): boolean {
    const { vl1 } = this;
    if (!vl1.upstreams.amUpstream) {
      return path.isProved && vl1.nowMs - path.lastTrustedMs < TRUST_EXPIRATION_MS;
    }
    return source === undefined ? path.isProved : vl1.peers.has(source);
  }

  #nextHop(destination: Address, source: Address | undefined): NextHop | undefined {
    const { vl1 } = this;
    const peer = vl1.peers.get(destination);
    const direct = peer?.best(vl1.nowMs);
    if (peer && direct) return { peer, via: direct };
    const upstream = vl1.upstreams.best(destination);
    if (!upstream || upstream.address === source) return undefined;
    const via = upstream.best(vl1.nowMs) ?? upstream.anyPath();
    return via && { peer: upstream, via };
  }

  /** Tells two peers where to find each other, once in 30 s, in either order by chance. */
  introduce(a: Peer, b: Peer): void {
    const { vl1 } = this;
    const key = a.address < b.address ? `${a.address}|${b.address}` : `${b.address}|${a.address}`;
    if (a === b || vl1.nowMs - (this.#united.get(key) ?? -Infinity) < UNITE_MS) return;
    const pairs = commonPaths(a, b, vl1.nowMs);
    if (pairs.length === 0) return;
    this.#united.delete(key);
    if (this.#united.size >= UNITED_MAX) dropOldest(this.#united);
    this.#united.set(key, vl1.nowMs);
    const [coin] = vl1.random(1);
    for (const [pathA, pathB] of pairs) {
      const tellA = () => this.#tell(a, pathA, b, pathB);
      const tellB = () => this.#tell(b, pathB, a, pathA);
      for (const tell of coin & 1 ? [tellB, tellA] : [tellA, tellB]) tell();
    }
  }

  #tell(to: Peer, by: PeerPath, about: Peer, at: PeerPath): void {
    const w = new Writer(32);
    encodeRendezvous({ peer: about.address, endpoint: at.path.endpoint }, w);
    this.vl1.transmit(to, by.path, Verb.RENDEZVOUS, w.finish(), {});
  }
}

/** For each family the pair of paths of the highest scope both have; IPv6 first. */
function commonPaths(a: Peer, b: Peer, nowMs: number): [PeerPath, PeerPath][] {
  const pairs: [PeerPath, PeerPath][] = [];
  for (const isIpv4 of [false, true]) {
    for (let scope = 7; scope > 0; scope--) {
      const pathA = bestOf(a, isIpv4, scope, nowMs);
      const pathB = bestOf(b, isIpv4, scope, nowMs);
      if (pathA && pathB) {
        pairs.push([pathA, pathB]);
        break;
      }
    }
  }
  return pairs;
}

function bestOf(peer: Peer, isIpv4: boolean, scope: number, nowMs: number): PeerPath | undefined {
  let best: PeerPath | undefined;
  for (const candidate of peer.paths) {
    const { path } = candidate;
    if (path.isIpv4 !== isIpv4 || path.scope !== scope || path.isTunnel) continue;
    if (isSuspect(candidate) || isDead(candidate, nowMs)) continue;
    if (!best || candidate.lastInMs > best.lastInMs) best = candidate;
  }
  return best;
}
