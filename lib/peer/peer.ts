/**
 * One peer: who it is, the key we share, the paths that lead to it, which of them is best, and what it may ask of us.
 *
 * Source: spec 03 sections 2, 8, 9 and 28 (items 1, 6, 9). Differences from the reference: a path
 * is proved by an answer from the very address asked; latency is smoothed and switching has
 * hysteresis; a path that stays silent while probed is suspect and no longer used, where the
 * reference keeps it for 243 s.
 * @module
 */
import type { Address } from "../base/ids.ts";
import type { Slabs } from "../base/slab.ts";
import type { Primitives } from "../crypto/primitives.ts";
import { deriveSessionKeys, type SessionKeys } from "../crypto/session_keys.ts";
import { Identity } from "../identity/identity.ts";
import { agree } from "../identity/sign.ts";
import type { Version } from "../wire/version.ts";
import { PeerBudgets } from "./budgets.ts";
import type { LatencyHistogram } from "./latency_histogram.ts";
import type { Bond } from "./bond.ts";
import type { Path } from "./path.ts";

/** A peer without traffic for this long is forgotten; reference PEER_ACTIVITY_TIMEOUT. */
const PEER_ACTIVITY_MS = 500_000;
/** A path silent for this long is gone; reference PATH_EXPIRATION. */
const PATH_EXPIRATION_MS = 243_000;
/** Trust lapses after this; reference TRUST_EXPIRATION. */
export const TRUST_EXPIRATION_MS = 600_000;
/** Sent something and heard nothing for this long: ask. Most conversations answer within it, so it costs nothing. */
const QUIET_MS = 700;
/** The same where another path waits to take over: asked early, it takes over within half a second. */
const BONDED_QUIET_MS = 250;
/** An unanswered probe counts as lost after this at least: less than half a second would hit slow peers. */
export const PROBE_TIMEOUT_MIN_MS = 500;
const BONDED_PROBE_TIMEOUT_MIN_MS = 250;
const PATHS_PER_PEER_MAX = 16; // reference 64; bounds keepalive traffic and memory per peer
const UNKNOWN_LATENCY_MS = 1_000; // what an unmeasured path counts as: worse than any measured one worth having
const SWITCH_GAIN_FRACTION = 0.2; // a challenger must be this much faster...
const SWITCH_GAIN_MS = 2; // ...and by at least this, or two equal paths would alternate for ever
const PROBES_LOST_SUSPECT = 1; // unanswered probes until a path is suspect and traffic goes elsewhere
const PROBES_LOST_DEAD = 4; // unanswered probes until a path is given up

/** Of a peer that has not said yet. */
export const VERSION_UNKNOWN: Version = { protocol: 0, major: 0, minor: 0, revision: 0 };

/** A path this peer has proved, and how it answers. */
export interface PeerPath {
  readonly path: Path;
  /** Last authenticated packet that came from the peer itself by this path. */
  lastInMs: number;
  lastOutMs: number;
  /** First packet sent since the peer was last heard on this path; undefined when it has answered since. */
  quietSinceMs: number | undefined;
  /** Last probe sent; undefined when it was answered. */
  probeSentMs: number | undefined;
  probesLost: number;
  /** Last time packets of the peer that came another way made us ask whether this one still works. */
  doubtedMs: number;
  /** When it was proved. */
  readonly sinceMs: number;
  /** Whether an upstream was asked once more some time after that. */
  isSettled: boolean;
  /** As {@linkcode Path.echoesUntilMs}, of the ECHOs of this peer. */
  echoesUntilMs: number;
  /** How the last {@linkcode PROBES_REMEMBERED_MAX} probes ended, the latest in the lowest bit; 1 is lost. */
  probeLosses: number;
  /** How many of those bits count. */
  probeCount: number;
}

const PROBES_REMEMBERED_MAX = 32; // bits there are; at one probe in 15 s the last eight minutes

export class Peer {
  readonly address: Address;
  version: Version = VERSION_UNKNOWN;
  /** Last authenticated packet, direct or relayed. */
  lastReceiveMs = -Infinity;
  /** Last packet that carried a frame or a network configuration. */
  lastNontrivialMs = -Infinity;
  lastTrustedMs = -Infinity;
  /** As {@linkcode Path.echoesUntilMs}, of the ECHOs that were relayed. */
  echoesUntilMs = -Infinity;
  lastHelloSentMs = -Infinity;
  /** Last HELLO that asked for a moon this peer is the seed of. */
  seedAskedMs = -Infinity;
  lastPushSentMs = -Infinity;
  pushesSent = 0;
  /** When it was last written to the cache, or found there. */
  rememberedMs = -Infinity;
  /** Last packet we had no direct path for; decides whether looking for one is worth it. */
  lastRelayedMs = -Infinity;
  /** First packet we had no direct path for since the peer was last heard. */
  relayedSinceMs = -Infinity;
  /** When each upstream last showed that it reaches this peer; as many as there are upstreams at most. */
  shownBy: Map<Address, number> | undefined;
  /** Addresses recently probed for this peer, by path key, with the time: bounds probes of one address. */
  probed: Map<string, number> | undefined;
  #budgets: PeerBudgets | undefined;
  /** Packets of it opened on the control thread; those the data Worker opens are reported without a number. */
  packetsIn = 0;
  /** Packets sealed for it, by either thread. */
  packetsOut = 0;
  /** Packets that claimed to be from it and were not authentic. */
  packetErrors = 0;
  /** Round trips measured; undefined before the first. */
  latencies: LatencyHistogram | undefined;
  readonly paths: PeerPath[] = [];
  /** How its paths are used together, where a policy says so. */
  bond: Bond | undefined;
  #best: PeerPath | undefined;

  private constructor(
    readonly identity: Identity,
    readonly keys: SessionKeys,
    readonly metMs: number,
  ) {
    this.address = identity.address;
  }

  /**
   * Agrees the key and makes the peer.
   * @returns undefined when no key can be agreed, which no honest identity causes
   */
  static meet(
    primitives: Primitives,
    mine: Identity,
    theirs: Identity,
    nowMs: number,
  ): Peer | undefined {
    const key = agree(primitives, mine, theirs.publicKey);
    return key && new Peer(theirs, deriveSessionKeys(primitives, key), nowMs);
  }

  /** The same peer with its keys in slabs, to be kept in place of this one: for who stays. */
  settled(primitives: Primitives, slabs: Slabs): Peer {
    const { address, publicKey } = this.identity;
    const identity = new Identity({ address, publicKey: slabs.copy(publicKey) });
    const keys = deriveSessionKeys(primitives, slabs.copy(this.keys.key));
    return new Peer(identity, keys, this.metMs);
  }

  /** What it may ask of us; made when first needed, for few of a root's hundred thousand peers ever ask. */
  get budgets(): PeerBudgets {
    return this.#budgets ??= new PeerBudgets();
  }

  isAlive(nowMs: number): boolean {
    return nowMs - this.lastReceiveMs < PEER_ACTIVITY_MS;
  }

  /** Whether frames or configurations went between us lately: only such peers are kept alive. */
  isActive(nowMs: number): boolean {
    return nowMs - this.lastNontrivialMs < PEER_ACTIVITY_MS;
  }

  isTrusted(nowMs: number): boolean {
    return nowMs - this.lastTrustedMs < TRUST_EXPIRATION_MS;
  }

  /** Sent something by a path and heard nothing for this long: the path is asked. */
  get quietMs(): number {
    return this.bond ? BONDED_QUIET_MS : QUIET_MS;
  }

  /** How long an answer may take before the probe counts as lost. */
  probeTimeoutMs(path: PeerPath): number {
    const leastMs = this.bond ? BONDED_PROBE_TIMEOUT_MIN_MS : PROBE_TIMEOUT_MIN_MS;
    return Math.max(leastMs, 3 * (path.path.latencyMs ?? 0));
  }

  find(path: Path): PeerPath | undefined {
    return this.paths.find((known) => known.path === path);
  }

  /** The path to send by, or undefined when none is proved and answering: then relay. */
  best(nowMs: number): PeerPath | undefined {
    const current = this.#best && isUsable(this.#best, nowMs) ? this.#best : undefined;
    let best = current;
    for (const candidate of this.paths) {
      if (isUsable(candidate, nowMs) && candidate !== best && isBetter(candidate, best)) {
        best = candidate;
      }
    }
    this.#best = best;
    return best;
  }

  /** The path most goes by: the one its bond prefers, or the best. */
  preferred(nowMs: number): PeerPath | undefined {
    return this.bond?.pick(undefined, nowMs) ?? this.best(nowMs);
  }

  /** The least bad path when {@linkcode best} has none: suspect or silent for long. */
  anyPath(): PeerPath | undefined {
    let latest: PeerPath | undefined;
    for (const candidate of this.paths) {
      if (!latest || candidate.lastInMs > latest.lastInMs) latest = candidate;
    }
    return latest;
  }

  /** Smoothed round trip over the best path; undefined when relayed or not measured. */
  latencyMs(nowMs: number): number | undefined {
    return this.best(nowMs)?.path.latencyMs;
  }

  /**
   * Takes up a path that answered us from the address asked.
   * @returns the record, new or known; undefined when the peer has many better ones
   */
  learn(path: Path, nowMs: number): PeerPath | undefined {
    const known = this.find(path);
    if (known) {
      heard(known, nowMs);
      return known;
    }
    if (this.paths.length >= PATHS_PER_PEER_MAX && !this.#dropWorst(nowMs)) return undefined;
    path.isProved = true;
    const learned: PeerPath = {
      path,
      lastInMs: nowMs,
      lastOutMs: path.lastOutMs,
      quietSinceMs: undefined,
      probeSentMs: undefined,
      probesLost: 0,
      doubtedMs: -Infinity,
      sinceMs: nowMs,
      isSettled: false,
      echoesUntilMs: path.echoesUntilMs,
      probeLosses: 0,
      probeCount: 1, // the one that proved it
    };
    this.paths.push(learned);
    return learned;
  }

  #dropWorst(nowMs: number): boolean {
    let worst: PeerPath | undefined;
    for (const candidate of this.paths) {
      if (!isUsable(candidate, nowMs) && (!worst || candidate.lastInMs < worst.lastInMs)) {
        worst = candidate;
      }
    }
    if (worst) this.forget(worst);
    return worst !== undefined;
  }

  forget(path: PeerPath): void {
    const index = this.paths.indexOf(path);
    if (index >= 0) this.paths.splice(index, 1);
    if (this.#best === path) this.#best = undefined;
  }

  /** Marks every path as not answering: after sleep, or when our own addresses changed. */
  suspectAll(): void {
    for (const path of this.paths) markSuspect(path);
  }
}

/** Traffic goes elsewhere until the path answers. */
export function markSuspect(path: PeerPath): void {
  path.probesLost = Math.max(path.probesLost, PROBES_LOST_SUSPECT);
}

/** The peer was heard on this path: whatever we wondered is answered. */
export function heard(path: PeerPath, nowMs: number): void {
  path.lastInMs = nowMs;
  path.quietSinceMs = undefined;
  path.probeSentMs = undefined;
  path.probesLost = 0;
}

/** A probe was answered, or its time is over. */
export function noteProbe(path: PeerPath, lost: boolean): void {
  path.probeLosses = ((path.probeLosses << 1) | (lost ? 1 : 0)) >>> 0;
  path.probeCount = Math.min(path.probeCount + 1, PROBES_REMEMBERED_MAX);
}

/** Share of the last probes that were not answered. */
export function lossFraction(path: PeerPath): number {
  let lost = 0;
  for (let bits = path.probeLosses; bits !== 0; bits >>>= 1) lost += bits & 1;
  return lost / path.probeCount;
}

/** Something was sent by this path. */
export function sent(path: PeerPath, nowMs: number): void {
  path.lastOutMs = nowMs;
  path.path.lastOutMs = nowMs;
  path.quietSinceMs ??= nowMs;
}

export function isSuspect(path: PeerPath): boolean {
  return path.probesLost >= PROBES_LOST_SUSPECT;
}

export function isDead(path: PeerPath, nowMs: number): boolean {
  return path.probesLost >= PROBES_LOST_DEAD || nowMs - path.lastInMs >= PATH_EXPIRATION_MS;
}

/** Whether a path answers, as far as we know, and was not silent for too long. */
export function isUsable(path: PeerPath, nowMs: number): boolean {
  return !isSuspect(path) && nowMs - path.lastInMs < PATH_EXPIRATION_MS;
}

/** Whether to move to `challenger`: UDP before TCP, then clearly faster, or as fast and by a more local scope. */
function isBetter(challenger: PeerPath, current: PeerPath | undefined): boolean {
  if (!current) return true;
  if (challenger.path.isTunnel !== current.path.isTunnel) return current.path.isTunnel;
  const ours = challenger.path.latencyMs ?? UNKNOWN_LATENCY_MS;
  const theirs = current.path.latencyMs ?? UNKNOWN_LATENCY_MS;
  const gainMs = theirs - ours;
  if (gainMs >= SWITCH_GAIN_MS && gainMs >= theirs * SWITCH_GAIN_FRACTION) return true;
  const alike = Math.abs(gainMs) < SWITCH_GAIN_MS;
  return alike && challenger.path.scope > current.path.scope;
}
