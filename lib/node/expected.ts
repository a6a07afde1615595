/**
 * Which packets we sent may be answered: an OK counts only when its in-re id is here and it comes from whom we asked.
 *
 * Source: spec 02 section 10.0. Stricter than the reference (spec 03 section 28 item 22): the whole
 * id is compared, nothing matches by default, the answering peer must be the one asked, and the
 * address asked is remembered.
 * @module
 */
import type { Address } from "../base/ids.ts";
import type { Verb } from "../wire/packet.ts";
import type { Path } from "../peer/path.ts";

const EXPECTED_MAX = 8_192; // bounds memory; a busy node asks a few hundred questions a second at most
/**
 * Questions to addresses that had proved nothing, beside those: bounds memory at half a kilobyte
 * each, and what a flood of strangers makes us ask pushes out no other question. Two seconds of
 * such a flood; as many sources are remembered, see `Paths`.
 */
const UNPROVEN_MAX = 2_048;
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
  readonly #unproven = new Map<bigint, Question>();

  get size(): number {
    return this.#questions.size + this.#unproven.size;
  }

  /**
   * Remembers a question by its id on the wire: register after sealing.
   * @param isUnproven Whether it went where somebody unproved claims to be, because of what came from there
   */
  add(id: bigint, question: Question, isUnproven = false): void {
    const questions = isUnproven ? this.#unproven : this.#questions;
    const max = isUnproven ? UNPROVEN_MAX : EXPECTED_MAX;
    for (const [oldest, { sentMs }] of questions) {
      const isOver = question.sentMs - sentMs > EXPECTED_LIFE_MS;
      if (!isOver && questions.size < max) break;
      questions.delete(oldest);
    }
    questions.set(id, question);
  }

  /** The question an answer belongs to; stays open, as one request may have several answers. */
  find(id: bigint, from: Address, nowMs: number): Question | undefined {
    const question = this.#questions.get(id) ?? this.#unproven.get(id);
    if (!question || question.to !== from) return undefined;
    return nowMs - question.sentMs <= EXPECTED_LIFE_MS ? question : undefined;
  }
}
