import { groupKey, type MulticastGroup } from "../base/multicast_group.ts";
import { dropOldest } from "../base/oldest.ts";

/**
 * What is new is announced again so long after the time before, until the next round: nobody
 * acknowledges an announcement, and until one arrives nobody who asks a root for the owner of our
 * address hears of us. Where one in twenty is lost, three in a row are lost to one machine in 8,000.
 */
const AGAIN_MS = [1_000, 1_000, 2_000, 4_000, 8_000, 16_000];
const TOGETHER_MS = 500; // what is due within this time goes now, with the rest
/** Groups that wait: hosts behind a bridge may come up with new ones as fast as they like. */
const WAITING_MAX = 4_096;

interface Waiting {
  readonly group: MulticastGroup;
  /** How often it was announced again. */
  tries: number;
  dueMs: number;
}

/** The groups upstreams and controller were told of lately, and when they are told of each again. */
export class Announcements {
  readonly #waiting = new Map<string, Waiting>();
  #dueMs = Infinity;

  /** When to {@linkcode Announcements.take} next; Infinity while none waits. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /** How many groups wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Groups that have just been announced. Where there is no room those that wait longest give way. */
  add(groups: readonly MulticastGroup[], nowMs: number): void {
    const dueMs = nowMs + AGAIN_MS[0];
    for (const group of groups) {
      const key = groupKey(group);
      this.#waiting.delete(key);
      if (this.#waiting.size >= WAITING_MAX) dropOldest(this.#waiting);
      this.#waiting.set(key, { group, tries: 0, dueMs });
      this.#dueMs = Math.min(this.#dueMs, dueMs);
    }
  }

  /** @returns the groups to be announced now */
  take(nowMs: number): MulticastGroup[] {
    const due: MulticastGroup[] = [];
    this.#dueMs = Infinity;
    for (const [key, waiting] of this.#waiting) {
      if (waiting.dueMs <= nowMs + TOGETHER_MS) {
        due.push(waiting.group);
        waiting.tries++;
        if (waiting.tries === AGAIN_MS.length) {
          this.#waiting.delete(key);
          continue;
        }
        waiting.dueMs = nowMs + AGAIN_MS[waiting.tries];
      }
      this.#dueMs = Math.min(this.#dueMs, waiting.dueMs);
    }
    return due;
  }
}
