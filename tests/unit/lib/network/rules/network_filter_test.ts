import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { type Address, type Mac, parseNetworkId } from "../../../../../lib/base/ids.ts";
import { WireError } from "../../../../../lib/base/errors.ts";
import { decodeRules, type Rule, RuleType } from "../../../../../lib/credential/rule_codec.ts";
import { rfc4193, sixPlane } from "../../../../../lib/base/ip.ts";
import { decide, type FrameCopy } from "../../../../../lib/network/rules/decision.ts";
import { type Frame, integerAt } from "../../../../../lib/network/rules/headers.ts";
import {
  type LocalMember,
  NO_CREDENTIALS,
  type RemoteMember,
  validCredentials,
} from "../../../../../lib/network/rules/member.ts";
import { NetworkFilter } from "../../../../../lib/network/rules/network_filter.ts";
import { Verdict } from "../../../../../lib/network/rules/verdict.ts";
import { countVectors } from "../../../../vectors/count.ts";
import { checkDecision, filterCases } from "./cases.ts";
import {
  anyFrame,
  anyOwnership,
  anyRules,
  anyTags,
  OTHER,
  repetitiveRules,
  SELF,
  words,
} from "./generators.ts";

interface Question {
  readonly local: LocalMember;
  readonly remote: RemoteMember;
  readonly other: Address;
  readonly inbound: boolean;
  readonly frame: Frame;
  readonly teeEnabled: boolean;
  readonly random: () => number;
}

/** The frame is put amid other bytes: reading outside of it must not matter. */
function ask(question: Question): { verdict: Verdict; copies: FrameCopy[] } {
  const { frame, teeEnabled } = question;
  const filter = new NetworkFilter(question.local, question.random);
  const peer = filter.peer(question.other, question.remote);
  const buffer = new Uint8Array(frame.payload.length + 200).fill(0xff);
  buffer.set(frame.payload, 100);
  filter.frame.load(buffer, 100, frame.payload.length, frame.etherType);
  filter.frame.setMacs(frame.macSource, frame.macDestination);
  const verdict = question.inbound ? filter.inbound(peer) : filter.outbound(peer, teeEnabled);
  const made = filter.copies.slice(0, filter.copyCount);
  return {
    verdict,
    copies: made.map(({ to, flags, lengthBytes }) => ({ to, flags, lengthBytes })),
  };
}

Deno.test("NetworkFilter decides every recorded case as the reference did", () => {
  for (const testCase of filterCases) {
    const { inbound, source, destination, local } = testCase;
    equal(inbound ? destination : source, local.address, testCase.name);
    const other = inbound ? source : destination;
    const { verdict, copies } = ask({ ...testCase, other, random: () => 0x8000_0000 });
    checkDecision(testCase, verdict, copies);
  }
  countVectors("rules.json: filter, compiled", filterCases.length);
});

const networkId = parseNetworkId("b52e931836000001")!;
const anyLocal: fc.Arbitrary<LocalMember> = fc.record({
  address: fc.constant(SELF),
  networkId: fc.constant(networkId),
  flags: fc.constantFrom(0, 0x4, 0x8, 0xc),
  timestampMs: fc.constant(1_000_000),
  credentialWindowMs: fc.constant(1_000),
  rules: fc.oneof(anyRules(1), anyRules(3), anyRules(12), repetitiveRules, repetitiveRules),
  tags: anyTags,
  capabilities: fc.array(fc.record({ id: fc.nat(5), rules: anyRules(6) }), { maxLength: 2 }),
  ownerships: fc.array(anyOwnership, { maxLength: 2 }),
  staticIps: fc.subarray([sixPlane(networkId, SELF), rfc4193(networkId, SELF)]),
});
const dated = {
  timestampMs: fc.constantFrom(998_999, 999_000, 1_000_000, 1_001_000, 1_001_001),
  revokedUpToMs: fc.constantFrom(undefined, undefined, 999_000, 2_000_000),
};
const anyRemote: fc.Arbitrary<RemoteMember> = fc.record({
  tags: fc.array(fc.record({ id: fc.nat(3), value: words, ...dated }), { maxLength: 3 }),
  capabilities: fc.array(fc.record({ id: fc.nat(5), rules: anyRules(6), ...dated }), {
    maxLength: 2,
  }),
  ownerships: fc.array(
    fc.tuple(anyOwnership, fc.record(dated)).map(([owned, date]) => ({ ...owned, ...date })),
    { maxLength: 2 },
  ),
});

Deno.test("NetworkFilter and decide() agree on random rules, members and frames", () => {
  const property = fc.property(
    anyLocal,
    anyRemote,
    fc.constantFrom(OTHER, OTHER, 0 as Address),
    fc.boolean(),
    fc.boolean(),
    anyFrame,
    fc.integer({ min: 0, max: 0xffff_ffff }),
    (local, remote, other, inbound, teeEnabled, frame, drawn) => {
      const random = () => drawn;
      const [source, destination] = inbound ? [other, SELF] : [SELF, other];
      const valid = validCredentials(local, remote);
      const slow = decide(
        { inbound, source, destination, frame, local, remote: valid, random },
        inbound || teeEnabled,
      );
      const fast = ask({ local, remote, other, inbound, frame, teeEnabled, random });
      deepEqual(fast, { verdict: slow.verdict, copies: slow.copies });
    },
  );
  fc.assert(property, { numRuns: 4_000, seed: 2 });
});

/** Bytes that look like rules: a type, a length near the right one, a value. */
const anyRuleBytes = fc.array(
  fc.tuple(
    fc.nat(255),
    fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 8, 14, 17, 19),
    fc.infiniteStream(fc.nat(255)),
  ),
  { maxLength: 8 },
).map((rules) =>
  Uint8Array.from(rules.flatMap(([type, length, stream]) => [type, length, ...stream.take(length)]))
);

Deno.test("NetworkFilter and decide() agree on rules made of random bytes", () => {
  const [{ local }] = filterCases;
  let decided = 0;
  const property = fc.property(anyRuleBytes, anyFrame, fc.boolean(), (bytes, frame, inbound) => {
    let rules: Rule[];
    try {
      rules = decodeRules(bytes);
    } catch (error) {
      if (error instanceof WireError) return;
      throw error;
    }
    decided++;
    const member = { ...local, rules };
    const random = () => 7;
    const [source, destination] = inbound ? [OTHER, SELF] : [SELF, OTHER];
    const on = {
      inbound,
      source,
      destination,
      frame,
      local: member,
      remote: NO_CREDENTIALS,
      random,
    };
    const slow = decide(on);
    const question = { frame, inbound, random, other: OTHER, teeEnabled: true };
    const fast = ask({ ...question, local: member, remote: NO_CREDENTIALS });
    deepEqual(fast, { verdict: slow.verdict, copies: slow.copies });
  });
  fc.assert(property, { numRuns: 2_000, seed: 7 });
  ok(decided > 400, `only ${decided} lists could be decoded`);
});

Deno.test("NetworkFilter compares tags as decide() does, as unsigned numbers", () => {
  const [{ local, frame }] = filterCases;
  const type = fc.integer({ min: RuleType.MATCH_TAGS_DIFFERENCE, max: RuleType.MATCH_TAGS_EQUAL });
  const property = fc.property(type, words, words, words, (type, own, theirs, value) => {
    const bits = { not: false, or: false };
    const rules: Rule[] = [{ ...bits, type, kind: "tag", id: 1, value }, {
      ...bits,
      type: RuleType.ACTION_ACCEPT,
      kind: "none",
    }];
    const member = { ...local, rules, tags: [{ id: 1, value: own }] };
    const tags = [{ id: 1, value: theirs, timestampMs: local.timestampMs }];
    const remote = { ...NO_CREDENTIALS, tags };
    const random = () => 0;
    const way = { inbound: true, frame, random };
    const slow = decide({ ...way, source: OTHER, destination: SELF, local: member, remote });
    const fast = ask({ ...way, other: OTHER, teeEnabled: true, local: member, remote });
    equal(fast.verdict, slow.verdict);
  });
  fc.assert(property, { numRuns: 2_000, seed: 13 });
});

/** Whether a frame to the other member passes rules that end in "accept". */
function passes(matches: readonly Rule[], frame: Frame, random = () => 0): boolean {
  const accept: Rule = { type: RuleType.ACTION_ACCEPT, not: false, or: false, kind: "none" };
  const [{ local }] = filterCases;
  const rules = [...matches, accept];
  const question = { inbound: false, other: OTHER, remote: NO_CREDENTIALS, teeEnabled: true };
  return ask({ ...question, frame, random, local: { ...local, rules } }).verdict !== Verdict.DROP;
}

const U64_MAX = 2n ** 64n - 1n;

Deno.test("NetworkFilter finds the number headers.ts finds, and neither a greater nor a smaller one", () => {
  const payload = fc.uint8Array({ minLength: 0, maxLength: 40 });
  const property = fc.property(payload, fc.nat(40), fc.nat(255), (payload, index, format) => {
    const [{ frame }] = filterCases;
    const value = integerAt(payload, index, format);
    const isWithin = (start: bigint, end: bigint) => {
      const bits = { type: RuleType.INTEGER_RANGE, not: false, or: false };
      const rule: Rule = { ...bits, kind: "integer", start, end, index, format };
      return passes([rule], { ...frame, payload });
    };
    ok(isWithin(value, value));
    ok(isWithin(0n, U64_MAX));
    ok(value === 0n || !isWithin(0n, value - 1n));
    ok(value === U64_MAX || !isWithin(value + 1n, U64_MAX));
  });
  fc.assert(property, { numRuns: 3_000, seed: 11 });
});

Deno.test("NetworkFilter draws anew for each match by chance, even if it asks the same", () => {
  const [{ frame }] = filterCases;
  const half: Rule = {
    type: RuleType.MATCH_RANDOM,
    not: false,
    or: false,
    kind: "number",
    value: 0x8000_0000,
  };
  for (const [drawn, expected] of [[[1, 1], true], [[1, 0xffff_ffff], false]] as const) {
    const left: number[] = [...drawn];
    equal(passes([half, half], frame, () => left.shift()!), expected);
    equal(left.length, 0);
  }
});

Deno.test("NetworkFilter takes an Ethernet frame as a TAP gives it", () => {
  const [testCase] = filterCases.filter(({ name }) => name === "macdest/in");
  const { frame, local } = testCase;
  const filter = new NetworkFilter(local, () => 0);
  const bytes = new Uint8Array(20 + 14 + frame.payload.length);
  const mac = (value: Mac) =>
    [...value.toString(16).padStart(12, "0").matchAll(/../g)].map(Number16);
  bytes.set([...mac(frame.macDestination), ...mac(frame.macSource)], 20);
  bytes.set([frame.etherType >> 8, frame.etherType & 0xff], 32);
  bytes.set(frame.payload, 34);
  filter.frame.loadEthernet(bytes, 20, bytes.length - 20);
  equal(filter.inbound(filter.peer(testCase.source)), testCase.expected.result);
});

function Number16([pair]: RegExpMatchArray): number {
  return parseInt(pair, 16);
}

Deno.test("NetworkFilter without rules drops everything", () => {
  const [testCase] = filterCases;
  const filter = new NetworkFilter({ ...testCase.local, rules: [] }, () => 0);
  filter.frame.load(testCase.frame.payload, 0, testCase.frame.payload.length, 0x0800);
  equal(filter.outbound(filter.peer(OTHER), true), Verdict.DROP);
  equal(filter.inbound(filter.peer(OTHER)), Verdict.DROP);
});
