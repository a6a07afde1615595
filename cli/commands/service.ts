/**
 * `zt service`: the node itself, in the foreground or started in the background; and its end.
 * @module
 */
import { TimeoutError, UsageError } from "../../lib/base/errors.ts";
import { type ApiServer, openApiServer } from "../api/server.ts";
import type { ServiceView } from "../api/view.ts";
import { type Call, command } from "../command.ts";
import { type Home, HomeError } from "../engine/home.ts";
import { ensureToken, writePort } from "../engine/home_files.ts";
import { LiveSettings } from "../engine/live_settings.ts";
import type { ServiceOptions } from "../engine/service_options.ts";
import {
  ensureService,
  findService,
  homeOf,
  isAnswering,
  render,
  requireService,
} from "./context.ts";

const PID_FILE = "zerotier-one.pid";
const SIGNALS = ["SIGINT", "SIGTERM", "SIGQUIT"] as const;
const FORCED_EXIT_MS = 5_000; // reference: 5 s for an orderly stop
const STOP_PATIENCE_MS = 10_000; // twice what a stop may take
const STOP_POLL_MS = 50;
const LOG_CHECK_MS = 60_000; // how often the size of the log in the background is looked at

/** `zt service`. */
export const service = command("service", "Run the node")
  .option("--background", "start it in the background and return when it answers")
  .option("--stop", "end the one that runs")
  .example("zt service")
  .example("zt service --background")
  .note("In the background it writes to service.log in the home folder.")
  .action(async (call) => {
    if (call.flag("background") && call.flag("stop")) {
      throw new UsageError("--background and --stop exclude each other");
    }
    if (call.flag("stop")) await stopService(call);
    else if (call.flag("background")) await startService(call);
    else await runInForeground(call);
  });

async function startService(call: Call): Promise<void> {
  const home = homeOf(call);
  if (await isAnswering(findService(call, home))) {
    const { port } = requireService(call).target;
    const text = `a service is already running on ${home.path}\n`;
    render(call, { started: false, port, home: home.path }, () => text);
    return;
  }
  const api = await ensureService(call);
  const { port } = api.target;
  render(
    call,
    { started: true, port, home: home.path },
    () => `the service answers on port ${port}; its log: ${home.pathOf("service.log")}\n`,
  );
}

async function stopService(call: Call): Promise<void> {
  const home = homeOf(call);
  await requireService(call).call("POST", "/zt/stop", {});
  const untilMs = performance.now() + STOP_PATIENCE_MS;
  while (performance.now() < untilMs) {
    if (home.readText(PID_FILE) === undefined && !(await isAnswering(findService(call, home)))) {
      render(call, { stopped: true, home: home.path }, () => "the service has ended\n");
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, STOP_POLL_MS));
  }
  throw new TimeoutError("the service did not end in time");
}

async function runInForeground(call: Call): Promise<void> {
  const home = homeOf(call);
  const lock = await home.lock();
  const stop = new AbortController();
  const abort = () => stop.abort();
  const ignore = () => {};
  for (const signal of SIGNALS) Deno.addSignalListener(signal, abort);
  Deno.addSignalListener("SIGHUP", ignore); // as in the reference: a closed terminal does not end it
  try {
    await serve(call, home, stop);
  } finally {
    for (const signal of SIGNALS) Deno.removeSignalListener(signal, abort);
    Deno.removeSignalListener("SIGHUP", ignore);
    lock.release();
  }
}

/** Runs until `stop` aborts, or something ends the service. */
async function serve(call: Call, home: Home, stop: AbortController): Promise<void> {
  const log = (line: string) => call.io.err(`${line}\n`);
  const settings = new LiveSettings(home, log);
  const random = (bytes: Uint8Array) => {
    crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);
  };
  const policy = {
    authToken: ensureToken(home, "authtoken.secret", random),
    metricsToken: ensureToken(home, "metricstoken.secret", random),
    allowManagementFrom: () => settings.current.allowManagementFrom,
  };
  let server: ApiServer | undefined;
  let failure: unknown;
  const openApi = async (view: ServiceView, port: number) => {
    try {
      server = await openApiServer({ view, policy, port });
      const bound = server.port;
      ifPossible(log, () => writePort(home, bound));
      ifPossible(log, () => home.write(PID_FILE, String(Deno.pid)));
      log(`node ${view.status().address} is ready on port ${server.port}`);
    } catch (error) {
      failure = error;
      stop.abort();
    }
  };
  const { boundLog } = await import("../engine/background.ts");
  const logTimer = setInterval(() => boundLog(home), LOG_CHECK_MS);
  const { runService } = await import("../engine/control.ts");
  let opening: Promise<void> | undefined;
  const options: ServiceOptions = {
    home,
    settings,
    port: call.global.port,
    onReady: (view, ports) => {
      opening = openApi(view, ports.primary);
    },
    log,
    stop: () => stop.abort(),
    signal: stop.signal,
  };
  const running = runService(options);
  try {
    await Promise.race([running, patienceAfter(stop.signal, FORCED_EXIT_MS)]);
    await opening;
  } finally {
    clearInterval(logTimer);
    await server?.close();
    ifPossible(log, () => home.remove(PID_FILE));
  }
  if (failure !== undefined) throw failure;
}

/** What helps commands find the service is no reason to be without one: the disk may be full. */
function ifPossible(log: (line: string) => void, change: () => void): void {
  try {
    change();
  } catch (error) {
    if (!(error instanceof HomeError)) throw error;
    log(error.message);
  }
}

/** Resolves a while after the signal aborts: a stop that hangs does not hang us. */
function patienceAfter(signal: AbortSignal, patienceMs: number): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => setTimeout(resolve, patienceMs), { once: true });
  });
}
