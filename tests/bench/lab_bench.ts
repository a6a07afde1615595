/**
 * `deno task bench --lab`: what users wait for, of this product and of the reference, in namespaces
 * with NATs of the kernel. Needs root. The reference is what `ZT_REFERENCE` names, and `mixed` is a
 * node of ours that talks to one of it by our roots; a round takes half an hour, for the reference
 * takes minutes to notice some of what is measured.
 *
 * It judges nothing: a machine that does other things at the same time gives other numbers. Cables have no latency.
 *
 * Source: issue 4, "Show it"; spec 03 section 27.
 * @module
 */
import { parseArgs } from "node:util";
import { isReferencePresent } from "../interop/reference.ts";
import { type Spread, spreadOf } from "./figures.ts";
import { LAB_SCENARIOS, type LabCast, type LabScenarioName } from "./lab_scenarios.ts";
import type { Values } from "./steps.ts";
import { renderRows, short, withRange } from "./table.ts";

const NAMES = Object.keys(LAB_SCENARIOS) as LabScenarioName[];
const ROUNDS_MAX = 100;
const USAGE = `deno task bench --lab [--rounds 1] [--json] [--only ${NAMES.join(",")}]
ZT_REFERENCE=<zerotier-one> compares with it; ZT_BINARY=<zt> measures that program
`;

/** One line of the table: what the issue asks for, in the unit of the line. */
interface LabFigure {
  readonly value: string;
  readonly title: string;
  readonly unit: "ms" | "B/s" | "pairs";
  readonly must: string;
  readonly aim: string;
}

/** In the order they are printed. */
const FIGURES: readonly LabFigure[] = [
  figure("onlineMs", "process start to ONLINE", "ms", "300", "a round trip + 50"),
  figure("firstMs", "first reply of a peer never heard of", "ms", "as reference", "same"),
  figure("directMs", "  the same, until both are direct", "ms", "-", "-"),
  figure("roamMs", "roaming, address replaced: gap", "ms", "3000", "500"),
  figure("rebindMs", "NAT rebinding outside, pinged from outside: gap", "ms", "3000", "1000"),
  figure("filterMs", "direct path silently filtered: gap", "ms", "5000", "2000"),
  figure("rootMs", "relay root killed: gap of a relayed pair", "ms", "5000", "2000"),
  figure("wakeMs", "stopped for a minute and moved: until the first reply", "ms", "1000", "500"),
  figure("blockedOnlineMs", "UDP blocked: start to ONLINE", "ms", "-", "5000"),
  figure("blockedMs", "UDP blocked: start to first ping", "ms", "10000", "3000"),
  figure("idleBytesPerSecond", "idle, per node and root, with headers", "B/s", "40", "15"),
  figure("idleOneRootBytesPerSecond", "idle, a node with one root", "B/s", "40", "25"),
  figure("natDirect", "NAT pairs direct, of 21", "pairs", "12", "14"),
  figure("natRelayed", "NAT pairs relayed", "pairs", "9", "7"),
  figure("natNone", "NAT pairs out of reach", "pairs", "0", "0"),
  figure("natContactMs", "slowest pair until the first reply", "ms", "10000", "5000"),
  figure("natDirectMs", "slowest pair until direct", "ms", "10000", "5000"),
];

function figure(
  value: string,
  title: string,
  unit: LabFigure["unit"],
  must: string,
  aim: string,
): LabFigure {
  return { value, title, unit, must, aim };
}

/** One scenario of one cast in one round. */
interface Run {
  readonly round: number;
  readonly scenario: LabScenarioName;
  readonly cast: LabCast;
  readonly values: Values;
  readonly error?: string;
}

interface Options {
  readonly rounds: number;
  readonly json: boolean;
  readonly only: readonly LabScenarioName[];
}

/** @throws {TypeError} saying what is wrong */
function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      lab: { type: "boolean" }, // what brought us here
      rounds: { type: "string", default: "1" },
      json: { type: "boolean", default: false },
      only: { type: "string", default: NAMES.join(",") },
    },
  });
  const only = values.only.split(",") as LabScenarioName[];
  const unknown = only.filter((name) => !NAMES.includes(name));
  if (unknown.length > 0) throw new TypeError(`--only knows no ${unknown.join(", ")}`);
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > ROUNDS_MAX) {
    throw new TypeError(`--rounds is a whole number from 1 to ${ROUNDS_MAX}`);
  }
  return { rounds, json: values.json, only };
}

async function measure(round: number, scenario: LabScenarioName, cast: LabCast): Promise<Run> {
  try {
    return { round, scenario, cast, values: await LAB_SCENARIOS[scenario](cast) };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { round, scenario, cast, values: {}, error: text };
  }
}

async function runAll({ rounds, only }: Options): Promise<Run[]> {
  const casts: LabCast[] = isReferencePresent ? ["zt", "mixed", "reference"] : ["zt"];
  const runs: Run[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const scenario of only) {
      for (const cast of casts) {
        const run = await measure(round, scenario, cast);
        runs.push(run);
        console.error(lineOf(run));
      }
    }
  }
  return runs;
}

function lineOf({ round, scenario, cast, values, error }: Run): string {
  const texts = Object.entries(values).map(([name, value]) => `${name} ${short(value)}`);
  return `round ${round}, ${scenario}, ${cast}: ${
    error ? `FAILED: ${error}` : texts.join(", ") || "-"
  }`;
}

type Line = LabFigure & { readonly [cast in LabCast]?: Spread };

function linesOf(runs: readonly Run[]): Line[] {
  const spread = (cast: LabCast, value: string) =>
    spreadOf(runs.filter((run) => run.cast === cast).map(({ values }) => values[value]));
  return FIGURES.map((one) => ({
    ...one,
    zt: spread("zt", one.value),
    mixed: spread("mixed", one.value),
    reference: spread("reference", one.value),
  })).filter(({ zt, mixed, reference }) => zt ?? mixed ?? reference);
}

function report(options: Options, runs: readonly Run[]): void {
  const lines = linesOf(runs);
  const { rounds, json } = options;
  const cores = navigator.hardwareConcurrency;
  const machine = { deno: Deno.version.deno, kernel: Deno.osRelease(), cores };
  if (json) {
    console.log(JSON.stringify({ machine, rounds, figures: lines, runs }, null, 1));
    return;
  }
  const head = ["median (lowest..highest)", "", "zt", "mixed", "reference", "must", "aim"];
  const rows = lines.map((line) => [
    line.title,
    line.unit,
    withRange(line.zt),
    withRange(line.mixed),
    withRange(line.reference),
    line.must,
    line.aim,
  ]);
  console.log(
    `\n${rounds} rounds, Deno ${machine.deno}, Linux ${machine.kernel}, ${cores} cores\n\n` +
      renderRows([head, ...rows]),
  );
}

if (import.meta.main) {
  let options: Options;
  try {
    options = parseOptions(Deno.args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    Deno.exit(2);
  }
  if (Deno.uid() !== 0) {
    console.error("namespaces need root");
    Deno.exit(1);
  }
  if (!isReferencePresent) console.error("ZT_REFERENCE is not set: zt alone");
  const runs = await runAll(options);
  report(options, runs);
  Deno.exit(runs.some(({ error }) => error) ? 1 : 0);
}
