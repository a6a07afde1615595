/**
 * The identity tool on this machine: files, clock, randomness and the worker that does the work.
 * @module
 */
import type { Io } from "../command.ts";
import { machinePrimitives, machineRandom } from "../engine/primitives.ts";
import { Validator } from "../engine/validator.ts";
import { idTool, type IdToolResult } from "./id.ts";

const FILE_MAX_BYTES = 256 * 1024 * 1024; // bounds memory: what is signed is read whole

/**
 * Runs the tool and prints what it says.
 * @param program How it was called, for its help
 * @returns the exit code
 */
export async function runIdTool(program: string, args: string[], io: Io): Promise<number> {
  const result = await idToolHere(program, args, io.err);
  if (result.stdout !== "") io.out(result.stdout);
  if (result.stderr !== "") io.err(result.stderr);
  return result.exit;
}

/**
 * Runs the tool on this machine's files.
 * @param onProgress Takes lines of progress as they come
 */
export async function idToolHere(
  program: string,
  args: string[],
  onProgress: (line: string) => void,
): Promise<IdToolResult> {
  const validator = new Validator();
  try {
    return await idTool(args, {
      program,
      primitives: machinePrimitives,
      random: machineRandom,
      readFile,
      writeFile,
      wallMs: Date.now,
      validate: (identity) => validator.validate(identity),
      generate: (options, onTry) => validator.generate(options, onTry),
      onProgress,
    });
  } finally {
    validator.close();
  }
}

async function readFile(name: string): Promise<Uint8Array | undefined> {
  try {
    const { size, isFile } = await Deno.stat(name);
    return isFile && size <= FILE_MAX_BYTES ? await Deno.readFile(name) : undefined;
  } catch {
    return undefined; // the tool says so in its own words
  }
}

async function writeFile(
  name: string,
  contents: Uint8Array,
  { secret }: { secret: boolean },
): Promise<void> {
  await Deno.writeFile(name, contents, secret ? { mode: 0o600 } : {});
  if (secret) await Deno.chmod(name, 0o600); // the mode above counts for new files only
}
