import { equal } from "node:assert/strict";
import { Linger } from "../../../../cli/engine/linger.ts";

const SOON_MS = 0.1;
const LATE_MS = 5;

Deno.test("Linger looks on after turns of a kind that was followed soon", () => {
  const linger = new Linger(2);
  equal(linger.lookMs(0), 0);
  for (let i = 0; i < 4; i++) linger.learn(0, SOON_MS);
  equal(linger.lookMs(0) > SOON_MS, true);
  equal(linger.lookMs(1), 0);
});

Deno.test("Linger gives up when what it looks for comes late", () => {
  const linger = new Linger(1);
  for (let i = 0; i < 100; i++) linger.learn(0, SOON_MS);
  linger.learn(0, LATE_MS);
  equal(linger.lookMs(0) > 0, true); // once is chance
  linger.learn(0, LATE_MS);
  equal(linger.lookMs(0), 0);
});
