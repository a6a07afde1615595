import { deepEqual } from "node:assert/strict";
import { Urgency } from "../../../../cli/engine/urgency.ts";

function urgency(isAllowed = true): { asked: number[]; urgency: Urgency } {
  const asked: number[] = [];
  const set = (niceness: number) => {
    asked.push(niceness);
    return isAllowed;
  };
  return { asked, urgency: new Urgency(set, 3) };
}

Deno.test("Urgency goes first while only single packets come", () => {
  const { asked, urgency: of } = urgency();
  for (let nowMs = 1_000; nowMs < 2_000; nowMs += 5) of.moved(1_500, 1, nowMs);
  deepEqual(asked, [-10]);
});

Deno.test("Urgency stands back in a stream, and goes first again when it is over", () => {
  const { asked, urgency: of } = urgency();
  of.moved(0, 0, 1_000);
  for (let nowMs = 1_001; nowMs < 1_020; nowMs++) of.moved(60_000, 2, nowMs);
  deepEqual([asked, of.isUrgent], [[-10, 3], false]);
  of.moved(1_500, 1, 1_040); // a pause in it
  deepEqual(asked, [-10, 3]);
  of.moved(1_500, 1, 2_000);
  deepEqual(asked, [-10, 3, -10]);
});

Deno.test("Urgency takes many small packets for a stream", () => {
  const { asked, urgency: of } = urgency();
  of.moved(0, 0, 1_000);
  for (let nowMs = 1_001; nowMs < 1_020; nowMs++) of.moved(60 * 64, 60, nowMs);
  deepEqual(asked, [-10, 3]);
});

Deno.test("Urgency asks once where it is not allowed", () => {
  const { asked, urgency: of } = urgency(false);
  of.moved(0, 0, 1_000);
  for (let nowMs = 1_001; nowMs < 1_200; nowMs++) of.moved(60_000, 2, nowMs);
  deepEqual([asked, of.isUrgent], [[-10], false]);
  of.moved(1_500, 1, 5_000);
  deepEqual([asked, of.isUrgent], [[-10], true]);
});
