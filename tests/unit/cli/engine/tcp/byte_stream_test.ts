import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { ConnStream } from "../../../../../cli/engine/tcp/byte_stream.ts";
import { FairTurns } from "../../../../../cli/engine/tcp/fair_turns.ts";

const READS = 1_000;
const WORK_MS = 0.1;

/** A connection that has something to read at once, so many times. */
function busyConn(): Deno.Conn {
  let left = READS;
  const read = (into: Uint8Array) => Promise.resolve(left-- > 0 ? into.length : null);
  return { read, close: () => {} } as Partial<Deno.Conn> as Deno.Conn;
}

Deno.test("ConnStream leaves everything else its turn while there is always more to read", async () => {
  let takes = 0;
  const ended = Promise.withResolvers<void>();
  const stream = new ConnStream(busyConn(), {
    onData: () => {
      takes++;
      const untilMs = performance.now() + WORK_MS;
      while (performance.now() < untilMs);
    },
    onClosed: ended.resolve,
  }, new FairTurns());
  stream.start(new Uint8Array(0));
  const turns: number[] = [];
  while (takes < READS) {
    turns.push(takes);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await ended.promise;
  const most = Math.max(...turns.map((count, i) => (turns[i + 1] ?? READS) - count));
  assert.ok(most < READS / 10, `${most} of ${READS} reads were handled in one turn`);
});
