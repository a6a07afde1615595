import assert from "node:assert/strict";
import { WireError } from "../../../../lib/base/errors.ts";
import { type Head, HEAD_LENGTH_MAX, parseHead } from "../../../../cli/engine/http_head.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const head = (text: string): Head => parseHead(bytes(text))!;

Deno.test("parseHead() reads line, fields and what came behind", () => {
  const read = head("GET / HTTP/1.1\r\nHost: a\r\nX-Y:  b \r\nHOST: c\r\n\r\nrest");
  assert.equal(read.line, "GET / HTTP/1.1");
  assert.deepEqual([...read.fields], [["host", "a, c"], ["x-y", "b"]]);
  assert.deepEqual(read.rest, bytes("rest"));
});

Deno.test("parseHead() waits for every truncation, and refuses a long head and nameless fields", () => {
  const whole = bytes("GET / HTTP/1.1\r\nHost: 44.0.0.1\r\nConnection: Upgrade\r\n\r\n");
  for (let length = 0; length < whole.length; length++) {
    assert.equal(parseHead(whole.subarray(0, length)), undefined);
  }
  assert.throws(() => parseHead(new Uint8Array(HEAD_LENGTH_MAX + 1).fill(65)), WireError);
  const long = `GET / HTTP/1.1\r\nA: ${"b".repeat(HEAD_LENGTH_MAX)}\r\n\r\n`;
  assert.throws(() => parseHead(bytes(long)), WireError);
  assert.throws(() => head("GET / HTTP/1.1\r\n: b\r\n\r\n"), WireError);
  assert.throws(() => head("GET / HTTP/1.1\r\nnonsense\r\n\r\n"), WireError);
});
