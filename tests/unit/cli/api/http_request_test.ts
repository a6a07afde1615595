import assert from "node:assert/strict";
import { HttpRefusal, readRequest } from "../../../../cli/api/http_request.ts";

/** A connection that brings these bytes, so many at a time, and then ends. */
function connOf(text: string, pieceBytes: number) {
  let rest = new TextEncoder().encode(text);
  const conn = {
    read: (buffer: Uint8Array) => {
      const length = Math.min(pieceBytes, buffer.length, rest.length);
      buffer.set(rest.subarray(0, length));
      rest = rest.subarray(length);
      return Promise.resolve(length === 0 ? null : length);
    },
    write: (bytes: Uint8Array) => Promise.resolve(bytes.length),
  };
  return conn as unknown as Deno.Conn;
}

const CHUNKED = "PUT /a?b=c HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nX-Y: z\r\n\r\n" +
  "4\r\n\u00fc\r\n\r\n1\r\nx\r\n0\r\n\r\n";
const SIZED = "POST /d HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello";

Deno.test("readRequest() reads the same however the bytes come, and nothing of what is not whole", async () => {
  for (const text of [CHUNKED, SIZED]) {
    const lengthBytes = new TextEncoder().encode(text).length;
    const whole = await readRequest(connOf(text, lengthBytes), () => true);
    for (const pieceBytes of [1, 2, 3, 7, 50]) {
      let heads = 0;
      const read = await readRequest(connOf(text, pieceBytes), () => ++heads > 0);
      assert.deepEqual(read, whole);
      assert.equal(heads, 1);
    }
    for (let cut = 0; cut < text.length; cut++) {
      assert.equal(
        await readRequest(connOf(text.slice(0, cut), 9), () => true),
        undefined,
        `${cut}`,
      );
    }
  }
  const { method, target, fields, body } = (await readRequest(connOf(CHUNKED, 99), () => true))!;
  assert.deepEqual([method, target, fields.get("x-y"), body], [
    "PUT",
    "/a?b=c",
    "z",
    "\u00fc\r\nx",
  ]);
});

Deno.test("readRequest() refuses first lines that are none", async () => {
  for (
    const line of [
      "GET /",
      "GET / HTTP/2.0",
      "GET  / HTTP/1.1",
      "GET /a b HTTP/1.1",
      "GET * HTTP/1.1",
      "/ GET HTTP/1.1",
      "",
    ]
  ) {
    await assert.rejects(
      readRequest(connOf(`${line}\r\nHost: x\r\n\r\n`, 99), () => true),
      (error) => error instanceof HttpRefusal && error.status === 400,
      line,
    );
  }
});
