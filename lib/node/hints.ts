/**
 * Where peers without a path may still be: addresses from the cache, the configuration, or of paths
 * that died; and when to try them next, ever more rarely. Those of the configuration are tried for
 * as long as it names them, wherever else the peer was found meanwhile.
 *
 * Source: spec 03 sections 13 and 22 (`try`) and 28 items 2 and 8.
 * @module
 */
import type { Address } from "../base/ids.ts";
import { type Endpoint, sameEndpoint } from "../base/ip.ts";

const HINTS_MAX = 8; // addresses remembered of one peer, and as many the configuration may name
const DELAYS_MS = [0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000];

interface Hint {
  readonly endpoints: readonly Endpoint[]; // the latest first; those of the configuration are not among them
  tries: number;
  dueMs: number;
}

export class Hints {
  readonly #hints = new Map<Address, Hint>(); // of peers, and of whom the configuration names
  #configured: ReadonlyMap<Address, readonly Endpoint[]> = new Map();

  /** Says what the configuration names from now on, by peer; what is new there is tried at once. */
  configure(byPeer: ReadonlyMap<Address, readonly Endpoint[]>, nowMs: number): void {
    const before = this.#configured;
    this.#configured = byPeer;
    for (const [address, endpoints] of byPeer) {
      const known = before.get(address) ?? [];
      const isNew = (one: Endpoint) => !known.some((other) => sameEndpoint(one, other));
      const hint = this.#hints.get(address);
      if (hint && endpoints.some(isNew)) Object.assign(hint, { tries: 0, dueMs: nowMs });
    }
  }

  /** Remembers where a peer may be, to be tried at once. */
  add(address: Address, endpoints: readonly Endpoint[], nowMs: number): void {
    if (endpoints.length === 0) return;
    let latest = this.#hints.get(address)?.endpoints ?? [];
    for (const endpoint of endpoints) {
      const others = latest.filter((other) => !sameEndpoint(other, endpoint));
      latest = [endpoint, ...others].slice(0, HINTS_MAX);
    }
    this.#hints.set(address, { endpoints: latest, tries: 0, dueMs: nowMs });
  }

  /** What is remembered of a peer, the latest first, then what the configuration names. */
  of(address: Address): readonly Endpoint[] {
    const latest = this.#hints.get(address)?.endpoints ?? [];
    const configured = (this.#configured.get(address) ?? []).slice(0, HINTS_MAX)
      .filter((one) => !latest.some((other) => sameEndpoint(one, other)));
    return [...latest, ...configured];
  }

  /** When the addresses of a peer are tried next: 0 for at once, Infinity when there are none. */
  dueMs(address: Address): number {
    const hint = this.#hints.get(address);
    const isKnown = (hint?.endpoints.length ?? 0) > 0 ||
      (this.#configured.get(address)?.length ?? 0) > 0;
    return isKnown ? hint?.dueMs ?? 0 : Infinity;
  }

  /** The addresses of a peer that are to be tried now; asked again, none until their next time. */
  take(address: Address, nowMs: number): readonly Endpoint[] {
    if (nowMs < this.dueMs(address)) return [];
    const hint = this.#hints.get(address) ?? { endpoints: [], tries: 0, dueMs: nowMs };
    this.#hints.set(address, hint);
    hint.tries = Math.min(hint.tries + 1, DELAYS_MS.length - 1);
    hint.dueMs = nowMs + DELAYS_MS[hint.tries];
    return this.of(address);
  }

  /** Forgets what is remembered of a peer, when it was found or is gone; the configuration stands. */
  forget(address: Address): void {
    this.#hints.delete(address);
  }
}
