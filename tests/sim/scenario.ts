/**
 * Scenarios: `simTest` runs one under several seeds, `rateTest` one where luck decides, and a
 * failure says how to see it again.
 *
 *     deno task sim                                   every scenario, its own seeds
 *     deno task sim -- --seeds 200                    the long run: seeds 1 to 200 of each
 *     deno task sim -- --seeds 200 --filter relayed   of those whose name contains "relayed"
 *     deno task sim -- --seed 17 --log                one seed; the last events in words when it fails
 *
 * The long run takes two hours of processor time, so an hour where two are free, and 2 GB; a part of
 * it is `deno test --no-prompt --allow-read <files> -- --seeds 200`.
 * @module
 */
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { SafetyViolation } from "./safety.ts";
import { World, type WorldOptions } from "./world.ts";

const LOGGED_EVENTS = 60;
const args = parseArgs({
  args: Deno.args,
  options: {
    seeds: { type: "string" },
    seed: { type: "string" },
    filter: { type: "string" },
    log: { type: "boolean" },
  },
  strict: false,
}).values;

const chosen = typeof args.seed === "string" ? [Number(args.seed)] : undefined;
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

export interface ScenarioOptions extends Omit<WorldOptions, "seed"> {
  /** What `deno task test` runs; `--seeds` and `--seed` say otherwise. */
  readonly seeds: readonly number[];
  /** So many are enough for `--seeds`: one takes long, and little depends on the seed. */
  readonly seedsMax?: number;
}

export interface RateOptions extends Omit<WorldOptions, "seed"> {
  /** What `deno task test` runs; `--seeds` may ask for more. */
  readonly tries: number;
  /** Share of the tries that must come to something. */
  readonly wantedFraction: number;
}

/** Registers a scenario, one test a seed. */
export function simTest(
  name: string,
  options: ScenarioOptions,
  run: (world: World) => void,
): void {
  if (!isWanted(name)) return;
  const asked = Math.min(Number(args.seeds), options.seedsMax ?? Infinity);
  const seeds = chosen ?? (typeof args.seeds === "string" ? upTo(asked) : options.seeds);
  for (const seed of seeds) {
    Deno.test(`${name} [seed ${seed}]`, () => runOne(name, options, seed, run));
  }
}

/**
 * Registers a scenario in which luck decides, as in guessing a port: one test of many tries, of
 * which enough must come to something. A try is repeated as a seed is.
 * @param run Returns how long it took, in milliseconds; undefined when nothing came of it
 */
export function rateTest(
  name: string,
  options: RateOptions,
  run: (world: World) => number | undefined,
): void {
  if (!isWanted(name)) return;
  const asked = typeof args.seeds === "string" ? Number(args.seeds) : 0;
  const seeds = chosen ?? upTo(Math.max(asked, options.tries));
  Deno.test(`${name}, of ${seeds.length} tries`, () => {
    const took = seeds.map((seed) => runOne(name, options, seed, run));
    const times = took.filter((ms) => ms !== undefined).sort((a, b) => a - b);
    const fraction = times.length / seeds.length;
    measured(`${name}: of ${seeds.length} tries`, 100 * fraction, "%");
    measured(`${name}: median`, times[times.length >> 1] ?? NaN, "ms");
    measured(`${name}: 9 of 10 within`, times[Math.floor(times.length * 0.9)] ?? NaN, "ms");
    const without = seeds.filter((_, index) => took[index] === undefined);
    assert.ok(
      fraction >= options.wantedFraction,
      `${times.length} of ${seeds.length}; not with seeds ${without.join(", ")}\n  ${
        repeat(without[0], name)
      }`,
    );
  });
}

function isWanted(name: string): boolean {
  return typeof args.filter !== "string" || name.includes(args.filter);
}

/** Runs a scenario in a world of its own. */
function runOne<T>(
  name: string,
  options: Omit<WorldOptions, "seed">,
  seed: number,
  run: (world: World) => T,
): T {
  const world = new World({ ...options, seed });
  try {
    return run(world);
  } catch (error) {
    throw explained(error, world, name, seed);
  }
}

/** The error with where it happened and how to repeat it. */
function explained(error: unknown, world: World, name: string, seed: number): Error {
  const safety = error instanceof SafetyViolation
    ? "a safety check failed"
    : `${world.safety.checks} safety checks passed`;
  const message = error instanceof Error ? error.message : String(error);
  const lines = [
    message,
    `at ${world.nowMs.toFixed(0)} ms, step ${world.steps}: ${world.describe()}; ${safety}`,
    repeat(seed, name),
  ];
  if (args.log) lines.push(world.trace.recent(LOGGED_EVENTS));
  return new Error(lines.join("\n  "), { cause: error });
}

const repeat = (seed: number, name: string) =>
  `repeat: deno task sim -- --seed ${seed} --filter "${name}"`;

/** Prints a measured number where the log of a run keeps it. */
export function measured(what: string, value: number, unit: string): void {
  console.log(`measured: ${what}: ${value.toFixed(value < 10 ? 2 : 0)} ${unit}`);
}
