import assert from "node:assert/strict";
import { endpointHash, endpointKey, Path, Paths } from "../../../../lib/peer/path.ts";
import { endpoint } from "../node/harness.ts";

Deno.test("endpointKey() differs for different endpoints", () => {
  const texts = ["44.0.0.1/1", "44.0.0.1/2", "44.0.0.2/1", "2600::1/1", "2600::1/2", "2600::2/1"];
  const keys = new Set(texts.map((text) => endpointKey(endpoint(text))));
  assert.equal(keys.size, texts.length);
  assert.equal(endpointKey(endpoint("44.0.0.1/1")), endpointKey(endpoint("44.0.0.1/1")));
});

Deno.test("endpointHash() spreads neighbours over 32 bits, and otherwise with another seed", () => {
  const hashes = new Set<number>();
  const same = new Set<number>();
  for (let i = 0; i < 10_000; i++) {
    const one = { ip: Uint8Array.of(44, 0, i >> 8, i & 0xff), port: 9993 };
    hashes.add(endpointHash(one, 1));
    if (endpointHash(one, 1) % 8_192 === endpointHash(one, 2) % 8_192) same.add(i);
  }
  assert.ok(hashes.size > 9_990, `${hashes.size} of 10,000`);
  assert.ok(new Set([...hashes].map((hash) => hash % 8_192)).size > 5_000, "as by chance");
  assert.ok(same.size < 20, `${same.size} of 10,000 stay together`);
  for (const text of ["44.0.0.1/2", "2600::1/1", "2600::1/2"]) {
    assert.notEqual(endpointHash(endpoint("44.0.0.1/1"), 1), endpointHash(endpoint(text), 1));
  }
});

Deno.test("Paths.get() gives fresh paths until they are kept", () => {
  const paths = new Paths();
  const path = paths.get(1, endpoint("44.0.0.1/1"));
  assert.notEqual(paths.get(1, endpoint("44.0.0.1/1")), path);
  assert.equal(paths.size, 0, "strangers cost nothing");
  assert.ok(paths.keep(path));
  assert.ok(paths.keep(path));
  assert.equal(paths.size, 1);
  assert.equal(paths.get(1, endpoint("44.0.0.1/1")), path);
  assert.notEqual(paths.get(2, endpoint("44.0.0.1/1")), path, "another socket, another path");
});

Deno.test("Paths.collect() and dropSocket() forget, and count what they forget", () => {
  const paths = new Paths();
  for (let i = 0; i < 10; i++) paths.keep(paths.get(i % 2, endpoint(`44.0.0.${i}/1`)));
  paths.collect((path) => path.endpoint.ip[3] < 4);
  assert.equal(paths.size, 6);
  paths.dropSocket(0);
  assert.equal(paths.size, 3);
  paths.dropSocket(0);
  assert.equal(paths.size, 3);
});

Deno.test("Paths.keep() replaces another path of the same endpoint without counting it twice", () => {
  const paths = new Paths();
  paths.keep(new Path(1, endpoint("44.0.0.1/1")));
  const newer = new Path(1, endpoint("44.0.0.1/1"));
  paths.keep(newer);
  assert.equal(paths.size, 1);
  assert.equal(paths.get(1, endpoint("44.0.0.1/1")), newer);
});

Deno.test("Path.addLatency() smooths: the first sample counts fully, faster ones half, slower ones an eighth", () => {
  const path = new Path(1, endpoint("44.0.0.1/1"));
  assert.equal(path.latencyMs, undefined);
  path.addLatency(100);
  assert.equal(path.latencyMs, 100);
  path.addLatency(20);
  assert.equal(path.latencyMs, 60);
  path.addLatency(140);
  assert.equal(path.latencyMs, 70);
});

Deno.test("Paths.hear() remembers an unproven source and what came from it, within bounds", () => {
  const paths = new Paths();
  const at = endpoint("44.0.0.1/1");
  const path = paths.hear(paths.get(1, at), 100);
  assert.equal(paths.hear(paths.get(1, at), 28), path);
  assert.equal(path.creditBytes, 128);
  assert.ok(!path.isProved && !paths.has(1, at) && !paths.knows(at));
  assert.equal(paths.hear(path, 1_000_000).creditBytes, 16_384);
  for (let i = 0; i < 5_000; i++) paths.hear(paths.get(1, endpoint(`45.0.0.1/${i + 1}`)), 28);
  assert.equal(paths.unprovenSize, 2_048);
  assert.notEqual(paths.get(1, at), path, "the one heard longest ago went first");
});

Deno.test("Paths.invite() lets an address we turn to ask something too, once", () => {
  const paths = new Paths();
  const at = endpoint("44.0.0.1/1");
  paths.invite(paths.get(1, at));
  paths.invite(paths.get(1, at));
  const path = paths.get(1, at);
  assert.equal(path.creditBytes, 128);
  assert.ok(paths.keep(path));
  assert.ok(path.isProved);
  assert.equal(paths.unprovenSize, 0);
});
