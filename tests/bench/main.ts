/**
 * `deno task bench`: this product, the reference and the bare wire, in namespaces of their own, in
 * interleaved rounds of rotated order; medians, ranges and ratios. Needs root. The reference is
 * what `ZT_REFERENCE` names; without it the bare wire stands in its place.
 *
 * It judges nothing: a machine that does other things at the same time gives other numbers.
 *
 * Source: spec 07 sections 1 and 6.
 * @module
 */
import { parseArgs } from "node:util";
import { Lab } from "../../cli/engine/lab.ts";
import { isReferencePresent } from "../interop/reference.ts";
import { linesOf, rotated, type Round, spreadOf } from "./figures.ts";
import { Prepared } from "./pair.ts";
import { busyPercent } from "./process.ts";
import {
  type Outcome,
  runScenario,
  type Scenario,
  scenariosFor,
  SELECTABLE,
  type Selectable,
} from "./scenarios.ts";
import type { Values } from "./steps.ts";
import { renderTable, short } from "./table.ts";

const ROUNDS_MAX = 100;
const SECONDS_MAX = 60;
const FOREIGN_MS = 500; // how long others are watched before each scenario
const SATURATED_FRACTION = 0.9; // who delivers more of what is offered might deliver more still
const USAGE = `deno task bench [--rounds 5] [--seconds 3] [--json] [--only ${SELECTABLE.join(",")}]
deno task bench --crypto
deno task bench --lab [--rounds 1] [--json]
deno task bench --root [--nodes 100000] [--json]
deno task bench --hostile [--seconds 10] [--only <pattern>] [--json]
ZT_REFERENCE=<zerotier-one> compares with it; ZT_BINARY=<zt> measures that program; ZT_INTEROP_LOG=1 shows the daemons' logs
`;

/** One scenario in one round. */
type Run = {
  round: number;
  scenario: string;
  path?: Outcome["path"];
  /** How busy all processors were with other things just before, in percent. */
  foreignPercent: number;
  values: Values;
  error?: string;
};

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly json: boolean;
  readonly crypto: boolean;
  readonly only: ReadonlySet<Selectable>;
}

/** @throws {TypeError} saying what is wrong */
function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "3" },
      json: { type: "boolean", default: false },
      crypto: { type: "boolean", default: false },
      only: { type: "string", default: SELECTABLE.join(",") },
    },
  });
  const names = values.only.split(",");
  const unknown = names.filter((name) => !SELECTABLE.includes(name as Selectable));
  if (unknown.length > 0) throw new TypeError(`--only knows no ${unknown.join(", ")}`);
  return {
    rounds: numberWithin("--rounds", values.rounds, ROUNDS_MAX),
    seconds: numberWithin("--seconds", values.seconds, SECONDS_MAX),
    json: values.json,
    crypto: values.crypto,
    only: new Set(names as Selectable[]),
  };
}

function numberWithin(name: string, text: string, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new TypeError(`${name} is a whole number from 1 to ${max}`);
}

/** Runs scenarios one after the other; ends what runs when told to. */
class Bench {
  readonly runs: Run[] = [];
  readonly #folder = Deno.makeTempDirSync({ prefix: "zt-bench-" });
  readonly #prepared = new Prepared();
  #lab: Lab | undefined;
  #ending: Promise<void> | undefined;

  constructor(readonly options: Options, readonly scenarios: readonly Scenario[]) {}

  async run(): Promise<void> {
    for (let round = 0; round < this.options.rounds; round++) {
      for (const scenario of rotated(this.scenarios, round)) {
        if (this.#ending) return;
        const run = await this.#runOne(round + 1, scenario);
        this.runs.push(run);
        console.error(this.#lineOf(run));
      }
    }
  }

  async #runOne(round: number, scenario: Scenario): Promise<Run> {
    const { name } = scenario;
    const folder = `${this.#folder}/${name}`;
    const timeMs = this.options.seconds * 1_000;
    const foreignPercent = await busyPercent(FOREIGN_MS);
    await using lab = this.#lab = new Lab();
    try {
      const outcome = await runScenario(lab, scenario, {
        prepared: this.#prepared,
        folder,
        timeMs,
      });
      return { round, scenario: name, foreignPercent, ...outcome };
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      return { round, scenario: name, foreignPercent, values: {}, error: text };
    }
  }

  /** Ends everything and leaves nothing, once. */
  end(): Promise<void> {
    return this.#ending ??= this.#cleanUp();
  }

  async #cleanUp(): Promise<void> {
    await this.#lab?.end();
    await Deno.remove(this.#folder, { recursive: true });
  }

  /** What of the runs the reader must know to trust the table. */
  remarks(): string[] {
    const wantsRelay = (name: string) =>
      this.scenarios.some((one) => one.name === name && one.cast?.relayed);
    return this.runs.flatMap(({ round, scenario, path, values, error }) => {
      const found: string[] = [];
      if (error) found.push(`FAILED: ${error}`);
      const expected = wantsRelay(scenario) ? "relayed" : "direct";
      if (path === "changed") found.push(`the path changed, it should be ${expected}`);
      else if (path && path !== expected) found.push(`the path was ${path}, not ${expected}`);
      if (path && values.udpKpps > SATURATED_FRACTION * values.udpOfferedKpps) {
        found.push("nearly all datagrams arrived: more were not offered, so this is no saturation");
      }
      return found.map((text) => `round ${round}, ${scenario}: ${text}`);
    });
  }

  #lineOf({ round, scenario, path, values, error }: Run): string {
    const texts = Object.entries(values).map(([name, value]) => `${name} ${short(value)}`);
    const what = error ? `FAILED: ${error}` : texts.join(", ");
    const route = path ? ` (${path})` : "";
    return `round ${round}/${this.options.rounds} ${scenario}${route}: ${what}`;
  }
}

/** Values by scenario, one object per round. */
function roundsOf(runs: readonly Run[], count: number): Round[] {
  return Array.from({ length: count }, (_, index) =>
    Object.fromEntries(
      runs.filter(({ round }) => round === index + 1)
        .map(({ scenario, values }) => [scenario, values]),
    ));
}

function report(bench: Bench): void {
  const { rounds, seconds, json } = bench.options;
  const lines = linesOf(roundsOf(bench.runs, rounds), isReferencePresent);
  const machine = { deno: Deno.version.deno, kernel: Deno.osRelease(), cores: cores() };
  const ratioTo = isReferencePresent ? "reference" : "raw";
  if (json) {
    const { runs } = bench;
    console.log(
      JSON.stringify({ machine, rounds, seconds, ratioTo, figures: lines, runs }, null, 1),
    );
    return;
  }
  console.log(
    `\n${rounds} rounds of ${seconds} s, Deno ${machine.deno}, Linux ${machine.kernel}, ` +
      `${machine.cores} cores\n\n${renderTable(lines, ratioTo)}`,
  );
  const foreign = spreadOf(bench.runs.map(({ foreignPercent }) => foreignPercent));
  if (foreign) {
    console.log(
      `\nother programs kept the machine ${short(foreign.median)} % busy ` +
        `(${short(foreign.min)}..${short(foreign.max)}), seen before each scenario`,
    );
  }
  const remarks = bench.remarks();
  if (remarks.length > 0) console.log(`\n${remarks.join("\n")}`);
}

function cores(): number {
  return navigator.hardwareConcurrency;
}

/** A benchmark that is a program of its own. */
async function runProgram(file: string, ...words: string[]): Promise<number> {
  const program = new URL(file, import.meta.url).pathname;
  const args = ["run", "--no-prompt", "-A", program, ...words];
  return (await new Deno.Command(Deno.execPath(), { args }).spawn().status).code;
}

async function benchProducts(options: Options): Promise<number> {
  if (Deno.uid() !== 0) {
    console.error("namespaces need root");
    return 1;
  }
  if (!isReferencePresent) console.error("ZT_REFERENCE is not set: compared with the bare wire");
  const bench = new Bench(options, scenariosFor(options.only, isReferencePresent));
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => void bench.end().finally(() => Deno.exit(130)));
  }
  try {
    await bench.run();
  } finally {
    await bench.end();
  }
  report(bench);
  return bench.runs.some(({ error }) => error) ? 1 : 0;
}

if (import.meta.main) {
  for (const name of ["lab", "root", "hostile"]) {
    if (Deno.args.includes(`--${name}`)) {
      Deno.exit(await runProgram(`${name}_bench.ts`, ...Deno.args));
    }
  }
  let options: Options;
  try {
    options = parseOptions(Deno.args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    Deno.exit(2);
  }
  Deno.exit(options.crypto ? await runProgram("kernel_bench.ts") : await benchProducts(options));
}
