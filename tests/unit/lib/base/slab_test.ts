import assert from "node:assert/strict";
import { Slabs } from "../../../../lib/base/slab.ts";

Deno.test("Slabs.copy() keeps what it was given, side by side with others", () => {
  const slabs = new Slabs();
  const given = Array.from({ length: 100 }, (_, i) => new Uint8Array(1 + i % 64).fill(i));
  const kept = given.map((bytes) => slabs.copy(bytes));
  for (const bytes of given) bytes.fill(0xee);
  for (const [i, bytes] of kept.entries()) {
    assert.deepEqual(bytes, new Uint8Array(1 + i % 64).fill(i));
  }
  const buffers = new Set(kept.map(({ buffer }) => buffer));
  assert.ok(buffers.size < 6, `${buffers.size} buffers`);
});

Deno.test("Slabs.copy() gives what is longer than a slab a buffer of its own", () => {
  const long = new Slabs().copy(new Uint8Array(5_000).fill(7));
  assert.deepEqual(long, new Uint8Array(5_000).fill(7));
});
