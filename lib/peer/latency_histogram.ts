/**
 * How long a peer takes to answer, as a histogram: what Prometheus draws percentiles from.
 *
 * Source: spec 06 section 8, `zt_peer_latency`. Unlike the reference only measured round trips are counted; it counts a
 * latency it does not know as 65,535 ms.
 * @module
 */

/** Upper edges of the buckets in milliseconds; one more bucket takes what is slower. */
export const LATENCY_EDGES_MS = [1, 3, 6, 10, 30, 60, 100, 300, 600, 1_000] as const;

export class LatencyHistogram {
  /** Round trips by bucket, each counted once; no typed array, which takes three times as much. */
  readonly #counts = new Array<number>(LATENCY_EDGES_MS.length + 1).fill(0);
  #sumMs = 0;

  /** @param sampleMs One measured round trip */
  observe(sampleMs: number): void {
    const index = LATENCY_EDGES_MS.findIndex((edgeMs) => sampleMs <= edgeMs);
    this.#counts[index < 0 ? LATENCY_EDGES_MS.length : index]++;
    this.#sumMs += sampleMs;
  }

  /** All round trips together, in milliseconds. */
  get sumMs(): number {
    return this.#sumMs;
  }

  /** How many took at most as long as each edge; the last is how many there were. */
  cumulative(): number[] {
    let sum = 0;
    return this.#counts.map((count) => sum += count);
  }
}
