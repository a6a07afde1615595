import assert from "node:assert/strict";
import { fromHex, text } from "../../../../lib/base/bytes.ts";
import {
  decodeRequestMetadata,
  encodeRequestMetadata,
  OUR_METADATA,
} from "../../../../lib/credential/request_metadata.ts";
import { countVectors } from "../../../vectors/count.ts";
import { packetVectors } from "../../../vectors/packets.ts";

const ours = {
  ...OUR_METADATA,
  protocolVersion: 12,
  majorVersion: 1,
  minorVersion: 14,
  revision: 1,
  platform: "linux/x86_64",
};

Deno.test("encodeRequestMetadata() says what the reference says", () => {
  let count = 0;
  for (const { label, fields } of packetVectors.packets) {
    const field = fields.find(({ name }) => name === "metaData");
    if (!field) continue;
    const bytes = fromHex(field.hex);
    const metadata = decodeRequestMetadata(bytes);
    assert.deepEqual(metadata, ours, label);
    assert.equal(text(encodeRequestMetadata(metadata)), text(bytes), label);
    count++;
  }
  countVectors("packets.json: request metadata", count);
});

Deno.test("decodeRequestMetadata() takes what is missing for 0 and nothing", () => {
  const metadata = decodeRequestMetadata(new Uint8Array(0));
  assert.equal(metadata.rulesEngineRevision, 0);
  assert.equal(metadata.platform, "");
});

Deno.test("encodeRequestMetadata() stays within what the reference reads", () => {
  const token = { ...ours, authorization: "token:abc" };
  assert.deepEqual(decodeRequestMetadata(encodeRequestMetadata(token)), token);
  const tooLong = { ...ours, authorization: "x".repeat(800) };
  assert.throws(() => encodeRequestMetadata(tooLong), RangeError);
});
