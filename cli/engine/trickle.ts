/** Datagrams taken at once, below which there were few. */
const FEW = 12;
/** Mean length: shorter ones are acknowledgements, longer ones were joined by the system, many in each. */
const LENGTH_MIN = 1_000;
const LENGTH_MAX = 2_048;

/** How long to wait then; the system makes 0.1 ms of it. */
export const TRICKLE_WAIT_US = 40;

/**
 * Whether a stream came as a trickle: few full datagrams at a time, each in a buffer of its own. That is how a sender
 * that hands the system one by one, as the reference does, meets a receiver that is as fast. Then every few cost a
 * sleep, a wake, a frame for the TAP and an acknowledgement; when we wait a moment, more come together, as network
 * cards do it to spare the processor (interrupt moderation). Measured: the reference sends to us 7 to 17 % faster, for
 * 13 to 25 % less of our processor time.
 *
 * @param count Messages read at once
 * @param bytes Of all of them
 */
export function isTrickle(count: number, bytes: number): boolean {
  return count < FEW && bytes >= count * LENGTH_MIN && bytes <= count * LENGTH_MAX;
}
