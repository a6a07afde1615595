/**
 * Tells members that another is one no longer.
 *
 * Nodes accept one NETWORK_CREDENTIALS a second from a peer and lose the rest, so revocations of one network that come
 * closer together travel in one packet, as many as fit, and the next packet waits its turn. Nobody acknowledges one, so
 * each is told several times.
 *
 * Source: spec 05 section 5.3, spec 04 sections 9.5 and 10.3.
 * @module
 */
import { Reader } from "../base/bytes.ts";
import type { Address, NetworkId } from "../base/ids.ts";
import { dropOldest } from "../base/oldest.ts";
import {
  CredentialType,
  type Revocation,
  revocationFlags,
  signRevocation,
} from "../credential/revocation.ts";
import type { Primitives, Random } from "../crypto/primitives.ts";
import type { Identity } from "../identity/identity.ts";

const PACKET_GAP_MS = 1_100; // receivers' gate is 1000 ms; the rest is for jitter on the way
/** Told again so long after the time before. */
const AGAIN_MS = [1_500, 2_500, 6_000];
/** One that asked for its configuration is told again so long after the time before. */
const RETURNED_AGAIN_MS = [2_000, 4_000];
const RETURNED_MAX = 4_096; // who waits for that; the one that waits longest gives way
const REVOCATIONS_PER_PACKET = 60; // of 152 bytes each: 9120 of the 10,024 a packet may have

/** Where a batch goes. */
export interface RevocationBatch {
  readonly network: NetworkId;
  readonly to: Address[];
  readonly revocations: Revocation[];
}

/** A membership that ended lately. */
interface Ended {
  readonly wallMs: number;
  /** Signed when first told. */
  revocation: Revocation | undefined;
}

/** What is to be told. */
interface Pending {
  readonly wallMs: number;
  /** How often it was. */
  tries: number;
  dueMs: number;
}

interface Spool {
  /** By the member whose membership ended; at most the members the network had. */
  readonly pending: Map<Address, Pending>;
  readonly audience: Set<Address>;
  /** When the next packet may go. */
  nextMs: number;
  /** When the first of those pending is due; never later. */
  dueMs: number;
}

/** A member that was told who left, and is told again. */
interface Returned {
  readonly network: NetworkId;
  readonly to: Address;
  readonly sinceWallMs: number;
  tries: number;
  dueMs: number;
}

export class Revocations {
  readonly #returned = new Map<string, Returned>();
  #returnedDueMs = Infinity; // when the first of them is due; never later
  readonly #spools = new Map<NetworkId, Spool>();
  /** Of each network the members that were removed last, as many as one packet can name; the oldest first. */
  readonly #recent = new Map<NetworkId, Map<Address, Ended>>();

  constructor(
    readonly identity: Identity,
    readonly primitives: Primitives,
    readonly random: Random,
  ) {}

  /** When {@linkcode take} has something to do; Infinity when nothing waits. */
  get deadlineMs(): number {
    let deadlineMs = Infinity;
    for (const spool of this.#spools.values()) {
      deadlineMs = Math.min(deadlineMs, Math.max(spool.nextMs, spool.dueMs));
    }
    return Math.min(deadlineMs, this.#returnedDueMs);
  }

  /** Notes that members lost their membership; `audience` is who should hear of it, they themselves included. */
  add(
    network: NetworkId,
    ended: { members: Iterable<Address>; wallMs: number },
    audience: Iterable<Address>,
  ): void {
    let spool = this.#spools.get(network);
    if (!spool) {
      spool = { pending: new Map(), audience: new Set(), nextMs: -Infinity, dueMs: -Infinity };
      this.#spools.set(network, spool);
    }
    for (const member of ended.members) {
      spool.pending.set(member, { wallMs: ended.wallMs, tries: 0, dueMs: -Infinity });
      this.note(network, member, ended.wallMs);
    }
    spool.dueMs = -Infinity;
    for (const address of audience) spool.audience.add(address);
  }

  /** Remembers that a membership ended: also what an earlier run of the controller decided. */
  note(network: NetworkId, member: Address, wallMs: number): void {
    let recent = this.#recent.get(network);
    if (!recent) this.#recent.set(network, recent = new Map());
    recent.delete(member);
    recent.set(member, { wallMs, revocation: undefined });
    if (recent.size > REVOCATIONS_PER_PACKET) dropOldest(recent);
  }

  /** It is a member again, or the network is no more. */
  forget(network: NetworkId, member?: Address): void {
    if (member === undefined) {
      this.#recent.delete(network);
      return;
    }
    this.#recent.get(network)?.delete(member);
    this.#spools.get(network)?.pending.delete(member);
  }

  /**
   * Who ceased to be a member since then: for one that was away, or has forgotten. Its certificate
   * may be believed for as long as the network's window, and nobody else tells.
   */
  recent(network: NetworkId, sinceWallMs: number): Revocation[] {
    const revocations: Revocation[] = [];
    for (const [member, ended] of this.#recent.get(network) ?? []) {
      if (ended.wallMs < sinceWallMs) continue;
      // Who is told so tells nobody: the others are told as well.
      revocations.push(this.#silently(network, member, ended));
    }
    return revocations;
  }

  /** One member was told who left: it is told again who did since then. */
  tellAgain(network: NetworkId, to: Address, sinceWallMs: number, nowMs: number): void {
    if (this.recent(network, sinceWallMs).length === 0) return;
    const key = `${network}|${to}`;
    this.#returned.delete(key);
    if (this.#returned.size >= RETURNED_MAX) dropOldest(this.#returned);
    const dueMs = nowMs + RETURNED_AGAIN_MS[0];
    this.#returned.set(key, { network, to, sinceWallMs, tries: 0, dueMs });
    this.#returnedDueMs = Math.min(this.#returnedDueMs, dueMs);
  }

  #silently(network: NetworkId, member: Address, ended: Ended): Revocation {
    return ended.revocation ??= this.#revocation(network, member, ended.wallMs, false);
  }

  /** What is due: at most one batch a network for its members, and one for each that is told again. */
  take(nowMs: number): RevocationBatch[] {
    const batches: RevocationBatch[] = [];
    for (const [network, spool] of this.#spools) {
      if (nowMs < spool.nextMs) continue;
      if (spool.pending.size === 0) {
        this.#spools.delete(network); // nothing came in for a whole gap
        continue;
      }
      const revocations = this.#due(network, spool, nowMs);
      if (revocations.length === 0) continue;
      if (spool.audience.size > 0) batches.push({ network, to: [...spool.audience], revocations });
      spool.nextMs = nowMs + PACKET_GAP_MS;
      if (spool.pending.size === 0) spool.audience.clear();
    }
    batches.push(...this.#takeReturned(nowMs));
    return batches;
  }

  #takeReturned(nowMs: number): RevocationBatch[] {
    const batches: RevocationBatch[] = [];
    if (nowMs < this.#returnedDueMs) return batches;
    this.#returnedDueMs = Infinity;
    for (const [key, returned] of this.#returned) {
      if (returned.dueMs <= nowMs) {
        const { network, to } = returned;
        const revocations = this.recent(network, returned.sinceWallMs);
        if (revocations.length > 0) batches.push({ network, to: [to], revocations });
        const againMs = RETURNED_AGAIN_MS[++returned.tries];
        if (againMs === undefined) {
          this.#returned.delete(key);
          continue;
        }
        returned.dueMs = nowMs + againMs;
      }
      this.#returnedDueMs = Math.min(this.#returnedDueMs, returned.dueMs);
    }
    return batches;
  }

  /** As many as are due and fit a packet; the first time those who hear of it tell others. */
  #due(network: NetworkId, spool: Spool, nowMs: number): Revocation[] {
    const revocations: Revocation[] = [];
    spool.dueMs = Infinity;
    for (const [member, pending] of spool.pending) {
      if (pending.dueMs <= nowMs && revocations.length < REVOCATIONS_PER_PACKET) {
        const ended = this.#recent.get(network)?.get(member);
        if (pending.tries === 0) {
          revocations.push(this.#revocation(network, member, pending.wallMs, true));
        } else if (ended) revocations.push(this.#silently(network, member, ended));
        const againMs = AGAIN_MS[pending.tries++];
        if (againMs === undefined || !this.#recent.get(network)?.has(member)) {
          spool.pending.delete(member);
          continue;
        }
        pending.dueMs = nowMs + againMs;
      }
      spool.dueMs = Math.min(spool.dueMs, pending.dueMs);
    }
    return revocations;
  }

  #revocation(network: NetworkId, target: Address, thresholdMs: number, spreads: boolean) {
    return signRevocation(this.primitives, this.identity, {
      id: this.#randomId(),
      networkId: network,
      type: CredentialType.COM,
      credentialId: 0,
      thresholdMs,
      flags: revocationFlags(spreads),
      target,
    });
  }

  #randomId(): number {
    const bytes = new Uint8Array(4);
    this.random(bytes);
    return new Reader(bytes, "random").u32();
  }
}
