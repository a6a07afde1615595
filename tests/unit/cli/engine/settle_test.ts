import assert from "node:assert/strict";
import { Settle } from "../../../../cli/engine/settle.ts";

/** A clock of its own, and when what was to settle had settled. @param tookMs How long what is done then takes */
function scene(tookMs = 0) {
  const settledMs: number[] = [];
  let nowMs = 0;
  let waiting: { run: () => void; dueMs: number } | undefined;
  const settle = new Settle(() => {
    settledMs.push(nowMs);
    nowMs += tookMs;
  }, {
    quietMs: 100,
    mostMs: 1_000,
    nowMs: () => nowMs,
    later: (run, delayMs) => {
      waiting = { run, dueMs: nowMs + delayMs };
      return () => waiting = undefined;
    },
  });
  const runTo = (untilMs: number) => {
    while (waiting && waiting.dueMs <= untilMs) {
      const { run, dueMs } = waiting;
      waiting = undefined;
      nowMs = dueMs;
      run();
    }
    nowMs = Math.max(nowMs, untilMs);
  };
  return { settle, settledMs, runTo };
}

Deno.test("Settle waits until nothing has changed for a while, once for all changes", () => {
  const { settle, settledMs, runTo } = scene();
  for (const atMs of [0, 50, 120]) {
    runTo(atMs);
    settle.changed();
  }
  runTo(5_000);
  assert.deepEqual(settledMs, [220]);
});

Deno.test("Settle does not wait for ever where changes never end", () => {
  const { settle, settledMs, runTo } = scene();
  for (let atMs = 0; atMs <= 3_000; atMs += 50) {
    runTo(atMs);
    settle.changed();
  }
  assert.deepEqual(settledMs, [1_000, 2_000, 3_000]);
});

Deno.test("Settle leaves three quarters of the time to others, however long it takes", () => {
  const { settle, settledMs, runTo } = scene(2_000);
  for (let atMs = 0; atMs <= 20_000; atMs += 50) {
    runTo(atMs);
    settle.changed();
  }
  assert.deepEqual(settledMs, [1_000, 9_000, 17_000]);
});

Deno.test("Settle.stop() calls it off", () => {
  const { settle, settledMs, runTo } = scene();
  settle.changed();
  settle.stop();
  runTo(5_000);
  assert.deepEqual(settledMs, []);
});
