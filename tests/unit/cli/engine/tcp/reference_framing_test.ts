import assert from "node:assert/strict";
import { fromHex, toHex } from "../../../../../lib/base/bytes.ts";
import { WireError } from "../../../../../lib/base/errors.ts";
import { MESSAGE_LENGTH_MAX } from "../../../../../cli/engine/tcp/payload.ts";
import {
  encodeGreeting,
  ReferenceFraming,
} from "../../../../../cli/engine/tcp/reference_framing.ts";

Deno.test("encodeGreeting() makes the reference's nine bytes", () => {
  const greeting = new ReferenceFraming().wrap(encodeGreeting([1, 14, 258]));
  assert.equal(toHex(greeting), "1703030004" + "010e0102");
});

Deno.test("ReferenceFraming gives back its messages however the stream is cut", () => {
  const writer = new ReferenceFraming();
  const messages = [fromHex("01"), new Uint8Array(MESSAGE_LENGTH_MAX).fill(7), fromHex("aabbcc")];
  const stream = join(messages.map((message) => writer.wrap(message)));
  for (const step of [1, 2, 5, 6, 1_000, stream.length]) {
    const reader = new ReferenceFraming();
    const read: Uint8Array[] = [];
    for (let at = 0; at < stream.length; at += step) {
      read.push(...reader.take(stream.subarray(at, at + step)));
    }
    assert.deepEqual(read, messages, `in pieces of ${step}`);
  }
});

Deno.test("ReferenceFraming gives nothing for every truncation of a message", () => {
  const stream = new ReferenceFraming().wrap(fromHex("00112233"));
  for (let length = 0; length < stream.length; length++) {
    assert.deepEqual(new ReferenceFraming().take(stream.subarray(0, length)), []);
  }
});

Deno.test("ReferenceFraming refuses a wrong header at its first wrong byte", () => {
  for (const hex of ["16", "1702", "170304", "1703030000", "0000000000"]) {
    assert.throws(() => new ReferenceFraming().take(fromHex(hex)), WireError, hex);
  }
});

Deno.test("ReferenceFraming refuses an oversized message by its length alone", () => {
  const length = MESSAGE_LENGTH_MAX + 1;
  const header = Uint8Array.of(0x17, 3, 3, length >> 8, length & 0xff);
  assert.throws(() => new ReferenceFraming().take(header), WireError);
});

function join(pieces: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(pieces.flatMap((piece) => [...piece]));
}
