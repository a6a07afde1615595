import assert from "node:assert/strict";
import { FairTurns } from "../../../../../cli/engine/tcp/fair_turns.ts";

Deno.test("FairTurns.do() leaves others their turn after two milliseconds, and keeps the order", async () => {
  let nowMs = 0;
  const later: (() => void)[] = [];
  const turns = new FairTurns({ nowMs: () => nowMs, later: (run) => void later.push(run) });
  const done: number[] = [];
  const works = [0, 1, 2, 3, 4, 5].map((number) =>
    turns.do(() => {
      nowMs += 0.8;
      done.push(number);
    })
  );
  assert.deepEqual(done, [0, 1, 2], "at once");
  assert.equal(later.length, 1);
  later.shift()!();
  assert.deepEqual(done, [0, 1, 2, 3, 4, 5], "the others afterwards");
  await Promise.all(works);
  const late = turns.do(() => done.push(6));
  assert.equal(done.length, 6, "the time of that slice is over");
  later.shift()!();
  await late;
  assert.equal(done.length, 7);
  assert.equal(later.length, 0, "nothing is expected when nothing waits");
});
