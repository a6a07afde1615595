/**
 * Keeping paths alive and finding out soon when one is not. A path that carried something and stays
 * quiet is probed; one unanswered probe makes it suspect, and traffic goes by another path or the
 * relay at once, while probing goes on.
 *
 * The reference waits 243 s (spec 03 section 28 item 1), and half an hour of idle roots costs it
 * WHOIS every 5 s (item 7).
 * @module
 */
import type { Address } from "../base/ids.ts";
import { isTunnel } from "../peer/path.ts";
import { monitorMs } from "../peer/bond_policy.ts";
import { isDead, isSuspect, noteProbe, type Peer, type PeerPath } from "../peer/peer.ts";
import type { Bonds } from "./bonds.ts";
import type { Contact } from "./contact.ts";
import type { Vl1 } from "./vl1.ts";

/** A suspect path is probed this often until it answers or is given up; the peer's gate allows 6 a second. */
const SUSPECT_PROBE_MS = 500;
const KEEPALIVE_MS = 15_000; // UDP mappings of common NATs last 30 s or more; reference 14 to 19 s
const UPSTREAM_KEEPALIVE_MS = 20_000; // each root must hear us well before its NAT mapping goes (item 4)
/**
 * A root that has answered is asked once more so soon: it may not have proved our address yet,
 * where its question or our answer was lost, and until it has it passes nothing on to us and may
 * not ask again of its own accord.
 */
const UPSTREAM_SETTLE_MS = 2_000;
/**
 * Some way to some upstream is asked so often at least. While nothing goes on, nothing else tells
 * that UDP is being stopped, and within 10 s others have to reach us by TCP: this, half a second
 * until the answer is missing, as much for each other way and until TCP is dialled, and two round
 * trips. It costs a node with one root 21 B/s, headers included; from four ways on it costs
 * nothing.
 */
const UPSTREAM_PROBE_MS = 6_500;
/**
 * How long any way may be idle in low bandwidth mode: as the reference's, for NATs that remember long. What stops UDP
 * is noticed as late.
 */
const LOW_BANDWIDTH_MS = 25_000;
const UPSTREAM_HEARD_MS = 1_000; // heard so shortly ago, a way can wait until its next turn
const HELLO_MS = 60_000; // versions, worlds and surfaces; reference PEER_PING
const ROOT_HELLO_MS = 120_000; // the same at roots, where keepalive is ECHO
const SEED_HELLO_MS = 5_000; // asking for a moon, until it is here; the reference asks every 30 s
const SPARE_PATHS_PER_FAMILY = 1; // kept alive beside the best one (item 6)
const FIRST_CONTACT_DELAYS_MS = [0, 250, 500, 1_000, 2_000, 5_000]; // HELLO to a root that has not answered

interface RootContact {
  tries: number;
  dueMs: number;
}

export class Liveness {
  /** Whom to keep a way to, beside upstreams and who talks with us; set by the node. */
  keeps: (address: Address) => boolean = () => false;
  readonly #roots = new Map<Peer, RootContact>();

  constructor(readonly vl1: Vl1, readonly contact: Contact, readonly bonds: Bonds) {}

  /** Begins, or begins again at once, to look for a way to every upstream. */
  contactUpstreams(): void {
    this.#roots.clear();
    for (const peer of this.vl1.upstreams.peers()) this.vl1.timers.set(peer, this.vl1.nowMs);
  }

  /** Sends a HELLO to every endpoint of every upstream from every socket: who answers, and how it sees us there. */
  greetUpstreams(): void {
    for (const peer of this.vl1.upstreams.peers()) {
      for (const endpoint of this.vl1.upstreams.endpointsOf(peer.address) ?? []) {
        this.contact.probeFrom(peer, endpoint, undefined, true);
      }
    }
  }

  /** When an upstream that does not answer is greeted again; Infinity when it answers. */
  greetingDueMs(peer: Peer): number {
    return this.#roots.get(peer)?.dueMs ?? Infinity;
  }

  /** Works on the peers that are due. */
  handleTimeout(): void {
    for (;;) {
      const peer = this.vl1.timers.pop(this.vl1.nowMs);
      if (!peer) return;
      const nextMs = this.#tend(peer);
      if (nextMs !== Infinity) this.vl1.timers.set(peer, Math.max(nextMs, this.vl1.nowMs + 1));
    }
  }

  /** @returns when this peer is due again */
  #tend(peer: Peer): number {
    const { nowMs, upstreams } = this.vl1;
    const isUpstream = upstreams.isUpstream(peer.address);
    const wanted = isUpstream || peer.isActive(nowMs) || this.keeps(peer.address);
    let nextMs = upstreams.isSeed(peer.address) ? this.#askSeed(peer) : Infinity;
    for (const path of [...peer.paths]) {
      if (!this.vl1.hasSocket(path.path.socket) || isDead(path, nowMs)) {
        this.contact.lose(peer, path);
      } else {
        nextMs = Math.min(nextMs, this.#tendPath(peer, path, wanted, isUpstream));
      }
    }
    if (!wanted) return nextMs;
    nextMs = Math.min(nextMs, this.bonds.tend(peer));
    if (isUpstream && !peer.best(nowMs)) return Math.min(nextMs, this.#greetRoot(peer, true));
    // Reached by TCP: UDP may work again any time.
    if (isUpstream && peer.best(nowMs)!.path.isTunnel) {
      return Math.min(nextMs, this.#greetRoot(peer, false));
    }
    this.#roots.delete(peer);
    if (!peer.best(nowMs)) return Math.min(nextMs, this.contact.tryHints(peer));
    return nextMs;
  }

  /** A HELLO lists the moons we want; the answer brings them, also by relay. */
  #askSeed(peer: Peer): number {
    const { nowMs } = this.vl1;
    const dueMs = peer.seedAskedMs + SEED_HELLO_MS;
    if (nowMs < dueMs) return dueMs;
    peer.seedAskedMs = nowMs;
    const route = this.vl1.route(peer);
    if (route) {
      this.contact.greeter.hello(peer, route.via.path, { relayed: route.relay !== undefined });
    }
    return nowMs + SEED_HELLO_MS;
  }

  /** First contact: every listed endpoint from every socket, ever more rarely. @param tunnels By TCP too */
  #greetRoot(peer: Peer, tunnels: boolean): number {
    const { nowMs } = this.vl1;
    const state = this.#roots.get(peer) ?? { tries: 0, dueMs: nowMs };
    this.#roots.set(peer, state);
    if (nowMs < state.dueMs) return state.dueMs;
    for (const endpoint of this.vl1.upstreams.endpointsOf(peer.address) ?? []) {
      for (const { id } of this.vl1.socketsFor(endpoint, peer.address)) {
        if (tunnels || !isTunnel(id)) this.contact.probeFrom(peer, endpoint, id, true);
      }
    }
    state.tries = Math.min(state.tries + 1, FIRST_CONTACT_DELAYS_MS.length - 1);
    state.dueMs = nowMs + this.#scattered(FIRST_CONTACT_DELAYS_MS[state.tries]);
    return state.dueMs;
  }

  /** Three to five quarters of a delay: what starts together must not come back together. */
  #scattered(delayMs: number): number {
    return delayMs * (0.75 + this.vl1.random(1)[0] / 512);
  }

  #tendPath(peer: Peer, path: PeerPath, wanted: boolean, isUpstream: boolean): number {
    const { nowMs } = this.vl1;
    if (path.probeSentMs !== undefined) {
      const dueMs = path.probeSentMs + peer.probeTimeoutMs(path);
      if (nowMs < dueMs) return dueMs;
      path.probesLost++;
      noteProbe(path, true);
      path.probeSentMs = undefined;
      if (isDead(path, nowMs)) {
        this.contact.lose(peer, path);
        return nowMs;
      }
      if (path.probesLost === 1) this.vl1.onSuspect(peer);
      this.contact.probe(peer, path.path);
      return nowMs + SUSPECT_PROBE_MS;
    }
    if (isSuspect(path)) {
      this.contact.probe(peer, path.path);
      return nowMs + SUSPECT_PROBE_MS;
    }
    const quietDueMs = (path.quietSinceMs ?? Infinity) + peer.quietMs;
    if (nowMs >= quietDueMs) {
      this.contact.probe(peer, path.path);
      return nowMs + peer.probeTimeoutMs(path);
    }
    if (!wanted || !this.#isKept(peer, path)) return quietDueMs;
    return Math.min(quietDueMs, this.#keepAlive(peer, path, isUpstream));
  }

  #keepAlive(peer: Peer, path: PeerPath, isUpstream: boolean): number {
    const { nowMs } = this.vl1;
    const idleMs = this.#idleMs(isUpstream);
    const { bond } = peer;
    const everyMs = bond?.find(path.path)?.isBonded ? monitorMs(bond.policy) : idleMs;
    const helloEveryMs = isUpstream ? ROOT_HELLO_MS : HELLO_MS;
    const lastMs = Math.min(path.lastInMs, path.lastOutMs);
    const usualMs = isUpstream && everyMs === idleMs
      ? this.#turnAfter(path, lastMs + UPSTREAM_HEARD_MS)
      : lastMs + everyMs;
    const settleMs = isUpstream && !path.isSettled ? path.sinceMs + UPSTREAM_SETTLE_MS : Infinity;
    const dueMs = Math.max(Math.min(usualMs, settleMs), path.path.echoFreeMs);
    const helloDueMs = peer.lastHelloSentMs + helloEveryMs;
    const isBest = peer.best(nowMs) === path;
    if (isBest && nowMs >= helloDueMs) {
      this.contact.probe(peer, path.path, true);
      return nowMs + peer.probeTimeoutMs(path);
    }
    if (nowMs >= dueMs) {
      path.isSettled ||= nowMs >= settleMs;
      this.contact.probe(peer, path.path);
      return nowMs + peer.probeTimeoutMs(path);
    }
    return isBest ? Math.min(dueMs, helloDueMs) : dueMs;
  }

  /**
   * Ways to upstreams are asked one after the other, evenly apart: so whatever stops them all is
   * noticed in a fraction of the time each is asked in. Where in time is the node's own, or those
   * that were switched on together would ask together.
   */
  #turnAfter(path: PeerPath, afterMs: number): number {
    const ways = this.#waysUp();
    const idleMs = this.#idleMs(true);
    const everyMs = this.#isSparing ? idleMs : Math.min(idleMs, UPSTREAM_PROBE_MS * ways.length);
    const turnMs = this.vl1.address % everyMs + ways.indexOf(path) / ways.length * everyMs;
    return turnMs + Math.ceil((afterMs - turnMs) / everyMs) * everyMs;
  }

  get #isSparing(): boolean {
    return this.vl1.settings.isLowBandwidth?.() ?? false;
  }

  #idleMs(isUpstream: boolean): number {
    if (this.#isSparing) return LOW_BANDWIDTH_MS;
    return isUpstream ? UPSTREAM_KEEPALIVE_MS : KEEPALIVE_MS;
  }

  /** The paths of upstreams that are kept and answer: the best of each, then the spare ones. */
  #waysUp(): PeerPath[] {
    const { nowMs, upstreams } = this.vl1;
    const best: PeerPath[] = [];
    const spare: PeerPath[] = [];
    for (const peer of upstreams.peers()) {
      for (const path of peer.paths) {
        if (isSuspect(path) || !this.#isKept(peer, path)) continue;
        (path === peer.best(nowMs) ? best : spare).push(path);
      }
    }
    return [...best, ...spare];
  }

  /** Whether a path is worth keeping: the best one, and a spare of each family; and those a bond uses. */
  #isKept(peer: Peer, path: PeerPath): boolean {
    if (peer.bond?.find(path.path)?.isBonded) return true;
    const best = peer.best(this.vl1.nowMs);
    if (best === path) return true;
    const family = peer.paths.filter((other) =>
      other !== best && other.path.isIpv4 === path.path.isIpv4
    );
    family.sort((a, b) => (a.path.latencyMs ?? Infinity) - (b.path.latencyMs ?? Infinity));
    return family.indexOf(path) < SPARE_PATHS_PER_FAMILY;
  }
}
