import { setThreadNiceness, threadNiceness } from "../../ffi/linux/system.ts";

/**
 * As the system's own network code, which hardly anything holds up: beside busy programs this
 * halves what a ping takes.
 */
const URGENT_NICENESS = -10;
const WINDOW_MS = 2;
const STREAM_BYTES_PER_MS = 20_000; // 160 Mbit/s
const PACKET_BYTES = 500; // what a packet costs beside its bytes, in bytes: 40,000 small ones a second are a stream too
const CALM_MS = 50; // without so much for this long a stream is over

/**
 * How the Worker's thread stands to others for the processor. While only single packets come it
 * goes first. In a stream it is one among others: if it went first there it would take every packet
 * from whoever is about to send more, and both ends would spend their time in turns of one packet
 * (measured: the reference sends to us at 0.6 of the rate).
 *
 * Without the privilege it is always one among others.
 */
export class Urgency {
  readonly #setNiceness: (niceness: number) => boolean;
  readonly #ordinary: number;
  readonly #isAllowed: boolean;
  #isUrgent = true;
  readonly #sinceMs = new Float64Array([-Infinity]); // of this window; a field would get a new number object each
  #bytes = 0;
  #streamUntilMs = -Infinity;

  /**
   * @param setNiceness Of this thread, see {@linkcode setThreadNiceness}
   * @param ordinary How nice it is of its own
   */
  constructor(setNiceness = setThreadNiceness, ordinary = threadNiceness()) {
    this.#ordinary = ordinary;
    this.#setNiceness = setNiceness;
    this.#isAllowed = setNiceness(URGENT_NICENESS);
  }

  /** Whether only single packets come: no stream. */
  get isUrgent(): boolean {
    return this.#isUrgent;
  }

  /** A turn moved so much, in either direction. */
  moved(bytes: number, packets: number, nowMs: number): void {
    this.#bytes += bytes + packets * PACKET_BYTES;
    const elapsedMs = nowMs - this.#sinceMs[0];
    if (elapsedMs < WINDOW_MS) return;
    if (this.#bytes >= STREAM_BYTES_PER_MS * elapsedMs) this.#streamUntilMs = nowMs + CALM_MS;
    this.#sinceMs[0] = nowMs;
    this.#bytes = 0;
    const isUrgent = nowMs >= this.#streamUntilMs;
    if (isUrgent === this.#isUrgent) return;
    this.#isUrgent = isUrgent;
    if (this.#isAllowed) this.#setNiceness(isUrgent ? URGENT_NICENESS : this.#ordinary);
  }
}
