/**
 * Numbers out of samples.
 * @module
 */

/**
 * The smallest sample that at least this share of all samples does not exceed (nearest rank).
 * @param fraction 0.5 for the median, 0.99 for p99
 * @returns undefined without samples
 */
export function percentile(samples: readonly number[], fraction: number): number | undefined {
  if (samples.length === 0) return undefined;
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)];
}

/** Megabits per second. */
export function megabitsPerSecond(lengthBytes: number, timeMs: number): number {
  return timeMs > 0 ? lengthBytes * 8 / 1000 / timeMs : 0;
}

/** Rounded to so many digits after the point. */
export function rounded(value: number, digits: number): number {
  const scale = 10 ** digits;
  return Math.round(value * scale) / scale;
}
