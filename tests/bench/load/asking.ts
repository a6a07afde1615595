/**
 * Many nodes asking a root something, and answering what it asks to see whether they are where they seem to be.
 * @module
 */
import { Verb, verbOf } from "../../../lib/wire/packet.ts";
import type { AnySource } from "./any_source.ts";
import type { People } from "./crowd.ts";
import { answered } from "./speaker.ts";

const NOTHING = new Uint8Array(0);
const BURST = 64; // questions between two looks at what came
const HELLO_EVERY = 6; // idle: each sixth question is a HELLO, as 120 s are to 20 s
const DRAIN_MS = 500; // what is under way when asking ends has come by then

/** How it went. */
export type Asked = {
  /** Questions answered. */
  answers: number;
  /** Questions asked, repeated ones included. */
  asked: number;
  timeMs: number;
  /** When half, 99 of a hundred and all were answered, in milliseconds since the start; absent when never. */
  halfMs?: number;
  p99Ms?: number;
  allMs?: number;
};

/** What is asked. */
export interface Asking {
  readonly verb: typeof Verb.HELLO | typeof Verb.ECHO;
  /** Questions in all; node `i % count` asks the i-th. */
  readonly total: number;
  /** Questions without an answer at a time. */
  readonly window: number;
  /** A question without an answer is put again after this. */
  readonly retryMs: number;
  /** It ends then, whether or not all were answered. */
  readonly timeMs: number;
}

/** Answers an opened packet if it is an ECHO. @returns whether it was one */
export function answerEcho(
  source: AnySource,
  people: People,
  i: number,
  packet: Uint8Array,
): boolean {
  if (verbOf(packet) !== Verb.ECHO) return false;
  source.send(people.answer(i, packet), people.ip(i));
  return true;
}

/** Asks until all is answered or the time is over. */
export function ask(source: AnySource, people: People, asking: Asking): Asked {
  const { verb, total, window, retryMs, timeMs } = asking;
  const startMs = performance.now();
  const open = new Uint8Array(people.count); // 1: waits for an answer
  const retries: { i: number; dueMs: number }[] = []; // in order: all wait as long
  const result: Asked = { answers: 0, asked: 0, timeMs: 0 };
  let next = 0;
  let first = 0; // of the retries
  let waiting = 0;
  const put = (i: number, nowMs: number) => {
    const packet = verb === Verb.HELLO ? people.hello(i) : people.sealed(i, verb, NOTHING);
    source.send(packet, people.ip(i));
    result.asked++;
    retries.push({ i, dueMs: nowMs + retryMs });
  };
  const heard = (packet: Uint8Array) => {
    const i = people.open(packet);
    if (i < 0 || answerEcho(source, people, i, packet)) return;
    if (answered(packet) !== verb || open[i] === 0) return;
    open[i] = 0;
    waiting--;
    result.answers++;
    const ms = performance.now() - startMs;
    if (result.answers === Math.ceil(total / 2)) result.halfMs = ms;
    if (result.answers === Math.ceil(total * 0.99)) result.p99Ms = ms;
    if (result.answers === total) result.allMs = ms;
  };
  for (;;) {
    const nowMs = performance.now();
    if (result.answers >= total || nowMs - startMs >= timeMs) break;
    for (let burst = 0; burst < BURST && waiting < window && next < total; burst++, next++) {
      const i = next % people.count;
      if (open[i] !== 0) continue; // it still waits for the answer before: its turn is over
      open[i] = 1;
      waiting++;
      put(i, nowMs);
    }
    for (let burst = 0; burst < BURST && retries[first]?.dueMs <= nowMs; burst++) {
      const { i } = retries[first++];
      if (open[i] !== 0) put(i, nowMs);
    }
    if (first > 65_536) {
      retries.splice(0, first);
      first = 0;
    }
    source.flush();
    const busy = (waiting < window && next < total) || retries[first]?.dueMs <= nowMs;
    source.receive(busy ? 0 : 1, heard);
  }
  result.timeMs = performance.now() - startMs;
  return result;
}

/**
 * Keeps the crowd alive as idle zt nodes do, evenly: each an ECHO ever so often, and a HELLO in the
 * place of every sixth.
 */
export function idle(
  source: AnySource,
  people: People,
  { everyMs, timeMs }: { everyMs: number; timeMs: number },
): Asked {
  const startMs = performance.now();
  const perMs = people.count / everyMs;
  const result: Asked = { answers: 0, asked: 0, timeMs };
  const heard = (packet: Uint8Array) => {
    const i = people.open(packet);
    if (i < 0 || answerEcho(source, people, i, packet)) return;
    if (answered(packet) !== 0) result.answers++;
  };
  for (;;) {
    const sinceMs = performance.now() - startMs;
    if (sinceMs >= timeMs + DRAIN_MS) return result;
    const due = Math.min(timeMs, sinceMs) * perMs;
    for (; result.asked < due; result.asked++) {
      const i = result.asked % people.count;
      const isHello = (i + Math.floor(result.asked / people.count)) % HELLO_EVERY === 0;
      const packet = isHello ? people.hello(i) : people.sealed(i, Verb.ECHO, NOTHING);
      source.send(packet, people.ip(i));
    }
    source.flush();
    source.receive(1, heard);
  }
}
