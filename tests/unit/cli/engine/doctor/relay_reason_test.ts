import assert from "node:assert/strict";
import { type RelayFacts, relayReason } from "../../../../../cli/engine/doctor/relay_reason.ts";

/** A peer in use, of whom nothing is known, behind a good NAT. */
const PLAIN: RelayFacts = {
  isUpstream: false,
  listed: [],
  hasIpv4: true,
  hasIpv6: false,
  isUdpForbidden: false,
  through: "1111111111",
  isActive: true,
  isTrusted: true,
  suspects: [],
  probing: [],
  remembered: [],
  pushesSent: 0,
  nextGreetingMs: null,
  nextRememberedMs: null,
  nextProbeMs: null,
  nextPushMs: 1_000,
  nat: "endpoint-independent",
};
const SYMMETRIC =
  "; our own NAT uses another port for each destination, so only peers that need no hole are reached";

Deno.test("relayReason() names the first cause, and when it is tried again", () => {
  const cases: [Partial<RelayFacts>, string, number | null][] = [
    [{}, "no address of it is known yet", 1_000],
    [{ isUdpForbidden: true }, "forceTcpRelay is set: UDP is not used", null],
    [{ hasIpv4: false }, "no UDP socket is open: this machine has no usable address", null],
    [
      { through: null, nextGreetingMs: 700 },
      "no root answers, so nobody can introduce us",
      700,
    ],
    [
      { suspects: [{ address: "44.1.1.1/1", probesLost: 1 }], nextProbeMs: 400 },
      "its direct path stopped answering: 44.1.1.1/1 (1 probe unanswered)",
      400,
    ],
    [{ isActive: false }, "not in use: a direct path is looked for with the next packet", null],
    [
      { probing: ["a/1", "b/1", "c/1", "d/1", "e/1"] },
      "being introduced: probing a/1, b/1, c/1 and 2 more",
      0,
    ],
    [
      { remembered: ["44.1.1.1/1"], nextRememberedMs: 8_000, nextPushMs: 20_000 },
      "it does not answer at 44.1.1.1/1",
      8_000,
    ],
    [{ nat: "symmetric" }, `no address of it is known yet${SYMMETRIC}`, 1_000],
    [
      { isTrusted: false, nextPushMs: null },
      "it has not shown to be a member of one of our networks, so it is not told where we are",
      null,
    ],
    [
      { pushesSent: 3, nextPushMs: 31_000 },
      "it was told where we are, and does not answer from there",
      31_000,
    ],
  ];
  for (const [changes, text, nextTryMs] of cases) {
    assert.deepEqual(relayReason({ ...PLAIN, ...changes }), { text, nextTryMs });
  }
});

Deno.test("relayReason() tells of a root what keeps it from answering", () => {
  const root = { ...PLAIN, isUpstream: true, nextGreetingMs: 5_000 };
  assert.deepEqual(relayReason(root), {
    text: "this root is listed without an address",
    nextTryMs: null,
  });
  assert.deepEqual(relayReason({ ...root, listed: ["2a00::1/9993"] }), {
    text: "this root has IPv6 only, and this machine has none",
    nextTryMs: null,
  });
  assert.deepEqual(relayReason({ ...root, listed: ["2a00::1/9993", "44.0.0.1/9993"] }), {
    text: "this root does not answer at 2a00::1/9993, 44.0.0.1/9993",
    nextTryMs: 5_000,
  });
});
