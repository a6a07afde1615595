/**
 * Decides what becomes of frames on one network: rules compiled once, frames decided without
 * allocation. Made anew with every config; a {@linkcode FilterPeer} anew with every change of
 * config or of the peer's credentials.
 *
 * Source: spec 04b section 2.8; the obvious twin is `decision.ts`.
 * @module
 */
import type { Address } from "../../base/ids.ts";
import { Counterpart, Evaluator } from "./evaluator.ts";
import type { FrameView } from "./frame_view.ts";
import {
  type CapabilityRules,
  type LocalMember,
  NO_CREDENTIALS,
  type RemoteMember,
  validCredentials,
} from "./member.ts";
import { emulatedPrefixes, OwnedThings } from "./owned_things.ts";
import { compileRules, type Program } from "./program.ts";
import { COPIES_MAX, CopyFlags, ListResult, Verdict } from "./verdict.ts";

/** A copy to send as EXT_FRAME: original MACs and ethertype, payload cut. Refilled by every decision. */
export class CopySlot {
  /** Upper 8 bits of the receiver's address */
  toHigh = 0;
  /** Lower 32 bits, signed */
  toLow = 0;
  flags = 0;
  lengthBytes = 0;

  /** The receiver's address; allocates */
  get to(): Address {
    return this.toHigh * 0x1_0000_0000 + (this.toLow >>> 0) as Address;
  }
}

/** Another member as one filter sees it. */
export class FilterPeer {
  readonly counterpart: Counterpart;
  readonly owned: OwnedThings;
  readonly capabilities: readonly Program[];

  /** See {@linkcode NetworkFilter.peer} */
  constructor(local: LocalMember, address: Address, credentials: RemoteMember) {
    const valid = validCredentials(local, credentials);
    this.counterpart = new Counterpart(address, valid.tags);
    this.owned = new OwnedThings(valid.ownerships, emulatedPrefixes(local));
    this.capabilities = compileCapabilities(valid.capabilities, local, true);
  }
}

function compileCapabilities(
  held: readonly CapabilityRules[],
  local: LocalMember,
  inbound: boolean,
): Program[] {
  const ascending = [...held].sort((a, b) => a.id - b.id);
  return ascending.map(({ rules }) => compileRules(rules, { local, inbound }));
}

/** The filter of one network. Load {@linkcode frame}, then ask. */
export class NetworkFilter {
  /** Made by the last decision, in the order of sending; the first {@linkcode copyCount} count */
  readonly copies: readonly CopySlot[] = Array.from({ length: COPIES_MAX }, () => new CopySlot());
  copyCount = 0;
  readonly #local: LocalMember;
  readonly #evaluator: Evaluator;
  readonly #inboundRules: Program;
  readonly #outboundRules: Program;
  readonly #ownCapabilities: readonly Program[];
  readonly #ownThings: OwnedThings;
  // The copy the network's rules asked for, kept while capabilities are consulted.
  #copyIsWatch = false;
  #copyToHigh = 0;
  #copyToLow = 0;
  #copyLength = 0;

  /**
   * @param local Kept, for peers
   * @param random 32 random bits, unsigned: for MATCH_RANDOM only
   */
  constructor(local: LocalMember, random: () => number) {
    this.#local = local;
    this.#evaluator = new Evaluator(random);
    this.#inboundRules = compileRules(local.rules, { local, inbound: true });
    this.#outboundRules = compileRules(local.rules, { local, inbound: false });
    this.#ownCapabilities = compileCapabilities(local.capabilities, local, false);
    this.#ownThings = new OwnedThings(local.ownerships);
  }

  /** The frame to decide on next. */
  get frame(): FrameView {
    return this.#evaluator.frame;
  }

  /**
   * Prepares another member.
   * @param address 0 for "not known yet": the first pass of multicast and of unknown unicast
   * @param credentials As received and verified; those too old or revoked do not count
   */
  peer(address: Address, credentials: RemoteMember = NO_CREDENTIALS): FilterPeer {
    return new FilterPeer(this.#local, address, credentials);
  }

  /**
   * Whether a frame from this member to `to` may be sent. When its rules redirect it the answer is
   * DROP and the frame is among the copies.
   * @param teeEnabled false on a second pass: copies were made on the first. Redirection works either way
   */
  outbound(to: FilterPeer, teeEnabled: boolean): Verdict {
    return this.#decide(to, false, teeEnabled);
  }

  /** Whether a frame from `from` may be delivered; redirected ones are DROP and among the copies. */
  inbound(from: FilterPeer): Verdict {
    return this.#decide(from, true, true);
  }

  // Flags side by side, not in an object: this runs once a frame.
  #decide(peer: FilterPeer, inbound: boolean, teeEnabled: boolean): Verdict {
    this.copyCount = 0;
    const evaluator = this.#evaluator;
    const rules = inbound ? this.#inboundRules : this.#outboundRules;
    const owned = inbound ? peer.owned : this.#ownThings;
    let result = evaluator.run(rules, peer.counterpart, owned, inbound);
    if (result === ListResult.DROP) return Verdict.DROP;
    const networkCopies = teeEnabled && evaluator.hasCopy;
    if (networkCopies) this.#remember();
    if (result === ListResult.NO_MATCH) {
      const programs = inbound ? peer.capabilities : this.#ownCapabilities;
      result = this.#consult(programs, peer, owned, inbound);
      if (result === ListResult.NO_MATCH) return Verdict.DROP;
      if (teeEnabled && evaluator.hasCopy) {
        this.#addCopy(
          evaluator.copyToHigh,
          evaluator.copyToLow,
          copyFlags(inbound, evaluator.copyIsWatch),
          evaluator.copyLength,
        );
      }
    }
    if (networkCopies) {
      const flags = copyFlags(inbound, this.#copyIsWatch);
      this.#addCopy(this.#copyToHigh, this.#copyToLow, flags, this.#copyLength);
    }
    if (result === ListResult.REDIRECT) {
      const flags = inbound ? CopyFlags.REDIRECT_INBOUND : CopyFlags.REDIRECT_OUTBOUND;
      const { redirectToHigh, redirectToLow, frame } = evaluator;
      this.#addCopy(redirectToHigh, redirectToLow, flags, frame.length);
      return Verdict.DROP;
    }
    const isSuper = inbound && result === ListResult.SUPER_ACCEPT;
    return isSuper ? Verdict.SUPER_ACCEPT : Verdict.ACCEPT;
  }

  /** @returns the result of the first capability that allows the frame, NO_MATCH when none does */
  #consult(
    programs: readonly Program[],
    peer: FilterPeer,
    owned: OwnedThings,
    inbound: boolean,
  ): ListResult {
    for (let i = 0; i < programs.length; i++) {
      const result = this.#evaluator.run(programs[i], peer.counterpart, owned, inbound);
      // Quirk: a DROP inside a capability decides nothing.
      if (result !== ListResult.NO_MATCH && result !== ListResult.DROP) return result;
    }
    return ListResult.NO_MATCH;
  }

  #remember(): void {
    const evaluator = this.#evaluator;
    this.#copyIsWatch = evaluator.copyIsWatch;
    this.#copyToHigh = evaluator.copyToHigh;
    this.#copyToLow = evaluator.copyToLow;
    this.#copyLength = evaluator.copyLength;
  }

  #addCopy(toHigh: number, toLow: number, flags: number, lengthBytes: number): void {
    const slot = this.copies[this.copyCount++];
    slot.toHigh = toHigh;
    slot.toLow = toLow;
    slot.flags = flags;
    slot.lengthBytes = lengthBytes;
  }
}

function copyFlags(inbound: boolean, isWatch: boolean): number {
  if (inbound) return isWatch ? CopyFlags.WATCH_INBOUND : CopyFlags.TEE_INBOUND;
  return isWatch ? CopyFlags.WATCH_OUTBOUND : CopyFlags.TEE_OUTBOUND;
}
