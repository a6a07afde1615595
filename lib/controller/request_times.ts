/**
 * Two bounded memories of time: how fast each requester asks, and when each member was last heard from.
 *
 * Source: spec 05 sections 2.1 and 5.1, weakness 1.
 * @module
 */
import type { Address, NetworkId } from "../base/ids.ts";
import { dropOldest } from "../base/oldest.ts";
import {
  ONLINE_MS,
  PRESENCE_MAX,
  REQUEST_BURST,
  REQUEST_PERIOD_MIN_MS,
  REQUEST_TIMES_MAX,
} from "./limits.ts";

/** Drops requests that come too fast, per network and requester, whether known or not. */
export class RequestTimes {
  /** When each requester will have earned back all it spent. */
  readonly #earnedMs = new Map<string, number>();

  /** @returns false when the request must be dropped; a dropped one does not count as asked */
  admit(network: NetworkId, requester: Address, nowMs: number): boolean {
    const key = `${network}/${requester}`;
    const earnedMs = Math.max(this.#earnedMs.get(key) ?? nowMs, nowMs);
    if (earnedMs - nowMs > (REQUEST_BURST - 1) * REQUEST_PERIOD_MIN_MS) return false;
    this.#earnedMs.delete(key); // so that the first key is always the one unused for longest
    this.#earnedMs.set(key, earnedMs + REQUEST_PERIOD_MIN_MS);
    if (this.#earnedMs.size > REQUEST_TIMES_MAX) dropOldest(this.#earnedMs);
    return true;
  }
}

/**
 * Who can be reached. Any authenticated packet is a sign of life: the reference counts config requests only, and so
 * loses sight of members that it updates more often than they ask.
 */
export class Presence {
  readonly #lastMs = new Map<Address, number>();

  /** Begins to watch an address; it is present from now. */
  arrived(address: Address, nowMs: number): void {
    this.#lastMs.set(address, nowMs);
    if (this.#lastMs.size > PRESENCE_MAX) dropOldest(this.#lastMs);
  }

  /** A packet came; addresses that never arrived are ignored. */
  seen(address: Address, nowMs: number): void {
    if (this.#lastMs.has(address)) this.#lastMs.set(address, nowMs);
  }

  isOnline(address: Address, nowMs: number): boolean {
    const lastMs = this.#lastMs.get(address);
    return lastMs !== undefined && nowMs - lastMs < ONLINE_MS;
  }
}
