/**
 * Passing on datagrams of others: those that came side by side and have one size leave together, as
 * they came. They stay where they are, so what is gathered has to leave before the memory is
 * received into again.
 * @module
 */
import { RUN_DATAGRAMS_MAX, RUN_LENGTH_MAX } from "../kernel/data_kernel.ts";
import type { Output, Source } from "./plane.ts";
import type { Relays } from "./relays.ts";
import { Stat } from "./stats.ts";

export class RelayRuns {
  #at = 0;
  #length = 0;
  #segment = 0;
  #count = 0; // 0 when nothing is gathered
  #flow = 0;

  constructor(readonly relays: Relays, readonly output: Output, readonly stats: Float64Array) {}

  /**
   * Takes one datagram for somebody else.
   * @param tick Milliseconds
   * @returns false when control is to decide about it
   */
  take(at: number, length: number, source: Source, tick: number): boolean {
    if (this.relays.count === 0) return false;
    const flow = this.relays.admit(at, source);
    if (flow < 0) return false;
    if (!this.relays.take(flow, length, tick)) {
      this.stats[Stat.DROPPED_RATE]++;
      return true;
    }
    this.stats[Stat.RELAYED]++;
    if (!this.#follows(at, length, flow)) {
      this.flush();
      this.#at = at;
      this.#length = 0;
      this.#segment = length;
      this.#flow = flow;
    }
    this.#length += length;
    this.#count++;
    return true;
  }

  /** Whether a datagram can leave with those gathered: none but the last may be shorter than the first. */
  #follows(at: number, length: number, flow: number): boolean {
    if (this.#count === 0 || this.#count >= RUN_DATAGRAMS_MAX || flow !== this.#flow) return false;
    const lastIsWhole = this.#length === this.#count * this.#segment;
    return at === this.#at + this.#length && lastIsWhole && length <= this.#segment &&
      this.#length + length <= RUN_LENGTH_MAX;
  }

  /** Hands over what is gathered. */
  flush(): void {
    if (this.#count === 0) return;
    this.#count = 0;
    this.output.relayed(this.#at, this.#length, this.#segment, this.#flow);
  }
}
