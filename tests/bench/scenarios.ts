/**
 * Who is set up against whom. Each scenario starts everything afresh, measures what is wanted of it and leaves nothing.
 * @module
 */
import type { Lab } from "../../cli/engine/lab.ts";
import { type Cast, Pair, type Prepared } from "./pair.ts";
import { measureRules } from "./rules.ts";
import { type Lane, reversed, type StepName, STEPS, type Values, warmUp } from "./steps.ts";

/** What can be left out or asked for alone. */
export const SELECTABLE = [
  "idle",
  "rtt",
  "tcp1",
  "tcp4",
  "loaded",
  "udp",
  "mixed",
  "relay",
  "rules",
] as const;
/** One of {@linkcode SELECTABLE}. */
export type Selectable = typeof SELECTABLE[number];

/** A scenario, as often as there are rounds. */
export interface Scenario {
  readonly name: string;
  /** Absent on the bare wire. */
  readonly cast?: Cast;
  readonly steps: readonly StepName[];
  /** Whether the stream is measured in the other direction too. */
  readonly bothWays?: boolean;
  /** Whether it is measured what rules cost. */
  readonly rules?: boolean;
}

/** What a scenario gave. */
export interface Outcome {
  readonly values: Values;
  /** Whether the nodes knew a way without the root, before and after; absent on the bare wire. */
  readonly path?: "direct" | "relayed" | "changed";
}

const zt = { root: "zt", a: "zt", b: "zt" } as const;
const reference = { root: "reference", a: "reference", b: "reference" } as const;

/** The scenarios that give what is wanted. @param withReference Whether there is a reference to set up */
export function scenariosFor(wanted: ReadonlySet<Selectable>, withReference: boolean): Scenario[] {
  const steps = (Object.keys(STEPS) as StepName[]).filter((name) => wanted.has(name));
  const scenarios: Scenario[] = [];
  const add = (
    name: string,
    cast: Cast | undefined,
    own: readonly StepName[],
    bothWays = false,
  ) => {
    const uses = cast && [cast.root, cast.a, cast.b].includes("reference");
    if (own.length > 0 && (withReference || !uses)) {
      scenarios.push({ name, cast, steps: own, bothWays });
    }
  };
  // A mixed pair is compared with the reference among itself, hence its stream is wanted too.
  const mixed = wanted.has("mixed");
  const ofReference = mixed && !steps.includes("tcp1") ? [...steps, "tcp1" as const] : steps;
  add("zt", { ...zt, relayed: false }, steps);
  add("reference", { ...reference, relayed: false }, ofReference);
  add("raw", undefined, steps.filter((name) => name !== "idle"));
  if (mixed) add("mixed", { ...reference, a: "zt", relayed: false }, ["tcp1"], true);
  if (wanted.has("relay")) {
    add("relay-zt", { ...zt, relayed: true }, ["tcp1"]);
    add("relay-reference", { ...reference, relayed: true }, ["tcp1"]);
    add("relay-zt-root", { ...reference, root: "zt", relayed: true }, ["tcp1"]);
  }
  if (wanted.has("rules")) {
    scenarios.push({ name: "rules", cast: { ...zt, relayed: false }, steps: [], rules: true });
  }
  return scenarios;
}

/** What a scenario needs beside itself. */
export interface RunOptions {
  readonly prepared: Prepared;
  /** For home folders; made and removed by the caller. */
  readonly folder: string;
  readonly timeMs: number;
}

/** Runs one scenario in a lab the caller ends. @throws when it could not be set up or a measurement failed */
export async function runScenario(
  lab: Lab,
  scenario: Scenario,
  options: RunOptions,
): Promise<Outcome> {
  if (!scenario.cast) return { values: await measure(rawLane(lab), scenario, options.timeMs) };
  await using pair = await Pair.start(lab, scenario.cast, options.prepared, options.folder);
  const { a, b, root, cast } = pair;
  const daemons = [await pair.pid(a), await pair.pid(b)];
  if (cast.relayed) daemons.push(await pair.pid(root)); // it carries every byte too
  const before = await pair.isDirect();
  const lane = { lab, from: a.host, to: b.host, ip: pair.ips[1], daemons };
  const values = await measure(lane, scenario, options.timeMs);
  if (scenario.rules) Object.assign(values, await measureRules(pair, lane, options.timeMs));
  if (scenario.bothWays) {
    const back = await STEPS.tcp1(reversed(lane, pair.ips[0]), options.timeMs);
    values.tcp1BackMbps = back.tcp1Mbps;
    values.tcp1BackCpuNsPerByte = back.tcp1CpuNsPerByte;
  }
  const after = await pair.isDirect();
  return { values, path: before !== after ? "changed" : after ? "direct" : "relayed" };
}

function rawLane(lab: Lab): Lane {
  const [from, to] = [lab.host("a"), lab.host("b")];
  const wires = lab.switch([from, to], { ipv6: null });
  return { lab, from, to, ip: wires.ipv4(to), daemons: [] };
}

async function measure(lane: Lane, scenario: Scenario, timeMs: number): Promise<Values> {
  const values: Values = {};
  let warm = false;
  for (const name of scenario.steps) {
    if (!warm && name !== "idle") {
      await warmUp(lane);
      warm = true;
    }
    Object.assign(values, await STEPS[name](lane, timeMs));
  }
  return values;
}
