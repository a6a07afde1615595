import assert from "node:assert/strict";
import { endpointKey, Path, Paths } from "../../../../lib/peer/path.ts";
import { endpoint } from "../node/harness.ts";

Deno.test("endpointKey() differs for different endpoints", () => {
  const texts = ["44.0.0.1/1", "44.0.0.1/2", "44.0.0.2/1", "2600::1/1", "2600::1/2", "2600::2/1"];
  const keys = new Set(texts.map((text) => endpointKey(endpoint(text))));
  assert.equal(keys.size, texts.length);
  assert.equal(endpointKey(endpoint("44.0.0.1/1")), endpointKey(endpoint("44.0.0.1/1")));
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
