/**
 * When the names of networks are made anew: at once after a change, and then not again for a while, so that a network
 * filling up or an owner at work does not make every member be told everything every second.
 * @module
 */
import type { NetworkId } from "../base/ids.ts";
import { NAMES_EVERY_MAX_MS, NAMES_EVERY_MS, NAMES_EVERY_MS_PER_MEMBER } from "./limits.ts";

interface Renewal {
  isStale: boolean;
  /** Not before. */
  nextMs: number;
}

export class NameRenewals {
  readonly #renewals = new Map<NetworkId, Renewal>(); // changed lately: at most the networks there are

  /** When {@linkcode take} has something to do; Infinity when nothing waits. */
  get deadlineMs(): number {
    let deadlineMs = Infinity;
    for (const { nextMs } of this.#renewals.values()) deadlineMs = Math.min(deadlineMs, nextMs);
    return deadlineMs;
  }

  /** Something changed that names are made of. */
  note(network: NetworkId): void {
    const renewal = this.#renewals.get(network);
    if (renewal) renewal.isStale = true;
    else this.#renewals.set(network, { isStale: true, nextMs: -Infinity });
  }

  forget(network: NetworkId): void {
    this.#renewals.delete(network);
  }

  /** Networks whose names are to be made anew now. @param countOf Members of a network */
  take(nowMs: number, countOf: (network: NetworkId) => number): NetworkId[] {
    const due: NetworkId[] = [];
    for (const [network, renewal] of this.#renewals) {
      if (nowMs < renewal.nextMs) continue;
      if (!renewal.isStale) {
        this.#renewals.delete(network); // nothing changed for a whole gap
        continue;
      }
      renewal.isStale = false;
      const wantedMs = NAMES_EVERY_MS + countOf(network) * NAMES_EVERY_MS_PER_MEMBER;
      renewal.nextMs = nowMs + Math.min(wantedMs, NAMES_EVERY_MAX_MS);
      due.push(network);
    }
    return due;
  }
}
