import { deepEqual, equal } from "node:assert/strict";
import { TapAnswers } from "../../../../cli/engine/tap_answers.ts";

/** After how many writes each a look is due, when it finds so many frames. */
function looks(answers: TapAnswers, found: readonly number[]): number[] {
  return found.map((frames) => {
    let writes = 1;
    while (!answers.wrote()) writes++;
    answers.looked(frames);
    return writes;
  });
}

Deno.test("TapAnswers looks after every write as long as that finds answers", () => {
  deepEqual(looks(new TapAnswers(), [1, 3, 1]), [1, 1, 1]);
});

Deno.test("TapAnswers looks half as often after each look in vain, but at one write in 32", () => {
  deepEqual(looks(new TapAnswers(), [0, 0, 0, 0, 0, 0, 0]), [1, 2, 4, 8, 16, 32, 32]);
});

Deno.test("TapAnswers looks after every write again once it found one", () => {
  deepEqual(looks(new TapAnswers(), [0, 0, 1, 1, 0]), [1, 2, 4, 1, 1]);
});

Deno.test("TapAnswers wants one look for all the frames of a turn", () => {
  const answers = new TapAnswers();
  equal(answers.wrote(), true);
  equal(answers.wrote(), false);
  equal(answers.isDue, true);
  answers.looked(1);
  equal(answers.isDue, false);
});
