/**
 * What no single test sees: imports point one way, `lib/` is pure, nothing lies around dead.
 * @module
 */
import assert from "node:assert/strict";

/** Each folder of `lib/` imports only from those before it; types may come from anywhere. */
const LIB_ORDER = [
  "base",
  "kernel",
  "crypto",
  "identity",
  "credential",
  "wire",
  "peer",
  "network",
  "dataplane",
  "root",
  "node",
  "controller",
];
/** Top folders, lowest first: each imports only from itself and those before it. */
const LAYERS = ["lib", "ffi", "cli/engine", "cli/storage", "cli/api", "cli/commands"];
/** Globals that need no permission and would make the core depend on when and where it runs. */
const IMPURE =
  /\b(Date\.now|new Date|Math\.random|crypto\.getRandomValues|crypto\.subtle|setTimeout|setInterval|performance\.|console\.|await |async |Deno\.|fetch\()/;
/** What runs without being imported. */
const STARTED = [
  "cli/main.ts",
  "cli/engine/data_worker.ts",
  "cli/engine/validate_worker.ts",
  "mod.ts",
];
/** Slow and in-memory twins that only tests use. */
const TWINS =
  /^ffi\/memory\/|^lib\/crypto\/(salsa20|poly1305)\.ts$|^lib\/kernel\/data_twin\.ts$|^cli\/(engine\/memory_mover|storage\/memory)\.ts$/;
const SOURCE_LINES_MAX = 800;

interface Source {
  readonly path: string;
  readonly text: string;
}

function* sources(folder: string): Generator<Source> {
  for (const entry of Deno.readDirSync(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* sources(path);
    else if (entry.name.endsWith(".ts")) yield { path, text: Deno.readTextFileSync(path) };
  }
}

const root = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
const all = ["lib", "ffi", "cli"].flatMap((top) => [...sources(`${root}/${top}`)])
  .map(({ path, text }) => ({ path: path.slice(root.length + 1), text }));

/** Relative imports of values, with the path they lead to. */
function valueImports({ path, text }: Source): string[] {
  const found: string[] = [];
  for (const match of text.matchAll(/^(?:import|export) (?!type\b)([^;]*?) from "(\.[^"]+)";/gms)) {
    const names = match[1].replace(/^\{|\}$/g, "").split(",").map((name) => name.trim());
    const onlyTypes = match[1].startsWith("{") &&
      names.every((name) => name === "" || name.startsWith("type "));
    if (!onlyTypes) found.push(new URL(match[2], `file:///${path}`).pathname.slice(1));
  }
  return found;
}

/** Comments and strings out: words in them are not code. */
function code(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/\/\/.*$/gm, "")
    .replace(/"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g, '""');
}

function layerOf(path: string): number {
  return LAYERS.findIndex((layer) => path.startsWith(`${layer}/`));
}

Deno.test("imports within lib/ point from later folders to earlier ones", () => {
  const wrong: string[] = [];
  for (const source of all.filter(({ path }) => path.startsWith("lib/"))) {
    const from = LIB_ORDER.indexOf(source.path.split("/")[1]);
    assert.ok(from >= 0, `${source.path}: its folder has no place in the order`);
    for (const target of valueImports(source)) {
      const to = LIB_ORDER.indexOf(target.split("/")[1]);
      if (!target.startsWith("lib/") || to > from) wrong.push(`${source.path} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("imports between lib, ffi and cli point down", () => {
  const wrong: string[] = [];
  for (const source of all) {
    const from = layerOf(source.path);
    if (from < 0) continue; // main.ts and command.ts tie everything together
    for (const target of valueImports(source)) {
      const engineUsesApi = source.path.startsWith("cli/engine/") && target.startsWith("cli/api/");
      const viewOfEngine = engineUsesApi && /service_view\.ts$/.test(source.path);
      const storeOfEngine = source.path.startsWith("cli/engine/") &&
        target.startsWith("cli/storage/");
      if (layerOf(target) > from && !viewOfEngine && !storeOfEngine) {
        wrong.push(`${source.path} imports ${target}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("lib/ reads no clock, draws no randomness, starts no timer and awaits nothing", () => {
  const wrong: string[] = [];
  for (const { path, text } of all.filter(({ path }) => path.startsWith("lib/"))) {
    if (path.startsWith("lib/kernel/assembly/")) continue;
    code(text).split("\n").forEach((line, index) => {
      if (IMPURE.test(line)) wrong.push(`${path}:${index + 1}: ${line.trim()}`);
    });
  }
  assert.deepEqual(wrong, []);
});

Deno.test("only cli/command.ts imports the argument parser", () => {
  const users = all.filter(({ text }) => /from "commander"/.test(text)).map(({ path }) => path);
  assert.deepEqual(users, ["cli/command.ts"]);
});

/** Everything a file pulls in by values, at once or later, itself included. */
function pulledIn(starts: string[]): Set<string> {
  const byPath = new Map(all.map((source) => [source.path, source]));
  const reached = new Set<string>();
  const queue = [...starts];
  for (let path = queue.pop(); path; path = queue.pop()) {
    const source = byPath.get(path);
    if (reached.has(path) || !source) continue;
    reached.add(path);
    queue.push(...valueImports(source));
    for (const match of source.text.matchAll(/await import\("(\.[^"]+)"\)/g)) {
      queue.push(new URL(match[1], `file:///${path}`).pathname.slice(1));
    }
  }
  return reached;
}

Deno.test("the program loads no twin: @noble/* takes 16 MB", () => {
  const reached = pulledIn(STARTED.filter((path) => path.startsWith("cli/")));
  assert.ok(reached.has("cli/engine/service.ts"));
  const users = all.filter(({ path, text }) => reached.has(path) && /from "@noble\//.test(text));
  assert.deepEqual(users.map(({ path }) => path), []);
});

Deno.test("no source file is dead: each is imported, started, run or a twin that tests use", () => {
  const reached = new Set<string>();
  const queue = [...STARTED];
  const tests = [...sources(`${root}/tests`)]
    .map(({ path, text }) => ({ path: path.slice(root.length + 1), text }));
  const byPath = new Map([...all, ...tests].map((source) => [source.path, source]));
  queue.push(...tests.filter(({ path }) => !/\/unit\//.test(path)).map(({ path }) => path));
  queue.push(
    ...all.map(({ path }) => path).filter((path) => TWINS.test(path) || path.endsWith("/mod.ts")),
  );
  for (let path = queue.pop(); path; path = queue.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    const text = byPath.get(path)?.text ?? "";
    for (const match of text.matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)) {
      queue.push(new URL(match[1], `file:///${path}`).pathname.slice(1));
    }
  }
  const dead = all.map(({ path }) => path)
    .filter((path) => !reached.has(path) && !path.startsWith("lib/kernel/assembly/"));
  assert.deepEqual(dead, []);
});

Deno.test("no source file is longer than a person reads at a time", () => {
  const long = all.filter(({ path, text }) =>
    text.split("\n").length > SOURCE_LINES_MAX && !path.endsWith("_wasm.ts")
  ).map(({ path }) => path);
  assert.deepEqual(long, []);
});

Deno.test("remedies.md names tests that exist", () => {
  const rows = [
    ...Deno.readTextFileSync(`${root}/tests/remedies.md`).matchAll(
      /^\|[^|]*\|[^|]*\| (\S[^|]*?) +\| `([^`]+)` +\|$/gm,
    ),
  ];
  assert.ok(rows.length > 70, `${rows.length} rows are understood`);
  for (const [, name, path] of rows) {
    assert.ok(Deno.readTextFileSync(`${root}/tests/${path}`).includes(name), `${path}: ${name}`);
  }
});
