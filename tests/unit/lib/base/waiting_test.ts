import assert from "node:assert/strict";
import { Waiting } from "../../../../lib/base/waiting.ts";

const LIMITS = { perKeyMax: 2, keysMax: 2, lifeMs: 100 };

Deno.test("Waiting.push() lets one key push out its own oldest, and nobody else's", () => {
  const waiting = new Waiting<string, number>(LIMITS);
  assert.ok(waiting.push("quiet", 1, 0));
  assert.deepEqual([1, 2, 3].map((item) => waiting.push("loud", item, 0)), [true, true, false]);
  assert.deepEqual(waiting.take("loud", 0), [2, 3]);
  assert.deepEqual(waiting.take("quiet", 0), [1]);
  assert.deepEqual(waiting.take("quiet", 0), [], "taken out");
});

Deno.test("Waiting.push() takes no more keys than it may", () => {
  const waiting = new Waiting<string, number>(LIMITS);
  const taken = ["a", "b", "c"].map((key) => waiting.push(key, 1, 0));
  assert.deepEqual(taken, [true, true, false]);
  assert.deepEqual(waiting.keys(), ["a", "b"]);
});

Deno.test("Waiting.push() makes room of what has waited too long, looking for it now and then", () => {
  const waiting = new Waiting<string, number>(LIMITS);
  const taken = ["a", "b"].map((key) => waiting.push(key, 1, 0));
  assert.deepEqual(taken, [true, true]);
  assert.equal(waiting.push("c", 1, 50), false);
  assert.equal(waiting.push("c", 1, 400), false, "it has just been looked at");
  assert.ok(waiting.push("c", 1, 550));
  assert.deepEqual(waiting.keys(), ["c"]);
});

Deno.test("Waiting.take() and expire() know what has waited too long", () => {
  const waiting = new Waiting<string, number>(LIMITS);
  waiting.push("a", 1, 0);
  waiting.push("a", 2, 50);
  waiting.push("b", 3, 0);
  waiting.expire(100);
  assert.ok(waiting.has("a") && !waiting.has("b"));
  assert.deepEqual(waiting.take("a", 149), [2]);
  waiting.push("a", 4, 0);
  assert.deepEqual(waiting.take("a", 100), []);
});
