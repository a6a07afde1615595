const LINGER_MS = 0.3; // an answer on a local network, and its way through another system
const SCORE_MAX = 8;
const SCORE_WORTH = 4; // so many waits in a row that ended in time: then looking beats sleeping

/**
 * Whether to look for packets a moment longer before sleeping in poll. To be woken takes the system 50 us and more, half of
 * a round trip on a local network; to look in vain costs processor time. So it is learned, for each kind of turn, whether
 * what came next came soon: after a request sent to a neighbour it does, after an answer it often does not.
 *
 * Source: the same idea as the kernel's `halt_poll_ns`, one floor up.
 */
export class Linger {
  readonly #scores: Uint8Array;

  /** @param kinds How many kinds of turns there are */
  constructor(kinds: number) {
    this.#scores = new Uint8Array(kinds);
  }

  /** How long to look after a turn of this kind, in milliseconds; 0 to sleep at once. */
  lookMs(kind: number): number {
    return this.#scores[kind] >= SCORE_WORTH ? LINGER_MS : 0;
  }

  /** @param waitedMs How long it took until there was something to do, looking and asleep */
  learn(kind: number, waitedMs: number): void {
    const score = this.#scores[kind];
    this.#scores[kind] = waitedMs < LINGER_MS ? Math.min(SCORE_MAX, score + 1) : score >> 1;
  }
}
