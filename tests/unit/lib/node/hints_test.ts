import assert from "node:assert/strict";
import { formatEndpoint } from "../../../../lib/base/ip.ts";
import { Hints } from "../../../../lib/node/hints.ts";
import { ALICE, BOB, endpoint } from "./harness.ts";

Deno.test("Hints.add() remembers eight addresses, the latest first, each once", () => {
  const hints = new Hints();
  for (let i = 0; i < 12; i++) hints.add(BOB.address, [endpoint(`44.0.0.${i}/1`)], 0);
  hints.add(BOB.address, ["44.0.0.9/1", "44.0.0.7/1", "44.0.0.9/1"].map(endpoint), 0);
  assert.deepEqual(
    hints.of(BOB.address).map(formatEndpoint),
    [9, 7, 11, 10, 8, 6, 5, 4].map((i) => `44.0.0.${i}/1`),
  );
  assert.deepEqual(hints.of(ALICE.address), []);
});

Deno.test("Hints.take() gives what is to be tried, ever more rarely, and at once when more is known", () => {
  const hints = new Hints();
  hints.add(BOB.address, [], 100);
  assert.equal(hints.dueMs(BOB.address), Infinity);
  hints.add(BOB.address, [endpoint("44.0.0.4/1")], 100);
  const delays: number[] = [];
  for (let i = 0; i < 9; i++) {
    const nowMs = hints.dueMs(BOB.address);
    assert.equal(hints.take(BOB.address, nowMs).length, 1);
    assert.deepEqual(hints.take(BOB.address, nowMs), []);
    delays.push(hints.dueMs(BOB.address) - nowMs);
  }
  const seconds = [1, 2, 4, 8, 16, 32, 60, 60, 60];
  assert.deepEqual(delays, seconds.map((delay) => delay * 1_000));
  const nowMs = hints.dueMs(BOB.address) - 1;
  hints.add(BOB.address, [endpoint("44.0.0.4/2")], nowMs);
  assert.equal(hints.take(BOB.address, nowMs).length, 2);
  hints.forget(BOB.address);
  assert.deepEqual(hints.take(BOB.address, nowMs + 100_000), []);
});

Deno.test("Hints.configure() names addresses that outlast what is remembered, until it names others", () => {
  const hints = new Hints();
  const shown = () => hints.of(BOB.address).map(formatEndpoint);
  const [lan, static1, static2] = ["10.0.0.4/1", "44.0.0.4/1", "44.0.0.4/2"].map(endpoint);
  hints.configure(new Map([[BOB.address, [static1]]]), 0);
  assert.equal(hints.dueMs(BOB.address), 0);
  assert.deepEqual(hints.take(BOB.address, 100), [static1]);
  assert.deepEqual(hints.take(BOB.address, 100), []);
  hints.forget(BOB.address); // found there
  hints.add(BOB.address, [lan], 50_000); // moved to a LAN meanwhile, and was lost there
  assert.deepEqual(hints.take(BOB.address, 50_000), [lan, static1]);
  hints.configure(new Map([[BOB.address, [static1]]]), 50_100);
  assert.deepEqual(hints.take(BOB.address, 50_100), [], "nothing new");
  hints.configure(new Map([[BOB.address, [static1, static2]]]), 50_200);
  assert.deepEqual(hints.take(BOB.address, 50_200), [lan, static1, static2]);
  hints.configure(new Map(), 50_300);
  assert.deepEqual(shown(), ["10.0.0.4/1"]);
  hints.forget(BOB.address);
  hints.configure(new Map([[BOB.address, [static1]]]), 50_400);
  assert.deepEqual(hints.take(BOB.address, 50_400), [static1]);
  hints.configure(new Map(), 50_500);
  assert.equal(hints.dueMs(BOB.address), Infinity, "nothing is left to try, for ever and ever");
});
