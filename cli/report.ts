/**
 * What is said of an error, and the exit code it ends the program with.
 *
 *     exit  codes                                               meaning
 *     1     no-service, unauthorized, not-found, refused,       refused or failed
 *           home, system, bad-data
 *     2     usage                                               wrong usage
 *     3     timeout                                             timed out
 *     70    bug                                                 an error of ours
 *
 * With `--json` standard error is one JSON object a line: `{"note": "..."}` on the way, and when
 * the command failed the last is `{"error": {"code": "...", "exit": 1, "message": "..."}}`. Codes
 * and fields stay; more of them may come.
 *
 *     code          message is about
 *     no-service    no service runs on that home folder, or none answers
 *     unauthorized  the service refused our token
 *     not-found     the network, member or peer named is none
 *     refused       the service understood and said no, or did not start: then its last words
 *     home          a file of the home folder is missing, damaged or in use
 *     system        the system said no; `errno` is its reason where known, e.g. "EADDRINUSE"
 *     bad-data      a file or packet is not what it should be
 *     usage         the words of the command make no sense; `help` is the command that explains them
 *     timeout       what was waited for did not come in time
 *     bug           an invariant of ours is broken; `stack` says where
 *
 * @module
 */
import {
  ApiError,
  messageOf,
  SystemError,
  TimeoutError,
  UsageError,
  WireError,
} from "../lib/base/errors.ts";
import { NoServiceError } from "./api/client.ts";
import { HomeError } from "./engine/home.ts";
import { formatJson } from "./engine/json.ts";

/** Stable names for what went wrong, for programs. */
export const ERROR_CODES = [
  "no-service",
  "unauthorized",
  "not-found",
  "refused",
  "home",
  "system",
  "bad-data",
  "usage",
  "timeout",
  "bug",
] as const;

/** One of them. */
export type ErrorCode = typeof ERROR_CODES[number];

/** How a command failed. */
export interface Report {
  code: ErrorCode;
  exit: number;
  /** One line. */
  message: string;
  /** Symbolic error of the system, e.g. "ENOSPC". */
  errno?: string;
  /** Only of an error of ours. */
  stack?: string;
}

const EXIT_REFUSED = 1;
const EXIT_USAGE = 2;
const EXIT_TIMEOUT = 3;
const EXIT_BUG = 70;

/** Whether the words of a command ask for JSON, also when they make no sense otherwise. */
export function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  const words = end < 0 ? argv : argv.slice(0, end);
  return words.includes("--json") || words.includes("-j");
}

/** Describes anything a command may throw. */
export function reportOf(error: unknown): Report {
  const said = messageOf(error);
  const message = said.replace(/\s*\n\s*/g, " ");
  if (error instanceof UsageError) return { code: "usage", exit: EXIT_USAGE, message };
  if (error instanceof TimeoutError) return { code: "timeout", exit: EXIT_TIMEOUT, message };
  const refused = { exit: EXIT_REFUSED, message };
  if (error instanceof NoServiceError) return { code: "no-service", ...refused };
  if (error instanceof ApiError) return { code: codeOfStatus(error.status), ...refused };
  if (error instanceof HomeError) return { code: "home", ...refused };
  if (error instanceof WireError) return { code: "bad-data", ...refused };
  if (error instanceof SystemError) return { code: "system", ...refused, ...errnoOf(error.code) };
  // A file or folder the system refused: "Read-only file system (os error 30): open '/srv/zerotier_dump.txt'".
  const isOfSystem = error instanceof Deno.errors.NotCapable || /\(os error \d+\)/.test(said);
  if (isOfSystem) return { code: "system", ...refused };
  const stack = error instanceof Error ? error.stack : undefined;
  return { code: "bug", exit: EXIT_BUG, message, stack };
}

function codeOfStatus(status: number): ErrorCode {
  if (status === 401) return "unauthorized";
  return status === 404 ? "not-found" : "refused";
}

/** Some system errors come with a sentence in place of the symbol. */
function errnoOf(code: string): { errno?: string } {
  return /^E[A-Z0-9]+$/.test(code) ? { errno: code } : {};
}

/**
 * For people: one line for what the user can do something about, the stack for what only we can.
 * @param path Words of the command that failed, for where to look
 */
export function reportText({ code, message, stack }: Report, path: readonly string[]): string {
  if (code === "bug") return `zt: an error of ours, please report it\n${stack ?? message}\n`;
  return `zt: ${message}${code === "usage" ? `; see: ${helpFor(path)}` : ""}\n`;
}

/** For programs: one line of JSON. */
export function reportLine({ stack, ...report }: Report, path: readonly string[]): string {
  const help = report.code === "usage" ? helpFor(path) : undefined;
  return `${formatJson({ error: { ...report, help, stack } })}\n`;
}

function helpFor(path: readonly string[]): string {
  return ["zt help", ...path].join(" ");
}

/** What is said on the way, for programs: each line as JSON. */
export function noteLines(text: string): string {
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((note) => `${formatJson({ note })}\n`).join("");
}
