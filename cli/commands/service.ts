/**
 * `zt service`: the node itself, in the foreground or started in the background; and its end.
 * @module
 */
import { SIGKILL, signalProcess, SIGTERM } from "../../ffi/linux/process.ts";
import { TimeoutError, UsageError } from "../../lib/base/errors.ts";
import { type Call, command } from "../command.ts";
import { formatLogLevels, type LogLevel, parseLogLevel } from "../engine/log.ts";
import {
  ensureService,
  findService,
  homeOf,
  isAnswering,
  render,
  requireService,
} from "./context.ts";
import { install, uninstall, unit } from "./service_install.ts";
import { runInForeground } from "./service_run.ts";

const STOP_PATIENCE_MS = 10_000; // twice what a stop may take
const STOP_POLL_MS = 50;

/** `zt service`. */
export const service = command("service", "Run the node")
  .option("--background", "start it in the background and return when it answers")
  .option("--stop", "end the one that runs")
  .option("--times", "begin each line of the log with the time")
  .option("--log-level <level>", "error, warn, info or debug; else settings.logLevel of local.conf")
  .holds([install, uninstall, unit])
  .example("zt service")
  .example("zt service --background")
  .example("zt service install")
  .note(
    "In the background it writes to service.log in the home folder, with the time; past 1 MB that becomes service.log.1.",
  )
  .action(async (call) => {
    if (call.flag("background") && call.flag("stop")) {
      throw new UsageError("--background and --stop exclude each other");
    }
    const level = logLevelOf(call);
    if (call.flag("stop")) await stopService(call);
    else if (call.flag("background")) await startService(call, level);
    else await runInForeground(call, logOf(call), level);
  });

function logLevelOf(call: Call): LogLevel | undefined {
  const text = call.text("logLevel");
  const level = text === undefined ? undefined : parseLogLevel(text);
  if (text === undefined || level) return level;
  throw new UsageError(`--log-level must be ${formatLogLevels()}`);
}

function logOf(call: Call): (line: string) => void {
  if (!call.flag("times")) return (line) => call.io.err(`${line}\n`);
  return (line) => call.io.err(`${new Date().toISOString()} ${line}\n`);
}

async function startService(call: Call, level: LogLevel | undefined): Promise<void> {
  const home = homeOf(call);
  if (await isAnswering(findService(call, home))) {
    const { port } = requireService(call).target;
    const text = `a service is already running on ${home.path}\n`;
    render(call, { started: false, port, home: home.path }, () => text);
    return;
  }
  home.create(); // asked for here, whoever else has a service
  const api = await ensureService(call, level);
  const { port } = api.target;
  render(
    call,
    { started: true, port, home: home.path },
    () => `the service answers on port ${port}; its log: ${home.pathOf("service.log")}\n`,
  );
}

/** Asks it to end; one that does not answer is told by a signal, and one that does not heed that is killed. */
async function stopService(call: Call): Promise<void> {
  const home = homeOf(call);
  const api = findService(call, home);
  // With -p or -T it may be a service of another home: then nobody's process is ours to end.
  const { port, token } = call.global;
  const holder = port === undefined && token === undefined ? () => home.holder() : nobody;
  const pid = await holder();
  if (!pid || await isAnswering(api)) await requireService(call).call("POST", "/zt/stop", {});
  else signalProcess(pid, SIGTERM);
  const isGone = async () => await holder() === undefined && !(await isAnswering(api));
  if (!(await comesTrue(isGone))) {
    if (!pid) throw new TimeoutError("the service did not end in time");
    call.io.err(`process ${pid} does not end by itself: killing it\n`);
    signalProcess(pid, SIGKILL);
    if (!(await comesTrue(isGone))) throw new TimeoutError(`process ${pid} cannot be killed`);
  }
  render(call, { stopped: true, home: home.path }, () => "the service has ended\n");
}

function nobody(): Promise<undefined> {
  return Promise.resolve(undefined);
}

async function comesTrue(isTrue: () => Promise<boolean>): Promise<boolean> {
  const untilMs = performance.now() + STOP_PATIENCE_MS;
  do {
    if (await isTrue()) return true;
    await new Promise((resolve) => setTimeout(resolve, STOP_POLL_MS));
  } while (performance.now() < untilMs);
  return false;
}
