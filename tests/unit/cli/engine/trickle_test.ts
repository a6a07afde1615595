import { equal } from "node:assert/strict";
import { isTrickle } from "../../../../cli/engine/trickle.ts";

Deno.test("isTrickle() is true of a few full datagrams, each by itself", () => {
  equal(isTrickle(1, 1_432), true);
  equal(isTrickle(11, 11 * 1_400), true);
});

Deno.test("isTrickle() is false of many, of acknowledgements, and of what the system joined", () => {
  equal(isTrickle(12, 12 * 1_400), false);
  equal(isTrickle(4, 4 * 130), false);
  equal(isTrickle(2, 2 * 30_000), false);
});
