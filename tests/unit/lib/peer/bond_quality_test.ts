import assert from "node:assert/strict";
import { DEFAULT_LIMITS } from "../../../../lib/peer/bond_policy.ts";
import {
  capacityShares,
  LatencyWindow,
  QosLedger,
  relativeQualities,
  violates,
} from "../../../../lib/peer/bond_quality.ts";

const path = (latencyMs: number, jitterMs = 0, capacity = 0) => ({ latencyMs, jitterMs, capacity });
const close = (value: number, wanted: number) =>
  assert.ok(Math.abs(value - wanted) < 1e-9, `${value}, not ${wanted}`);

Deno.test("LatencyWindow says nothing of fewer than four samples, then mean and deviation of the last 64", () => {
  const window = new LatencyWindow();
  for (const sample of [10, 20, 30]) window.add(sample);
  assert.deepEqual([window.meanMs, window.deviationMs], [0, 0]);
  window.add(40);
  close(window.meanMs, 25);
  close(window.deviationMs, Math.sqrt(125));
  for (let i = 0; i < 64; i++) window.add(7);
  assert.deepEqual([window.meanMs, window.deviationMs], [7, 0]);
});

Deno.test("QosLedger tells of every packet of odd id once, with the time it was held", () => {
  const ledger = new QosLedger();
  ledger.noteReceived(2n, 100);
  ledger.noteReceived(3n, 100);
  ledger.noteReceived(5n, 130);
  assert.equal(ledger.waiting, 2);
  assert.deepEqual(ledger.take(150), [
    { packetId: 3n, holdingTimeMs: 50 },
    { packetId: 5n, holdingTimeMs: 20 },
  ]);
  assert.deepEqual(ledger.take(150), []);
});

Deno.test("QosLedger measures half of what is left of the round trip, of packets it knows only", () => {
  const ledger = new QosLedger();
  ledger.noteSent(7n, 1_000);
  ledger.noteSent(8n, 1_000);
  ledger.noteSent(9n, 1_000);
  const records = [[7n, 60], [8n, 0], [11n, 0], [9n, 500]] as const;
  const told = records.map(([packetId, holdingTimeMs]) => ({ packetId, holdingTimeMs }));
  assert.deepEqual(ledger.measure(told, 1_100), [20]);
  assert.deepEqual(ledger.measure(told, 1_100), [], "each once");
});

Deno.test("QosLedger holds 420 packets, tells of 140 at a time and forgets old ones", () => {
  const ledger = new QosLedger();
  for (let id = 1n; id < 1_001n; id += 2n) ledger.noteReceived(id, Number(id));
  assert.equal(ledger.waiting, 420);
  assert.equal(ledger.take(2_000).length, 140);
  ledger.expire(801);
  assert.equal(ledger.waiting, 420 - 400);
});

Deno.test("relativeQualities() is exp(-4 x) of each figure, by the best, weighted, times capacity, in all 1", () => {
  const [good, bad] = relativeQualities([path(0), path(500)], DEFAULT_LIMITS);
  close(good + bad, 1);
  // Latency counts exp(-4) of the best's, the other three weights in full.
  close(bad / good, 0.75 + 0.25 * Math.exp(-4));
  const [one, other] = relativeQualities([path(10, 5, 300), path(10, 5, 100)], DEFAULT_LIMITS);
  close(one / other, 3);
});

Deno.test("capacityShares() takes all for alike when one capacity is not known", () => {
  assert.deepEqual(capacityShares([{ capacity: 3 }, { capacity: 1 }]), [0.75, 0.25]);
  assert.deepEqual(capacityShares([{ capacity: 3 }, { capacity: 0 }]), [0.5, 0.5]);
});

Deno.test("violates() looks at latency and jitter", () => {
  assert.equal(violates(path(500, 100), DEFAULT_LIMITS), false);
  assert.equal(violates(path(501), DEFAULT_LIMITS), true);
  assert.equal(violates(path(1, 101), DEFAULT_LIMITS), true);
});
