/**
 * One thing at a time, per network: whoever is decided on sees what the one before changed, and
 * nobody is answered before the store has what the answer says. Networks do not wait for each
 * other.
 *
 * Source: spec 05 section 3.6 (hardening) and weakness 5; DESIGN.md section 4.
 * @module
 */
import type { NetworkId } from "../base/ids.ts";
import type { JsonObject } from "./json.ts";
import { ATTEMPTS_MAX, LANE_LENGTH_MAX } from "./limits.ts";
import type { StoreWrite } from "./store.ts";

/** What a task came to. */
export interface Decision {
  /** Must be stored first; undefined when nothing changes. */
  readonly write?: StoreWrite;
  /** The member whose record is written asked for it, and the answer tells it already. */
  readonly own?: boolean;
  /** Answers; called once the write is stored and in memory. */
  readonly then: () => void;
}

/** Why a task did not happen. */
export interface TaskFailure {
  /** "conflict": somebody else kept changing the record; "failed": the store could not write. */
  readonly reason: "conflict" | "failed";
  readonly message: string;
}

export interface Task {
  /** Decides on what is known now; called again when the store turns out to hold something else. */
  decide(): Decision;
  fail(failure: TaskFailure): void;
}

/** What the store answered; see {@linkcode ControllerStore}. "failed": it could not write. */
export type StoredResult =
  | { readonly result: "ok" }
  | {
    readonly result: "conflict";
    readonly current?: JsonObject | null;
    readonly taken?: readonly string[];
  }
  | { readonly result: "failed"; readonly message?: string };

/** What lanes need from the controller. */
export interface LaneHost {
  store(ticket: number, write: StoreWrite): void;
  /** Memory follows the store. */
  commit(write: StoreWrite, own: boolean): void;
  /** The store holds something else than we thought. */
  conflict(
    write: StoreWrite,
    current: JsonObject | null | undefined,
    taken: readonly string[],
  ): void;
  /** Work to do when nobody waits: one push at a time. */
  idle(network: NetworkId): Task | undefined;
}

interface Waiting {
  readonly task: Task;
  readonly decision: Decision & { readonly write: StoreWrite };
  readonly attempt: number;
}

interface Lane {
  readonly network: NetworkId;
  readonly queue: Task[];
  waiting: Waiting | undefined;
  /** What others wrote while our write was under way, the latest by record. */
  readonly deferred: Map<string, () => void>;
}

export class Lanes {
  readonly #lanes = new Map<NetworkId, Lane>();
  readonly #ready = new Set<Lane>();
  readonly #tickets = new Map<number, Lane>();
  #nextTicket = 1;

  constructor(readonly host: LaneHost) {}

  /** Whether {@linkcode run} has something to do. */
  get isReady(): boolean {
    return this.#ready.size > 0;
  }

  /** Tasks that wait for their turn, over all networks. */
  get queuedCount(): number {
    let count = 0;
    for (const { queue } of this.#lanes.values()) count += queue.length;
    return count;
  }

  /** Whether anything is queued or under way for a network. */
  isBusy(network: NetworkId): boolean {
    return this.#lanes.has(network);
  }

  /** @returns false when too many tasks wait already */
  add(network: NetworkId, task: Task): boolean {
    const lane = this.#laneOf(network);
    if (lane.queue.length === LANE_LENGTH_MAX) return false;
    lane.queue.push(task);
    if (!lane.waiting) this.#ready.add(lane);
    return true;
  }

  /** There is idle work. */
  wake(network: NetworkId): void {
    const lane = this.#laneOf(network);
    if (!lane.waiting) this.#ready.add(lane);
  }

  /**
   * Notes a change made elsewhere, at once or as soon as the write under way is answered: the store may have taken ours
   * first, and what it took last is what counts.
   * @param record Which record; a later change of it replaces an earlier one that still waits
   */
  change(network: NetworkId, record: string, apply: () => void): void {
    const lane = this.#lanes.get(network);
    if (!lane?.waiting) return apply();
    lane.deferred.delete(record);
    lane.deferred.set(record, apply);
  }

  #laneOf(network: NetworkId): Lane {
    let lane = this.#lanes.get(network);
    if (!lane) {
      lane = { network, queue: [], waiting: undefined, deferred: new Map() };
      this.#lanes.set(network, lane);
    }
    return lane;
  }

  /** Decides on at most `tasksMax` tasks, taking the networks in turn. */
  run(tasksMax: number): void {
    for (let left = tasksMax; left > 0 && this.#ready.size > 0; left--) {
      const lane = this.#ready.values().next().value!;
      this.#ready.delete(lane);
      const task = lane.queue.shift() ?? this.host.idle(lane.network);
      if (!task) {
        this.#lanes.delete(lane.network);
        continue;
      }
      this.#step(lane, task, 1);
      if (!lane.waiting) this.#ready.add(lane); // behind the others
    }
  }

  #step(lane: Lane, task: Task, attempt: number): void {
    const decision = task.decide();
    const { write } = decision;
    if (!write) return decision.then();
    const ticket = this.#nextTicket++;
    lane.waiting = { task, decision: { ...decision, write }, attempt };
    this.#tickets.set(ticket, lane);
    this.host.store(ticket, write);
  }

  /** The store answered; answers to questions never asked are ignored. */
  stored(ticket: number, answer: StoredResult): void {
    const lane = this.#tickets.get(ticket);
    if (!lane?.waiting) return;
    this.#tickets.delete(ticket);
    const { task, decision, attempt } = lane.waiting;
    lane.waiting = undefined;
    this.#ready.add(lane);
    if (answer.result === "ok") {
      this.host.commit(decision.write, decision.own ?? false);
      decision.then();
      this.#applyDeferred(lane);
      return;
    }
    if (answer.result === "failed") {
      this.#applyDeferred(lane);
      task.fail({ reason: "failed", message: answer.message ?? "the record could not be stored" });
      return;
    }
    this.host.conflict(decision.write, answer.current, answer.taken ?? []);
    this.#applyDeferred(lane);
    if (attempt < ATTEMPTS_MAX) {
      this.#step(lane, task, attempt + 1);
      if (lane.waiting) this.#ready.delete(lane);
    } else {
      task.fail({ reason: "conflict", message: "the record keeps changing elsewhere" });
    }
  }

  #applyDeferred(lane: Lane): void {
    const changes = [...lane.deferred.values()];
    lane.deferred.clear();
    for (const apply of changes) apply();
  }
}
