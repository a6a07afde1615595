/**
 * A test's side of {@linkcode AgentTasks}: starts an agent inside a host and asks it.
 * @module
 */
import type { Lab, LabHost } from "../../cli/engine/lab.ts";
import type { AgentTasks } from "./agent.ts";

const AGENT = new URL("agent.ts", import.meta.url).pathname;

interface Asked {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** An agent at work in one host; ends with the lab. */
export class Agent {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #asked = new Map<number, Asked>();
  readonly #reading: Promise<void>;
  #nextId = 1;

  constructor(lab: Lab, readonly host: LabHost) {
    const child = lab.spawn(host, Deno.execPath(), ["run", "--no-prompt", "-A", AGENT], {
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    });
    this.#writer = child.stdin.getWriter();
    this.#reading = this.#read(child.stdout);
  }

  /** @throws {Error} with what the task threw there */
  ask<Name extends keyof AgentTasks>(
    name: Name,
    task: AgentTasks[Name]["in"],
  ): Promise<AgentTasks[Name]["out"]> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve: resolve as (value: unknown) => void, reject });
      const line = JSON.stringify({ id, name, task }) + "\n";
      this.#writer.write(new TextEncoder().encode(line)).catch(reject);
    });
  }

  async #read(stdout: ReadableStream<Uint8Array>): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const bytes of stdout) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#answer(JSON.parse(line));
    }
    for (const { reject } of this.#asked.values()) {
      reject(new Error(`the agent in ${this.host.name} ended`));
    }
  }

  #answer({ id, value, error }: { id: number; value?: unknown; error?: string }): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (error === undefined) asked?.resolve(value);
    else asked?.reject(new Error(`${this.host.name}: ${error}`));
  }

  /** Ends it; resolves when its output has been read. */
  async close(): Promise<void> {
    await this.#writer.close().catch(() => {});
    await this.#reading;
  }
}
