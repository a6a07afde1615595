/**
 * Floods, and what honest nodes see of them.
 * @module
 */
import { packetId, Verb, verbOf } from "../../../lib/wire/packet.ts";
import type { AnySource } from "./any_source.ts";
import { below } from "./hostility.ts";
import { answered, answeredId, type Speaker } from "./speaker.ts";

const TICK_MS = 1;
const DRAIN_MS = 1_000; // answers to the last packets
const KNOWN_PATIENCE_MS = 20_000;
const ECHO_LOST_MS = 1_000;
const STRANGERS_FIRST = 0x1800_0000; // 24.0.0.0, a prefix of 8 bits
const STRANGERS = 0x100_0000;
const WANDERER_SHARE = 0.1;
const NOTHING = new Uint8Array(0);

/** Of a flood. */
export type Flooded = {
  sent: number;
  timeMs: number;
  bytesOut: number;
  bytesIn: number;
  /** Of all addresses that proved nothing: the most bytes any got beyond those that came from it. */
  excessBytes: number;
};

/** How fast, and for how long. */
export interface Pace {
  readonly perSecond: number;
  readonly timeMs: number;
}

/** Sends `packet()` at a steady rate, hearing what comes meanwhile. */
function flood(
  source: AnySource,
  { perSecond, timeMs }: Pace,
  send: () => void,
  heard: (bytes: Uint8Array, at: number) => void,
): { sent: number; timeMs: number } {
  const startMs = performance.now();
  let sent = 0;
  for (;;) {
    const sinceMs = performance.now() - startMs;
    if (sinceMs >= timeMs + DRAIN_MS) return { sent, timeMs };
    const due = Math.min(timeMs, sinceMs) * perSecond / 1_000;
    for (; sent < due; sent++) send();
    source.flush();
    source.receive(TICK_MS, heard);
  }
}

/** Everything from addresses that never answer; some of it in the name of a node whose identity is proved. */
export function floodAsStrangers(
  source: AnySource,
  packets: readonly Uint8Array[],
  wanderers: readonly Uint8Array[],
  pace: Pace,
): Flooded {
  const balance = new Map<number, number>(); // bytes from an address minus bytes to it
  const totals = { bytesOut: 0, bytesIn: 0, excessBytes: 0 };
  const send = () => {
    const pool = Math.random() < WANDERER_SHARE ? wanderers : packets;
    const bytes = pool[below(pool.length)];
    const from = STRANGERS_FIRST + below(STRANGERS);
    balance.set(from, (balance.get(from) ?? 0) + bytes.length);
    totals.bytesOut += bytes.length;
    source.send(bytes, from);
  };
  const run = flood(source, pace, send, (bytes, at) => {
    const before = balance.get(at);
    if (before === undefined) return; // it spoke in an earlier flood, and what it gets now is for that
    const left = before - bytes.length;
    balance.set(at, left);
    totals.bytesIn += bytes.length;
    totals.excessBytes = Math.max(totals.excessBytes, -left);
  });
  return { ...run, ...totals };
}

/** Everything from one node whose identity and address are proved. */
export function floodAsPeer(
  source: AnySource,
  speaker: Speaker,
  ip: number,
  packets: readonly Uint8Array[],
  pace: Pace,
): Flooded {
  const totals = { bytesOut: 0, bytesIn: 0, excessBytes: 0 };
  source.send(speaker.hello(), ip);
  let next = 0;
  const send = () => {
    const bytes = packets[next++ % packets.length];
    totals.bytesOut += bytes.length;
    source.send(bytes, ip);
  };
  const run = flood(source, pace, send, (bytes) => {
    totals.bytesIn += bytes.length;
    if (speaker.open(bytes) && verbOf(bytes) === Verb.ECHO) source.send(speaker.answer(bytes), ip);
  });
  return { ...run, ...totals };
}

/** Round trips in milliseconds; one that was lost counts as a second. */
export type Echoed = { rttsMs: number[]; lost: number };

/** Honest nodes: once they are known each says ECHO now and then, in turns. */
export function echo(
  source: AnySource,
  speakers: readonly Speaker[],
  firstIp: number,
  { everyMs, timeMs }: { everyMs: number; timeMs: number },
): Echoed {
  newcomers(source, speakers, firstIp, { everyMs: 0, patienceMs: KNOWN_PATIENCE_MS });
  const startMs = performance.now();
  const open = new Map<bigint, number>();
  const result: Echoed = { rttsMs: [], lost: 0 };
  const turnMs = everyMs / speakers.length;
  const ipOf = (i: number) => firstIp + i * 256;
  let turns = 0;
  for (;;) {
    const nowMs = performance.now();
    if (nowMs - startMs >= timeMs + ECHO_LOST_MS) break;
    if (nowMs - startMs >= turns * turnMs && turns * turnMs < timeMs) {
      const i = turns++ % speakers.length;
      const packet = speakers[i].sealed(Verb.ECHO, NOTHING);
      open.set(packetId(packet), nowMs);
      source.send(packet, ipOf(i));
    }
    source.flush();
    source.receive(TICK_MS, (bytes) => {
      const i = speakers.findIndex((speaker) => speaker.open(bytes));
      if (i < 0) return;
      if (verbOf(bytes) === Verb.ECHO) source.send(speakers[i].answer(bytes), ipOf(i));
      const sentMs = answered(bytes) === Verb.ECHO ? open.get(answeredId(bytes)) : undefined;
      if (sentMs === undefined) return;
      open.delete(answeredId(bytes));
      result.rttsMs.push(performance.now() - sentMs);
    });
  }
  result.lost = open.size;
  for (let i = 0; i < open.size; i++) result.rttsMs.push(ECHO_LOST_MS);
  return result;
}

/**
 * When a zt node greets a root that does not answer, after its first HELLO:
 * `FIRST_CONTACT_DELAYS_MS` in lib/node/liveness.ts.
 */
const GREETINGS_MS = [0, 250, 750, 1_750, 3_750, 8_750];

/** Newcomers one after the other. @returns for each how long until it was answered; the patience when it never was */
export function newcomers(
  source: AnySource,
  speakers: readonly Speaker[],
  firstIp: number,
  { everyMs, patienceMs }: { everyMs: number; patienceMs: number },
): number[] {
  const startMs = performance.now();
  const tookMs = speakers.map(() => patienceMs);
  const greetings = speakers.map(() => 0);
  const endMs = (speakers.length - 1) * everyMs + patienceMs;
  for (;;) {
    const sinceMs = performance.now() - startMs;
    if (sinceMs >= endMs || tookMs.every((ms) => ms < patienceMs)) return tookMs;
    for (const [i, speaker] of speakers.entries()) {
      const ownMs = sinceMs - i * everyMs;
      if (tookMs[i] < patienceMs || !(ownMs >= GREETINGS_MS[greetings[i]])) continue;
      greetings[i]++;
      source.send(speaker.hello(), firstIp + i * 256);
    }
    source.flush();
    source.receive(TICK_MS, (bytes) => {
      for (const [i, speaker] of speakers.entries()) {
        if (!speaker.open(bytes)) continue;
        if (verbOf(bytes) === Verb.ECHO) source.send(speaker.answer(bytes), firstIp + i * 256);
        if (answered(bytes) === Verb.HELLO && tookMs[i] === patienceMs) {
          tookMs[i] = performance.now() - startMs - i * everyMs;
        }
        return;
      }
    });
  }
}
