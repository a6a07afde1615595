import assert from "node:assert/strict";
import { Expected } from "../../../../lib/node/expected.ts";
import { Verb } from "../../../../lib/wire/packet.ts";
import { ALICE, BOB } from "./harness.ts";

const question = (sentMs: number) => ({
  to: ALICE.address,
  verb: Verb.ECHO,
  sentMs,
  path: undefined,
});

Deno.test("Expected.find() knows a question by its whole id, from whom it was asked", () => {
  const expected = new Expected();
  expected.add(0x1234_5678_9abc_def0n, question(0));
  assert.ok(expected.find(0x1234_5678_9abc_def0n, ALICE.address, 10));
  assert.equal(expected.find(0x1234_5678_9abc_def0n, BOB.address, 10), undefined);
  // The reference compares the upper half only, and its blank table matches 0.
  assert.equal(expected.find(0x1234_5678_0000_0000n, ALICE.address, 10), undefined);
  assert.equal(expected.find(0n, ALICE.address, 10), undefined);
});

Deno.test("Expected.find() answers again: one question may have several answers", () => {
  const expected = new Expected();
  expected.add(1n, question(0));
  for (let i = 0; i < 3; i++) assert.ok(expected.find(1n, ALICE.address, 10));
});

Deno.test("Expected.find() forgets after 30 s", () => {
  const expected = new Expected();
  expected.add(1n, question(0));
  assert.ok(expected.find(1n, ALICE.address, 30_000));
  assert.equal(expected.find(1n, ALICE.address, 30_001), undefined);
});

Deno.test("Expected.add() holds 8192 questions, the latest", () => {
  const expected = new Expected();
  for (let id = 0n; id < 9_000n; id++) expected.add(id, question(0));
  assert.equal(expected.size, 8_192);
  assert.equal(expected.find(807n, ALICE.address, 0), undefined);
  assert.ok(expected.find(808n, ALICE.address, 0));
});

Deno.test("Expected.add() drops what is too old to be answered", () => {
  const expected = new Expected();
  for (let id = 1n; id <= 100n; id++) expected.add(id, question(0));
  expected.add(101n, question(30_000));
  assert.equal(expected.size, 101);
  expected.add(102n, question(30_001));
  assert.equal(expected.size, 2);
});

Deno.test("Expected.add() holds 2048 questions to unproven addresses, which push out no others", () => {
  const expected = new Expected();
  for (let id = 1n; id <= 100n; id++) expected.add(id, question(0));
  for (let id = 1_000n; id < 21_000n; id++) expected.add(id, question(0), true);
  assert.equal(expected.size, 100 + 2_048);
  assert.ok(expected.find(1n, ALICE.address, 0));
  assert.ok(expected.find(20_999n, ALICE.address, 0));
  assert.equal(expected.find(1_000n, ALICE.address, 0), undefined);
});
