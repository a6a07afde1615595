import assert from "node:assert/strict";
import {
  ENGAGE_AGAIN_MS,
  ENGAGE_MS,
  Engagement,
  LINGER_MS,
  SILENT_MS,
  type Situation,
} from "../../../../../cli/engine/tcp/engagement.ts";

const middle = (bytes: Uint8Array) => void bytes.fill(128); // scattering that changes nothing
const START: Situation = {
  nowMs: 1_000,
  allowed: true,
  forced: false,
  udp: false,
  tunnel: "none",
  tunnelAnswers: false,
};

/** Decides at a time after the start. */
function at(engagement: Engagement, ms: number, change: Partial<Situation> = {}) {
  return engagement.decide({ ...START, nowMs: START.nowMs + ms, ...change });
}

Deno.test("Engagement dials a second after the start when no root answers by UDP", () => {
  const engagement = new Engagement(middle);
  assert.equal(at(engagement, 0), undefined);
  assert.equal(engagement.nextMs, START.nowMs + ENGAGE_MS);
  assert.equal(at(engagement, ENGAGE_MS - 1), undefined);
  assert.equal(at(engagement, ENGAGE_MS), "dial");
  assert.ok(ENGAGE_MS <= 5_000, "the issue's bound");
});

Deno.test("Engagement never dials while UDP works, and sooner when it worked before", () => {
  const engagement = new Engagement(middle);
  at(engagement, 0);
  assert.equal(at(engagement, 999, { udp: true }), undefined);
  assert.equal(engagement.nextMs, Infinity);
  assert.equal(at(engagement, 60_000, { udp: true }), undefined);
  assert.equal(at(engagement, 60_001), undefined);
  assert.equal(at(engagement, 60_000 + ENGAGE_AGAIN_MS), undefined);
  assert.equal(at(engagement, 60_001 + ENGAGE_AGAIN_MS), "dial");
  assert.ok(ENGAGE_AGAIN_MS <= ENGAGE_MS / 2, "two probes of each path went unanswered by then");
});

Deno.test("Engagement dials at once and for good when TCP is forced", () => {
  const engagement = new Engagement(middle);
  assert.equal(at(engagement, 0, { forced: true }), "dial");
  const up = { forced: true, udp: true, tunnel: "up", tunnelAnswers: true } as const;
  assert.equal(at(engagement, 1_000, up), undefined);
  assert.equal(at(engagement, 100_000, up), undefined);
});

Deno.test("Engagement does nothing where it is not allowed, and ends what there is", () => {
  const engagement = new Engagement(middle);
  assert.equal(at(engagement, 0, { allowed: false }), undefined);
  assert.equal(at(engagement, 10_000, { allowed: false }), undefined);
  assert.equal(at(engagement, 10_000, { allowed: false, tunnel: "up" }), "hang-up");
  assert.equal(at(engagement, 10_001), undefined, "and waits from anew when it is allowed again");
});

Deno.test("Engagement ends a tunnel when UDP has worked for a moment, an attempt at once", () => {
  const engagement = new Engagement(middle);
  const up = { udp: true, tunnel: "up", tunnelAnswers: true } as const;
  assert.equal(at(engagement, 0, up), undefined);
  assert.equal(engagement.nextMs, START.nowMs + LINGER_MS);
  assert.equal(at(engagement, 1_000, { ...up, udp: false }), undefined, "it was a flicker");
  assert.equal(at(engagement, LINGER_MS, up), undefined);
  assert.equal(at(engagement, 2 * LINGER_MS, up), "hang-up");
  assert.equal(at(engagement, 0, { udp: true, tunnel: "dialing" }), "hang-up");
});

Deno.test("Engagement gives up a tunnel over which no root answers, not at the first doubt", () => {
  const engagement = new Engagement(middle);
  assert.equal(at(engagement, 0, { tunnel: "up", tunnelAnswers: true }), undefined);
  assert.equal(at(engagement, 5_000, { tunnel: "up" }), undefined);
  assert.equal(at(engagement, 6_000, { tunnel: "up", tunnelAnswers: true }), undefined);
  assert.equal(at(engagement, 7_000, { tunnel: "up" }), undefined);
  assert.equal(at(engagement, 7_000 + SILENT_MS, { tunnel: "up" }), "hang-up");
});

Deno.test("Engagement backs off from attempts that fail, up to a minute, and begins anew elsewhere", () => {
  const engagement = new Engagement(middle);
  at(engagement, 0);
  const waits: number[] = [];
  let ms = ENGAGE_MS;
  for (let i = 0; i < 9; i++) {
    assert.equal(at(engagement, ms), "dial");
    engagement.failed(START.nowMs + ms);
    assert.equal(at(engagement, ms), undefined);
    waits.push(engagement.nextMs - START.nowMs - ms);
    ms = engagement.nextMs - START.nowMs;
  }
  assert.deepEqual(waits.map((wait) => wait / 1_000), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
  engagement.failed(START.nowMs + ms);
  assert.equal(at(engagement, ms + 1), undefined);
  engagement.reset();
  assert.equal(at(engagement, ms + 1), "dial");
});

Deno.test("Engagement scatters its returns", () => {
  const waits = [0, 128, 255].map((byte) => {
    const engagement = new Engagement((bytes) => void bytes.fill(byte));
    engagement.failed(START.nowMs);
    at(engagement, 0, { forced: true });
    return engagement.nextMs - START.nowMs;
  });
  assert.deepEqual(waits.map((wait) => Math.round(wait)), [750, 1_000, 1_248]);
});

Deno.test("Engagement looks for another tunnel at once when one breaks, unless it lasted only a moment", () => {
  for (const [lastedMs, verdict] of [[20_000, "dial"], [2_000, undefined]] as const) {
    const engagement = new Engagement(middle);
    at(engagement, 0, { tunnel: "up", tunnelAnswers: true });
    at(engagement, lastedMs, { tunnel: "up", tunnelAnswers: true });
    engagement.broke(START.nowMs + lastedMs);
    assert.equal(at(engagement, lastedMs + 500), verdict);
  }
});
