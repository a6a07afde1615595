import assert from "node:assert/strict";
import { LATENCY_EDGES_MS, LatencyHistogram } from "../../../../lib/peer/latency_histogram.ts";

Deno.test("LatencyHistogram.cumulative() counts a round trip at its edge and at every later one", () => {
  const histogram = new LatencyHistogram();
  assert.deepEqual(histogram.cumulative(), new Array(11).fill(0));
  for (const sampleMs of [0, 1, 1.5, 3, 1_000, 1_000.5]) histogram.observe(sampleMs);
  //                                             1  3  6 10 30 60 100 300 600 1000 +Inf
  assert.deepEqual(histogram.cumulative(), [2, 4, 4, 4, 4, 4, 4, 4, 4, 5, 6]);
  assert.equal(histogram.sumMs, 2_006);
  assert.equal(LATENCY_EDGES_MS.length + 1, histogram.cumulative().length);
});
