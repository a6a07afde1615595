import assert from "node:assert/strict";
import { formatJson, isObject, JsonNumber, parseJson } from "../../../../cli/engine/json.ts";

Deno.test("formatJson() sorts keys at every level and leaves no space", () => {
  assert.equal(
    formatJson({ b: 1, a: { d: [true, null], c: "x" }, e: undefined }),
    '{"a":{"c":"x","d":[true,null]},"b":1}',
  );
});

Deno.test("formatJson() indents as the reference does", () => {
  assert.equal(formatJson({ a: [1, {}], b: [] }, 1), '{\n "a": [\n  1,\n  {}\n ],\n "b": []\n}');
  assert.equal(formatJson([], 4), "[]");
});

Deno.test("parseJson() keeps every digit of a number", () => {
  const text = '{"a":18446744073709551615,"b":0.0,"c":1e3,"d":-9007199254740993,"e":5}';
  const value = parseJson(text);
  assert.ok(isObject(value));
  assert.equal(value.a, 18446744073709551615n);
  assert.ok(value.b instanceof JsonNumber);
  assert.equal(value.d, -9007199254740993n);
  assert.equal(value.e, 5);
  assert.equal(formatJson(value), text);
});

Deno.test("parseJson() refuses what is malformed or nested without end", () => {
  for (const text of ["", "{", "[1,]", "{a:1}", "nul"]) {
    assert.throws(() => parseJson(text), SyntaxError, text);
  }
  assert.throws(() => parseJson("[".repeat(100_000)), SyntaxError);
  assert.throws(() => parseJson("[".repeat(65) + "]".repeat(65)), SyntaxError);
  assert.deepEqual(parseJson(`"${"[".repeat(100)}\\"["`), `${"[".repeat(100)}"[`);
});

Deno.test("isObject() is true for objects alone", () => {
  assert.deepEqual([{}, [], null, 1, "x", new JsonNumber("0.0")].map((value) => isObject(value)), [
    true,
    false,
    false,
    false,
    false,
    false,
  ]);
});
