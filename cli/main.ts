/**
 * The program: picks the command and says how it ended. The only file that exits.
 * @module
 */
import process from "node:process";
import { messageOf, SystemError } from "../lib/base/errors.ts";
import { commandPath, type Io, type Program, runProgram } from "./command.ts";
import { bond } from "./commands/bond.ts";
import { completer, completion } from "./commands/completion.ts";
import { controller } from "./commands/controller.ts";
import { decode } from "./commands/decode_command.ts";
import { demo } from "./commands/demo.ts";
import { doctor } from "./commands/doctor.ts";
import { id } from "./commands/id_command.ts";
import { info } from "./commands/info.ts";
import { join } from "./commands/join.ts";
import { labAgent } from "./commands/lab_agent.ts";
import { leave } from "./commands/leave.ts";
import { names } from "./commands/names.ts";
import { networks } from "./commands/networks.ts";
import { peers } from "./commands/peers.ts";
import { type Personality, personalityOf, runPersonality } from "./commands/personality.ts";
import { planet } from "./commands/planet.ts";
import { referenceWords, runReferenceWord } from "./commands/reference_words.ts";
import { rules } from "./commands/rules_command.ts";
import { service } from "./commands/service.ts";
import { version } from "./commands/version.ts";
import { ZT_VERSION } from "./engine/version.ts";
import { ERROR_CODES, noteLines, reportLine, reportOf, reportText, wantsJson } from "./report.ts";

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
    names,
    peers,
    bond,
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
    completion,
    completer(() => PROGRAM.commands),
  ],
  notes: [
    "Example:\n  zt join 8056c2e21c000001 --wait",
    "zt /path prints what the local API answers to GET /path.",
    "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 timed out, 70 an error of ours.",
    `With --json errors are JSON too: {"error": {"code", "exit", "message"}}, the last line of standard error. Codes: ${
      ERROR_CODES.join(", ")
    }.`,
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
  const called = personalityOf(programPath);
  if (called) return await personify(called, argv, io);
  const named = /^zerotier-[a-z]+$/.test(argv[0] ?? "") ? personalityOf(argv[0]) : undefined;
  if (named) return await personify(named, argv.slice(1), io);
  const program = { words: argv, run: (inner: Io) => runProgram(PROGRAM, argv, inner) };
  return wantsJson(argv) ? await reportInJson(program, io) : await reportInText(program, io);
}

function personify(personality: Personality, words: string[], io: Io): Promise<number> {
  const asService = (argv: string[]) => runProgram(PROGRAM, argv, io);
  const run = () => runPersonality(personality, words, io, asService);
  return reportInText({ words: [], run }, io);
}

/** What is run, and the words that named it. */
interface Run {
  words: string[];
  run: (io: Io) => Promise<number>;
}

async function reportInText({ words, run }: Run, io: Io): Promise<number> {
  try {
    return await run(io);
  } catch (error) {
    const report = reportOf(error);
    io.err(reportText(report, commandPath(PROGRAM, words)));
    return report.exit;
  }
}

async function reportInJson({ words, run }: Run, io: Io): Promise<number> {
  try {
    return await run({ out: io.out, err: (text) => io.err(noteLines(text)) });
  } catch (error) {
    const report = reportOf(error);
    io.err(reportLine(report, commandPath(PROGRAM, words)));
    return report.exit;
  }
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
    throw new SystemError("print the answer", messageOf(error));
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
