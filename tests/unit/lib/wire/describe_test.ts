import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, toHex } from "../../../../lib/base/bytes.ts";
import { describeHeader, describePayload } from "../../../../lib/wire/describe.ts";
import { AT_PAYLOAD, AT_VERB, HEADER_LENGTH } from "../../../../lib/wire/packet.ts";
import { countVectors } from "../../../vectors/count.ts";
import { type PacketVector, packetVectors } from "../../../vectors/packets.ts";
import { HAND_MADE } from "./round_trips.ts";

function plainOf(v: PacketVector): Uint8Array {
  return fromHex(v.helloDecrypted ?? v.uncompressed ?? v.plaintext);
}

Deno.test("describePayload() names every field of the captures, with place, bytes and value", () => {
  let count = 0;
  for (const v of packetVectors.packets) {
    const fields = describePayload(plainOf(v));
    for (const expected of v.fields) {
      count++;
      const where = `${v.label}: ${expected.name}`;
      if (expected.name === "certificatesOfOwnership") {
        // Recorded as one lump; ours goes on in detail over the same bytes.
        const inside = fields.filter((field) => field.offset >= expected.offset);
        assert.ok(inside.length > 5, where);
        assert.equal(inside.map((field) => field.hex).join(""), expected.hex, where);
        continue;
      }
      const found = fields.find((f) => f.name === expected.name && f.offset === expected.offset);
      assert.ok(found, where);
      assert.equal(found.length, expected.length, where);
      assert.equal(found.hex, expected.hex, where);
      if (expected.value !== undefined) assert.equal(found.value, expected.value, where);
    }
  }
  countVectors("packets.json: fields", count);
});

Deno.test("describePayload() accounts for every byte, in order", () => {
  const handMade = HAND_MADE.map(({ verb, payload }) => {
    const packet = new Uint8Array(HEADER_LENGTH + payload.length);
    packet[AT_VERB] = verb;
    packet.set(payload, AT_PAYLOAD);
    return packet;
  });
  for (const packet of [...packetVectors.packets.map(plainOf), ...handMade]) {
    let at = AT_PAYLOAD;
    for (const field of describePayload(packet)) {
      assert.equal(field.offset, at, field.name);
      assert.notEqual(field.name, "unreadable");
      at += field.length;
    }
    assert.equal(at, packet.length);
  }
});

Deno.test("describePayload() shows what it can of a truncated or senseless packet", () => {
  for (const v of packetVectors.packets) {
    const packet = plainOf(v);
    for (let cut = HEADER_LENGTH; cut < packet.length; cut += 1 + cut % 7) {
      const fields = describePayload(packet.subarray(0, cut));
      const bytes = fields.map((field) => field.hex).join("");
      assert.equal(bytes, toHex(packet.subarray(AT_PAYLOAD, cut)), `${v.label} cut at ${cut}`);
    }
  }
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 31 }),
      fc.uint8Array({ maxLength: 300 }),
      (verb, noise) => {
        const packet = new Uint8Array(HEADER_LENGTH + noise.length);
        packet[AT_VERB] = verb;
        packet.set(noise, AT_PAYLOAD);
        const bytes = describePayload(packet).map((field) => field.hex).join("");
        assert.equal(bytes, toHex(noise));
      },
    ),
    { numRuns: 3_000, seed: 1 },
  );
});

Deno.test("describeHeader() names the 28 bytes", () => {
  const v = packetVectors.packets.find((packet) => packet.label === "frame-fragmented-aes")!;
  const fields = describeHeader(fromHex(v.plaintext));
  assert.deepEqual(fields.map(({ name, offset, value }) => [name, offset, value]), [
    ["packetId", 0, v.packetId],
    ["destination", 8, packetVectors.identities[v.to].address],
    ["source", 13, packetVectors.identities[v.from].address],
    ["flags", 18, "cipher 3, fragmented, hops 0"],
    ["mac", 19, undefined],
    ["verb", 27, "FRAME"],
  ]);
});
