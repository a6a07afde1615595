import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, fromHex, toHex, utf8 } from "../../../../lib/base/bytes.ts";
import { compress, decompress } from "../../../../lib/wire/compress.ts";
import { PAYLOAD_LENGTH_MAX } from "../../../../lib/wire/packet.ts";

function hex(block: string, lengthMax = PAYLOAD_LENGTH_MAX): string | undefined {
  const result = decompress(fromHex(block), lengthMax);
  return result && toHex(result);
}

/** Bytes with as many repetitions as `alphabet` is small. */
function bytesOver(alphabet: number, maxLength: number) {
  return fc.array(fc.integer({ min: 0, max: alphabet - 1 }), { maxLength })
    .map((bytes) => Uint8Array.from(bytes));
}

Deno.test("compress() and decompress() are inverse, whatever the data", () => {
  const data = fc.oneof(
    bytesOver(2, 300),
    bytesOver(5, 2_000),
    bytesOver(256, 400),
    fc.tuple(bytesOver(256, 40), fc.integer({ min: 1, max: 240 }))
      .map(([piece, times]) => concat(...new Array<Uint8Array>(times).fill(piece))),
  );
  fc.assert(
    fc.property(data, (payload) => {
      const block = compress(payload);
      if (!block) return;
      assert.ok(block.length < payload.length);
      assert.deepEqual(decompress(block, payload.length), payload);
      assert.equal(decompress(block, payload.length - 1), undefined, "longer than allowed");
    }),
    { numRuns: 500, seed: 1 },
  );
});

Deno.test("compress() shrinks every length of a run and of text", () => {
  for (let length = 65; length < 700; length++) {
    const run = new Uint8Array(length).fill(7);
    const text = utf8("a network of many members, ".repeat(30)).subarray(0, length);
    for (const payload of [run, text]) {
      const block = compress(payload);
      assert.ok(block, `length ${length}`);
      assert.deepEqual(decompress(block, length), payload);
    }
  }
  assert.ok(compress(new Uint8Array(PAYLOAD_LENGTH_MAX))!.length < 60);
});

Deno.test("compress() leaves alone what is short or does not shrink", () => {
  assert.equal(compress(new Uint8Array(64)), undefined);
  assert.ok(compress(new Uint8Array(65)));
  let state = 1;
  const noise = Uint8Array.from({ length: 5_000 }, () => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0;
    return state >>> 24;
  });
  assert.equal(compress(noise), undefined);
});

Deno.test("decompress() reads literals, matches, overlaps and long lengths", () => {
  assert.equal(hex(""), "", "an empty payload stays empty");
  assert.equal(hex("50" + "0102030405"), "0102030405");
  assert.equal(
    hex("1f" + "aa" + "0100" + "00" + "50" + "0102030405"),
    "aa".repeat(20) + "0102030405",
    "a match may overlap itself",
  );
  const literals = "ab".repeat(15 + 255 + 3);
  assert.equal(hex("f0" + "ff" + "03" + literals), literals);
});

Deno.test("decompress() refuses malformed blocks", () => {
  const tail = "50" + "0102030405";
  const refused: [name: string, block: string][] = [
    ["nothing at all", "00"],
    ["literals cut short", "50" + "01020304"],
    ["no token after a match", "1faa" + "0100" + "00"],
    ["distance cut short", "1faa" + "01"],
    ["distance of 0", "1faa" + "0000" + "00" + tail],
    ["distance before the start", "1faa" + "0200" + "00" + tail],
    ["match length cut short", "1faa" + "0100"],
    ["literal count cut short", "f0" + "ff"],
    ["fewer than five last literals", "1faa" + "0100" + "00" + "40" + "01020304"],
    ["a match twelve bytes from the end or nearer", "10aa" + "0100" + "50" + "0102030405"],
  ];
  for (const [name, block] of refused) assert.equal(hex(block), undefined, name);
  assert.equal(hex("12aa" + "0100" + tail), undefined, "11 bytes from the end");
  assert.equal(hex("13aa" + "0100" + tail), "aa".repeat(8) + "0102030405", "12 bytes from the end");
});

Deno.test("decompress() stops at the limit", () => {
  assert.equal(hex("50" + "0102030405", 5), "0102030405");
  assert.equal(hex("50" + "0102030405", 4), undefined);
  const bomb = concat(
    fromHex("1faa0100"),
    new Uint8Array(60).fill(0xff),
    fromHex("00" + "500102030405"),
  );
  assert.equal(decompress(bomb, PAYLOAD_LENGTH_MAX), undefined);
  assert.equal(decompress(bomb, 20_000)?.length, 1 + 4 + 15 + 60 * 255 + 5);
});

Deno.test("decompress() never throws, and yields no more than allowed", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 0, max: 300 }),
      (block, max) => {
        const result = decompress(block, max);
        assert.ok(result === undefined || result.length <= max);
      },
    ),
    { numRuns: 3_000, seed: 1 },
  );
});
