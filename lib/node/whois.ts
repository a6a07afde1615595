/**
 * WHOIS: asking the upstreams who an address is, and answering others. Questions rotate over the
 * upstreams so that a dead one costs one retry; packets and introductions that wait for the answer
 * are kept elsewhere.
 *
 * Source: spec 02 section 10.5, spec 03 section 12; differences: spec 03 section 28 items 3, 13, 25.
 * @module
 */
import { Writer } from "../base/bytes.ts";
import { type Address, isReservedAddress } from "../base/ids.ts";
import { Timers } from "../base/timers.ts";
import type { Identity } from "../identity/identity.ts";
import type { Peer } from "../peer/peer.ts";
import { encodeInRe } from "../wire/ok.ts";
import { Verb } from "../wire/packet.ts";
import { encodeOkWhois, encodeWhois } from "../wire/whois.ts";
import type { Vl1 } from "./vl1.ts";

const RETRY_MS = 500; // reference ZT_WHOIS_RETRY_DELAY
const GIVE_UP_MS = 5_000; // reference ZT_TRANSMIT_QUEUE_TIMEOUT
const PENDING_MAX = 1_024; // bounds memory and questions against a flood of made-up addresses
/**
 * Of which so many because of what others sent or asked: a root's address can be forged, and
 * whoever does so must not keep us from finding whom we want to reach.
 */
const FOREIGN_MAX = 768;
const ANSWERS_MAX = 12; // identities in one OK(WHOIS): fits a datagram; more are left out and asked again

interface Asked {
  readonly firstMs: number;
  readonly isForeign: boolean;
  tries: number;
  /** An answer is being checked: nobody is asked meanwhile. */
  isClaimed: boolean;
  /** Upstreams that gave a false answer; as many as there are upstreams. */
  liars?: Set<Address>;
}

export class Whois {
  readonly #pending = new Map<Address, Asked>();
  readonly #retries = new Timers<Address>();
  #foreign = 0; // of the pending

  constructor(readonly vl1: Vl1) {}

  /** When the next retry is due. */
  get deadlineMs(): number {
    return this.#retries.nextMs;
  }

  /**
   * @param isForeign Whether it is not we who want to reach that address
   * @returns false when too many questions are open; the caller drops its packet
   */
  ask(address: Address, isForeign = false): boolean {
    if (address === this.vl1.address || isReservedAddress(address)) return false;
    if (this.#pending.has(address)) return true;
    if (this.#pending.size >= PENDING_MAX || isForeign && this.#foreign >= FOREIGN_MAX) {
      return false;
    }
    const asked = { firstMs: this.vl1.nowMs, isForeign, tries: 0, isClaimed: false };
    this.#pending.set(address, asked);
    if (isForeign) this.#foreign++;
    this.#retries.set(address, this.vl1.nowMs + RETRY_MS);
    this.#put(address, asked);
    return true;
  }

  /** Asks again at once, if the question is open: an upstream came into reach. */
  askAgain(address: Address): void {
    const asked = this.#pending.get(address);
    if (asked) this.#put(address, asked);
    else this.ask(address);
  }

  isPending(address: Address): boolean {
    return this.#pending.has(address);
  }

  /**
   * An upstream answered, and its answer is about to be checked.
   * @returns false when it is not to be heard: nobody asked, or its answer was false before
   */
  claimed(address: Address, by: Address): boolean {
    const asked = this.#pending.get(address);
    if (!asked || asked.liars?.has(by)) return false;
    return asked.isClaimed = true;
  }

  /** What an upstream answered is false: another one is asked at once. */
  refuted(address: Address, by: Address): void {
    const asked = this.#pending.get(address);
    if (!asked) return;
    (asked.liars ??= new Set()).add(by);
    asked.isClaimed = false;
    this.#put(address, asked);
  }

  handleTimeout(): void {
    const { nowMs } = this.vl1;
    for (;;) {
      const address = this.#retries.pop(nowMs);
      if (address === undefined) return;
      const asked = this.#pending.get(address)!;
      if (nowMs >= asked.firstMs + GIVE_UP_MS) {
        this.#close(address);
      } else {
        this.#retries.set(address, nowMs + RETRY_MS);
        this.#put(address, asked);
      }
    }
  }

  /** Someone became known: no more questions about it. */
  resolved(address: Address): void {
    this.#close(address);
    this.#retries.delete(address);
  }

  #close(address: Address): void {
    if (this.#pending.get(address)?.isForeign) this.#foreign--;
    this.#pending.delete(address);
  }

  /** Sends the question: first to the best upstream, then around the others; to none who answered falsely. */
  #put(address: Address, asked: Asked): void {
    if (asked.isClaimed) return;
    const { upstreams, nowMs } = this.vl1;
    const best = upstreams.best(address);
    if (!best) return;
    const others = upstreams.peers().filter((peer) =>
      peer !== best && peer.address !== address && peer.paths.length > 0
    );
    const { liars } = asked;
    const honest = [best, ...others].filter((peer) => !liars?.has(peer.address));
    if (honest.length === 0) return;
    const upstream = honest[asked.tries++ % honest.length];
    const path = upstream.best(nowMs) ?? upstream.anyPath();
    if (!path) return;
    const w = new Writer();
    encodeWhois([address], w);
    this.vl1.transmit(upstream, path.path, Verb.WHOIS, w.finish(), { expect: true });
  }

  /**
   * The answer to a peer's question, or undefined when we know none of the addresses. What we do
   * not know, a root asks other roots for; a leaf never asks on a stranger's behalf. Whom we know
   * costs next to nothing: a server with thousands of clients asks for all of them at once. Others
   * cost a file or a question, and have the smaller budget.
   */
  answer(peer: Peer, id: bigint, addresses: readonly Address[]): Uint8Array | undefined {
    const { nowMs } = this.vl1;
    const named: Identity[] = [];
    for (const address of addresses.slice(0, ANSWERS_MAX)) {
      const known = this.#find(address);
      if (!(known ? peer.budgets.names : peer.budgets.whois).take(nowMs)) continue;
      const identity = known ?? this.vl1.config.recall?.(address)?.identity;
      if (identity) named.push(identity);
      else if (this.vl1.upstreams.amUpstream) this.ask(address, true);
    }
    if (named.length === 0) return undefined;
    const w = new Writer(1024);
    encodeInRe({ inReVerb: Verb.WHOIS, inRePacketId: id }, w);
    encodeOkWhois(named, w);
    return w.finish();
  }

  #find(address: Address): Identity | undefined {
    return address === this.vl1.address ? this.vl1.identity : this.vl1.peers.get(address)?.identity;
  }
}
