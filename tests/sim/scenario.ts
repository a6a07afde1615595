/**
 * Scenarios: `simTest` runs one under several seeds, and a failure says how to see it again.
 *
 *     deno task sim                                   every scenario, its own seeds
 *     deno task sim -- --seeds 200 --filter relayed   200 seeds of those whose name contains "relayed"
 *     deno task sim -- --seed 17 --log                one seed; the last events in words when it fails
 * @module
 */
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

export interface ScenarioOptions extends Omit<WorldOptions, "seed"> {
  /** What `deno task test` runs; `--seeds` and `--seed` say otherwise. */
  readonly seeds: readonly number[];
  /** Takes so long that `--seeds` does not multiply it; `--seed` still chooses. */
  readonly isLarge?: boolean;
}

/** Seeds to run: those asked for on the command line, or the scenario's own. */
function seedsFor(options: ScenarioOptions): readonly number[] {
  if (typeof args.seed === "string") return [Number(args.seed)];
  if (typeof args.seeds !== "string" || options.isLarge) return options.seeds;
  return Array.from({ length: Number(args.seeds) }, (_, index) => index + 1);
}

/** Registers a scenario, one test a seed. */
export function simTest(
  name: string,
  options: ScenarioOptions,
  run: (world: World) => void,
): void {
  if (typeof args.filter === "string" && !name.includes(args.filter)) return;
  for (const seed of seedsFor(options)) {
    Deno.test(`${name} [seed ${seed}]`, () => {
      const world = new World({ ...options, seed });
      try {
        run(world);
      } catch (error) {
        throw explained(error, world, name, seed);
      }
    });
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
    `repeat: deno task sim -- --seed ${seed} --filter "${name}"`,
  ];
  if (args.log) lines.push(world.trace.recent(LOGGED_EVENTS));
  return new Error(lines.join("\n  "), { cause: error });
}

/** Prints a measured number where the log of a run keeps it. */
export function measured(what: string, value: number, unit: string): void {
  console.log(`measured: ${what}: ${value.toFixed(value < 10 ? 2 : 0)} ${unit}`);
}
