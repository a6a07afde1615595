/**
 * Random rules and frames that meet each other often: small sets of ports, tags, addresses.
 * @module
 */
import fc from "fast-check";
import { type Address, BROADCAST_MAC, type Mac } from "../../../../../lib/base/ids.ts";
import { type Ip, parseIp } from "../../../../../lib/base/ip.ts";
import { type Rule, RuleType } from "../../../../../lib/credential/rule_codec.ts";
import type { Frame } from "../../../../../lib/network/rules/headers.ts";
import type { Ownership, TagValue } from "../../../../../lib/network/rules/member.ts";

export const SELF = 0x5811208aac as Address;
export const OTHER = 0xb3e8c4e1ab as Address;
const THIRD = 0x0bbb823280 as Address;

// Some share their upper part, some their lower: they are compared in two halves.
const addresses = fc.constantFrom(SELF, OTHER, THIRD, 0xb3_1120_8aac, 0x58_e8c4_e1ab)
  .map((address) => address as Address);
const macs = fc.constantFrom(
  0x0258_1116_923f,
  0x02b3_e8f2_f938,
  0x02b3_1116_923f,
  0x0258_e8f2_f938,
  0x0100_5e00_0001,
  BROADCAST_MAC,
  0xffff_5e00_0001,
).map((mac) => mac as Mac);
const ip4s = fc.constantFrom("10.0.0.1", "10.0.0.2", "192.168.1.1", "0.0.0.0").map(parse);
const ip6s = fc.constantFrom(
  "fd00::1",
  "fd00::2",
  "fe80::1",
  "::",
  "0:0:7::", // one word of four that is not 0, each in turn
  "::7:0:0",
  "::7",
  "fc83:2e93:19b3:e8c4:e1ab::1",
  "fdb5:2e93:1836:0:199:93b3:e8c4:e1ab",
).map(parse);
const ports = fc.constantFrom(0, 22, 53, 80, 443, 8080, 65535);
const lengths = fc.constantFrom(0, 1, 20, 24, 40, 64, 65535);
/** Numbers of tags. */
export const words = fc.oneof(
  fc.nat(3),
  fc.constantFrom(0x7fff_ffff, 0x8000_0000, 0xffff_ffff),
);

function parse(text: string): Ip {
  return parseIp(text)!;
}

const bits = { not: fc.boolean(), or: fc.boolean() };

function rule(
  type: readonly number[],
  kind: string,
  fields: Record<string, fc.Arbitrary<unknown>>,
) {
  return fc.record({
    type: fc.constantFrom(...type),
    kind: fc.constant(kind),
    ...bits,
    ...fields,
  }) as unknown as fc.Arbitrary<Rule>;
}

const T = RuleType;
const action = rule([0, 1, 1, 5, 6, 9], "none", {});
const forward = rule([T.ACTION_TEE, T.ACTION_WATCH, T.ACTION_REDIRECT], "forward", {
  address: addresses,
  flags: fc.constant(0),
  length: lengths,
});
const sets = [0xfffffffn, 1n << 63n, 1n << 62n, 1n << 61n, 1n << 60n, 1n << 59n, 2n, 0x812n, 0n];
const matches: fc.Arbitrary<Rule>[] = [
  rule([T.MATCH_SOURCE_ZEROTIER_ADDRESS, T.MATCH_DEST_ZEROTIER_ADDRESS], "address", {
    address: fc.oneof(addresses, fc.constant(0)),
  }),
  rule([T.MATCH_VLAN_ID, T.MATCH_VLAN_PCP, T.MATCH_VLAN_DEI], "number", { value: fc.nat(1) }),
  rule([T.MATCH_MAC_SOURCE, T.MATCH_MAC_DEST], "mac", { mac: macs }),
  rule([T.MATCH_IPV4_SOURCE, T.MATCH_IPV4_DEST], "ip", {
    ip: ip4s,
    bits: fc.constantFrom(0, 8, 24, 31, 32, 33),
  }),
  rule([T.MATCH_IPV6_SOURCE, T.MATCH_IPV6_DEST], "ip", {
    ip: ip6s,
    bits: fc.constantFrom(0, 8, 40, 64, 96, 127, 128, 200),
  }),
  rule([T.MATCH_IP_TOS], "tos", {
    mask: fc.constantFrom(0xff, 0xfc),
    start: fc.constantFrom(0, 0x20),
    end: fc.constantFrom(0, 0x40, 0xff),
  }),
  rule([T.MATCH_IP_PROTOCOL], "number", { value: fc.constantFrom(0, 1, 6, 17, 0x3a, 44, 0x84) }),
  rule([T.MATCH_ETHERTYPE], "number", { value: fc.constantFrom(0x0800, 0x0806, 0x86dd) }),
  rule([T.MATCH_ICMP], "icmp", {
    icmpType: fc.constantFrom(0, 8, 128),
    icmpCode: fc.nat(1),
    flags: fc.nat(1),
  }),
  rule([T.MATCH_IP_SOURCE_PORT_RANGE, T.MATCH_IP_DEST_PORT_RANGE], "range", {
    start: ports,
    end: ports,
  }),
  rule([T.MATCH_FRAME_SIZE_RANGE], "range", { start: fc.constant(20), end: fc.constant(60) }),
  rule([T.MATCH_CHARACTERISTICS], "characteristics", { mask: fc.constantFrom(...sets) }),
  rule([T.MATCH_RANDOM], "number", { value: fc.constantFrom(0, 0x8000_0000, 0xffff_ffff) }),
  rule([44, 45, 46, 47, 48, 49, 50], "tag", { id: fc.nat(3), value: words }),
  rule([T.INTEGER_RANGE], "integer", {
    start: fc.constantFrom(0n, 1n, 0x4500n, 0x8000_0000n, 0xffff_ffff_0000_0000n),
    end: fc.constantFrom(0n, 6n, 0xffffn, 0xffff_ffffn, 0xffff_ffff_ffff_ffffn),
    index: fc.nat(50),
    format: fc.nat(255),
  }),
  rule([16, 63], "none", {}),
];

/** A list of up to `maxLength` sets, each some matches and an action. */
export function anyRules(maxLength: number): fc.Arbitrary<Rule[]> {
  const set = fc.tuple(
    fc.array(fc.oneof(...matches), { maxLength: 3 }),
    fc.oneof(action, action, forward),
  ).map(([all, then]) => [...all, then]);
  return fc.array(set, { maxLength }).map((all) => all.flat());
}

/** Many sets that ask the same few questions: what the compiler leaves out when answers are known. */
export const repetitiveRules: fc.Arbitrary<Rule[]> = fc.array(fc.oneof(...matches), {
  minLength: 2,
  maxLength: 4,
}).chain((pool) => {
  const question = fc.tuple(fc.constantFrom(...pool), fc.boolean(), fc.integer({ min: 0, max: 3 }))
    .map(([asked, not, or]): Rule => ({ ...asked, not, or: or === 0 }));
  const set = fc.tuple(
    fc.array(question, { minLength: 1, maxLength: 4 }),
    fc.oneof(action, forward),
  )
    .map(([all, then]) => [...all, then]);
  return fc.array(set, { maxLength: 10 }).map((all) => all.flat());
});

export const anyTags: fc.Arbitrary<TagValue[]> = fc.array(
  fc.record({ id: fc.nat(3), value: words }),
  { maxLength: 4 },
);

export const anyOwnership: fc.Arbitrary<Ownership> = fc.record({
  ips: fc.array(fc.oneof(ip4s, ip6s), { maxLength: 3 }),
  macs: fc.array(macs, { maxLength: 2 }),
});

const extension = fc.record({
  type: fc.constantFrom(0, 43, 60, 135, 44),
  length: fc.constantFrom(0, 0, 1),
});

function ports4(source: number, destination: number): number[] {
  return [source >> 8, source & 255, destination >> 8, destination & 255];
}

const transport = fc.record({
  protocol: fc.constantFrom(0, 1, 6, 6, 6, 17, 17, 0x3a, 0x84, 99),
  bytes: fc.tuple(ports, ports, fc.array(fc.nat(255), { minLength: 16, maxLength: 16 }))
    .map(([source, destination, rest]) => [...ports4(source, destination), ...rest]),
  icmp: fc.constantFrom([8, 0], [0, 1], [128, 0], [0x87, 0], [0x88, 0]),
}).map(({ protocol, bytes, icmp }) => ({
  protocol,
  bytes: protocol === 1 || protocol === 0x3a ? [...icmp, ...bytes, ...bytes] : bytes,
}));

const ipv4 = fc.tuple(transport, ip4s, ip4s, fc.constantFrom(0, 5, 5, 6, 15), fc.nat(255)).map(
  ([{ protocol, bytes }, source, destination, words, tos]) => {
    const fixed = [0x40 | words, tos, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
    const options = new Array<number>(Math.max(0, 4 * words - 20)).fill(7);
    return [...fixed, ...source, ...destination, ...options, ...bytes];
  },
);

const ipv6 = fc.tuple(transport, ip6s, ip6s, fc.array(extension, { maxLength: 2 }), fc.nat(255))
  .map(([{ protocol, bytes }, source, destination, extensions, tos]) => {
    const types = [...extensions.map(({ type }) => type), protocol];
    const walked = extensions.flatMap(({ length }, i) => [
      types[i + 1],
      length,
      ...new Array<number>(6 + 8 * length).fill(9),
    ]);
    const fixed = [0x60 | (tos >> 4), (tos << 4) & 0xff, 0, 0, 0, 0, types[0], 64];
    return [...fixed, ...source, ...destination, ...walked, ...bytes];
  });

const arp = fc.tuple(ip4s, fc.constantFrom(28, 27, 46)).map(([sender, length]) => {
  const bytes = new Array<number>(length).fill(1);
  sender.forEach((byte, i) => bytes[14 + i] = byte);
  return bytes;
});

const noise = fc.array(fc.nat(255), { maxLength: 70 });

/** A frame, sometimes cut short, sometimes with an ethertype that lies. */
export const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  fc.tuple(fc.constant(0x0800), ipv4),
  fc.tuple(fc.constant(0x86dd), ipv6),
  fc.tuple(fc.constant(0x0806), arp),
  fc.tuple(fc.constantFrom(0x0800, 0x0806, 0x86dd, 0x9999), noise),
).chain(([etherType, bytes]) =>
  fc.record({
    macSource: macs,
    macDestination: macs,
    etherType: fc.constant(etherType),
    payload: fc.oneof(fc.constant(bytes.length), fc.constant(bytes.length), fc.nat(bytes.length))
      .map((length) => Uint8Array.from(bytes.slice(0, length))),
  })
);
