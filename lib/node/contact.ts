/**
 * Finding and keeping ways to a peer: probing an address, taking up a path that answered, trying
 * again what others named (RENDEZVOUS, PUSH_DIRECT_PATHS) or what is remembered (`hints.ts`).
 *
 * A path is learned only when the very address we asked answers (spec 03 sections 8 and 28 item
 * 22); everything else only causes a probe, within budgets.
 * @module
 */
import type { Address } from "../base/ids.ts";
import { type Endpoint, sameEndpoint } from "../base/ip.ts";
import { dropOldest } from "../base/oldest.ts";
import { KeyedBudgets } from "../base/rate.ts";
import { Timers } from "../base/timers.ts";
import { LatencyHistogram } from "../peer/latency_histogram.ts";
import { endpointKey, type Path, type SocketId } from "../peer/path.ts";
import {
  heard,
  isSuspect,
  markSuspect,
  noteProbe,
  type Peer,
  type PeerPath,
  PROBE_TIMEOUT_MIN_MS,
} from "../peer/peer.ts";
import { Verb } from "../wire/packet.ts";
import { SeenPackets } from "../wire/seen_packets.ts";
import type { Question } from "./expected.ts";
import type { Greeter } from "./hello.ts";
import { Hints } from "./hints.ts";
import type { Vl1 } from "./vl1.ts";

const RECONFIRM_MS = 1_000; // one probe of an unknown address of a peer in this time; reference RECONFIRM
// Probes of such an address: one lost packet must not leave us without a path
const CONFIRM_DELAYS_MS = [0, 500, 1_500];
const CONFIRMATIONS_MAX = 4_096; // addresses being confirmed; a root that restarts has many at once
/** Packets that came from unknown addresses, remembered to tell copies of them: 98 KB, once there are any. */
const ARRIVALS_MAX = 8_192;
const PROBED_MAX = 64; // addresses remembered as probed, a peer
const HELLO_BYTES = 512; // a HELLO takes no more, with up to twenty moons
const ECHO_PROTOCOL_MIN = 5; // older peers do not know ECHO
const PUNCH_DELAYS_MS = [0, 150, 400, 900, 1_700]; // probes after one introduction: packets cross, NATs open late
/**
 * Of these which go out from every socket, where none is named: one is enough as a rule (spec 03
 * section 28 item 10).
 */
const PUNCHES_FROM_ALL = new Set([2, 4]);
const PUNCHES_MAX = 256; // introductions being worked on at once
const PUNCHES_UNTRUSTED_MAX = 128; // of which so many because somebody said so who shares no network with us
// Other paths quieter than this, or since the new one was asked, are checked when it is learned: a peer that roamed
// left them
const CHECK_SILENT_MS = 50;
const TARGET_PROBES = { perSecond: 1, burst: 16 }; // of one address, whoever names it: it may be a third party's
const TARGETS_MAX = 1_024; // addresses with such a budget, of either kind
/**
 * Passes our own NAT, not the other side's; reference sends the same. Were it to arrive there, a
 * Linux router without a filter would note it as a connection of its own, and give the other's
 * probe to that very port another source port.
 */
const NAT_OPENER_TTL = 2;

/** An address somebody named, probed a few times. */
interface Punch {
  readonly peer: Address;
  readonly endpoint: Endpoint;
  readonly socket: SocketId | undefined; // undefined: from every socket of the family
  /** Somebody told the peer of us too, so that it expects us. */
  readonly isMutual: boolean;
  readonly startMs: number;
  tries: number;
}

/** An address a peer's packet came from, asked whether the peer is there. */
interface Confirmation {
  readonly peer: Address;
  readonly path: Path;
  readonly startMs: number;
  tries: number;
}

export class Contact {
  readonly hints = new Hints();
  readonly #punches = new Timers<Punch>();
  readonly #confirmations = new Timers<Confirmation>();
  readonly #targets = new KeyedBudgets<number | string>(TARGET_PROBES, TARGETS_MAX);
  /** The same of what others say who share no network with us: it must not use up an honest peer's. */
  readonly #untrustedTargets = new KeyedBudgets<number | string>(TARGET_PROBES, TARGETS_MAX);
  #arrivals: SeenPackets | undefined;
  readonly #tunnelled = new Map<Path, Peer>(); // who came by a tunnel made to us; as many as there are connections

  constructor(readonly vl1: Vl1, readonly greeter: Greeter) {}

  /** Peers remembered with the tunnel they came by. */
  get tunnelledSize(): number {
    return this.#tunnelled.size;
  }

  get deadlineMs(): number {
    return Math.min(this.#punches.nextMs, this.#confirmations.nextMs);
  }

  /**
   * Asks one address whether the peer is there: ECHO if it knows that verb, else HELLO.
   * @param full Always HELLO: to tell versions and worlds, and where we see it
   * @param unasked Whether nothing came from there: the rate is bounded by the caller
   */
  probe(peer: Peer, path: Path, full = false, unasked = false): void {
    const known = peer.find(path);
    if (known) known.probeSentMs ??= this.vl1.nowMs;
    if (full || peer.version.protocol < ECHO_PROTOCOL_MIN) {
      this.greeter.hello(peer, path, { unasked });
    } else {
      this.#echo(peer, path, unasked);
    }
    this.#asked(peer, path);
  }

  /** Asks by ECHO somebody who knows it, though we were not told its version; the rate is bounded by the caller. */
  echo(peer: Peer, path: Path): void {
    this.#echo(peer, path, true);
    this.#asked(peer, path);
  }

  #echo(peer: Peer, path: Path, unasked: boolean): void {
    this.vl1.transmit(peer, path, Verb.ECHO, new Uint8Array(0), { probe: true, unasked });
  }

  #asked(peer: Peer, path: Path): void {
    const known = peer.find(path);
    path.lastOutMs = this.vl1.nowMs;
    if (known) known.lastOutMs = this.vl1.nowMs;
    this.vl1.timers.setEarlier(peer, this.vl1.nowMs + PROBE_TIMEOUT_MIN_MS);
  }

  /** Probes an endpoint from one socket, or from every socket of its family: first contact. */
  probeFrom(peer: Peer, endpoint: Endpoint, socket: SocketId | undefined, full = false): void {
    for (const local of this.vl1.socketsFor(endpoint, peer.address)) {
      if (socket === undefined || local.id === socket) {
        const path = this.vl1.paths.get(local.id, endpoint);
        this.vl1.paths.invite(path);
        this.probe(peer, path, full, true);
      }
    }
  }

  /** Asks a peer that is reached at one more place, within what others may be asked. */
  explore(peer: Peer, endpoint: Endpoint, socket: SocketId): void {
    const path = this.vl1.paths.get(socket, endpoint);
    if (!this.vl1.mayUse(peer.address, path) || !this.#mayProbe(peer, endpoint)) return;
    this.probeFrom(peer, endpoint, socket);
  }

  /**
   * An authenticated direct packet came by a path we do not know: ask there, beginning once a second at most.
   * @param isNew Whether no such packet came before, from anywhere
   * @returns whether it was asked
   */
  confirm(peer: Peer, path: Path, isNew = true): boolean {
    if (!this.vl1.mayUse(peer.address, path) || !this.vl1.hasSocket(path.socket)) return false;
    const { key } = path;
    const { nowMs } = this.vl1;
    const probed = peer.probed ??= new Map();
    if (nowMs - (probed.get(key) ?? -Infinity) < RECONFIRM_MS) return false;
    probed.delete(key);
    if (probed.size >= PROBED_MAX) dropOldest(probed);
    // Most are at one place, few at more than a handful: who comes from a thousand is not there.
    const isFirst = peer.paths.length + probed.size === 0;
    const budget = isNew ? peer.budgets.places : peer.budgets.otherPlaces;
    if (!isFirst && !budget.take(nowMs)) {
      this.vl1.counters.drop("rate");
      return false;
    }
    probed.set(key, nowMs);
    this.#ask(peer, path);
    if (this.#confirmations.size < CONFIRMATIONS_MAX) {
      const confirmation = { peer: peer.address, path, startMs: nowMs, tries: 1 };
      this.#confirmations.set(confirmation, nowMs + CONFIRM_DELAYS_MS[1]);
    }
    return true;
  }

  /**
   * Whether a packet from an address we do not know came from one before: somebody overheard it, or
   * it is a HELLO, which a reference sends from each of its sockets.
   */
  isCopy(peer: Peer, id: bigint): boolean {
    const [high, low] = [Number(id >> 32n) | 0, Number(id & 0xffff_ffffn) | 0];
    this.#arrivals ??= new SeenPackets(ARRIVALS_MAX);
    return this.#arrivals.isRepeatedId(high, low, peer.address | 0);
  }

  /** Forgets what was probed for a peer, when none of it is too early to be probed again. */
  forgetProbed(peer: Peer): void {
    for (const sinceMs of peer.probed?.values() ?? []) {
      if (this.vl1.nowMs - sinceMs < RECONFIRM_MS) return;
    }
    peer.probed = undefined;
  }

  /** Asks within what the address may be sent: ECHO, which all but the oldest know, where HELLO is too much. */
  #ask(peer: Peer, path: Path): void {
    if (this.vl1.mayAnswer(path, HELLO_BYTES)) {
      return this.probe(peer, path, peer.version.protocol === 0);
    }
    this.#echo(peer, path, false);
    this.#asked(peer, path);
  }

  /** Asks again where no answer came from. */
  #confirmAgain(): void {
    const { nowMs } = this.vl1;
    for (;;) {
      const confirmation = this.#confirmations.pop(nowMs);
      if (!confirmation) return;
      const { path, startMs } = confirmation;
      const peer = this.vl1.peers.get(confirmation.peer);
      if (!peer || reaches(peer, path.endpoint) || !this.vl1.hasSocket(path.socket)) continue;
      this.#ask(peer, path);
      const nextMs = CONFIRM_DELAYS_MS[++confirmation.tries];
      if (nextMs !== undefined) this.#confirmations.set(confirmation, startMs + nextMs);
    }
  }

  /** The address asked has answered: take the path up, and see whether the others still answer. */
  learn(peer: Peer, path: Path, question: Question): void {
    if (!this.vl1.mayUse(peer.address, path) || !this.vl1.hasSocket(path.socket)) return;
    const { nowMs } = this.vl1;
    const latencyMs = Math.max(0, nowMs - question.sentMs);
    path.addLatency(latencyMs);
    if (question.verb === Verb.ECHO) path.echoMs = nowMs;
    path.mtu = this.vl1.settings.pathMtu?.(path.endpoint) ?? path.mtu;
    (peer.latencies ??= new LatencyHistogram()).observe(latencyMs);
    const known = peer.find(path);
    if (known) {
      noteProbe(known, false);
      peer.bond?.find(path)?.window.add(latencyMs / 2);
      return heard(known, nowMs);
    }
    const wasRelayed = peer.best(nowMs) === undefined;
    if (!this.vl1.paths.keep(path) || !peer.learn(path, nowMs)) return;
    if (path.isAccepted) this.#tunnelled.set(path, peer);
    this.hints.forget(peer.address);
    this.vl1.releaseHeld(path);
    for (const other of peer.paths) {
      if (peer.bond) break; // it is one path more, and the others are looked after anyway
      const isSilent = nowMs - other.lastInMs > CHECK_SILENT_MS || other.lastInMs < question.sentMs;
      if (other.path !== path && isSilent) {
        this.probe(peer, other.path);
        markSuspect(other); // until it answers, what just has answered is the better one
      }
    }
    if (wasRelayed) {
      this.vl1.outbox.push({ kind: "event", event: { name: "direct", peer: peer.address } });
    }
    this.vl1.timers.setEarlier(peer, nowMs);
    this.vl1.onLearned(peer);
    this.vl1.flushQueue(peer);
  }

  /**
   * Probes an address somebody else named, a few times over two seconds.
   * @param socket Where to probe from; undefined for all sockets of the family
   * @param isMutual Whether the peer was told of us too: then it answers at once, and our own NAT is opened first
   */
  punch(peer: Peer, endpoint: Endpoint, socket: SocketId | undefined, isMutual: boolean): void {
    const first = this.vl1.socketsFor(endpoint, peer.address)[0];
    if (!first) return;
    const path = this.vl1.paths.get(socket ?? first.id, endpoint);
    const { nowMs } = this.vl1;
    const max = isMutual || peer.isTrusted(nowMs) ? PUNCHES_MAX : PUNCHES_UNTRUSTED_MAX;
    if (!this.vl1.mayUse(peer.address, path) || this.#punches.size >= max) return;
    if (peer.find(path) && !isSuspect(peer.find(path)!)) return;
    if (isMutual) this.openNat(path);
    const punch = { peer: peer.address, endpoint, socket, isMutual, startMs: nowMs, tries: 0 };
    this.#punches.set(punch, nowMs);
    this.handleTimeout();
  }

  /** Sends something that makes our own NAT expect the other side, and goes no further. */
  openNat(path: Path): void {
    this.vl1.datagram(path, this.vl1.random(4), { ttl: NAT_OPENER_TTL });
  }

  /** Works off what is due: repeated probes. */
  handleTimeout(): void {
    this.#confirmAgain();
    const { nowMs } = this.vl1;
    for (;;) {
      const punch = this.#punches.pop(nowMs);
      if (!punch) return;
      const peer = this.vl1.peers.get(punch.peer);
      if (!peer || reaches(peer, punch.endpoint)) continue;
      if (this.#mayProbe(peer, punch.endpoint, punch.isMutual)) {
        // Who does not expect us sends us no more than it got: its answer to an ECHO is longer than
        // the ECHO, and comes only when we have answered one of its own. A HELLO is long enough for
        // both.
        const isFirst = punch.tries === 0;
        this.probeFrom(peer, punch.endpoint, this.#socketFor(punch), isFirst && !punch.isMutual);
      }
      punch.tries++;
      if (punch.tries < PUNCH_DELAYS_MS.length) {
        this.#punches.set(punch, punch.startMs + PUNCH_DELAYS_MS[punch.tries]);
      }
    }
  }

  /** @returns undefined for all sockets of the family */
  #socketFor({ peer, endpoint, socket, tries }: Punch): SocketId | undefined {
    if (socket !== undefined || PUNCHES_FROM_ALL.has(tries)) return socket;
    return this.vl1.socketsFor(endpoint, peer)[0]?.id;
  }

  /**
   * A budget per peer and one per target, so that nobody makes us flood a third party.
   * @param isOwnOrRoots Whether we remember the address ourselves, or a root named it
   */
  #mayProbe(peer: Peer, target: Endpoint, isOwnOrRoots = false): boolean {
    const { nowMs } = this.vl1;
    const isFounded = isOwnOrRoots || peer.isTrusted(nowMs);
    const targets = isFounded ? this.#targets : this.#untrustedTargets;
    return peer.budgets.probe.take(nowMs) && targets.of(endpointKey(target)).take(nowMs);
  }

  /** The addresses of a peer that are being probed because somebody named them. */
  punchesTo(address: Address): Endpoint[] {
    return this.#punches.items().filter((punch) => punch.peer === address)
      .map((punch) => punch.endpoint);
  }

  /**
   * Tries the remembered addresses of a peer without a path, if it is time.
   * @returns when to call again; Infinity when there is nothing to try
   */
  tryHints(peer: Peer): number {
    for (const endpoint of this.hints.take(peer.address, this.vl1.nowMs)) {
      const [socket] = this.vl1.socketsFor(endpoint, peer.address);
      if (!socket) continue;
      const path = this.vl1.paths.get(socket.id, endpoint);
      if (this.vl1.mayUse(peer.address, path) && this.#mayProbe(peer, endpoint, true)) {
        this.probeFrom(peer, endpoint, undefined, true);
      }
    }
    return this.hints.dueMs(peer.address);
  }

  /** A tunnel made to us was closed: who came by it cannot be reached that way, and need not be probed to find out. */
  hangUp(path: Path): void {
    const peer = this.#tunnelled.get(path);
    const known = peer?.find(path);
    this.#tunnelled.delete(path);
    if (peer && known) this.lose(peer, known);
  }

  /** A peer was forgotten, with its paths. */
  forget(peer: Peer): void {
    this.hints.forget(peer.address);
    for (const { path } of peer.paths) this.#tunnelled.delete(path);
  }

  /** A path that does not answer any more: forget it, but remember the address. */
  lose(peer: Peer, path: PeerPath): void {
    peer.forget(path);
    peer.bond?.update(this.vl1.nowMs);
    if (path.path.isTunnel) this.#tunnelled.delete(path.path);
    else this.hints.add(peer.address, [path.path.endpoint], this.vl1.nowMs);
    if (peer.paths.length === 0) {
      this.vl1.outbox.push({ kind: "event", event: { name: "relayed", peer: peer.address } });
    }
  }
}

/** Whether a path to this endpoint is known and answers. */
function reaches(peer: Peer, endpoint: Endpoint): boolean {
  return peer.paths.some((known) =>
    !isSuspect(known) && sameEndpoint(known.path.endpoint, endpoint)
  );
}
