import assert from "node:assert/strict";
import { KeyedBudgets, SharedBudget, TokenBucket } from "../../../../lib/base/rate.ts";

Deno.test("TokenBucket lets a burst through at once, then the steady rate", () => {
  const bucket = new TokenBucket(10, 3);
  assert.deepEqual([0, 0, 0, 0].map((nowMs) => bucket.take(nowMs)), [true, true, true, false]);
  assert.ok(!bucket.take(99));
  assert.ok(bucket.take(100));
  assert.equal(bucket.left(10_000), 3, "no more than the burst is saved");
});

Deno.test("SharedBudget leaves others what one may not have, and bounds all", () => {
  const limits = { perSecond: 1, burst: 2 };
  const budget = new SharedBudget<string>({
    all: { perSecond: 1, burst: 3 },
    each: limits,
    keysMax: 8,
  });
  assert.deepEqual(["a", "a", "a", "b", "c"].map((key) => budget.take(key, 0)), [
    true,
    true,
    false,
    true,
    false,
  ]);
});

Deno.test("KeyedBudgets gives each key its own, and forgets the key seen first", () => {
  const budgets = new KeyedBudgets<string>({ perSecond: 1, burst: 1 }, 2);
  assert.ok(budgets.of("a").take(0));
  assert.ok(!budgets.of("a").take(0));
  assert.ok(budgets.of("b").take(0), "another's share");
  assert.ok(budgets.of("c").take(0));
  assert.ok(!budgets.of("b").take(0), "kept: it came later");
  assert.ok(budgets.of("a").take(0), "forgotten when c came");
});

Deno.test("SharedBudget.give() gives a key its own back, and everybody theirs", () => {
  const limits = { perSecond: 1, burst: 2 };
  const budget = new SharedBudget<string>({ all: limits, each: limits, keysMax: 4 });
  for (let i = 0; i < 10; i++) {
    assert.ok(budget.take("a", 0));
    budget.give("a");
  }
  assert.ok(budget.take("a", 0) && budget.take("b", 0));
  assert.ok(!budget.take("b", 0), "all of it is spent");
});
