import assert from "node:assert/strict";
import { fromHex, toHex, Writer } from "../../../../lib/base/bytes.ts";
import { parseAddress } from "../../../../lib/base/ids.ts";
import { PacketTwin } from "../../../../lib/kernel/twin.ts";
import { Armor } from "../../../../lib/wire/armor.ts";
import { BEACON_LENGTH, decodeBeacon, encodeBeacon } from "../../../../lib/wire/beacon.ts";
import { compress, decompress } from "../../../../lib/wire/compress.ts";
import { decodeHello } from "../../../../lib/wire/hello.ts";
import {
  AT_PAYLOAD,
  AT_VERB,
  cipherOf,
  destinationOf,
  hopsOf,
  packetId,
  PAYLOAD_LENGTH_MAX,
  sourceOf,
  VERB_COMPRESSED,
  verbName,
  verbOf,
} from "../../../../lib/wire/packet.ts";
import { countVectors } from "../../../vectors/count.ts";
import { assembled, keysOf, opened, packetVectors, payloadOf } from "../../../vectors/packets.ts";
import { HAND_MADE, roundTrip } from "./round_trips.ts";

const { packets, identities, other } = packetVectors;

Deno.test("packet headers read as the captures say", () => {
  for (const v of packets) {
    const packet = assembled(v.datagrams);
    assert.equal(packetId(packet).toString(16).padStart(16, "0"), v.packetId, v.label);
    assert.equal(cipherOf(packet), v.cipher, v.label);
    assert.equal(hopsOf(packet), v.hops, v.label);
    assert.equal(sourceOf(packet), parseAddress(identities[v.from].address), v.label);
    assert.equal(destinationOf(packet), parseAddress(identities[v.to].address), v.label);
    assert.equal(v.datagrams.length, v.fragments, v.label);
  }
  countVectors("packets.json: headers", packets.length);
});

Deno.test("a captured packet is the same before its relay but for the hops", () => {
  let count = 0;
  for (const v of packets) {
    if (!v.datagramsBeforeRelay) continue;
    const before = assembled(v.datagramsBeforeRelay);
    const after = assembled(v.datagrams);
    assert.equal(hopsOf(after), hopsOf(before) + 1, v.label);
    after[18] = before[18];
    assert.deepEqual(after, before, v.label);
    count++;
  }
  countVectors("packets.json: relayed", count);
});

Deno.test("captured packets open, expand and decrypt to the recorded bytes", () => {
  const armor = new Armor(new PacketTwin());
  for (const v of packets) {
    const packet = opened(v);
    assert.ok(packet, `${v.label} is authentic`);
    assert.equal(toHex(packet), v.plaintext, v.label);
    assert.equal((packet[AT_VERB] & VERB_COMPRESSED) !== 0, v.compressed, v.label);
    assert.equal(verbName(verbOf(packet)), v.verb, v.label);
    if (v.uncompressed) {
      const payload = decompress(packet.subarray(AT_PAYLOAD), PAYLOAD_LENGTH_MAX);
      assert.equal(toHex(payload!), v.uncompressed.slice(2 * AT_PAYLOAD), v.label);
    }
    if (v.helloDecrypted) {
      const { tailAt } = decodeHello(packet.subarray(AT_PAYLOAD));
      assert.equal(AT_PAYLOAD + tailAt!, v.cryptFieldOffset, v.label);
      armor.cryptHelloTail(packet, AT_PAYLOAD + tailAt!, keysOf(v));
      assert.equal(toHex(packet), v.helloDecrypted, v.label);
    }
  }
  countVectors("packets.json: opened", packets.length);
});

Deno.test("compress() of every captured payload comes back, and is shorter where the reference's was", () => {
  for (const v of packets) {
    const payload = payloadOf(v);
    const block = compress(payload);
    if (v.compressed) assert.ok(block, v.label);
    if (!block) continue;
    assert.ok(block.length < payload.length, v.label);
    assert.deepEqual(decompress(block, payload.length), payload, v.label);
  }
  countVectors("packets.json: compressed again", packets.length);
});

Deno.test("every codec reproduces the captured payload it decoded", () => {
  for (const v of packets) {
    const payload = payloadOf(v);
    const packet = fromHex(v.plaintext);
    assert.equal(toHex(roundTrip(verbOf(packet), payload)), toHex(payload), v.label);
  }
  countVectors("packets.json: decoded and encoded", packets.length);
});

Deno.test("every codec reproduces payloads of kinds that were not captured", () => {
  for (const { label, verb, payload } of HAND_MADE) {
    assert.equal(toHex(roundTrip(verb, payload)), toHex(payload), label);
  }
});

Deno.test("decodeBeacon() reads the beacon and nothing else that was captured beside packets", () => {
  for (const v of other) {
    const expected = v.label === "legacy-beacon" ? parseAddress("db0b67d210") : undefined;
    assert.equal(decodeBeacon(fromHex(v.datagram)), expected, v.label);
  }
  countVectors("packets.json: other", other.length);
});

Deno.test("encodeBeacon() writes the captured beacon", () => {
  const captured = fromHex(other.find((v) => v.label === "legacy-beacon")!.datagram);
  const w = new Writer(BEACON_LENGTH);
  encodeBeacon(parseAddress("db0b67d210")!, captured.subarray(0, 8), w);
  assert.deepEqual(w.finish(), captured);
});
