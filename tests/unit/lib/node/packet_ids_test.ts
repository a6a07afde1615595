import assert from "node:assert/strict";
import { toHex } from "../../../../lib/base/bytes.ts";
import { PacketIds } from "../../../../lib/node/packet_ids.ts";
import { seeded } from "./harness.ts";

/** Ids whose key and counter are given, least significant word first. */
function idsFrom(words: number[]): PacketIds {
  return new PacketIds((bytes) => bytes.set(new Uint8Array(Uint32Array.from(words).buffer)));
}

Deno.test("PacketIds.next() is Speck64/128 of a counter", () => {
  // Published vector: key 1b1a1918 13121110 0b0a0908 03020100, plaintext 3b726574 7475432d.
  const key = [0x03020100, 0x0b0a0908, 0x13121110, 0x1b1a1918];
  assert.equal(toHex(idsFrom([...key, 0x7475432c, 0x3b726574]).next()), "8c6fa548454e028b");
});

Deno.test("PacketIds.next() never repeats, not even where the counter carries", () => {
  const ids = idsFrom([1, 2, 3, 4, 0xffff_0000, 7]);
  const seen = new Set<string>();
  for (let i = 0; i < 200_000; i++) seen.add(toHex(ids.next()));
  assert.equal(seen.size, 200_000);
});

Deno.test("PacketIds of two processes differ", () => {
  assert.notDeepEqual(new PacketIds(seeded(1)).next(), new PacketIds(seeded(2)).next());
});
