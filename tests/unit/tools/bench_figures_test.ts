import assert from "node:assert/strict";
import { linesOf, rotated, type Round, spreadOf } from "../../bench/figures.ts";
import { scenariosFor } from "../../bench/scenarios.ts";
import { renderTable, short } from "../../bench/table.ts";

Deno.test("spreadOf() takes the middle of odd and even numbers of values and passes over gaps", () => {
  assert.deepEqual(spreadOf([3, undefined, 1, NaN, 2]), { median: 2, min: 1, max: 3, count: 3 });
  assert.deepEqual(spreadOf([10, 1, 2, 3]), { median: 2.5, min: 1, max: 10, count: 4 });
  assert.equal(spreadOf([undefined, NaN]), undefined);
});

Deno.test("rotated() puts each scenario first in turn", () => {
  const firsts = [0, 1, 2, 3].map((round) => rotated(["a", "b", "c"], round).join(""));
  assert.deepEqual(firsts, ["abc", "bca", "cab", "abc"]);
});

Deno.test("linesOf() takes the median of the ratios of rounds, not the ratio of medians", () => {
  const rounds: Round[] = [
    { zt: { tcp1Mbps: 100 }, reference: { tcp1Mbps: 10 }, raw: { tcp1Mbps: 1_000 } },
    { zt: { tcp1Mbps: 20 }, reference: { tcp1Mbps: 20 }, raw: { tcp1Mbps: 1_000 } },
    { zt: { tcp1Mbps: 60 }, reference: { tcp1Mbps: 30 }, raw: { tcp1Mbps: 1_000 } },
    { zt: {}, reference: { tcp1Mbps: 30 }, raw: {} }, // a round that failed
  ];
  const [line, ...others] = linesOf(rounds, true);
  assert.deepEqual(others, []);
  assert.equal(line.name, "tcp1Mbps");
  assert.deepEqual(line.zt, { median: 60, min: 20, max: 100, count: 3 });
  assert.deepEqual(line.ratio, { median: 2, min: 1, max: 10, count: 3 });
  assert.deepEqual(linesOf(rounds, false)[0].ratio, {
    median: 0.06,
    min: 0.02,
    max: 0.1,
    count: 3,
  });
});

Deno.test("linesOf() compares a mixed pair with the reference among itself", () => {
  const rounds: Round[] = [
    { mixed: { tcp1Mbps: 30, tcp1BackMbps: 10 }, reference: { tcp1Mbps: 20 } },
  ];
  const ratios = linesOf(rounds, true).map(({ name, ratio }) => [name, ratio?.median]);
  assert.deepEqual(ratios, [["mixedToMbps", 1.5], ["mixedFromMbps", 0.5]]);
});

Deno.test("scenariosFor() sets up what is wanted and nothing that needs an absent reference", () => {
  const names = (wanted: Parameters<typeof scenariosFor>[0], withReference: boolean) =>
    scenariosFor(wanted, withReference).map(({ name, steps }) => `${name}: ${steps}`);
  assert.deepEqual(names(new Set(["mixed"]), true), ["reference: tcp1", "mixed: tcp1"]);
  assert.deepEqual(names(new Set(["idle", "relay"]), false), ["zt: idle", "relay-zt: tcp1"]);
  assert.deepEqual(names(new Set(["udp", "rtt"]), true), [
    "zt: rtt,udp",
    "reference: rtt,udp",
    "raw: rtt,udp",
  ]);
});

Deno.test("short() keeps three digits of any size of number", () => {
  assert.deepEqual([0, 0.05432, 1.2345, 45.678, 2139.4].map(short), [
    "0",
    "0.0543",
    "1.23",
    "45.7",
    "2139",
  ]);
});

Deno.test("renderTable() leaves a dash where nothing was measured", () => {
  const line = linesOf([{ zt: { idleCpuPercent: 0.25 } }], true);
  const row = renderTable(line, "reference").split("\n")[1].split(/ {2,}/);
  assert.deepEqual(row, ["CPU idle", "%", "0.250", "-", "-", "lower", "-"]);
});
