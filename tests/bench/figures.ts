/**
 * The figures a benchmark prints: where each comes from, and how rounds become one line.
 * @module
 */
import type { Values } from "./steps.ts";

/** Which value of which scenario. */
export interface Source {
  readonly scenario: string;
  readonly value: string;
}

/** One line of the table. */
export interface Figure {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly better: "higher" | "lower" | "neither";
  readonly zt: Source;
  readonly reference: Source;
  /** The same without a tunnel, where there is such a thing. */
  readonly raw?: Source;
}

/** A figure of both ends of one product. */
function own(
  value: string,
  title: string,
  unit: string,
  better: Figure["better"],
  withRaw = false,
): Figure {
  const from = (scenario: string) => ({ scenario, value });
  const raw = withRaw ? from("raw") : undefined;
  return { name: value, title, unit, better, zt: from("zt"), reference: from("reference"), raw };
}

/** A figure of one scenario against that of another. */
function against(
  name: string,
  title: string,
  unit: string,
  better: Figure["better"],
  zt: Source,
  reference: Source,
): Figure {
  return { name, title, unit, better, zt, reference };
}

/**
 * A figure of our nodes with rules against the same without; that stands in place of the reference
 * and of the bare wire.
 */
function withRules(value: string, title: string, unit: string, better: Figure["better"]): Figure {
  const of = (kind: "accept" | "rules") => ({ scenario: "rules", value: `${kind}.${value}` });
  const base = of("accept");
  return {
    name: of("rules").value,
    title,
    unit,
    better,
    zt: of("rules"),
    reference: base,
    raw: base,
  };
}

const REFERENCE_STREAM: Source = { scenario: "reference", value: "tcp1Mbps" };
const REFERENCE_RELAYED: Source = { scenario: "relay-reference", value: "tcp1Mbps" };
const REFERENCE_RELAYED_CPU: Source = { scenario: "relay-reference", value: "tcp1CpuNsPerByte" };

/** In the order they are printed. */
export const FIGURES: readonly Figure[] = [
  own("tcp1Mbps", "TCP, one stream", "Mbit/s", "higher", true),
  own("tcp4Mbps", "TCP, four streams", "Mbit/s", "higher", true),
  own("tcp1CpuNsPerByte", "daemon CPU, one stream", "ns/B", "lower"),
  own("tcp4CpuNsPerByte", "daemon CPU, four streams", "ns/B", "lower"),
  own("udpKpps", "UDP 200 B delivered", "kpkt/s", "higher", true),
  own("udpOfferedKpps", "UDP 200 B offered", "kpkt/s", "neither", true),
  own("udpCpuNsPerPacket", "daemon CPU, UDP 200 B", "ns/pkt", "lower"),
  own("rttP50Ms", "round trip idle p50", "ms", "lower", true),
  own("rttP99Ms", "round trip idle p99", "ms", "lower", true),
  own("loadedP50Ms", "round trip in TCP p50", "ms", "lower", true),
  own("loadedP99Ms", "round trip in TCP p99", "ms", "lower", true),
  own("loadedLossPercent", "pings lost in TCP", "%", "lower", true),
  own("rssIdleMb", "RSS idle", "MB", "lower"),
  own("tcp1RssMb", "RSS loaded, one stream", "MB", "lower"),
  own("tcp4RssMb", "RSS loaded, four streams", "MB", "lower"),
  own("idleCpuPercent", "CPU idle", "%", "lower"),
  against(
    "mixedToMbps",
    "TCP, zt to reference",
    "Mbit/s",
    "higher",
    { scenario: "mixed", value: "tcp1Mbps" },
    REFERENCE_STREAM,
  ),
  against(
    "mixedFromMbps",
    "TCP, reference to zt",
    "Mbit/s",
    "higher",
    { scenario: "mixed", value: "tcp1BackMbps" },
    REFERENCE_STREAM,
  ),
  against(
    "relayMbps",
    "TCP relayed, all one product",
    "Mbit/s",
    "higher",
    { scenario: "relay-zt", value: "tcp1Mbps" },
    REFERENCE_RELAYED,
  ),
  against(
    "relayCpuNsPerByte",
    "CPU of nodes and root, the same",
    "ns/B",
    "lower",
    { scenario: "relay-zt", value: "tcp1CpuNsPerByte" },
    REFERENCE_RELAYED_CPU,
  ),
  against(
    "relayRootMbps",
    "TCP relayed, reference nodes",
    "Mbit/s",
    "higher",
    { scenario: "relay-zt-root", value: "tcp1Mbps" },
    REFERENCE_RELAYED,
  ),
  against(
    "relayRootCpuNsPerByte",
    "CPU of nodes and root, the same",
    "ns/B",
    "lower",
    { scenario: "relay-zt-root", value: "tcp1CpuNsPerByte" },
    REFERENCE_RELAYED_CPU,
  ),
  withRules("tcpMbps", "TCP, 40 rules to accept-all", "Mbit/s", "higher"),
  withRules("tcpCpuNs", "CPU of both daemons, the same", "ns/pkt", "lower"),
  withRules("udpKpps", "UDP 200 B, 40 rules to accept-all", "kpkt/s", "higher"),
  withRules("udpCpuNs", "CPU of both daemons, the same", "ns/pkt", "lower"),
];

/** Values of one round by scenario. */
export type Round = Readonly<Record<string, Values>>;

/** Of several rounds. */
export type Spread = { median: number; min: number; max: number; count: number };

/** A figure over all rounds. */
export type Line = {
  name: string;
  title: string;
  unit: string;
  better: "higher" | "lower" | "neither";
  zt?: Spread;
  reference?: Spread;
  raw?: Spread;
  /** Per round, then the median: zt to the reference, or to the bare wire where there is no reference. */
  ratio?: Spread;
};

/** @returns undefined without a number among the values */
export function spreadOf(values: readonly (number | undefined)[]): Spread | undefined {
  const sorted = values.filter((value): value is number => Number.isFinite(value))
    .sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1
    ? sorted[middle]
    : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1], count: sorted.length };
}

/** Order of a round: each scenario comes first as often as any other. */
export function rotated<T>(items: readonly T[], round: number): T[] {
  const first = items.length === 0 ? 0 : round % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}

/** The lines there are values for. @param withReference What ratios are to: the reference, or the bare wire */
export function linesOf(rounds: readonly Round[], withReference: boolean): Line[] {
  const pick = (round: Round, source: Source | undefined) =>
    source && round[source.scenario]?.[source.value];
  const run = FIGURES.filter(({ zt }) => rounds.some((one) => zt.scenario in one));
  const lines = run.map(({ zt, reference, raw, name, title, unit, better }): Line => {
    const all = (source: Source | undefined) => spreadOf(rounds.map((one) => pick(one, source)));
    const base = withReference ? reference : raw;
    const ratios = rounds.map((one) => ratio(pick(one, zt), pick(one, base)));
    const spreads = { zt: all(zt), reference: all(reference), raw: all(raw) };
    return { name, title, unit, better, ...spreads, ratio: spreadOf(ratios) };
  });
  return lines.filter((line) => line.zt ?? line.reference ?? line.raw);
}

function ratio(of: number | undefined, to: number | undefined): number | undefined {
  return of === undefined || to === undefined || to === 0 ? undefined : of / to;
}
