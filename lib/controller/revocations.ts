/**
 * Tells members that another is one no longer.
 *
 * Nodes accept one NETWORK_CREDENTIALS a second from a peer and lose the rest, so revocations of one network that come
 * closer together travel in one packet, as many as fit, and the next packet waits its turn.
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

interface Spool {
  /** Member to the wall time its membership ended; at most the members the network had. */
  readonly pending: Map<Address, number>;
  readonly audience: Set<Address>;
  nextMs: number;
}

export class Revocations {
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
    for (const { nextMs } of this.#spools.values()) deadlineMs = Math.min(deadlineMs, nextMs);
    return deadlineMs;
  }

  /** Notes that members lost their membership; `audience` is who should hear of it, they themselves included. */
  add(
    network: NetworkId,
    ended: { members: Iterable<Address>; wallMs: number },
    audience: Iterable<Address>,
  ): void {
    let spool = this.#spools.get(network);
    if (!spool) {
      spool = { pending: new Map(), audience: new Set(), nextMs: -Infinity };
      this.#spools.set(network, spool);
    }
    for (const member of ended.members) {
      spool.pending.set(member, ended.wallMs);
      this.note(network, member, ended.wallMs);
    }
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
    if (member === undefined) this.#recent.delete(network);
    else this.#recent.get(network)?.delete(member);
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
      ended.revocation ??= this.#revocation(network, member, ended.wallMs, false);
      revocations.push(ended.revocation);
    }
    return revocations;
  }

  /** At most one batch a network that is due. */
  take(nowMs: number): RevocationBatch[] {
    const batches: RevocationBatch[] = [];
    for (const [network, spool] of this.#spools) {
      if (nowMs < spool.nextMs) continue;
      if (spool.pending.size === 0) {
        this.#spools.delete(network); // nothing came in for a whole gap
        continue;
      }
      const revocations = this.#sign(network, spool.pending);
      if (spool.audience.size > 0) batches.push({ network, to: [...spool.audience], revocations });
      spool.nextMs = nowMs + PACKET_GAP_MS;
      if (spool.pending.size === 0) spool.audience.clear();
    }
    return batches;
  }

  #sign(network: NetworkId, pending: Map<Address, number>): Revocation[] {
    const revocations: Revocation[] = [];
    for (const [member, wallMs] of pending) {
      if (revocations.length === REVOCATIONS_PER_PACKET) break;
      pending.delete(member);
      revocations.push(this.#revocation(network, member, wallMs, true));
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
