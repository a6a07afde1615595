import { deepEqual } from "node:assert/strict";
import { dropOldest } from "../../../../lib/base/oldest.ts";

Deno.test("dropOldest() deletes what was put in first, of a map as of a set", () => {
  const map = new Map([["b", 1], ["a", 2], ["c", 3]]);
  map.delete("b");
  map.set("b", 4);
  dropOldest(map);
  deepEqual([...map], [["c", 3], ["b", 4]]);
  const set = new Set([2, 1]);
  dropOldest(set);
  deepEqual([...set], [1]);
});

Deno.test("dropOldest() deletes undefined as a key, and nothing of what is empty", () => {
  const set = new Set([undefined, 1]);
  dropOldest(set);
  deepEqual([...set], [1]);
  const empty = new Set();
  dropOldest(empty);
  deepEqual(empty.size, 0);
});
