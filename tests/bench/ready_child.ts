/**
 * A program in a host of the lab that gets ready, says so, waits for a line, works, and prints its
 * result as JSON. Thus its own start is never within what is measured.
 * @module
 */
import { inTime } from "../../cli/engine/demo/agent_client.ts";
import { linesOf } from "../../cli/engine/demo/lines.ts";
import type { Lab, LabHost } from "../../cli/engine/lab.ts";

const READY_PATIENCE_MS = 30_000;
const RESULT_PATIENCE_MS = 90_000; // beyond the longest task's own bound: against a child that hangs

/** One task in one host, ready to go. */
export class ReadyChild<Out> {
  private constructor(
    readonly name: string,
    readonly host: LabHost,
    readonly process: Deno.ChildProcess,
    readonly lines: AsyncGenerator<string>,
  ) {}

  /**
   * Starts it and waits until it is ready.
   * @param program Path of the module; its first argument is the task's name, its second `task` as JSON
   * @throws when it does not get there
   */
  static async open<Out>(
    lab: Lab,
    host: LabHost,
    program: string,
    name: string,
    task: unknown,
  ): Promise<ReadyChild<Out>> {
    const args = ["run", "--no-prompt", "-A", program, name, JSON.stringify(task)];
    const process = lab.spawn(host, Deno.execPath(), args, {
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
      endSignal: "SIGKILL", // it may sit in a system call, and has nothing to lose
    });
    const child = new ReadyChild<Out>(name, host, process, linesOf(process.stdout));
    await child.#line(READY_PATIENCE_MS, "did not get ready");
    return child;
  }

  /** Lets it go. @returns what came of it */
  async run(patienceMs = RESULT_PATIENCE_MS): Promise<Out> {
    const writer = this.process.stdin.getWriter();
    await writer.write(new TextEncoder().encode("go\n"));
    const line = await this.#line(patienceMs, "gave no result");
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
