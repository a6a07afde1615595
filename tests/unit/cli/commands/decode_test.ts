import assert from "node:assert/strict";
import { type DecodeKeys, decodePacket, renderDecoded } from "../../../../cli/commands/decode.ts";
import { fromHex } from "../../../../lib/base/bytes.ts";
import { UsageError } from "../../../../lib/base/errors.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import { PacketTwin } from "../../../../lib/kernel/twin.ts";
import { Cipher, PAYLOAD_LENGTH_MAX } from "../../../../lib/wire/packet.ts";
import { countVectors } from "../../../vectors/count.ts";
import { keysOf, type PacketVector, packetVectors } from "../../../vectors/packets.ts";

const machine = { primitives: noblePrimitives, kernel: new PacketTwin() };

function vector(label: string): PacketVector {
  return packetVectors.packets.find((v) => v.label === label)!;
}

function decode(datagrams: readonly string[], keys?: DecodeKeys) {
  return decodePacket({ datagrams: datagrams.map(fromHex), keys, ...machine });
}

function agreed(v: PacketVector): DecodeKeys {
  return { kind: "agreed", key: keysOf(v).key };
}

Deno.test("decodePacket() shows every captured packet, given the key", () => {
  for (const v of packetVectors.packets) {
    const decoded = decode(v.datagrams, agreed(v));
    assert.equal(decoded.verb, v.verb, v.label);
    assert.equal(
      decoded.authentic,
      v.cipher === Cipher.TRUSTED_PATH ? "unchecked" : "yes",
      v.label,
    );
    assert.equal(decoded.compressed, v.compressed, v.label);
    assert.equal(decoded.note, "", v.label);
    const names = decoded.fields.map((field) => field.name);
    for (const { name } of v.fields) {
      if (name !== "certificatesOfOwnership") {
        assert.ok(names.includes(name), `${v.label}: ${name}`);
      }
    }
    const text = renderDecoded(decoded);
    assert.ok(text.startsWith(`${v.verb}: ${decoded.lengthBytes} bytes in `), v.label);
    assert.ok(text.split("\n").every((line) => line.length < 200), v.label);
  }
  countVectors("packets.json: shown", packetVectors.packets.length);
});

Deno.test("decodePacket() agrees a key from a secret and a public identity, either way round", () => {
  const v = vector("frame-aes-1");
  const { from, to } = v;
  for (const [mine, theirs] of [[from, to], [to, from]]) {
    const keys: DecodeKeys = {
      kind: "identities",
      mine: Identity.parse(packetVectors.identities[mine].secret),
      theirs: Identity.parse(packetVectors.identities[theirs].public),
    };
    assert.equal(decode(v.datagrams, keys).authentic, "yes");
  }
});

Deno.test("decodePacket() without keys shows the header, and what is in the clear", () => {
  const sealed = decode(vector("frame-aes-1").datagrams);
  assert.equal(sealed.verb, "?");
  assert.equal(sealed.authentic, "unchecked");
  assert.deepEqual(sealed.fields, []);
  assert.equal(sealed.header.length, 5, "the verb is encrypted");
  assert.match(sealed.note, /give the keys/);
  const hello = decode(vector("hello-leaf-to-root").datagrams);
  assert.equal(hello.verb, "HELLO");
  assert.match(hello.note, /tail encrypted/);
  assert.equal(hello.fields.at(-1)?.name, "planetTimestamp");
  assert.equal(decode(vector("frame-trusted-path").datagrams).verb, "FRAME");
});

Deno.test("decodePacket() says when the keys do not fit", () => {
  const keys: DecodeKeys = { kind: "agreed", key: new Uint8Array(48) };
  const sealed = decode(vector("frame-salsa-relayed").datagrams, keys);
  assert.equal(sealed.authentic, "no");
  assert.deepEqual(sealed.fields, []);
  const hello = decode(vector("hello-leaf-to-root").datagrams, keys);
  assert.equal(hello.authentic, "no");
  assert.equal(hello.fields.at(-1)?.name, "planetTimestamp");
});

Deno.test("decodePacket() recognises the beacon", () => {
  const beacon = packetVectors.other.find((v) => v.label === "legacy-beacon")!;
  const decoded = decode([beacon.datagram]);
  assert.equal(decoded.verb, "beacon");
  assert.equal(decoded.fields[1].value, "db0b67d210");
});

Deno.test("decodePacket() refuses what is not one packet, in one line", () => {
  const [head, fragment] = vector("frame-fragmented-aes").datagrams;
  const refused: [datagrams: string[], message: RegExp][] = [
    [[], /no datagram/],
    [["00"], /1 bytes is not a packet/],
    [["00".repeat(PAYLOAD_LENGTH_MAX + 100)], /longer than any packet/],
    [[head], /without its fragments/],
    [[fragment], /not one whole packet/],
    [[head, head], /not one whole packet/],
  ];
  for (const [datagrams, message] of refused) {
    assert.throws(() => decode(datagrams), (error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, message);
      return true;
    });
  }
  const v = vector("frame-aes-1");
  assert.throws(() => decode(v.datagrams, { kind: "agreed", key: new Uint8Array(32) }), UsageError);
  const keyless = Identity.parse(packetVectors.identities.a.public);
  const keys: DecodeKeys = { kind: "identities", mine: keyless, theirs: keyless };
  assert.throws(() => decode(v.datagrams, keys), UsageError);
});

Deno.test("renderDecoded() prints dictionaries line by line", () => {
  const v = vector("network-config-request-first");
  const text = renderDecoded(decode(v.datagrams, agreed(v)));
  assert.match(text, /^ +v=0000000000000007$/m);
  assert.match(text, /^ +o=linux\/x86_64$/m);
  assert.match(text, /^ +36 +2 +metaDataLength +263$/m);
});
