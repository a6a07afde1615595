/**
 * WHOIS: asking the upstreams who an address is, and answering others. Questions rotate over the upstreams so that a dead
 * one costs one retry; packets and introductions that wait for the answer are kept elsewhere.
 *
 * Source: spec 02 section 10.5, spec 03 section 12; differences: spec 03 section 28 items 3, 13, 25.
 * @module
 */
import { Writer } from "../base/bytes.ts";
import { type Address, isReservedAddress } from "../base/ids.ts";
import type { Identity } from "../identity/identity.ts";
import type { Peer } from "../peer/peer.ts";
import { encodeInRe } from "../wire/ok.ts";
import { Verb } from "../wire/packet.ts";
import { encodeOkWhois, encodeWhois } from "../wire/whois.ts";
import type { Vl1 } from "./vl1.ts";

const RETRY_MS = 500; // reference ZT_WHOIS_RETRY_DELAY
const GIVE_UP_MS = 5_000; // reference ZT_TRANSMIT_QUEUE_TIMEOUT
const PENDING_MAX = 1_024; // bounds memory and questions against a flood of made-up addresses
const ANSWERS_MAX = 12; // identities in one OK(WHOIS): fits a datagram; more are left out and asked again

interface Asked {
  readonly firstMs: number;
  lastMs: number;
  tries: number;
}

export class Whois {
  readonly #pending = new Map<Address, Asked>();

  constructor(readonly vl1: Vl1) {}

  /** When the next retry is due. */
  get deadlineMs(): number {
    let next = Infinity;
    for (const asked of this.#pending.values()) next = Math.min(next, asked.lastMs + RETRY_MS);
    return next;
  }

  /** @returns false when too many questions are open; the caller drops its packet */
  ask(address: Address): boolean {
    if (address === this.vl1.address || isReservedAddress(address)) return false;
    if (this.#pending.has(address)) return true;
    if (this.#pending.size >= PENDING_MAX) return false;
    const asked = { firstMs: this.vl1.nowMs, lastMs: this.vl1.nowMs, tries: 0 };
    this.#pending.set(address, asked);
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

  handleTimeout(): void {
    const { nowMs } = this.vl1;
    for (const [address, asked] of this.#pending) {
      if (nowMs >= asked.firstMs + GIVE_UP_MS) {
        this.#pending.delete(address);
      } else if (nowMs >= asked.lastMs + RETRY_MS) {
        asked.lastMs = nowMs;
        this.#put(address, asked);
      }
    }
  }

  /** Someone became known: no more questions about it. */
  resolved(address: Address): void {
    this.#pending.delete(address);
  }

  /** Sends the question: first to the best upstream, then around the others. */
  #put(address: Address, asked: Asked): void {
    const { upstreams, nowMs } = this.vl1;
    const best = upstreams.best(address);
    if (!best) return;
    const others = upstreams.peers().filter((peer) =>
      peer !== best && peer.address !== address && peer.paths.length > 0
    );
    const turn = asked.tries++ % (others.length + 1);
    const upstream = turn === 0 ? best : others[turn - 1];
    const path = upstream.best(nowMs) ?? upstream.anyPath();
    if (!path) return;
    const w = new Writer();
    encodeWhois([address], w);
    this.vl1.transmit(upstream, path.path, Verb.WHOIS, w.finish(), { expect: true });
  }

  /**
   * The answer to a peer's question, or undefined when we know none of the addresses. What we do not know, a root asks
   * other roots for; a leaf never asks on a stranger's behalf.
   */
  answer(peer: Peer, id: bigint, addresses: readonly Address[]): Uint8Array | undefined {
    const known: Identity[] = [];
    for (const address of addresses.slice(0, ANSWERS_MAX)) {
      if (!peer.whoisBudget.take(this.vl1.nowMs)) break;
      const identity = this.#lookUp(address);
      if (identity) known.push(identity);
      else if (this.vl1.upstreams.amUpstream) this.ask(address);
    }
    if (known.length === 0) return undefined;
    const w = new Writer(1024);
    encodeInRe({ inReVerb: Verb.WHOIS, inRePacketId: id }, w);
    encodeOkWhois(known, w);
    return w.finish();
  }

  #lookUp(address: Address): Identity | undefined {
    if (address === this.vl1.address) return this.vl1.identity;
    return this.vl1.peers.get(address)?.identity ?? this.vl1.config.recall?.(address)?.identity;
  }
}
