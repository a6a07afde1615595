/**
 * Who said HELLO and is not known: kept until its proof of work is checked, elsewhere, at 10 ms and
 * more of a core each.
 *
 * A few a second are checked at once. Beyond that a stranger has to answer an ECHO first, where it
 * says it is: addresses a flood makes up never do, so it costs no checks and newcomers do not wait
 * behind it; they come in a round trip later.
 *
 * Source: spec 03 section 28 items 23 and 27.
 * @module
 */
import type { Address } from "../base/ids.ts";
import { TokenBucket } from "../base/rate.ts";
import type { Identity } from "../identity/identity.ts";
import type { Path } from "../peer/path.ts";
import type { Peer } from "../peer/peer.ts";
import { decodeOk } from "../wire/ok.ts";
import { AT_PAYLOAD, Verb, verbOf } from "../wire/packet.ts";
import type { Vl1 } from "./vl1.ts";

/** Bounds memory, at 3 KB each: two seconds of a flood, for that long an answer may take. */
const LIMITS = {
  strangersMax: 512,
  /** Of which one /24 or /48 may hold so many: a flood cannot shut out the others. */
  perPrefixMax: 128,
};
const CHECKS_MAX = 16; // checked at a time: how long a newcomer waits behind others, at 10 to 100 ms each
const CHECKS_PER_PREFIX_MAX = 4; // of one prefix: an office starting at once, or a flood, leaves room for the others
const COPIES_MAX = 8; // of one HELLO, that came from several sockets
/**
 * Copies beyond those, of all strangers together: who sends so many comes back after a while, or is
 * repeated by a flood from everywhere, and each costs an opening, a question and a source to remember.
 */
const MORE_COPIES = { perSecond: 200, burst: 200 };
/** Checked without an answer first: a flood can cost no more than a tenth of a core. */
const UNASKED = { perSecond: 10, burst: 64 };

/** A HELLO whose sender is to be validated. */
export interface Stranger {
  readonly ticket: number;
  /** Who it is once the proof of work holds, with the key that was agreed to open the packet. */
  readonly peer: Peer;
  readonly prefix: number;
  /** Copies of the packet, all authentic, with the path each came by. */
  readonly packets: { readonly packet: Uint8Array; readonly path: Path }[];
  /** Whether it may be checked: it answered, or need not. */
  isPresent: boolean;
  hasAnswered: boolean;
  /** Whether its check has been asked for. */
  isChecking: boolean;
}

export class Strangers {
  readonly #byTicket = new Map<number, Stranger>(); // in order of arrival
  readonly #tickets = new Map<Address, number>();
  readonly #counts = new Map<number, number>(); // by prefix
  readonly #unasked = new TokenBucket(UNASKED.perSecond, UNASKED.burst);
  readonly #moreCopies = new TokenBucket(MORE_COPIES.perSecond, MORE_COPIES.burst);

  constructor(readonly vl1: Vl1, readonly limits = LIMITS) {}

  get size(): number {
    return this.#byTicket.size;
  }

  has(address: Address): boolean {
    return this.#tickets.has(address);
  }

  /** Whether the proof of work of that very identity is being checked. */
  isChecking(identity: Identity): boolean {
    const stranger = this.#find(identity.address);
    return stranger !== undefined && stranger.isChecking && stranger.peer.identity.equals(identity);
  }

  /**
   * Somebody who owns the key of its identity.
   * @param packet Its HELLO, opened; given away
   * @returns false when there is no room
   */
  add(peer: Peer, prefix: number, packet: Uint8Array, path: Path): boolean {
    if (!this.#makeRoom(prefix)) return false;
    const ticket = this.vl1.newTicket();
    const heard = this.vl1.paths.hear(path, packet.length);
    const packets = [{ packet, path: heard }];
    const isPresent = this.#unasked.take(this.vl1.nowMs);
    const stranger: Stranger = {
      ticket,
      peer,
      prefix,
      packets,
      isPresent,
      hasAnswered: false,
      isChecking: false,
    };
    this.#byTicket.set(ticket, stranger);
    this.#tickets.set(peer.address, ticket);
    this.#counts.set(prefix, (this.#counts.get(prefix) ?? 0) + 1);
    if (isPresent) this.#startChecks();
    else this.#ask(stranger, heard);
    return true;
  }

  /**
   * Another HELLO of one who waits: perhaps by another path, perhaps because our question was lost.
   * @param packet Still sealed; lent
   */
  addCopy(identity: Identity, packet: Uint8Array, path: Path): void {
    const { vl1 } = this;
    const stranger = this.#find(identity.address)!;
    if (!stranger.peer.identity.equals(identity)) return vl1.counters.drop("rate");
    const isKept = stranger.packets.length < COPIES_MAX;
    if (!isKept && !this.#moreCopies.take(vl1.nowMs)) return vl1.counters.drop("rate");
    const opened = packet.slice();
    if (!vl1.armor.open(opened, stranger.peer.keys)) return vl1.counters.drop("unauthentic");
    const heard = vl1.paths.hear(path, packet.length);
    if (isKept) stranger.packets.push({ packet: opened, path: heard });
    if (!stranger.isPresent) this.#ask(stranger, heard);
    else if (!isKept) vl1.counters.drop("rate");
  }

  /**
   * An encrypted packet of somebody unknown.
   * @returns whether it is a stranger's answer; then it is done with
   */
  answered(source: Address, packet: Uint8Array): boolean {
    const stranger = this.#find(source);
    if (!stranger || stranger.isPresent) return false;
    const opened = packet.slice();
    if (!this.vl1.armor.open(opened, stranger.peer.keys) || verbOf(opened) !== Verb.OK) {
      return false;
    }
    const { inReVerb, inRePacketId } = decodeOk(opened.subarray(AT_PAYLOAD));
    const question = this.vl1.expected.find(inRePacketId, source, this.vl1.nowMs);
    if (inReVerb !== Verb.ECHO || !question) return false;
    stranger.isPresent = stranger.hasAnswered = true;
    this.#startChecks();
    return true;
  }

  /** The checker's verdict is there. @returns whom it is about; undefined when there is no such ticket */
  settle(ticket: number): Stranger | undefined {
    const stranger = this.#byTicket.get(ticket);
    if (!stranger) return undefined;
    this.#forget(stranger);
    this.#startChecks();
    return stranger;
  }

  /** Lets go of one that became known otherwise. @returns it, unless its check is under way */
  withdraw({ address, identity }: Peer): Stranger | undefined {
    const stranger = this.#find(address);
    if (!stranger || stranger.isChecking || !stranger.peer.identity.equals(identity)) {
      return undefined;
    }
    this.#forget(stranger);
    return stranger;
  }

  #find(address: Address): Stranger | undefined {
    const ticket = this.#tickets.get(address);
    return ticket === undefined ? undefined : this.#byTicket.get(ticket);
  }

  #forget({ ticket, peer, prefix }: Stranger): void {
    this.#byTicket.delete(ticket);
    this.#tickets.delete(peer.address);
    const left = this.#counts.get(prefix)! - 1;
    if (left > 0) this.#counts.set(prefix, left);
    else this.#counts.delete(prefix);
  }

  #ask({ peer }: Stranger, path: Path): void {
    this.vl1.transmit(peer, path, Verb.ECHO, new Uint8Array(0), { probe: true });
  }

  /**
   * Whether one more of a prefix may wait. When all places are taken, who has not answered for
   * longest gives up its own; when all have, the last of the prefix that has most of them.
   */
  #makeRoom(prefix: number): boolean {
    const own = this.#counts.get(prefix) ?? 0;
    if (own >= this.limits.perPrefixMax) return false;
    if (this.#byTicket.size < this.limits.strangersMax) return true;
    const leaving = this.#oldestSilent() ?? this.#lastOfLoudest(own);
    if (!leaving) return false;
    this.#forget(leaving);
    this.vl1.counters.drop("rate");
    return true;
  }

  #oldestSilent(): Stranger | undefined {
    for (const stranger of this.#byTicket.values()) if (!stranger.isPresent) return stranger;
    return undefined;
  }

  #lastOfLoudest(own: number): Stranger | undefined {
    const [loudest, most] = [...this.#counts].reduce((a, b) => b[1] > a[1] ? b : a);
    if (most - own < 2) return undefined; // it would only change who is left out
    return [...this.#byTicket.values()].findLast(({ prefix, isChecking }) =>
      prefix === loudest && !isChecking
    );
  }

  /**
   * Has strangers checked, as far as there is room: those who answered before the others; then
   * those of the prefix that has fewest under way, the oldest of them.
   */
  #startChecks(): void {
    const present = [...this.#byTicket.values()].filter(({ isPresent }) => isPresent);
    let checks = 0;
    const byPrefix = new Map<number, number>();
    const underWay = ({ prefix }: Stranger) => byPrefix.get(prefix) ?? 0;
    const comesBefore = (a: Stranger, b: Stranger) =>
      a.hasAnswered === b.hasAnswered ? underWay(a) < underWay(b) : a.hasAnswered;
    const count = (stranger: Stranger) => {
      checks++;
      byPrefix.set(stranger.prefix, underWay(stranger) + 1);
    };
    for (const stranger of present) if (stranger.isChecking) count(stranger);
    while (checks < CHECKS_MAX) {
      let next: Stranger | undefined;
      for (const stranger of present) {
        if (stranger.isChecking || underWay(stranger) >= CHECKS_PER_PREFIX_MAX) continue;
        if (!next || comesBefore(stranger, next)) next = stranger;
      }
      if (!next) return;
      next.isChecking = true;
      count(next);
      const { ticket, peer: { identity } } = next;
      this.vl1.outbox.push({ kind: "validate", ticket, identity });
    }
  }
}
