/**
 * A host of the lab with a home folder: `zt` run in it as a user would type it, and its service.
 * @module
 */
import { ApiError } from "../../../lib/base/errors.ts";
import type { Lab, LabHost } from "../lab.ts";
import type { ProgramCommand } from "../self_command.ts";
import { inTime } from "./agent_client.ts";
import { linesOf } from "./lines.ts";

const COMMAND_PATIENCE_MS = 45_000; // longer than any command of ours waits for anything
const STOP_PATIENCE_MS = 8_000; // a service gives itself five seconds for an orderly end
const LINES_KEPT_MAX = 200; // bounds memory; what is shown of a failed service is its last line

/** What a command said. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** One machine of the lab as its user sees it. */
export class LabNode {
  constructor(
    readonly lab: Lab,
    readonly host: LabHost,
    /** Home folder; need not exist yet. */
    readonly home: string,
    readonly program: ProgramCommand,
  ) {}

  /** Runs `zt` with these words on this node's home, whatever comes of it. @throws {TimeoutError} when it hangs */
  async say(...words: string[]): Promise<Said> {
    const process = this.#spawn(words, "piped");
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    const what = `zt ${words.slice(0, 3).join(" ")} did not end`;
    try {
      const { code, stdout, stderr } = await inTime(process.output(), COMMAND_PATIENCE_MS, what);
      return { code, out: text(stdout), err: text(stderr) };
    } catch (error) {
      kill(process, "SIGKILL");
      throw error;
    }
  }

  /**
   * The same for a command that must succeed. @returns what it printed. @throws {ApiError} with
   * what it complained of
   */
  async do(...words: string[]): Promise<string> {
    const { code, out, err } = await this.say(...words);
    if (code === 0) return out;
    const complaint = err.trim().replaceAll("\n", "; ");
    throw new ApiError(0, `zt ${words.slice(0, 3).join(" ")} exited ${code}: ${complaint}`);
  }

  /** The same with --json. */
  async ask<T>(...words: string[]): Promise<T> {
    return JSON.parse(await this.do("--json", ...words)) as T;
  }

  /** Starts the service; does not wait for anything. */
  start(...options: string[]): LabService {
    const startedMs = performance.now();
    const process = this.#spawn(["service", ...options], "null");
    return new LabService(process, this.host.name, startedMs);
  }

  #spawn(words: readonly string[], stdout: "piped" | "null"): Deno.ChildProcess {
    const args = [...this.program.args, "-D", this.home, ...words];
    return this.lab.spawn(this.host, this.program.path, args, {
      stdin: "null",
      stdout,
      stderr: "piped",
    });
  }
}

interface Seen {
  readonly line: string;
  readonly atMs: number;
}

/** A service that runs, or ran. */
export class LabService {
  readonly #process: Deno.ChildProcess;
  readonly #name: string;
  readonly #seen: Seen[] = [];
  readonly #wakers = new Set<() => void>();
  readonly #done: Promise<void>;
  #ended = false;

  /** @param startedMs When it was started, on the clock of `performance.now()` */
  constructor(process: Deno.ChildProcess, name: string, readonly startedMs: number) {
    this.#process = process;
    this.#name = name;
    this.#done = this.#read();
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** The lines of its log so far, the oldest left out when there are many. */
  get log(): string[] {
    return this.#seen.map(({ line }) => line);
  }

  /** Resolves with its exit code. */
  async ended(patienceMs = STOP_PATIENCE_MS): Promise<number> {
    const what = `the service in ${this.#name} did not end`;
    const { code } = await inTime(this.#process.status, patienceMs, what);
    await this.#done;
    return code;
  }

  /**
   * Waits for a line of its log.
   * @returns when it came, on the clock of `performance.now()`
   * @throws {ApiError} with its last line when it ends before, {TimeoutError} when it takes too long
   */
  waitFor(pattern: RegExp, patienceMs: number): Promise<number> {
    const what = `the service in ${this.#name} did not say ${pattern}`;
    return inTime(this.#look(pattern), patienceMs, what);
  }

  async #look(pattern: RegExp): Promise<number> {
    for (;;) {
      const found = this.#seen.find(({ line }) => pattern.test(line));
      if (found) return found.atMs;
      if (this.#ended) {
        const last = this.log.at(-1) ?? "without a word";
        throw new ApiError(0, `the service in ${this.#name} ended: ${last}`);
      }
      await new Promise<void>((resolve) => this.#wakers.add(resolve));
    }
  }

  /** Resolves when the API answers. @returns milliseconds since the start */
  async ready(patienceMs = 20_000): Promise<number> {
    return await this.waitFor(/ is ready on port /, patienceMs) - this.startedMs;
  }

  /** Resolves when a root has answered. @returns milliseconds since the start */
  async online(patienceMs = 20_000): Promise<number> {
    return await this.waitFor(/^online$/, patienceMs) - this.startedMs;
  }

  /** Ends it in an orderly way, or by force when that takes too long. @returns its exit code */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<number> {
    kill(this.#process, signal);
    try {
      return await this.ended();
    } catch (error) {
      kill(this.#process, "SIGKILL");
      throw error;
    }
  }

  async #read(): Promise<void> {
    for await (const line of linesOf(this.#process.stderr)) {
      this.#seen.push({ line, atMs: performance.now() });
      if (this.#seen.length > LINES_KEPT_MAX) this.#seen.shift();
      this.#wake();
    }
    this.#ended = true;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#wakers) wake();
    this.#wakers.clear();
  }
}

function kill(process: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    process.kill(signal);
  } catch {
    // It has ended already.
  }
}
