/**
 * How good the paths of a bond are: round trips sampled by QOS_MEASUREMENT and ECHO, made into one figure a path.
 *
 * Source: spec 03 section 24.1 (sampling) and 24.4 (quality).
 * @module
 */
import type { QosRecord } from "../wire/qos_measurement.ts";
import { QOS_RECORDS_MAX } from "../wire/qos_measurement.ts";
import type { QualityLimits } from "./bond_policy.ts";

const SAMPLES = 64; // window of the mean and the deviation; reference ZT_QOS_SHORTTERM_SAMPLE_WIN_SIZE
const SAMPLES_MIN = 4; // fewer say nothing
const PENDING_MAX = 420; // packets noted, a path and direction; bounds memory; reference ZT_QOS_MAX_OUTSTANDING_RECORDS
const STEEPNESS = 4; // of how a figure counts between nothing and its most

/** The last latencies of one path. */
export class LatencyWindow {
  readonly #samplesMs = new Float64Array(SAMPLES);
  #count = 0;

  add(sampleMs: number): void {
    this.#samplesMs[this.#count++ % SAMPLES] = sampleMs;
  }

  get #kept(): Float64Array {
    return this.#samplesMs.subarray(0, Math.min(this.#count, SAMPLES));
  }

  /** 0 while there are too few samples to say. */
  get meanMs(): number {
    if (this.#count < SAMPLES_MIN) return 0;
    const kept = this.#kept;
    return kept.reduce((sum, sample) => sum + sample, 0) / kept.length;
  }

  /** Standard deviation; 0 while there are too few samples to say. */
  get deviationMs(): number {
    if (this.#count < SAMPLES_MIN) return 0;
    const kept = this.#kept;
    const mean = this.meanMs;
    return Math.sqrt(kept.reduce((sum, sample) => sum + (sample - mean) ** 2, 0) / kept.length);
  }
}

/** Packets one path carried that are sampled: those of odd id. */
export class QosLedger {
  readonly #sentMs = new Map<bigint, number>(); // oldest first
  readonly #receivedMs = new Map<bigint, number>();

  noteSent(id: bigint, nowMs: number): void {
    note(this.#sentMs, id, nowMs);
  }

  noteReceived(id: bigint, nowMs: number): void {
    note(this.#receivedMs, id, nowMs);
  }

  /** Packets received that the peer has not been told of. */
  get waiting(): number {
    return this.#receivedMs.size;
  }

  /** What the peer is to be told now: each packet once. */
  take(nowMs: number): QosRecord[] {
    const records: QosRecord[] = [];
    for (const [packetId, atMs] of this.#receivedMs) {
      if (records.length === QOS_RECORDS_MAX) break;
      this.#receivedMs.delete(packetId);
      const holdingTimeMs = Math.min(0xffff, Math.round(nowMs - atMs));
      records.push({ packetId, holdingTimeMs });
    }
    return records;
  }

  /** What the peer told: one-way latencies of the packets of ours it had. Others are made up, or too old. */
  measure(records: readonly QosRecord[], nowMs: number): number[] {
    const samplesMs: number[] = [];
    for (const { packetId, holdingTimeMs } of records) {
      const sentMs = this.#sentMs.get(packetId);
      if (sentMs === undefined) continue;
      this.#sentMs.delete(packetId);
      const roundTripMs = nowMs - sentMs - holdingTimeMs;
      if (roundTripMs >= 0) samplesMs.push(roundTripMs / 2);
    }
    return samplesMs;
  }

  /** Forgets what is older than that. */
  expire(beforeMs: number): void {
    for (const pending of [this.#sentMs, this.#receivedMs]) {
      for (const [id, atMs] of pending) if (atMs < beforeMs) pending.delete(id);
    }
  }
}

function note(pending: Map<bigint, number>, id: bigint, nowMs: number): void {
  if ((id & 1n) === 0n) return;
  if (pending.size >= PENDING_MAX) return;
  pending.set(id, nowMs);
}

/** What is known of one path of a bond. */
export interface PathFigures {
  readonly latencyMs: number;
  readonly jitterMs: number;
  /** Relative to the other links; 0 when it is not known. */
  readonly capacity: number;
}

/** Whether a path is worse than it may be. */
export function violates({ latencyMs, jitterMs }: PathFigures, limits: QualityLimits): boolean {
  return latencyMs > limits.latencyMaxMs || jitterMs > limits.jitterMaxMs;
}

/**
 * Quality of each path relative to the others; the sum is 1. Loss and error are not part of it, as
 * in the reference, whose limits for them a single lost packet would break; their weights count the
 * same for all.
 */
export function relativeQualities(
  paths: readonly PathFigures[],
  limits: QualityLimits,
): number[] {
  const latency = valuesOf(paths.map((path) => path.latencyMs), limits.latencyMaxMs);
  const jitter = valuesOf(paths.map((path) => path.jitterMs), limits.jitterMaxMs);
  const shares = capacityShares(paths);
  const qualities = paths.map((_, i) => {
    const measured = limits.latencyWeight * latency[i] + limits.jitterWeight * jitter[i];
    return (measured + limits.lossWeight + limits.errorWeight) * shares[i];
  });
  const sum = qualities.reduce((total, quality) => total + quality, 0);
  return qualities.map((quality) => sum > 0 ? quality / sum : 1 / paths.length);
}

/** Each path's part of all capacity. Where one is not known all count the same; the reference divides by nothing. */
export function capacityShares(paths: readonly { readonly capacity: number }[]): number[] {
  const known = paths.every(({ capacity }) => capacity > 0);
  const sum = paths.reduce((total, { capacity }) => total + (known ? capacity : 1), 0);
  return paths.map(({ capacity }) => (known ? capacity : 1) / sum);
}

/** 1 for the best, less for the others. */
function valuesOf(figures: readonly number[], most: number): number[] {
  const values = figures.map((figure) => Math.exp(-STEEPNESS * Math.min(1, figure / most)));
  const best = Math.max(...values);
  return values.map((value) => value / best);
}
