import assert from "node:assert/strict";
import { toHex } from "../../../../lib/base/bytes.ts";
import {
  type IdBlock,
  IDS_PER_BLOCK,
  PacketIds,
  packetIdState,
  randomIdBlock,
  speckSchedule,
} from "../../../../lib/node/packet_ids.ts";
import { seeded } from "./harness.ts";

const KEY = Uint32Array.of(1, 2, 3, 4);

function idsFrom(block: IdBlock): PacketIds {
  return new PacketIds(() => block);
}

Deno.test("PacketIds.next() is Speck64/128 of a counter", () => {
  // Published vector: key 1b1a1918 13121110 0b0a0908 03020100, plaintext 3b726574 7475432d.
  const key = Uint32Array.of(0x03020100, 0x0b0a0908, 0x13121110, 0x1b1a1918);
  const ids = idsFrom({ key, low: 0x7475432c, high: 0x3b726574 });
  assert.equal(toHex(ids.next()), "8c6fa548454e028b");
});

Deno.test("PacketIds.next() never repeats, not even where the counter carries", () => {
  const ids = idsFrom({ key: KEY, low: 0xffff_0000, high: 7 });
  const seen = new Set<string>();
  for (let i = 0; i < 200_000; i++) seen.add(toHex(ids.next()));
  assert.equal(seen.size, 200_000);
});

Deno.test("PacketIds of two processes without memory differ", () => {
  const first = (seed: number) => new PacketIds(() => randomIdBlock(seeded(seed))).next();
  assert.notDeepEqual(first(1), first(2));
});

Deno.test("blocks under one key share no id where one ends and the next begins", () => {
  const high = IDS_PER_BLOCK / 2 ** 32;
  const last = idsFrom({ key: KEY, low: 0xffff_fffe, high: high - 1 });
  const next = idsFrom({ key: KEY, low: 0, high });
  const tail = [last.next(), last.next()].map(toHex); // the second is the last one of its block
  assert.ok(!tail.includes(toHex(next.next())));
});

Deno.test("PacketIds takes another block when one is used up", () => {
  const blocks: IdBlock[] = [{ key: KEY, low: 0, high: 0 }, { key: KEY, low: 0, high: 8 }];
  const expected = blocks.flatMap((block) => {
    const ids = idsFrom(block);
    return [ids.next(), ids.next(), ids.next()].map(toHex);
  });
  let taken = 0;
  const ids = new PacketIds(() => blocks[taken++], 3);
  assert.deepEqual(expected.map(() => toHex(ids.next())), expected);
  assert.equal(taken, 2);
});

Deno.test("packetIdState() is the key's schedule and the counter, as the kernel reads them", () => {
  const state = packetIdState({ key: KEY, low: 0xffff_fffd, high: 9 });
  const words = new Uint32Array(state.buffer);
  assert.deepEqual(words.slice(0, 27), speckSchedule(KEY));
  assert.deepEqual([words[27], words[28], state.length], [0xffff_fffd, 9, 116]);
});
