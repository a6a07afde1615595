/**
 * Times as people read them.
 * @module
 */

const UNITS: readonly (readonly [lengthMs: number, name: string])[] = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1_000, "s"],
];

/** A span in its largest unit, e.g. "3 min"; "0 s" below a second. */
export function formatSpan(spanMs: number): string {
  const [lengthMs, name] = UNITS.find(([length]) => spanMs >= length) ?? UNITS.at(-1)!;
  return `${Math.max(0, Math.floor(spanMs / lengthMs))} ${name}`;
}

/** A round trip: tenths below 10 ms, e.g. "0.4 ms", "123 ms". */
export function formatRoundTrip(roundTripMs: number): string {
  return roundTripMs < 10 ? `${roundTripMs.toFixed(1)} ms` : `${Math.round(roundTripMs)} ms`;
}
