/**
 * Drives one `Node` on this machine: hands it what happens, carries out what it decides, wakes it
 * when something is due.
 * @module
 */
import type { Action, Input, Machine as NodeMachine, Time } from "../../lib/node/machine.ts";

const TIMER_MAX_MS = 60_000; // longest single wait: bounds what a clock that jumps can do

/** The machine's clocks. */
export interface Clocks {
  /** Milliseconds since boot, sleep included. */
  nowMs(): number;
  /** Milliseconds since the epoch. */
  wallMs(): number;
}

/** What the runner needs of the outside. */
export interface RunnerOptions {
  readonly node: NodeMachine;
  readonly clocks: Clocks;
  /** Carries out one action; byte arrays are given away. */
  readonly perform: (action: Action) => void;
  /** All actions of a turn were carried out. */
  readonly turnEnded: () => void;
  /** The node broke an invariant: the service has to stop. */
  readonly failed: (error: unknown) => void;
}

export class NodeRunner {
  readonly #options: RunnerOptions;
  readonly #time: Time = { nowMs: 0, wallMs: 0 };
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerDueMs = Infinity;
  #busy = false;
  readonly #waiting: Input[] = []; // inputs that performing an action brought about; a handful at most
  #stopped = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Both clocks, just read. */
  get time(): Time {
    this.#time.nowMs = this.#options.clocks.nowMs();
    this.#time.wallMs = this.#options.clocks.wallMs();
    return this.#time;
  }

  /** One thing that happened. An input that comes while another is handled waits for its turn. */
  handle(input: Input): void {
    if (this.#stopped) return;
    if (this.#busy) {
      this.#waiting.push(input);
      return;
    }
    this.#busy = true;
    try {
      this.#step(input);
      for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) this.#step(next);
      this.#options.turnEnded();
      this.#schedule();
    } catch (error) {
      this.stop();
      this.#options.failed(error);
    } finally {
      this.#busy = false;
    }
  }

  #step(input: Input): void {
    const { node, perform } = this.#options;
    node.handle(input, this.time);
    for (let action = node.poll(); action; action = node.poll()) perform(action);
  }

  #schedule(): void {
    const dueMs = this.#options.node.deadlineMs;
    if (dueMs === this.#timerDueMs && this.#timer !== undefined) return;
    clearTimeout(this.#timer);
    this.#timerDueMs = dueMs;
    if (dueMs === Infinity) {
      this.#timer = undefined;
      return;
    }
    const waitMs = Math.min(TIMER_MAX_MS, Math.max(0, dueMs - this.#options.clocks.nowMs()));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.handle({ kind: "timeout" });
    }, waitMs);
  }

  /** No input is taken any more. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
