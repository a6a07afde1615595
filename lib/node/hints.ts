/**
 * Where peers without a path may still be: addresses from the cache, the configuration, or of paths
 * that died; and when to try them next, ever more rarely.
 *
 * Source: spec 03 section 28 items 2 and 8.
 * @module
 */
import type { Address } from "../base/ids.ts";
import { type Endpoint, sameEndpoint } from "../base/ip.ts";

const HINTS_MAX = 8; // addresses remembered of one peer
const DELAYS_MS = [0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000];

interface Hint {
  readonly endpoints: readonly Endpoint[]; // the latest first; never empty
  tries: number;
  dueMs: number;
}

export class Hints {
  readonly #hints = new Map<Address, Hint>(); // of peers, and of whom the configuration names

  /** Remembers where a peer may be, to be tried at once. */
  add(address: Address, endpoints: readonly Endpoint[], nowMs: number): void {
    if (endpoints.length === 0) return;
    let latest = this.of(address);
    for (const endpoint of endpoints) {
      const others = latest.filter((other) => !sameEndpoint(other, endpoint));
      latest = [endpoint, ...others].slice(0, HINTS_MAX);
    }
    this.#hints.set(address, { endpoints: latest, tries: 0, dueMs: nowMs });
  }

  /** What is remembered of a peer, the latest first. */
  of(address: Address): readonly Endpoint[] {
    return this.#hints.get(address)?.endpoints ?? [];
  }

  /** When the addresses of a peer are tried next; Infinity when there are none. */
  dueMs(address: Address): number {
    return this.#hints.get(address)?.dueMs ?? Infinity;
  }

  /** The addresses of a peer that are to be tried now; asked again, none until their next time. */
  take(address: Address, nowMs: number): readonly Endpoint[] {
    const hint = this.#hints.get(address);
    if (!hint || nowMs < hint.dueMs) return [];
    hint.tries = Math.min(hint.tries + 1, DELAYS_MS.length - 1);
    hint.dueMs = nowMs + DELAYS_MS[hint.tries];
    return hint.endpoints;
  }

  forget(address: Address): void {
    this.#hints.delete(address);
  }
}
