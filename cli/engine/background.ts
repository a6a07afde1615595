/**
 * Starting the service in the background: this program again, in a session of its own, its words in `service.log`.
 *
 * @module
 */
import { processExists, spawnBackground } from "../../ffi/linux/process.ts";
import { readTextFileIfAny } from "../../ffi/linux/system.ts";
import { ApiError, SystemError, TimeoutError } from "../../lib/base/errors.ts";
import { fileReason } from "./file_error.ts";
import { type Home, HomeError } from "./home.ts";
import type { LogLevel } from "./log.ts";
import { selfArgs } from "./self_command.ts";

const LOG_FILE = "service.log";
const LOG_MAX_BYTES = 1024 * 1024; // bounds the disk a service that runs for years takes: this, twice
const LOG_MODE = 0o600; // as the spawned service makes it
const POLL_MS = 20; // how long a start that took no time is noticed late

/** What the background service is started with. */
export interface BackgroundStart {
  home: Home;
  /** -p, when the user gave one. */
  port?: number;
  /** --log-level, when the user gave one. */
  logLevel?: LogLevel;
  /** Asked again and again until it says yes. */
  isReady: () => Promise<boolean>;
  patienceMs: number;
}

/**
 * Starts the service and waits until it answers.
 * @returns its process id
 * @throws {HomeError} when its log cannot be written
 * @throws {ApiError} with the last line of the log when it ended at once
 * @throws {TimeoutError} when it neither answered nor ended
 */
export async function startInBackground(start: BackgroundStart): Promise<number> {
  const { home, port, logLevel, isReady, patienceMs } = start;
  home.create();
  boundLog(home);
  checkLog(home);
  const before = logLengthBytes(home);
  const serviceArgs = [
    "service",
    "--times",
    "-D",
    home.path,
    ...(port === undefined ? [] : ["-p", `${port}`]),
    ...(logLevel === undefined ? [] : ["--log-level", logLevel]),
  ];
  const pid = spawnBackground({
    path: Deno.execPath(),
    args: [...selfArgs(), ...serviceArgs],
    env: Deno.env.toObject(),
    logPath: home.pathOf(LOG_FILE),
  });
  const untilMs = performance.now() + patienceMs;
  while (performance.now() < untilMs) {
    if (await isReady()) return pid;
    if (!isRunning(pid)) throw new ApiError(0, lastWords(home, before));
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new TimeoutError(`the service did not answer in time; see ${home.pathOf(LOG_FILE)}`);
}

/**
 * Keeps the log below its bound: what was in it moves to `service.log.1`, and the writer, who
 * appends, goes on in the emptied file. To be called now and then by a service in the background.
 * Never throws: where the disk is full or read-only the log stays as it is until the next call.
 */
export function boundLog(home: Home): void {
  if (logLengthBytes(home) <= LOG_MAX_BYTES) return;
  try {
    Deno.copyFileSync(home.pathOf(LOG_FILE), home.pathOf(`${LOG_FILE}.1`));
    Deno.truncateSync(home.pathOf(LOG_FILE));
  } catch {
    // A disk that is full takes no more of the log either.
  }
}

/** The service's first words go there: where it cannot be, say so before anything is started. */
function checkLog(home: Home): void {
  const path = home.pathOf(LOG_FILE);
  try {
    Deno.openSync(path, { append: true, create: true, mode: LOG_MODE }).close();
  } catch (error) {
    throw new HomeError(`cannot write ${path}: ${fileReason(error)}`);
  }
}

function logLengthBytes(home: Home): number {
  try {
    return Deno.statSync(home.pathOf(LOG_FILE)).size;
  } catch {
    return 0; // there is none
  }
}

/** Whether a child of ours still runs; one that ended stays in the table until we do, marked Z. */
function isRunning(pid: number): boolean {
  if (!processExists(pid)) return false;
  let stat: string | undefined;
  try {
    stat = readTextFileIfAny(`/proc/${pid}/stat`);
  } catch (error) {
    if (error instanceof SystemError) return true; // no /proc to ask
    throw error;
  }
  return stat === undefined || !/\) [ZX] /.test(stat);
}

/** The last line the service wrote since `fromBytes`: the reason it gave. */
function lastWords(home: Home, fromBytes: number): string {
  const log = home.readBytes(LOG_FILE)?.subarray(fromBytes) ?? new Uint8Array();
  const line = new TextDecoder().decode(log).trimEnd().split("\n").at(-1) ?? "";
  const reason = line.replace(/^zt: /, "");
  if (reason !== "") return reason;
  return `the service ended at once and its reason is not in ${home.pathOf(LOG_FILE)}: ` +
    "is the disk full? To see it: zt service";
}
