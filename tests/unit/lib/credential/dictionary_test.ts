import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, text, toHex, utf8 } from "../../../../lib/base/bytes.ts";
import { Dictionary, DictionaryWriter } from "../../../../lib/credential/dictionary.ts";
import { countVectors } from "../../../vectors/count.ts";
import { vl2 } from "../../../vectors/vl2.ts";

function decode(lines: string): Dictionary {
  return Dictionary.decode(utf8(lines));
}

Deno.test("dictionaries read and write as the reference's", () => {
  let lookups = 0;
  for (const v of vl2.dictionary) {
    if (v.entries) {
      const d = new DictionaryWriter();
      for (const { key, valueHex } of v.entries) d.bytes(key, fromHex(valueHex));
      assert.equal(toHex(d.finish()), v.encodedHex);
    }
    const bytes = v.encodedHex ? fromHex(v.encodedHex) : utf8(v.rawText ?? "");
    const dictionary = Dictionary.decode(bytes);
    for (const { key, len, valueHex, asUint, asBool } of v.lookup ?? []) {
      const where = `${text(bytes)}: ${key}`;
      const value = dictionary.get(key);
      assert.equal(value?.length ?? -1, len, where);
      assert.equal(toHex(value ?? new Uint8Array(0)), valueHex, where);
      if (asUint) assert.equal(dictionary.getUint(key, 0xdeadn), BigInt(`0x${asUint}`), where);
      if (asBool !== undefined) assert.equal(dictionary.getBoolean(key), asBool, where);
      lookups++;
    }
    if (v.typedEncodedText) {
      // "neg" was written from a negative number, whose sign the reference loses: we refuse to write one.
      const d = new DictionaryWriter().uint("u", 255).uint("neg", 255).uint("pos", 255n);
      d.boolean("t", true).boolean("f", false).uint("addr", 0x5811208aac);
      assert.equal(text(d.finish()), v.typedEncodedText);
      assert.throws(() => new DictionaryWriter().uint("neg", -255), RangeError);
    }
  }
  countVectors("vl2.json: dictionary", vl2.dictionary.length);
  assert.equal(lookups, vl2.dictionary.reduce((sum, v) => sum + (v.lookup?.length ?? 0), 0));
});

Deno.test("a dictionary gives back every value of bytes it was given", () => {
  const key = fc.stringMatching(/^[a-zA-Z0-9._-]{1,8}$/);
  const entries = fc.uniqueArray(fc.tuple(key, fc.uint8Array({ maxLength: 60 })), {
    selector: ([name]) => name,
    maxLength: 10,
  });
  fc.assert(
    fc.property(entries, (entries) => {
      const d = new DictionaryWriter();
      for (const [name, value] of entries) d.bytes(name, value);
      const dictionary = Dictionary.decode(d.finish());
      assert.deepEqual(dictionary.keys(), entries.map(([name]) => name));
      for (const [name, value] of entries) assert.deepEqual(dictionary.get(name), value);
    }),
    { seed: 1 },
  );
});

Deno.test("Dictionary ends at NUL", () => {
  const dictionary = decode("a=1\nb=2\0\nc=3");
  assert.deepEqual(dictionary.keys(), ["a", "b"]);
  assert.equal(dictionary.getText("b"), "2");
});

Deno.test("getUint() reads as strtoull does", () => {
  const read: [value: string, number: bigint][] = [
    ["ff", 255n],
    [" \t+0XfF,", 255n],
    ["0xg", 0n],
    ["-1", 2n ** 64n - 1n],
    ["ffffffffffffffff", 2n ** 64n - 1n],
    ["10000000000000000", 2n ** 64n - 1n],
    ["g", 0n],
  ];
  for (const [value, number] of read) {
    assert.equal(decode(`k=${value}`).getUint("k", 7n), number, value);
  }
  assert.equal(decode("k=").getUint("k", 7n), 7n);
  assert.equal(decode("").getUint("k", 7n), 7n);
  assert.equal(decode("k=ff1122334455").getAddress("k"), 0x1122334455);
});

Deno.test("getBoolean() looks at the first character", () => {
  for (const value of ["1", "t", "true", "T"]) assert.ok(decode(`k=${value}`).getBoolean("k"));
  for (const value of ["0", "", "yes", "f"]) assert.ok(!decode(`k=${value}`).getBoolean("k", true));
  assert.ok(decode("").getBoolean("k", true));
});

Deno.test("DictionaryWriter refuses keys that would end early and numbers that do not fit", () => {
  for (const key of ["a=b", "a\n", "\0", "a\r"]) {
    assert.throws(() => new DictionaryWriter().text(key, ""), RangeError);
  }
  assert.throws(() => new DictionaryWriter().uint("k", 2n ** 64n), RangeError);
  assert.throws(() => new DictionaryWriter().uint("k", 0.5), RangeError);
});
