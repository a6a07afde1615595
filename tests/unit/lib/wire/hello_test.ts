import assert from "node:assert/strict";
import { concat, fromHex, Writer } from "../../../../lib/base/bytes.ts";
import { WireError } from "../../../../lib/base/errors.ts";
import { formatEndpoint, parseEndpoint } from "../../../../lib/base/ip.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import {
  decodeHello,
  decodeHelloTail,
  decodeOkHello,
  decodeWorlds,
  encodeHello,
  encodeOkHello,
  type Hello,
} from "../../../../lib/wire/hello.ts";
import { packetVectors } from "../../../vectors/packets.ts";

const hello: Hello = {
  version: { protocol: 12, major: 1, minor: 14, revision: 1 },
  timestampMs: 1_795_355_169_205,
  identity: Identity.parse(packetVectors.identities.a.public),
  sentTo: parseEndpoint("10.77.0.1/9993"),
  planet: { id: 0x1122334455n, timestampMs: 1_700_000_000_000 },
};
const moons = [{ id: 7n, timestampMs: 1 }, { id: 8n, timestampMs: 0 }];

function encoded(value: Hello = hello): { bytes: Uint8Array; tailAt: number } {
  const w = new Writer();
  const tailAt = encodeHello(value, moons, w);
  return { bytes: w.finish(), tailAt };
}

Deno.test("encodeHello() says where the tail begins, whatever was written before", () => {
  const { bytes, tailAt } = encoded();
  assert.equal(tailAt, 107);
  assert.equal(encoded({ ...hello, sentTo: undefined }).tailAt, 101);
  assert.equal(encoded({ ...hello, sentTo: parseEndpoint("2001:db8::1/9993") }).tailAt, 119);
  const w = new Writer().raw(new Uint8Array(28));
  assert.equal(encodeHello(hello, moons, w), tailAt);
  assert.equal(decodeHello(bytes).tailAt, tailAt);
});

Deno.test("decodeHello() lets old versions leave out the address, the planet and the tail", () => {
  const { bytes, tailAt } = encoded();
  const fixed = decodeHello(bytes.subarray(0, 84));
  assert.equal(fixed.sentTo, undefined);
  assert.deepEqual(fixed.planet, { id: 0n, timestampMs: 0 });
  assert.equal(fixed.tailAt, undefined);
  const addressed = decodeHello(bytes.subarray(0, 91 + 15));
  assert.equal(formatEndpoint(addressed.sentTo!), "10.77.0.1/9993");
  assert.equal(addressed.planet.id, 0n);
  assert.equal(addressed.tailAt, undefined);
  const planet = decodeHello(bytes.subarray(0, tailAt));
  assert.deepEqual(planet.planet, hello.planet);
  assert.equal(planet.tailAt, undefined);
  assert.equal(decodeHello(bytes.subarray(0, tailAt + 1)).tailAt, tailAt);
});

Deno.test("decodeHello() drops a secret that was sent by mistake", () => {
  const w = new Writer();
  w.u8(12).u8(1).u8(14).u16(1).time(0);
  Identity.parse(packetVectors.identities.a.secret).encodeSecret(w);
  assert.equal(decodeHello(w.finish()).identity.secretKey, undefined);
});

Deno.test("decodeHello() refuses a physical address of unknown type", () => {
  const { bytes } = encoded();
  bytes[84] = 5;
  assert.throws(() => decodeHello(bytes), WireError);
});

Deno.test("decodeHelloTail() skips worlds that are not moons, and takes no tail for no moons", () => {
  const { bytes, tailAt } = encoded();
  const tail = bytes.slice(tailAt);
  assert.deepEqual(decodeHelloTail(tail), moons);
  tail[2] = 1;
  assert.deepEqual(decodeHelloTail(tail), moons.slice(1));
  assert.deepEqual(decodeHelloTail(new Uint8Array(0)), []);
  assert.deepEqual(decodeHelloTail(new Uint8Array(1)), []);
  assert.throws(() => decodeHelloTail(tail.subarray(0, -1)), WireError);
  assert.deepEqual(decodeHelloTail(concat(tail, fromHex("abcd"))), moons.slice(1), "later bytes");
});

Deno.test("decodeOkHello() leaves worlds unread, and lets address and worlds be absent", () => {
  const w = new Writer();
  const worlds = fromHex("ff".repeat(10));
  const { version, sentTo } = hello;
  encodeOkHello({ timestampMs: 5, version, surface: sentTo, worlds }, w);
  const bytes = w.finish();
  const ok = decodeOkHello(bytes);
  assert.deepEqual(ok.worlds, worlds);
  assert.throws(() => decodeWorlds(ok.worlds), WireError);
  assert.equal(decodeOkHello(bytes.subarray(0, 13)).surface, undefined);
  assert.equal(decodeOkHello(bytes.subarray(0, 20)).worlds.length, 0);
  assert.throws(() => decodeOkHello(bytes.subarray(0, -1)), WireError);
});

Deno.test("decodeWorlds() reads planets and moons in a row", () => {
  const { older, newer } = packetVectors.planets;
  const worlds = decodeWorlds(fromHex(older + newer));
  assert.deepEqual(worlds.map(({ timestamp }) => Number(timestamp)), [
    1_700_000_000_000,
    1_700_000_001_000,
  ]);
  assert.deepEqual(decodeWorlds(new Uint8Array(0)), []);
});
