/**
 * An agent in a host of the lab, as whoever gives the orders sees it.
 * @module
 */
import { ApiError, messageOf, TimeoutError } from "../../../lib/base/errors.ts";
import type { JsonObject } from "../json.ts";
import type { Lab, LabHost } from "../lab.ts";
import type { ProgramCommand } from "../self_command.ts";
import type { AgentAnswer, AgentWork } from "./agent.ts";
import type { DatagramResult } from "./datagrams.ts";
import { linesOf } from "./lines.ts";
import type { PingResult } from "./ping.ts";
import type { StreamResult } from "./streams.ts";

const START_PATIENCE_MS = 20_000; // a busy machine takes seconds to start a program
const GRACE_MS = 20_000; // on top of what an order takes by itself

interface Waiting {
  readonly resolve: (result: JsonObject) => void;
  readonly reject: (error: Error) => void;
  readonly onEvent: (event: JsonObject) => void;
}

/** An order under way. */
export interface Started<T> {
  /** Listens: the other side may begin. Rejects like the result. */
  readonly listening: Promise<void>;
  readonly result: Promise<T>;
  /** Ends it early: the result is then what there was so far. */
  cancel(): void;
}

/** How an order is watched. */
export interface OrderOptions {
  /** Called for bytes that came in. */
  readonly onProgress?: (lengthBytes: number, timeMs: number) => void;
}

/** What a ping needs to be told; the rest has a default. */
export interface PingOrder {
  readonly target: string;
  readonly count?: number;
  readonly intervalMs?: number;
  readonly sizeBytes?: number;
  readonly timeoutMs?: number;
  readonly untilFirst?: boolean;
}

/** Starts an agent and gives it orders. It ends with the lab. */
export class AgentClient {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#writer = process.stdin.getWriter();
  }

  /** @throws {TimeoutError} when it does not come up */
  static async start(lab: Lab, host: LabHost, program: ProgramCommand): Promise<AgentClient> {
    const process = lab.spawn(host, program.path, [...program.args, "lab-agent"], {
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    });
    const agent = new AgentClient(process);
    const ready = agent.#expect(0, () => {});
    agent.#read();
    await inTime(ready, START_PATIENCE_MS, `the agent in ${host.name} did not start`);
    return agent;
  }

  /** Sends echoes. */
  ping(order: PingOrder): Started<PingResult> {
    const { count = 1, intervalMs = 1000, timeoutMs = 2000 } = order;
    const whole = { sizeBytes: 56, ...order, count, intervalMs, timeoutMs };
    return this.#start({ kind: "ping", ...whole }, count * intervalMs + timeoutMs);
  }

  /** Waits for one TCP stream. */
  receiveStream(
    order: Omit<AgentWork & { kind: "tcp-receive" }, "kind">,
    patienceMs: number,
    options?: OrderOptions,
  ): Started<StreamResult> {
    return this.#start({ kind: "tcp-receive", ...order }, patienceMs, options);
  }

  /** Sends one TCP stream. */
  sendStream(
    order: Omit<AgentWork & { kind: "tcp-send" }, "kind">,
    patienceMs: number,
  ): Started<StreamResult> {
    return this.#start({ kind: "tcp-send", ...order }, patienceMs);
  }

  /** Counts datagrams. */
  receiveDatagrams(
    order: Omit<AgentWork & { kind: "udp-receive" }, "kind">,
    patienceMs: number,
  ): Started<DatagramResult> {
    return this.#start({ kind: "udp-receive", ...order }, patienceMs);
  }

  /** Sends datagrams. */
  sendDatagrams(
    order: Omit<AgentWork & { kind: "udp-send" }, "kind">,
    patienceMs: number,
  ): Started<{ sent: number }> {
    return this.#start({ kind: "udp-send", ...order }, patienceMs);
  }

  #start<T>(work: AgentWork, patienceMs: number, options: OrderOptions = {}): Started<T> {
    const id = ++this.#lastId;
    const heard = Promise.withResolvers<void>();
    const answered = this.#expect(id, (event) => {
      if (event.listening) heard.resolve();
      else options.onProgress?.(Number(event.lengthBytes), Number(event.timeMs));
    });
    this.#say({ id, ...work });
    const what = `the agent's ${work.kind} did not end`;
    const result = inTime(answered, patienceMs + GRACE_MS, what) as Promise<unknown> as Promise<T>;
    result.then(() => heard.resolve(), heard.reject);
    heard.promise.catch(() => {}); // who waits for the result alone hears of it there
    return {
      listening: heard.promise,
      result,
      cancel: () => this.#say({ id: ++this.#lastId, kind: "cancel", order: id }),
    };
  }

  #expect(id: number, onEvent: (event: JsonObject) => void): Promise<JsonObject> {
    const { promise, resolve, reject } = Promise.withResolvers<JsonObject>();
    this.#waiting.set(id, { resolve, reject, onEvent });
    return promise.finally(() => this.#waiting.delete(id));
  }

  #say(order: JsonObject): void {
    // An agent that is gone rejects what waits for it as its output ends.
    this.#writer.write(new TextEncoder().encode(`${JSON.stringify(order)}\n`)).catch(() => {});
  }

  async #read(): Promise<void> {
    let reason = "the agent ended";
    try {
      for await (const line of linesOf(this.#process.stdout)) this.#hear(line);
    } catch (error) {
      reason = `the agent made no sense: ${messageOf(error)}`;
    }
    for (const { reject } of [...this.#waiting.values()]) reject(new ApiError(0, reason));
  }

  #hear(line: string): void {
    const answer = JSON.parse(line) as AgentAnswer;
    const waiting = this.#waiting.get(answer.id);
    if (answer.error !== undefined) waiting?.reject(new ApiError(0, answer.error));
    else if (answer.result) waiting?.resolve(answer.result);
    else if (answer.id === 0) waiting?.resolve({});
    else if (answer.event) waiting?.onEvent(answer.event);
  }

  /** Ends it and waits until it is gone. */
  async end(): Promise<void> {
    await this.#writer.close().catch(() => {}); // gone already
    await this.#process.status;
  }
}

/** @throws {TimeoutError} when the promise takes longer */
export function inTime<T>(promise: Promise<T>, patienceMs: number, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new TimeoutError(`${what} within ${Math.round(patienceMs / 1000)} s`));
    }, patienceMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
