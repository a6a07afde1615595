import assert from "node:assert/strict";
import { toHex } from "../../../../lib/base/bytes.ts";
import { PacketIds, randomIdBlock, speckSchedule } from "../../../../lib/node/packet_ids.ts";
import { Arena, noise } from "./arena.ts";

const IDS = 1 << 20;

Deno.test("nextId() gives the ids of PacketIds", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const arena = new Arena();
    const twin = arena.setIds(seed);
    for (let i = 0; i < 500; i++) {
      const at = arena.at.out + i % 16;
      arena.kernel.nextId(at);
      assert.equal(toHex(arena.bytes.slice(at, at + 8)), toHex(twin.next()));
    }
    arena.assertContained();
  }
});

Deno.test("nextId() carries from the low half of its counter to the high one, and wraps", () => {
  for (const high of [0, 7, 0xffff_ffff]) {
    const arena = new Arena();
    const seed = new Uint8Array(24);
    const words = new Uint32Array(seed.buffer);
    words.set(new Uint32Array(noise(16, 3).buffer));
    words.set([0xffff_fffd, high], 4);
    const round = speckSchedule(words.subarray(0, 4));
    [...round, words[4], words[5]].forEach((word, i) =>
      arena.view.setUint32(arena.at.ids + 4 * i, word, true)
    );
    const twin = new PacketIds(() => randomIdBlock((bytes) => bytes.set(seed)));
    for (let i = 0; i < 6; i++) {
      arena.kernel.nextId(arena.at.out);
      assert.equal(toHex(arena.bytes.slice(arena.at.out, arena.at.out + 8)), toHex(twin.next()));
    }
    assert.equal(arena.view.getUint32(arena.at.ids + 108, true), 3);
    assert.equal(arena.view.getUint32(arena.at.ids + 112, true), (high + 1) >>> 0);
  }
});

Deno.test("nextId() gives no id twice", () => {
  const arena = new Arena();
  const ids = new BigUint64Array(IDS);
  for (let i = 0; i < IDS; i++) {
    arena.kernel.nextId(arena.at.out);
    ids[i] = arena.view.getBigUint64(arena.at.out);
  }
  ids.sort();
  for (let i = 1; i < IDS; i++) assert.notEqual(ids[i], ids[i - 1]);
});
