import assert from "node:assert/strict";
import { concat, fromHex, Reader, toHex, Writer } from "../../../../lib/base/bytes.ts";
import { WireError } from "../../../../lib/base/errors.ts";
import {
  decodeEndpoint,
  encodeEndpoint,
  formatEndpoint,
  parseEndpoint,
} from "../../../../lib/base/ip.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { defaultPlanet, defaultPlanetBytes } from "../../../../lib/identity/default_planet.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import { locallyValidate } from "../../../../lib/identity/work.ts";
import {
  decodeWorld,
  EARTH_ID,
  replaces,
  signedMessage,
  signWorld,
  verifyWorld,
  type World,
  worldBytes,
} from "../../../../lib/identity/world.ts";
import { WorkKernel } from "../../../../lib/kernel/mod.ts";
import { countVectors } from "../../../vectors/count.ts";
import { loadVectors } from "../../../vectors/load.ts";

interface ParsedWorld {
  type: number;
  id: string;
  timestamp: number;
  updates_must_be_signed_by: string;
  signature: string;
  roots: { identity: string; locally_valid: boolean; stable_endpoints: string[] }[];
}
interface WorldVectors {
  default_planet: {
    hex: string;
    length: number;
    parsed: ParsedWorld;
    signed_bytes: string;
    self_verifies: boolean;
  };
  keys: Record<string, { public: string; secret: string }>;
  worlds: {
    name: string;
    signed_with: string;
    hex: string;
    signed_bytes: string;
    parsed: ParsedWorld;
  }[];
  updates: { current: string; update: string; accepted: boolean }[];
  parse: {
    name: string;
    hex: string;
    ok: boolean;
    consumed?: number;
    type?: number;
    may_reject?: boolean;
  }[];
  inet_address_encode: { input: string; text: string; hex: string }[];
  inet_address_decode: { hex: string; ok: boolean; consumed?: number; text?: string }[];
}
const vectors = loadVectors<WorldVectors>("world.json");
const kernel = new WorkKernel(noblePrimitives.sha512);
const validity = new Map<string, boolean>(); // a few identities stand in many worlds

function decode(hex: string): World {
  return decodeWorld(new Reader(fromHex(hex), "world"));
}

function isValid(identity: Identity): boolean {
  const text = identity.format();
  const known = validity.get(text) ?? locallyValidate(identity, (key) => kernel.work(key));
  validity.set(text, known);
  return known;
}

function checkParsed(world: World, parsed: ParsedWorld): void {
  assert.equal(world.type, parsed.type);
  assert.equal(world.id, BigInt(`0x${parsed.id}`));
  assert.equal(world.timestamp, BigInt(parsed.timestamp));
  assert.equal(toHex(world.updatesMustBeSignedBy), parsed.updates_must_be_signed_by);
  assert.equal(toHex(world.signature), parsed.signature);
  assert.equal(world.roots.length, parsed.roots.length);
  for (const [i, root] of world.roots.entries()) {
    const expected = parsed.roots[i];
    assert.equal(root.identity.format(), expected.identity);
    assert.equal(isValid(root.identity), expected.locally_valid);
    const endpoints = root.endpoints.map((endpoint) => endpoint ? formatEndpoint(endpoint) : "");
    assert.deepEqual(endpoints, expected.stable_endpoints);
  }
}

Deno.test("defaultPlanet() is Earth as recorded, signed by its own key as recorded", () => {
  const v = vectors.default_planet;
  const bytes = defaultPlanetBytes();
  assert.equal(bytes.length, v.length);
  assert.equal(toHex(bytes), v.hex);
  const planet = defaultPlanet();
  assert.equal(planet.id, EARTH_ID);
  checkParsed(planet, v.parsed);
  assert.equal(toHex(signedMessage(planet)), v.signed_bytes);
  const verifies = verifyWorld(noblePrimitives, planet.updatesMustBeSignedBy, planet);
  assert.equal(verifies, v.self_verifies);
  assert.deepEqual(worldBytes(planet), bytes);
  countVectors("world.json: default_planet", 1);
});

Deno.test("decodeWorld(), worldBytes() and signWorld() give every recorded world", () => {
  for (const v of vectors.worlds) {
    const world = decode(v.hex);
    checkParsed(world, v.parsed);
    assert.equal(toHex(worldBytes(world)), v.hex);
    assert.equal(toHex(signedMessage(world)), v.signed_bytes);
    const key = vectors.keys[v.signed_with];
    const intact = verifyWorld(noblePrimitives, fromHex(key.public), world);
    const altered = /altered|flipped/.test(v.name);
    assert.equal(intact, !altered, v.name);
    if (intact) {
      const signed = signWorld(noblePrimitives, { secretKey: fromHex(key.secret) }, world);
      assert.equal(toHex(worldBytes(signed)), v.hex);
    }
  }
  countVectors("world.json: worlds", vectors.worlds.length);
});

Deno.test("replaces() accepts and refuses as recorded", () => {
  const worlds = new Map(vectors.worlds.map((v) => [v.name, decode(v.hex)]));
  for (const v of vectors.updates) {
    const [current, update] = [worlds.get(v.current)!, worlds.get(v.update)!];
    const label = `${v.current} <- ${v.update}`;
    assert.equal(replaces(current, update, noblePrimitives), v.accepted, label);
  }
  countVectors("world.json: updates", vectors.updates.length);
});

Deno.test("replaces() compares timestamps as unsigned 64-bit numbers", () => {
  const key = vectors.keys.A;
  const [planet] = vectors.worlds.map((v) => decode(v.hex));
  const signed = (timestamp: bigint) =>
    signWorld(noblePrimitives, { secretKey: fromHex(key.secret) }, { ...planet, timestamp });
  const [middle, last] = [signed(1n << 63n), signed((1n << 64n) - 1n)];
  assert.equal(replaces(planet, middle, noblePrimitives), true);
  assert.equal(replaces(middle, last, noblePrimitives), true);
  assert.equal(replaces(last, middle, noblePrimitives), false);
  const again = decode(toHex(worldBytes(last)));
  assert.equal(again.timestamp, (1n << 64n) - 1n);
});

Deno.test("decodeWorld() consumes and refuses as recorded", () => {
  for (const v of vectors.parse) {
    const r = new Reader(fromHex(v.hex), v.name);
    if (!v.ok || v.may_reject) {
      assert.throws(() => decodeWorld(r), WireError, v.name);
      continue;
    }
    assert.equal(decodeWorld(r).type, v.type);
    assert.equal(r.at, v.consumed);
  }
  countVectors("world.json: parse", vectors.parse.length);
});

Deno.test("decodeWorld() rejects every truncation", () => {
  const moon = vectors.worlds.find(({ name }) => name === "moon v2")!;
  const whole = fromHex(moon.hex);
  for (let length = 0; length < whole.length; length++) {
    const r = new Reader(whole.slice(0, length), "world");
    assert.throws(() => decodeWorld(r), WireError, `${length} bytes`);
  }
});

Deno.test("decodeWorld() drops a secret that somebody put into a world", () => {
  const world = decode(vectors.worlds[0].hex);
  const secret = new Writer();
  const { address, publicKey } = world.roots[0].identity;
  new Identity({ address, publicKey, secretKey: new Uint8Array(64) }).encodeSecret(secret);
  const bytes = fromHex(vectors.worlds[0].hex);
  const careless = concat(bytes.slice(0, 178), secret.finish(), bytes.slice(178 + 71));
  assert.equal(toHex(worldBytes(decode(toHex(careless)))), vectors.worlds[0].hex);
});

Deno.test("signWorld() refuses what nobody would accept", () => {
  const world = decode(vectors.worlds[0].hex);
  const key = { secretKey: fromHex(vectors.keys.A.secret) };
  const [root] = world.roots;
  const roots = [root, root, root, root, root];
  assert.throws(() => signWorld(noblePrimitives, key, { ...world, roots }), RangeError);
  const endpoints = Array.from({ length: 33 }, () => root.endpoints[0]);
  const crowded = { ...world, roots: [{ ...root, endpoints }] };
  assert.throws(() => signWorld(noblePrimitives, key, crowded), RangeError);
});

Deno.test("encodeEndpoint() and decodeEndpoint() agree with the reference", () => {
  for (const v of vectors.inet_address_encode) {
    const endpoint = v.input === "" ? undefined : parseEndpoint(v.input);
    const w = new Writer();
    encodeEndpoint(w, endpoint);
    assert.equal(toHex(w.finish()), v.hex);
    assert.equal(endpoint ? formatEndpoint(endpoint) : "", v.text);
  }
  for (const v of vectors.inet_address_decode) {
    const r = new Reader(fromHex(v.hex), "endpoint");
    if (!v.ok) {
      assert.throws(() => decodeEndpoint(r), WireError, v.hex);
      continue;
    }
    const endpoint = decodeEndpoint(r);
    assert.equal(endpoint ? formatEndpoint(endpoint) : "", v.text);
    assert.equal(r.at, v.consumed);
  }
  const count = vectors.inet_address_encode.length + vectors.inet_address_decode.length;
  countVectors("world.json: inet_address", count);
});
