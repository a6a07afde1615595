/**
 * `zt demo`: three machines out of thin air, a network between them, and what it feels like.
 * @module
 */
import { ApiError, SystemError, UsageError } from "../../lib/base/errors.ts";
import { type Call, command } from "../command.ts";
import type { DemoProgress, DemoResult } from "../engine/demo/scenario.ts";
import { percentile, rounded } from "../engine/demo/measure.ts";
import { selfArgs, selfCommand } from "../engine/self_command.ts";
import { render, table } from "./context.ts";
import { LiveLines, PlainLines } from "./demo_progress.ts";

const DEFAULT_SEND_MS = 3_000;
const SEND_MAX_MS = 600_000; // bounds a demo somebody forgot
const ROUNDS_MAX = 1_000;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const INSIDE = "ZT_DEMO_INSIDE"; // set for ourselves inside a user namespace: a second try would not help
const TUN = "/dev/net/tun";

/** `zt demo`. */
export const demo = command("demo", "Show it: a planet, a network and two nodes, on this machine")
  .option("--seconds <seconds>", "how long each direction sends (default 3)")
  .option("--repeat <n>", "start the second node so often; times are then medians")
  .option("--relayed", "put the nodes where only the root reaches both")
  .example("zt demo")
  .example("zt demo --json --repeat 20")
  .note("Everything happens in network namespaces and a temporary folder, and is gone afterwards.")
  .action(async (call) => {
    const sendMs = call.milliseconds("seconds") ?? DEFAULT_SEND_MS;
    if (sendMs > SEND_MAX_MS) {
      throw new UsageError(`--seconds must be at most ${SEND_MAX_MS / 1000}`);
    }
    const rounds = roundsOf(call);
    const outside = await goInside();
    if (outside !== undefined) return outside;
    const value = summarize(await play(call, { sendMs, rounds, relayed: call.flag("relayed") }));
    render(call, value, demoText);
  });

function roundsOf(call: Call): number {
  const rounds = Number(call.text("repeat") ?? 1);
  if (Number.isInteger(rounds) && rounds >= 1 && rounds <= ROUNDS_MAX) return rounds;
  throw new UsageError(
    `--repeat must be a number from 1 to ${ROUNDS_MAX}, not "${call.text("repeat")}"`,
  );
}

/**
 * Makes sure that namespaces and TAPs can be made; where they cannot, runs the demo once more inside a user namespace.
 * @returns the exit code of that run, undefined when there is no need for one
 * @throws {SystemError} saying what is missing
 */
async function goInside(): Promise<number | undefined> {
  const { Namespace } = await import("../../ffi/linux/namespace.ts");
  const { closeFd, O_RDWR, openPath } = await import("../../ffi/linux/system.ts");
  try {
    Namespace.create().close();
  } catch (error) {
    if (!(error instanceof SystemError) || Deno.env.get(INSIDE) !== undefined) throw error;
    return await runInUserNamespace(error);
  }
  closeFd(openPath(TUN, O_RDWR, {
    EACCES: "the demo needs it: run as root, or make it readable and writable for this user",
    ENOENT: "the demo needs it: modprobe tun",
  }));
  return undefined;
}

/**
 * As root of a user namespace, where the kernel lets anybody make one; a threaded process cannot
 * enter one itself. With a network namespace of its own too: a thread that leaves one it has no
 * rights in cannot come back.
 */
async function runInUserNamespace(refusal: SystemError): Promise<number> {
  const unshare = (words: readonly string[], stdio: "inherit" | "null") =>
    new Deno.Command("unshare", {
      args: ["--user", "--map-root-user", "--net", ...words],
      env: { [INSIDE]: "1" },
      stdin: "null",
      stdout: stdio,
      stderr: stdio,
    });
  const may = await trial(() => unshare(["true"], "null").output());
  if (!may?.success) {
    const why = may ? "this kernel does not let users make namespaces" : "there is no unshare";
    throw new SystemError(refusal.operation, refusal.code, `run as root: ${why}`);
  }
  const program = ["--", Deno.execPath(), ...selfArgs(), ...Deno.args];
  const child = unshare(program, "inherit").spawn();
  const forwards = SIGNALS.map((signal) => ({ signal, pass: () => tryKill(child, signal) }));
  for (const { signal, pass } of forwards) Deno.addSignalListener(signal, pass);
  try {
    return (await child.status).code;
  } finally {
    for (const { signal, pass } of forwards) Deno.removeSignalListener(signal, pass);
  }
}

/** @returns undefined when there is no such program: Deno 2.4 says so at once, later ones when it is waited for */
async function trial<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function tryKill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It has ended already.
  }
}

/** The demo itself, and the end of all it started, whatever happens. */
async function play(
  call: Call,
  options: { sendMs: number; rounds: number; relayed: boolean },
): Promise<DemoResult> {
  const { Lab } = await import("../engine/lab.ts");
  const { runDemo } = await import("../engine/demo/scenario.ts");
  const stopped = Promise.withResolvers<never>();
  stopped.promise.catch(() => {});
  const stop = () => stopped.reject(new ApiError(0, "interrupted; nothing is left behind"));
  for (const signal of SIGNALS) Deno.addSignalListener(signal, stop);
  const live = Deno.stderr.isTerminal();
  const progress: DemoProgress & { end(): void } = live
    ? new LiveLines(call.io.err)
    : new PlainLines(call.io.err);
  const folder = Deno.makeTempDirSync({ prefix: "zt-demo-" });
  const lab = new Lab();
  const playing = runDemo(lab, { ...options, program: selfCommand(), folder, progress });
  try {
    return await Promise.race([playing, stopped.promise]);
  } finally {
    progress.end();
    await lab.end();
    await playing.catch(() => {}); // with its lab gone it soon gives up
    Deno.removeSync(folder, { recursive: true });
    for (const signal of SIGNALS) Deno.removeSignalListener(signal, stop);
  }
}

type Summary = ReturnType<typeof summarize>;

/** What `--json` prints. Times in milliseconds, medians when there were several rounds. */
function summarize(result: DemoResult) {
  const { rounds, rttsMs, pingsSent, throughputMbps: each, path } = result;
  const of = (name: keyof typeof rounds[number]) => rounds.map((round) => round[name]);
  const at = (samples: readonly number[], fraction: number) =>
    rounded(percentile(samples, fraction) ?? 0, 2);
  return {
    rounds: rounds.length,
    onlineMs: at(of("onlineMs"), 0.5),
    boundToOnlineMs: at(of("boundToOnlineMs"), 0.5),
    joinToPingMs: at(of("joinToPingMs"), 0.5),
    freshStartToPingMs: at(of("freshStartToPingMs"), 0.5),
    p95: {
      onlineMs: at(of("onlineMs"), 0.95),
      boundToOnlineMs: at(of("boundToOnlineMs"), 0.95),
      joinToPingMs: at(of("joinToPingMs"), 0.95),
      freshStartToPingMs: at(of("freshStartToPingMs"), 0.95),
    },
    rttMs: {
      p50: at(rttsMs, 0.5),
      p99: at(rttsMs, 0.99),
      count: rttsMs.length,
      lost: pingsSent - rttsMs.length,
    },
    throughputMbps: rounded((each.aToB + each.bToA) / 2, 1),
    throughputEachWayMbps: { aToB: rounded(each.aToB, 1), bToA: rounded(each.bToA, 1) },
    path,
  };
}

function demoText(summary: Summary): string {
  const { rttMs, throughputEachWayMbps: each } = summary;
  const time = (name: keyof Summary["p95"]) =>
    summary.rounds > 1
      ? `${Math.round(summary[name])} ms (median of ${summary.rounds}; p95 ${
        Math.round(summary.p95[name])
      } ms)`
      : `${Math.round(summary[name])} ms`;
  return table([
    ["start to ONLINE", time("onlineMs")],
    ["  sockets bound to ONLINE", time("boundToOnlineMs")],
    ["join to first ping", time("joinToPingMs")],
    ["fresh start, new identity, to first ping", time("freshStartToPingMs")],
    ["round trip p50", `${rttMs.p50} ms`],
    ["round trip p99", `${rttMs.p99} ms (${rttMs.lost} of ${rttMs.count + rttMs.lost} lost)`],
    ["throughput, first to second", `${each.aToB} Mbit/s`],
    ["throughput, second to first", `${each.bToA} Mbit/s`],
    ["path", summary.path],
  ]);
}
