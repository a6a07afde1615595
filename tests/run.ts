/**
 * `deno task test [group...]`: every test in groups, each with no more permissions than it needs,
 * and one line at the end: how many passed, failed and were skipped, and how many golden vectors
 * were compared.
 *
 * Groups: `unit` (the library; may only read), `machine` (ffi, engine, commands), `sim`, `fuzz`,
 * `e2e` (namespaces; needs root), and, only if named, `binary`: those of `e2e` where a compiled
 * program may differ. With `ZT_BINARY` end-to-end tests run that program instead of the source.
 * @module
 */
import { VECTOR_LINE } from "./vectors/count.ts";

interface Group {
  readonly name: string;
  readonly paths: readonly string[];
  readonly flags: readonly string[];
  /** Deal the files to two processes: what mostly waits takes half the time so. */
  readonly isDealt?: boolean;
}

/**
 * End-to-end tests of what differs in the compiled program: how it starts, its runtime, its
 * Workers, TLS and sockets.
 */
const BINARY_PATHS = ["demo", "doctor", "membership", "names", "refusals", "service", "traffic"]
  .map((name) => `tests/e2e/${name}_test.ts`);

const GROUPS: readonly Group[] = [
  { name: "tidy", paths: ["tests/tidy_test.ts"], flags: ["--allow-read"] },
  { name: "unit", paths: ["tests/unit/lib"], flags: ["--allow-read", "--parallel"] },
  {
    name: "machine",
    paths: ["tests/unit/cli", "tests/unit/ffi", "tests/unit/tools"],
    flags: ["-A"],
  },
  { name: "sim", paths: ["tests/sim"], flags: ["--allow-read", "--allow-env", "--parallel"] },
  { name: "fuzz", paths: ["tests/fuzz"], flags: ["--allow-read", "--allow-env", "--parallel"] },
  { name: "e2e", paths: ["tests/e2e"], flags: ["-A"], isDealt: true },
  { name: "binary", paths: BINARY_PATHS, flags: ["-A"], isDealt: true },
];

interface Totals {
  passed: number;
  failed: number;
  skipped: number;
  vectors: number;
}

const wanted = Deno.args.filter((arg) => !arg.startsWith("-"));
const unknown = wanted.filter((name) => !GROUPS.some((group) => group.name === name));
if (unknown.length > 0) {
  console.error(
    `no such group: ${unknown.join(", ")}; there are ${GROUPS.map((g) => g.name).join(", ")}`,
  );
  Deno.exit(2);
}
const totals: Totals = { passed: 0, failed: 0, skipped: 0, vectors: 0 };
for (const group of GROUPS) {
  const isWanted = wanted.length === 0 ? group.paths !== BINARY_PATHS : wanted.includes(group.name);
  if (isWanted) await run(group);
}
if (totals.vectors > 0) console.log(`\n${totals.vectors} golden vectors compared`);
console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
Deno.exit(totals.failed > 0 ? 1 : 0);

/** Runs one group, showing its output, and adds up what it says. */
async function run(group: Group): Promise<void> {
  const files = await filesOf(group);
  if (files.length === 0) return;
  const startMs = performance.now();
  console.log(`\n== ${group.name}`);
  const hands = group.isDealt ? deal(files) : [files];
  // The first shows its lines as they come; those of the second follow in one piece.
  const [, ...later] = await Promise.all(
    hands.map((hand, index) => runFiles(group, hand, index === 0)),
  );
  for (const line of later.flat()) console.log(line);
  console.log(`== ${group.name} took ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
}

/** @returns the lines, which were shown if `isShown` */
async function runFiles(group: Group, files: string[], isShown: boolean): Promise<string[]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "--no-prompt", "--no-check", ...group.flags, ...files],
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = [];
  let summed = false;
  for await (
    const line of child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(lineSplitter())
  ) {
    lines.push(line);
    if (isShown) console.log(line);
    summed = count(line) || summed;
  }
  const { success } = await child.status;
  // A group that dies, or fails in a way it does not count, is a failure too.
  if (!summed || (!success && totals.failed === 0)) totals.failed++;
  return lines;
}

/** What there is of a group's paths: its folders, or each test file of them where they are to be dealt. */
async function filesOf({ paths, isDealt }: Group): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) {
    if (!await exists(path)) continue;
    if (!isDealt || path.endsWith(".ts")) files.push(path);
    else {
      for await (const { name } of Deno.readDir(path)) {
        if (name.endsWith("_test.ts")) files.push(`${path}/${name}`);
      }
    }
  }
  return files.sort();
}

function deal(files: readonly string[]): string[][] {
  return [0, 1].map((hand) => files.filter((_, index) => index % 2 === hand));
}

/** @returns whether the line was the group's own summary */
function count(line: string): boolean {
  const vectors = new RegExp(`^${VECTOR_LINE} (\\d+) `).exec(line);
  if (vectors) totals.vectors += Number(vectors[1]);
  const summary = /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed(?: \| (\d+) ignored)?/.exec(
    line,
  );
  if (!summary) return false;
  totals.passed += Number(summary[1]);
  totals.failed += Number(summary[2]);
  totals.skipped += Number(summary[3] ?? 0);
  return true;
}

function lineSplitter(): TransformStream<string, string> {
  let rest = "";
  return new TransformStream({
    transform(chunk, controller) {
      const parts = (rest + chunk).split("\n");
      rest = parts.pop()!;
      for (const part of parts) controller.enqueue(part);
    },
    flush(controller) {
      if (rest !== "") controller.enqueue(rest);
    },
  });
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}
