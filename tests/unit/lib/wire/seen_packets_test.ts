import assert from "node:assert/strict";
import { SeenPackets } from "../../../../lib/wire/seen_packets.ts";

Deno.test("SeenPackets.isRepeatedId() tells a copy from a new packet, by both halves of the id, and by its sender", () => {
  const seen = new SeenPackets(64);
  assert.equal(seen.isRepeatedId(1, -2, 5), false);
  assert.equal(seen.isRepeatedId(1, -2, 5), true);
  assert.equal(seen.isRepeatedId(2, -2, 5), false);
  assert.equal(seen.isRepeatedId(1, -3, 5), false);
  assert.equal(seen.isRepeatedId(1, -2, 5), true);
  assert.equal(seen.isRepeatedId(1, -2, 6), false);
  assert.equal(seen.isRepeatedId(1, -2, 6), true);
});

Deno.test("SeenPackets.isRepeated() reads the id from a packet", () => {
  const seen = new SeenPackets(64);
  const packet = Uint8Array.of(0xff, 2, 3, 4, 5, 6, 7, 0x80, 9, 9, 9, 9, 9, 1, 0, 0, 0, 5);
  assert.equal(seen.isRepeated(packet), false);
  assert.equal(seen.isRepeatedId(0xff020304 | 0, 0x05060780, 5), true);
  assert.equal(seen.isRepeated(packet), true);
});

Deno.test("SeenPackets remembers an eighth of its size nearly always whatever the ids, and forgets old ones in time", () => {
  const count = 4_096;
  for (const step of [1, 2, 0x1_0001, 0x9e37]) {
    const seen = new SeenPackets(count);
    let forgotten = 0;
    for (let i = 1; i <= 20_000; i++) {
      assert.equal(seen.isRepeatedId(7, Math.imul(i, step), 5), false);
      if (i > count / 8 && !seen.isRepeatedId(7, Math.imul(i - count / 8, step), 5)) forgotten++;
    }
    assert.ok(forgotten < 1_500, `${forgotten} with ids ${step} apart`);
    assert.equal(seen.isRepeatedId(7, step, 5), false, "the first has made room");
  }
});
