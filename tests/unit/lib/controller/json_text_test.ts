/** Bodies that are no JSON (spec 05 section 9.1). @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import { JsonTextError, parseJsonText } from "../../../../lib/controller/json_text.ts";

const PREFIX = "[json.exception.parse_error.101] parse error at ";

Deno.test("parseJsonText() says what is wrong in the reference's words", () => {
  const cases = [
    [
      "",
      "line 1, column 1: syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal",
    ],
    [
      "{bad",
      "line 1, column 2: syntax error while parsing object key - invalid literal; last read: '{b'; expected string literal",
    ],
    [
      '"abc',
      "line 1, column 5: syntax error while parsing value - invalid string: missing closing quote; last read: '\"abc'",
    ],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => parseJsonText(text), { message: PREFIX + message });
  }
});

Deno.test("parseJsonText() names the line and column of the first mistake", () => {
  assert.throws(() => parseJsonText('{\n  "a": 1,\n  "b" 2\n}'), /line 3, column 7:/);
  assert.throws(() => parseJsonText("[1,]"), /line 1, column 4:/);
  assert.throws(() => parseJsonText("[1}"), /line 1, column 3: syntax error while parsing array/);
  assert.throws(() => parseJsonText("{} x"), /line 1, column 4:.*expected end of input/);
});

Deno.test("parseJsonText() refuses deep nesting and numbers past every bound", () => {
  assert.doesNotThrow(() => parseJsonText("[".repeat(64) + "]".repeat(64)));
  assert.throws(() => parseJsonText("[".repeat(65) + "]".repeat(65)), JsonTextError);
  assert.throws(() => parseJsonText("[".repeat(1_000_000)), JsonTextError);
  assert.throws(() => parseJsonText("[1e999]"), /out_of_range.406.*'1e999'/);
});

Deno.test("parseJsonText() reads what JSON.parse reads, and refuses what it refuses", () => {
  fc.assert(fc.property(fc.json({ maxDepth: 4 }), (text) => {
    assert.deepEqual(parseJsonText(text), JSON.parse(text));
  }));
  const soup = fc.array(
    fc.constantFrom(...'{}[]:, \n"\\tfu1-.eE0', "true", "null", '"a"', "\u0001", "é"),
    { maxLength: 12 },
  ).map((parts) => parts.join(""));
  fc.assert(
    fc.property(soup, (text) => {
      let parsed: unknown;
      let isJson = true;
      try {
        parsed = JSON.parse(text);
      } catch {
        isJson = false;
      }
      if (isJson) assert.deepEqual(parseJsonText(text), parsed);
      else assert.throws(() => parseJsonText(text), JsonTextError);
    }),
    { numRuns: 20_000 },
  );
});
