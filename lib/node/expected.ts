/**
 * Which packets we sent may be answered: an OK counts only when its in-re id is here and it comes from whom we asked.
 *
 * Source: spec 02 section 10.0. Stricter than the reference (spec 03 section 28 item 22): the whole id is compared, nothing
 * matches by default, the answering peer must be the one asked, and the address asked is remembered.
 * @module
 */
import type { Address } from "../base/ids.ts";
import type { Verb } from "../wire/packet.ts";
import type { Path } from "../peer/path.ts";

const EXPECTED_MAX = 8_192; // bounds memory; a busy node asks a few hundred questions a second at most
const EXPECTED_LIFE_MS = 30_000; // an answer later than this helps nobody

/** One question still open. */
export interface Question {
  readonly to: Address;
  readonly verb: Verb;
  readonly sentMs: number;
  /** The path a probe went by; undefined when it was relayed or the answer proves no path. */
  readonly path: Path | undefined;
  /** Length of the datagram, when it was sent to find out whether the path carries it. */
  readonly mtuProbe?: number;
}

export class Expected {
  readonly #questions = new Map<bigint, Question>(); // insertion order is age

  get size(): number {
    return this.#questions.size;
  }

  /** Remembers a question by its id on the wire: register after sealing. */
  add(id: bigint, question: Question): void {
    for (const [oldest, { sentMs }] of this.#questions) {
      const isOver = question.sentMs - sentMs > EXPECTED_LIFE_MS;
      if (!isOver && this.#questions.size < EXPECTED_MAX) break;
      this.#questions.delete(oldest);
    }
    this.#questions.set(id, question);
  }

  /** The question an answer belongs to; stays open, as one request may have several answers. */
  find(id: bigint, from: Address, nowMs: number): Question | undefined {
    const question = this.#questions.get(id);
    if (!question || question.to !== from) return undefined;
    return nowMs - question.sentMs <= EXPECTED_LIFE_MS ? question : undefined;
  }
}
