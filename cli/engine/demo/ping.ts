/**
 * Our own ping: numbered echoes whose payload is known to the last byte, so that a reply that was
 * mixed up or changed on the way is told from a good one.
 * @module
 */
import { setImmediate } from "node:timers";
import { ECHO_PAYLOAD_LENGTH_MAX, EchoSocket } from "../../../ffi/linux/icmp.ts";
import { PollSet } from "../../../ffi/linux/system.ts";
import type { Ip } from "../../../lib/base/ip.ts";

/** Smallest payload: it holds the number. */
const PING_SIZE_MIN_BYTES = 8;
/** Bounds the memory the round trips of one run take. */
const PING_COUNT_MAX = 1_000_000;
const WAIT_MAX_MS = 20; // one blocking look for replies: everything else of this process waits meanwhile

/** What to send. */
export interface PingOptions {
  readonly target: Ip;
  readonly count: number;
  readonly intervalMs: number;
  /** Of the payload, as `ping -s` counts. */
  readonly sizeBytes: number;
  /** How long to wait for replies after the last echo. */
  readonly timeoutMs: number;
  /** End at the first reply. */
  readonly untilFirst?: boolean;
  /** End early. */
  readonly signal?: AbortSignal;
}

/** What came of it. */
export type PingResult = {
  /** Echoes handed to the system, whether it took them or not. */
  sent: number;
  /** Good replies. */
  received: number;
  /** Echoes the system did not take: no route, no neighbour. */
  refused: number;
  /** Replies with a wrong payload. */
  corrupt: number;
  /** Round trips in milliseconds, in the order the replies came. */
  rttsMs: number[];
  /** Longest time without a reply between the first and the last echo. */
  longestGapMs: number;
  /** Why the system last refused one. */
  refusal?: string;
};

/**
 * Sends echoes and waits for the replies.
 * @throws {SystemError} when raw sockets are not permitted
 */
export async function ping(options: PingOptions): Promise<PingResult> {
  const { count, sizeBytes } = options;
  if (!(sizeBytes >= PING_SIZE_MIN_BYTES && sizeBytes <= ECHO_PAYLOAD_LENGTH_MAX)) {
    throw new RangeError(
      `a ping carries ${PING_SIZE_MIN_BYTES} to ${ECHO_PAYLOAD_LENGTH_MAX} bytes`,
    );
  }
  if (!(count >= 1 && count <= PING_COUNT_MAX)) {
    throw new RangeError(`a run has 1 to ${PING_COUNT_MAX} pings`);
  }
  const run = new PingRun(options);
  try {
    await run.finish();
    return run.result;
  } finally {
    run.close();
  }
}

class PingRun {
  readonly result: PingResult = {
    sent: 0,
    received: 0,
    refused: 0,
    corrupt: 0,
    rttsMs: [],
    longestGapMs: 0,
  };
  readonly #options: PingOptions;
  readonly #socket: EchoSocket;
  readonly #poll = new PollSet(1);
  readonly #sentAtMs = new Map<number, number>(); // by number; bounded by the 16 bits of a sequence
  #lastReplyMs: number;

  constructor(options: PingOptions) {
    this.#options = options;
    this.#socket = new EchoSocket(options.target.length, Math.floor(Math.random() * 0x10000));
    this.#poll.set([this.#socket.fd]);
    this.#lastReplyMs = performance.now();
  }

  async finish(): Promise<void> {
    const { count, intervalMs, timeoutMs, signal } = this.#options;
    let nextMs = performance.now();
    let lastMs = nextMs;
    while (!this.#isDone() && !signal?.aborted) {
      const nowMs = performance.now();
      if (this.result.sent < count && nowMs >= nextMs) {
        this.#send();
        nextMs = Math.max(nextMs + intervalMs, nowMs); // after a stall it does not catch up in a burst
        lastMs = nowMs;
      }
      const allSent = this.result.sent === count;
      const untilMs = allSent ? lastMs + timeoutMs : nextMs;
      if (allSent && nowMs >= untilMs) break;
      this.#poll.wait(Math.max(0, Math.min(Math.ceil(untilMs - nowMs), WAIT_MAX_MS)));
      this.#receive();
      await new Promise<void>((resolve) => setImmediate(resolve)); // orders and the end of input come in here
    }
    this.#countGap(lastMs);
  }

  #isDone(): boolean {
    const { count, untilFirst } = this.#options;
    const { sent, received, refused } = this.result;
    return untilFirst ? received > 0 : sent === count && received + refused >= count;
  }

  #send(): void {
    const { target, sizeBytes } = this.#options;
    const number = this.result.sent++;
    this.#sentAtMs.delete(number - 0x10000);
    this.#sentAtMs.set(number, performance.now());
    const refusal = this.#socket.send(target, number & 0xffff, payloadOf(number, sizeBytes));
    if (refusal === undefined) return;
    this.#sentAtMs.delete(number);
    this.result.refused++;
    this.result.refusal = refusal;
  }

  #receive(): void {
    for (let reply = this.#socket.receive(); reply; reply = this.#socket.receive()) {
      const nowMs = performance.now();
      const number = numberIn(reply.payload);
      if (!isGood(reply.payload, number, this.#options.sizeBytes)) {
        this.result.corrupt++;
        continue;
      }
      const sentMs = this.#sentAtMs.get(number);
      if (sentMs === undefined) continue; // a second reply to the same echo
      this.#sentAtMs.delete(number);
      this.result.received++;
      this.result.rttsMs.push(nowMs - sentMs);
      this.#countGap(nowMs);
    }
  }

  #countGap(nowMs: number): void {
    this.result.longestGapMs = Math.max(this.result.longestGapMs, nowMs - this.#lastReplyMs);
    this.#lastReplyMs = nowMs;
  }

  close(): void {
    this.#socket.close();
  }
}

/** The number in full, then bytes that follow from it and from their place. */
function payloadOf(number: number, sizeBytes: number): Uint8Array {
  const payload = new Uint8Array(sizeBytes);
  new DataView(payload.buffer).setUint32(4, number);
  for (let at = 8; at < sizeBytes; at++) payload[at] = patternAt(number, at);
  return payload;
}

function patternAt(number: number, at: number): number {
  return (number * 31 + at * 7 + (at >> 8)) & 0xff;
}

function numberIn(payload: Uint8Array): number {
  if (payload.length < PING_SIZE_MIN_BYTES) return -1;
  return new DataView(payload.buffer, payload.byteOffset).getUint32(4);
}

function isGood(payload: Uint8Array, number: number, sizeBytes: number): boolean {
  if (payload.length !== sizeBytes) return false;
  for (let at = 8; at < sizeBytes; at++) {
    if (payload[at] !== patternAt(number, at)) return false;
  }
  return true;
}
