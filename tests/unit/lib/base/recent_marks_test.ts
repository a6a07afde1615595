import { equal, ok } from "node:assert/strict";
import { RecentMarks } from "../../../../lib/base/recent_marks.ts";

/** Numbers that spread over 32 bits. */
const hash = (n: number) => Math.imul(n ^ (n >>> 7), 0x2545_f491) >>> 0;

Deno.test("RecentMarks.take() makes a mark the first time and takes it away the second", () => {
  const marks = new RecentMarks();
  for (const key of [7, 0xffff_ffff]) {
    for (const expected of [false, true, false]) equal(marks.take(key), expected);
  }
});

Deno.test("RecentMarks.take() of 0 is a mark as any other", () => {
  const marks = new RecentMarks();
  equal(marks.take(0), false);
  equal(marks.take(0), true);
});

Deno.test("RecentMarks.take() remembers nearly all of the latest 8,192, and little of what came long before", () => {
  const marks = new RecentMarks();
  for (let n = 0; n < 200_000; n++) ok(!marks.take(hash(n)), `${n} was there before it came`);
  let late = 0;
  for (let n = 199_999; n >= 199_999 - 8_191; n--) if (marks.take(hash(n))) late++;
  ok(late > 8_000, `${late} of the latest`);
  let early = 0;
  for (let n = 0; n < 8_192; n++) if (marks.take(hash(n))) early++;
  ok(early < 100, `${early} of the first`);
});
