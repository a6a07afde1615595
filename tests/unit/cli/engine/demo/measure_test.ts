import { equal } from "node:assert/strict";
import { megabitsPerSecond, percentile, rounded } from "../../../../../cli/engine/demo/measure.ts";

Deno.test("percentile() is the nearest rank, whatever the order", () => {
  const samples = [50, 15, 40, 20, 35];
  equal(percentile(samples, 0.3), 20);
  equal(percentile(samples, 0.5), 35);
  equal(percentile(samples, 0.99), 50);
  equal(percentile(samples, 0), 15);
  equal(percentile([7], 0.5), 7);
  equal(percentile([], 0.5), undefined);
  equal(samples.join(), "50,15,40,20,35");
});

Deno.test("megabitsPerSecond() counts bytes in milliseconds, and nothing in no time", () => {
  equal(megabitsPerSecond(1_000_000, 1000), 8);
  equal(megabitsPerSecond(5, 0), 0);
});

Deno.test("rounded() keeps so many digits", () => {
  equal(rounded(1.2345, 2), 1.23);
  equal(rounded(1234.5, 0), 1235);
});
