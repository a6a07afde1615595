/**
 * The service in the foreground: its lock, signals, API and log around the engine, until something ends it.
 * @module
 */
import { type ApiServer, openApiServer } from "../api/server.ts";
import type { ServiceView } from "../api/view.ts";
import type { Call } from "../command.ts";
import { runDespiteCollisions } from "../engine/collision.ts";
import { type Home, HomeError } from "../engine/home.ts";
import { ensureToken, writePort } from "../engine/home_files.ts";
import { LiveSettings } from "../engine/live_settings.ts";
import { type Log, logFrom, type LogLevel } from "../engine/log.ts";
import { machineRandom } from "../engine/primitives.ts";
import { homeOf } from "./context.ts";

const PID_FILE = "zerotier-one.pid";
const SIGNALS = ["SIGINT", "SIGTERM", "SIGQUIT"] as const;
const FORCED_EXIT_MS = 5_000; // reference: 5 s for an orderly stop
const LOG_CHECK_MS = 60_000; // how often the size of the log in the background is looked at

/**
 * Runs until a signal or `POST /zt/stop`.
 * @param write Takes one line of the log
 * @param level How much to log; what `local.conf` says when undefined
 * @throws {HomeError} when a service runs there already; whatever keeps it from starting or going on
 */
export async function runInForeground(
  call: Call,
  write: (line: string) => void,
  level: LogLevel | undefined,
): Promise<void> {
  const home = homeOf(call);
  const lock = await home.lock();
  const stop = new AbortController();
  const abort = () => stop.abort();
  const ignore = () => {};
  for (const signal of SIGNALS) Deno.addSignalListener(signal, abort);
  Deno.addSignalListener("SIGHUP", ignore); // as in the reference: a closed terminal does not end it
  const { boundLog } = await import("../engine/background.ts");
  const logTimer = setInterval(() => boundLog(home), LOG_CHECK_MS);
  try {
    const life = () => live({ home, port: call.global.port, write, level, signal: stop.signal });
    await runDespiteCollisions(home, logFrom(write, () => level ?? "info"), life);
  } finally {
    clearInterval(logTimer);
    for (const signal of SIGNALS) Deno.removeSignalListener(signal, abort);
    Deno.removeSignalListener("SIGHUP", ignore);
    lock.release();
  }
}

interface Life {
  home: Home;
  /** -p */
  port: number | undefined;
  write: (line: string) => void;
  level: LogLevel | undefined;
  /** Ends it from outside. */
  signal: AbortSignal;
}

/** One life of the service, with its API. */
async function live({ home, port, write, level, signal }: Life): Promise<void> {
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  const settings: LiveSettings = new LiveSettings(home, (line) => log(line, "error"));
  const logLevel = () => level ?? settings.current.logLevel;
  const log = logFrom(write, logLevel);
  const policy = {
    authToken: ensureToken(home, "authtoken.secret", machineRandom),
    metricsToken: ensureToken(home, "metricstoken.secret", machineRandom),
    allowManagementFrom: () => settings.current.allowManagementFrom,
  };
  let server: ApiServer | undefined;
  const openApi = (view: ServiceView, port: number) => {
    server = openApiServer({ view, policy, port });
    const bound = server.port;
    ifPossible(log, () => writePort(home, bound));
    ifPossible(log, () => home.write(PID_FILE, String(Deno.pid)));
    log(`node ${view.status().address} is ready on port ${bound}`);
  };
  const { runService } = await import("../engine/control.ts");
  const running = runService({
    home,
    settings,
    port,
    onReady: (view, ports) => openApi(view, ports.primary),
    log,
    logLevel,
    stop: () => stop.abort(),
    signal: ended,
  });
  try {
    await Promise.race([running, patienceAfter(ended, FORCED_EXIT_MS)]);
  } finally {
    await server?.close();
    ifPossible(log, () => home.remove(PID_FILE));
  }
}

/** What helps commands find the service is no reason to be without one: the disk may be full. */
function ifPossible(log: Log, change: () => void): void {
  try {
    change();
  } catch (error) {
    if (!(error instanceof HomeError)) throw error;
    log(error.message, "warn");
  }
}

/** Resolves a while after the signal aborts: a stop that hangs does not hang us. */
function patienceAfter(signal: AbortSignal, patienceMs: number): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => setTimeout(resolve, patienceMs), { once: true });
  });
}
