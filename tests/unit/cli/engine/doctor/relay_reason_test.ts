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
  ports: null,
};
const SYMMETRIC = "; our own NAT uses another port for each destination";
/** Ports of which nothing is known yet. */
const PORTS = { opened: null, tried: null, isHopeless: false, lastMs: null, nextMs: null };

Deno.test("relayReason() names the first cause, and when it is tried again", () => {
  const cases: [Partial<RelayFacts>, string, number | null][] = [
    [{}, "no address of it is known yet", 1_000],
    [{ isUdpForbidden: true }, "forceTcpRelay is set: UDP is not used", null],
    [
      { hasIpv4: false },
      "no UDP socket is open: this machine has no address, or local.conf allows none",
      null,
    ],
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

Deno.test("relayReason() tells what is done about ports, what was, and that nothing can be", () => {
  const about = (ports: Partial<typeof PORTS> | Record<string, unknown>) =>
    relayReason({ ...PLAIN, nat: "symmetric", ports: { ...PORTS, ...ports } });
  const between = "a NAT between uses another port for each destination: ";
  assert.deepEqual(about({ opened: [120, 256], lastMs: 2_000, nextMs: 598_000 }), {
    text: `${between}opening ports of ours for it (120 of 256)`,
    nextTryMs: 0,
  });
  assert.equal(
    about({ opened: [256, 256], tried: [3, 768] }).text,
    `${between}opening ports of ours for it (256 of 256), trying ports of its NAT (3 of 768)`,
  );
  assert.deepEqual(about({ isHopeless: true }), {
    text: "both NATs use another port for each destination, so neither can be told where to send",
    nextTryMs: null,
  });
  assert.equal(
    about({ lastMs: 180_000, nextMs: 420_000 }).text,
    `no address of it is known yet${SYMMETRIC}; ports were opened or tried 3 min ago and may be again in 7 min`,
  );
  assert.equal(about({}).text, `no address of it is known yet${SYMMETRIC}`);
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
  assert.deepEqual(relayReason({ ...root, listed: ["44.0.0.1/9993"], hasIpv4: false }), {
    text: "no UDP socket is open: this machine has no address, or local.conf allows none",
    nextTryMs: null,
  });
  assert.deepEqual(relayReason({ ...root, listed: ["2a00::1/9993", "44.0.0.1/9993"] }), {
    text: "this root does not answer at 2a00::1/9993, 44.0.0.1/9993",
    nextTryMs: 5_000,
  });
});
