/**
 * Pairs of a crowd that talk through the root.
 * @module
 */
import { sourceOf } from "../../../lib/wire/packet.ts";
import type { AnySource } from "./any_source.ts";
import { answerEcho } from "./asking.ts";
import type { Crowd } from "./crowd.ts";

const DRAIN_MS = 500; // what is under way when sending ends has come by then
const AHEAD_MAX = 2_048; // packets on the way at a time: what a queue holds is no throughput
const STALLED_MS = 20; // none came for this long: those on the way are lost
const BURST = 64;

/** Of a run. */
export type Relayed = { sent: number; received: number; timeMs: number };

/** Sends from each even node to the odd one after it as fast as the root passes on. */
export function relay(
  source: AnySource,
  crowd: Crowd,
  { flows, lengthBytes, timeMs }: { flows: number; lengthBytes: number; timeMs: number },
): Relayed {
  const packets = Array.from(
    { length: flows },
    (_, k) => crowd.speaker.forAnother(crowd.address(2 * k + 1), crowd.address(2 * k), lengthBytes),
  );
  const root = crowd.speaker.victim.address;
  const startMs = performance.now();
  const result: Relayed = { sent: 0, received: 0, timeMs };
  let lost = 0;
  let lastMs = startMs;
  const heard = (packet: Uint8Array) => {
    if (sourceOf(packet) !== root) {
      result.received++;
      lastMs = performance.now();
      return;
    }
    const i = crowd.open(packet);
    if (i >= 0) answerEcho(source, crowd, i, packet);
  };
  for (;;) {
    const nowMs = performance.now();
    if (nowMs - startMs >= timeMs + DRAIN_MS) return result;
    if (nowMs - lastMs > STALLED_MS) lost = result.sent - result.received;
    const mayGo = nowMs - startMs < timeMs && result.sent - result.received - lost < AHEAD_MAX;
    for (let burst = 0; burst < BURST && mayGo; burst++) {
      const k = result.sent++ % flows;
      source.send(packets[k], crowd.ip(2 * k));
    }
    source.flush();
    source.receive(mayGo ? 0 : 1, heard);
  }
}
