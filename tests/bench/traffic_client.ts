/**
 * The benchmark's side of {@linkcode TrafficTasks}.
 * @module
 */
import { inTime } from "../../cli/engine/demo/agent_client.ts";
import { linesOf } from "../../cli/engine/demo/lines.ts";
import type { Lab, LabHost } from "../../cli/engine/lab.ts";
import type { TrafficTasks } from "./traffic.ts";

const PROGRAM = new URL("traffic.ts", import.meta.url).pathname;
const READY_PATIENCE_MS = 15_000;
const RESULT_PATIENCE_MS = 90_000; // beyond the longest task's own bound: against a child that hangs

/** One task in one host, ready to go. */
export class Traffic<Name extends keyof TrafficTasks> {
  private constructor(
    readonly name: Name,
    readonly host: LabHost,
    readonly process: Deno.ChildProcess,
    readonly lines: AsyncGenerator<string>,
  ) {}

  /** Starts it and waits until it is ready. @throws when it does not get there */
  static async open<Name extends keyof TrafficTasks>(
    lab: Lab,
    host: LabHost,
    name: Name,
    task: TrafficTasks[Name]["in"],
  ): Promise<Traffic<Name>> {
    const args = ["run", "--no-prompt", "-A", PROGRAM, name, JSON.stringify(task)];
    const process = lab.spawn(host, Deno.execPath(), args, {
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
      endSignal: "SIGKILL", // it may sit in a system call, and has nothing to lose
    });
    const traffic = new Traffic(name, host, process, linesOf(process.stdout));
    await traffic.#line(READY_PATIENCE_MS, "did not get ready");
    return traffic;
  }

  /** Lets it go. @returns what came of it */
  async run(): Promise<TrafficTasks[Name]["out"]> {
    const writer = this.process.stdin.getWriter();
    await writer.write(new TextEncoder().encode("go\n"));
    const line = await this.#line(RESULT_PATIENCE_MS, "gave no result");
    await writer.close().catch(() => {});
    await this.process.status;
    return JSON.parse(line);
  }

  async #line(patienceMs: number, complaint: string): Promise<string> {
    const what = `${this.name} in ${this.host.name} ${complaint}`;
    const { value, done } = await inTime(this.lines.next(), patienceMs, what);
    if (done) throw new Error(what);
    return value;
  }
}
