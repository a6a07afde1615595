/**
 * The program: picks the command, maps errors to exit codes. The only file that exits.
 *
 *     0   done
 *     1   refused or failed
 *     2   wrong usage
 *     3   timed out
 *     70  an error of ours
 *
 * @module
 */
import process from "node:process";
import { ApiError, SystemError, TimeoutError, UsageError, WireError } from "../lib/base/errors.ts";
import { type Io, type Program, runProgram } from "./command.ts";
import { controller } from "./commands/controller.ts";
import { decode } from "./commands/decode_command.ts";
import { demo } from "./commands/demo.ts";
import { doctor } from "./commands/doctor.ts";
import { id } from "./commands/id_command.ts";
import { info } from "./commands/info.ts";
import { join } from "./commands/join.ts";
import { labAgent } from "./commands/lab_agent.ts";
import { leave } from "./commands/leave.ts";
import { networks } from "./commands/networks.ts";
import { peers } from "./commands/peers.ts";
import { type Personality, personalityOf, runPersonality } from "./commands/personality.ts";
import { planet } from "./commands/planet.ts";
import { referenceWords, runReferenceWord } from "./commands/reference_words.ts";
import { rules } from "./commands/rules_command.ts";
import { service } from "./commands/service.ts";
import { version } from "./commands/version.ts";
import { HomeError } from "./engine/home.ts";
import { ZT_VERSION } from "./engine/version.ts";

const EXIT_BUG = 70;

/** Every command of `zt`. */
export const PROGRAM: Program = {
  name: "zt",
  summary: "Virtual Ethernet networks between machines anywhere.",
  version: ZT_VERSION,
  commands: [
    service,
    join,
    leave,
    info,
    networks,
    peers,
    doctor,
    planet,
    controller,
    id,
    decode,
    rules,
    demo,
    version,
    labAgent,
    ...referenceWords,
  ],
  notes: [
    "Example:\n  zt join 8056c2e21c000001 --wait",
    "zt /path prints what the local API answers to GET /path.",
    "Called as zerotier-cli, zerotier-idtool or zerotier-one, it behaves as that program.",
  ],
  fallback: (words) =>
    words[0]?.startsWith("/") ? (call) => runReferenceWord(call, words) : undefined,
};

/**
 * Runs the program.
 * @param argv Without the program's name
 * @param programPath How it was called: its name may be one of the reference's
 * @returns the exit code; errors have been printed
 */
export async function run(argv: string[], io: Io, programPath = "zt"): Promise<number> {
  try {
    const called = personalityOf(programPath);
    if (called) return await personify(called, argv, io);
    const named = argv.length > 0 && /^zerotier-[a-z]+$/.test(argv[0])
      ? personalityOf(argv[0])
      : undefined;
    if (named) return await personify(named, argv.slice(1), io);
    return await runProgram(PROGRAM, argv, io);
  } catch (error) {
    return report(error, io);
  }
}

function personify(personality: Personality, argv: string[], io: Io): Promise<number> {
  return runPersonality(personality, argv, io, (words) => runProgram(PROGRAM, words, io));
}

/** One line for what the user can do something about; the stack for what only we can. */
function report(error: unknown, io: Io): number {
  const exitCode = exitCodeOf(error);
  if (exitCode === EXIT_BUG) {
    io.err(
      `zt: an error of ours, please report it\n${error instanceof Error ? error.stack : error}\n`,
    );
  } else {
    const message = error instanceof Error ? error.message : String(error);
    const help = exitCode === 2 ? "; see: zt help" : "";
    io.err(`zt: ${message.replace(/\s*\n\s*/g, " ")}${help}\n`);
  }
  return exitCode;
}

function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return 2;
  if (error instanceof TimeoutError) return 3;
  const refused = error instanceof ApiError || error instanceof SystemError ||
    error instanceof HomeError || error instanceof WireError ||
    error instanceof Deno.errors.NotCapable || isOfSystem(error);
  return refused ? 1 : EXIT_BUG;
}

/** A file or folder the system refused: "Read-only file system (os error 30): open '/srv/zerotier_dump.txt'". */
function isOfSystem(error: unknown): boolean {
  return error instanceof Error && /\(os error \d+\)/.test(error.message);
}

/** Where text goes in the end. */
export interface TextSink {
  writeSync(bytes: Uint8Array): number;
}

/**
 * Writes all of it, also into a pipe that takes little at a time; a reader that went away is no error.
 * @throws {SystemError} when it cannot be written, e.g. into a file on a full disk
 */
export function writeAll(sink: TextSink, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += sink.writeSync(bytes.subarray(at));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return;
    throw new SystemError("print the answer", error instanceof Error ? error.message : `${error}`);
  }
}

/** The same for progress and errors: a log on a full disk must not end the service that writes it. */
export function writeIfPossible(sink: TextSink, text: string): void {
  try {
    writeAll(sink, text);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
  }
}

if (import.meta.main) {
  const io: Io = {
    out: (text) => writeAll(Deno.stdout, text),
    err: (text) => writeIfPossible(Deno.stderr, text),
  };
  Deno.exit(await run(Deno.args, io, Deno.build.standalone ? process.argv0 : "zt"));
}
