import assert from "node:assert/strict";
import { FLOW_GROUPS, FlowTable, groupOf } from "../../../../lib/peer/bond_flows.ts";

const counts = (table: FlowTable<string>, links: string[]) =>
  links.map((link) => table.count(link));

Deno.test("FlowTable.assign() gives links of one share what flow modulo links gives", () => {
  const table = new FlowTable<string>();
  assert.equal(table.assign(["a", "b"], [0.5, 0.5]), true);
  for (const flow of [0, 1, 77, 0x1234, 0xffff]) {
    assert.equal(table.linkOf(flow), ["a", "b"][flow % 2]);
  }
  assert.equal(table.assign(["a", "b"], [0.5, 0.5]), false, "nothing is left to change");
});

Deno.test("FlowTable.assign() gives each link its share, and every group a link", () => {
  const table = new FlowTable<string>();
  table.assign(["a", "b", "c"], [0.75, 0.2, 0.05]);
  assert.deepEqual(counts(table, ["a", "b", "c"]), [193, 51, 12]);
});

Deno.test("FlowTable.assign() comes to the same when the links come one by one", () => {
  const table = new FlowTable<string>();
  table.assign(["a"], [1]);
  table.assign(["a", "b"], [0.5, 0.5]);
  for (let flow = 0; flow < FLOW_GROUPS; flow++) {
    assert.equal(table.linkOf(flow), ["a", "b"][flow % 2]);
  }
});

Deno.test("FlowTable.assign() moves only what it must when links come and go", () => {
  const table = new FlowTable<string>();
  table.assign(["a", "b", "c"], [1 / 3, 1 / 3, 1 / 3]);
  const before = Array.from({ length: FLOW_GROUPS }, (_, flow) => table.linkOf(flow));
  table.assign(["a", "c"], [0.5, 0.5]);
  before.forEach((link, flow) => {
    if (link !== "b") assert.equal(table.linkOf(flow), link, `flow ${flow} stays`);
  });
  assert.deepEqual(counts(table, ["a", "b", "c"]), [128, 0, 128]);
  table.assign(["a", "b", "c"], [1 / 3, 1 / 3, 1 / 3]);
  assert.deepEqual(counts(table, ["a", "b", "c"]), [86, 85, 85]);
});

Deno.test("FlowTable.move() takes a few groups off a link, in turn to the others", () => {
  const table = new FlowTable<string>();
  table.assign(["a", "b", "c"], [1, 0, 0]);
  assert.equal(table.move("a", ["b", "c"], 16), true);
  assert.deepEqual(counts(table, ["a", "b", "c"]), [240, 8, 8]);
  assert.equal(table.move("d", ["b"], 16), false);
});

Deno.test("FlowTable.indexes() names links by their place", () => {
  const table = new FlowTable<string>();
  table.assign(["a", "b"], [0.5, 0.5]);
  const indexes = table.indexes(["b", "a"]);
  assert.equal(indexes.length, FLOW_GROUPS);
  assert.deepEqual([...indexes.subarray(0, 4)], [1, 0, 1, 0]);
  assert.equal(groupOf(0x1ff), 255);
});
