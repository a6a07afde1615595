/**
 * When to give back memory that is not needed any more: what starting took, and what compiling takes once code gets
 * hot. Half of it are pages of the program's own file: compilers, mostly, which hardly any second needs.
 * @module
 */
import { releaseFreed, releaseStartMemory } from "../../ffi/linux/memory.ts";

/** By then the node is online; again when its first traffic was compiled for; and when whatever starts later has. */
const AT_TICKS = [3, 20, 60];
/**
 * And now and then: a relaying root grew by 18 MB of the program's own file, needed to compile what
 * it does, and never again.
 */
const EVERY_TICKS = 600;
/**
 * After a second with so many inputs too: a flood, or a root's work. Compiling what that makes hot
 * takes 8 MB at once, in threads that hardly need any later.
 */
const MANY_INPUTS = 2_000;
/** A stream begins with a second of so many bytes after a while without: 6 MB less when it is compiled for. */
const STREAM_BYTES = 4_000_000;
const STREAM_APART_TICKS = 60;
const COMPILED_TICKS = 2; // after it began

/** What gives back. */
export interface Releases {
  /** Everything that can be had again: fifty milliseconds the first time, a few after that. */
  readonly all: () => void;
  /** What was freed: half a millisecond. */
  readonly freed: () => void;
}

export class MemoryRelease {
  readonly #releases: Releases;
  #ticks = 0;
  #bytes = 0;
  #streamTick = -Infinity; // the last with a stream
  #dueTick = Infinity;

  constructor(releases: Releases = { all: releaseStartMemory, freed: releaseFreed }) {
    this.#releases = releases;
  }

  /**
   * Once a second.
   * @param inputs Handled by the node in this second
   * @param bytes Moved by the data Worker since it started
   */
  tick(inputs: number, bytes: number): void {
    const tick = ++this.#ticks;
    if (bytes - this.#bytes >= STREAM_BYTES) {
      if (tick - this.#streamTick > STREAM_APART_TICKS) this.#dueTick = tick + COMPILED_TICKS;
      this.#streamTick = tick;
    }
    this.#bytes = bytes;
    if (AT_TICKS.includes(tick) || tick === this.#dueTick || tick % EVERY_TICKS === 0) {
      this.#releases.all();
    } else if (inputs >= MANY_INPUTS) {
      this.#releases.freed();
    }
  }
}
