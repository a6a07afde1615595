import assert from "node:assert/strict";
import { fromHex, toHex } from "../../../../../lib/base/bytes.ts";
import { WireError } from "../../../../../lib/base/errors.ts";
import { MESSAGE_LENGTH_MAX } from "../../../../../cli/engine/tcp/payload.ts";
import { WebSocketFraming } from "../../../../../cli/engine/tcp/websocket_framing.ts";

const random = (bytes: Uint8Array) => bytes.set(fromHex("37fa213d").subarray(0, bytes.length));
const client = (reply = (_: Uint8Array) => {}) => new WebSocketFraming({ random, reply });
const server = (reply = (_: Uint8Array) => {}) => new WebSocketFraming({ reply });

Deno.test("WebSocketFraming masks and unmasks as RFC 6455 section 5.7 shows", () => {
  const hello = new TextEncoder().encode("Hello");
  const frame = client().wrap(hello);
  assert.equal(toHex(frame), "8285" + "37fa213d" + "7f9f4d5158");
  assert.deepEqual(server().take(frame), [hello]);
});

Deno.test("WebSocketFraming carries messages of every kind of length both ways, however cut", () => {
  const messages = [0, 1, 125, 126, 127, 65, MESSAGE_LENGTH_MAX]
    .map((length) => new Uint8Array(length).fill(length));
  for (const [from, to] of [[client, server], [server, client]]) {
    const writer = from();
    const stream = Uint8Array.from(messages.flatMap((message) => [...writer.wrap(message)]));
    for (const step of [1, 3, 1_460, stream.length]) {
      const reader = to();
      const read: Uint8Array[] = [];
      for (let at = 0; at < stream.length; at += step) {
        read.push(...reader.take(stream.subarray(at, at + step)));
      }
      assert.deepEqual(read, messages);
    }
  }
});

Deno.test("WebSocketFraming gives nothing for every truncation of a message", () => {
  const frame = client().wrap(new Uint8Array(300));
  for (let length = 0; length < frame.length; length++) {
    assert.deepEqual(server().take(frame.subarray(0, length)), []);
  }
});

Deno.test("WebSocketFraming joins a message that a proxy split, pings in between", () => {
  const replies: string[] = [];
  const reader = client((bytes) => replies.push(toHex(bytes)));
  const read = reader.take(fromHex("020201ff" + "890170" + "000102" + "800103"));
  assert.deepEqual(read.map(toHex), ["01ff0203"]);
  assert.deepEqual(replies, ["8a81" + "37fa213d" + "47"]);
  assert.deepEqual(reader.take(fromHex("8a00820105")).map(toHex), ["05"], "a pong means nothing");
});

Deno.test("WebSocketFraming refuses what breaks the protocol", () => {
  const cases: [string, string][] = [
    ["a reserved bit", "c20101"],
    ["text", "810161"],
    ["an unknown opcode", "830161"],
    ["a close", "8800"],
    ["an unknown control opcode", "8b00"],
    ["a split ping", "0900"],
    ["a ping too long", "897e0080" + "00".repeat(128)],
    ["a continuation of nothing", "800161"],
    ["a message inside a message", "020161" + "820161"],
    ["a split that never grows", "0200"],
    ["a mask from a server", "8281000000000a"],
    ["a length over the bound", "827e4001"],
    ["a length of eight bytes over it", "827f0000000000004001"],
    ["an absurd length", "827fffffffffffffffff"],
  ];
  for (const [what, hex] of cases) {
    assert.throws(() => client().take(fromHex(hex)), WireError, what);
  }
  assert.throws(() => server().take(fromHex("820161")), WireError, "no mask from a client");
});

Deno.test("WebSocketFraming bounds a message that comes in pieces", () => {
  const reader = client();
  const piece = "027e1000" + "00".repeat(4_096);
  reader.take(fromHex(piece));
  const more = fromHex("007e1000" + "00".repeat(4_096));
  for (let i = 0; i < MESSAGE_LENGTH_MAX / 4_096 - 1; i++) reader.take(more);
  assert.throws(() => reader.take(fromHex("000100")), WireError);
});
