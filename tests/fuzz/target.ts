/**
 * Fuzz targets: each is tried with bytes gone wrong for a while; the same seed tries the same bytes in the same order.
 *
 *     deno task fuzz                                        every target for its share of a minute
 *     deno task fuzz -- --minutes 60 --target "a node"      only those whose name contains this, for an hour
 *     deno task fuzz -- --target "world" --hex 00ff         one input, as a failure prints it
 *
 * An input that failed once goes into `corpus/`, one line of hexadecimal in the file named after
 * its target, and is tried first from then on.
 * @module
 */
import { parseArgs } from "node:util";
import { concat, fromHex, toHex } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import { Rng } from "../sim/rng.ts";
import { mutated } from "./mutate.ts";

const DEFAULT_SECONDS = 1.5; // a target: about a minute in all
const CLOCK_EVERY = 64; // inputs between looks at the clock
const HEAP_MAX_BYTES = 1_500 * 1024 * 1024; // more than any target needs: it grows without end
const SHRINK_TRIES_MAX = 2_000;

const args = parseArgs({
  args: Deno.args,
  options: {
    minutes: { type: "string" },
    seed: { type: "string" },
    target: { type: "string" },
    hex: { type: "string" },
  },
  strict: false,
}).values;

export interface Target {
  readonly name: string;
  /** Good examples to go wrong from; never empty. */
  readonly examples: readonly Uint8Array[];
  /** Times the usual share of time. */
  readonly weight?: number;
  /** What an input does depends on those before it: a failure is repeated by its seed, not by its bytes. */
  readonly stateful?: boolean;
  /** Tries one input; whatever it throws but a `WireError` is a bug. */
  run(bytes: Uint8Array, rng: Rng): void;
}

const targets: Target[] = [];

/** Registers a target. */
export function fuzzTarget(target: Target): void {
  if (typeof args.target === "string" && !target.name.includes(args.target)) return;
  targets.push(target);
  Deno.test(`fuzz: ${target.name}`, () => {
    if (typeof args.hex === "string") return tryOne(target, fromHex(args.hex), "given");
    const { tried, corpus } = runTarget(target);
    console.log(`fuzzed: ${tried} inputs, ${corpus} of the corpus: ${target.name}`);
  });
}

/** How long each target runs, milliseconds. */
function budgetMs(target: Target): number {
  const weight = target.weight ?? 1;
  if (typeof args.minutes !== "string") return DEFAULT_SECONDS * 1_000 * weight;
  const weights = targets.reduce((sum, { weight }) => sum + (weight ?? 1), 0);
  return Number(args.minutes) * 60_000 * weight / weights;
}

function runTarget(target: Target): { tried: number; corpus: number } {
  const seed = typeof args.seed === "string" ? args.seed : "1";
  const rng = new Rng(`fuzz ${target.name} ${seed}`);
  const corpus = corpusOf(target.name);
  for (const bytes of corpus) tryOne(target, bytes, "corpus");
  for (const bytes of target.examples) tryOne(target, bytes, "example");
  const examples = [...target.examples, ...corpus];
  const endMs = performance.now() + budgetMs(target);
  let tried = 0;
  do {
    for (let i = 0; i < CLOCK_EVERY; i++) {
      tryOne(target, mutated(examples, rng), `seed ${seed}, input ${++tried}`);
    }
    const { heapUsed } = Deno.memoryUsage();
    if (heapUsed > HEAP_MAX_BYTES) throw new Error(`${target.name}: ${heapUsed} bytes of heap`);
  } while (performance.now() < endMs);
  return { tried, corpus: corpus.length };
}

/** Runs with a stream of chance that depends on the input alone, so that it can be repeated by itself. */
function attempt(target: Target, bytes: Uint8Array): unknown {
  try {
    target.run(bytes.slice(), new Rng(`input ${toHex(bytes.subarray(0, 64))} ${bytes.length}`));
  } catch (error) {
    if (!(error instanceof WireError)) return error;
  }
  return undefined;
}

function tryOne(target: Target, bytes: Uint8Array, origin: string): void {
  const failure = attempt(target, bytes);
  if (failure === undefined) return;
  const shortest = target.stateful ? bytes : shrunk(target, bytes);
  const repeat = target.stateful ? `(${origin})` : `--hex ${toHex(shortest)}`;
  const message = failure instanceof Error ? failure.message : String(failure);
  throw new Error(
    `${target.name} (${origin}): ${message}\n  repeat: deno task fuzz -- --target "${target.name}" ` +
      `${repeat}`,
    { cause: failure },
  );
}

/** Leaves out what is not needed to fail. */
function shrunk(target: Target, bytes: Uint8Array): Uint8Array {
  let shortest = bytes;
  let tries = 0;
  for (let size = Math.ceil(shortest.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < shortest.length && tries < SHRINK_TRIES_MAX; tries++) {
      const shorter = concat(shortest.subarray(0, at), shortest.subarray(at + size));
      if (attempt(target, shorter) === undefined) at += size;
      else shortest = shorter;
    }
  }
  return shortest;
}

function corpusOf(name: string): Uint8Array[] {
  const file = new URL(`corpus/${name.replaceAll(/[^a-z0-9]+/gi, "_")}.txt`, import.meta.url);
  let text: string;
  try {
    text = Deno.readTextFileSync(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map(fromHex);
}
