/**
 * The filter cases of rules.json as situations.
 * @module
 */
import { deepEqual } from "node:assert/strict";
import { fromHex, toHex } from "../../../../../lib/base/bytes.ts";
import {
  formatAddress,
  parseAddress,
  parseMac,
  parseNetworkId,
} from "../../../../../lib/base/ids.ts";
import { parsePrefix } from "../../../../../lib/base/ip.ts";
import { decodeRules } from "../../../../../lib/credential/rule_codec.ts";
import type { FrameCopy } from "../../../../../lib/network/rules/decision.ts";
import type { Frame } from "../../../../../lib/network/rules/headers.ts";
import type {
  CapabilityRules,
  LocalMember,
  Ownership,
  RemoteMember,
  TagValue,
} from "../../../../../lib/network/rules/member.ts";
import type { Address } from "../../../../../lib/base/ids.ts";

interface VectorCapability {
  readonly id: number;
  readonly rulesHex: string;
}

interface VectorCase {
  readonly name: string;
  readonly ruleText?: string;
  readonly rulesHex: string;
  readonly direction: "in" | "out";
  readonly ztSource: string;
  readonly ztDest: string;
  readonly macSource: string;
  readonly macDest: string;
  readonly etherType: number;
  readonly frame: string;
  readonly flags?: string;
  readonly localTags?: [number, number][];
  readonly remoteTags?: [number, number][];
  readonly localOwns?: string[];
  readonly remoteOwns?: string[];
  readonly localCaps?: VectorCapability[];
  readonly remoteCaps?: VectorCapability[];
  readonly staticIps?: string[];
  readonly remoteTsOffset?: number;
  readonly noTee?: boolean;
  readonly result: number;
  readonly sent: {
    to: string;
    flags: number;
    macDest: string;
    macSource: string;
    etherType: number;
    payload: string;
  }[];
}

interface Filter {
  readonly localAddress: string;
  readonly nwid: string;
  readonly configTimestamp: string;
  readonly credentialTimeMaxDelta: string;
  readonly defaultFlags: string;
  readonly cases: VectorCase[];
}

const filter: Filter = JSON.parse(
  Deno.readTextFileSync(new URL("../../../../vectors/rules.json", import.meta.url)),
).filter;
const timestampMs = parseInt(filter.configTimestamp, 16);

/** One case, ready to be decided. */
export interface FilterCase {
  readonly name: string;
  readonly inbound: boolean;
  readonly source: Address;
  readonly destination: Address;
  readonly frame: Frame;
  readonly local: LocalMember;
  /** Not yet checked for validity */
  readonly remote: RemoteMember;
  readonly teeEnabled: boolean;
  readonly expected: VectorCase;
}

/** All cases of the file. */
export const filterCases: readonly FilterCase[] = filter.cases.map(filterCase);

function filterCase(vector: VectorCase): FilterCase {
  const dated = { timestampMs: timestampMs + (vector.remoteTsOffset ?? 0) };
  return {
    name: vector.name,
    inbound: vector.direction === "in",
    source: parseAddress(vector.ztSource)!,
    destination: parseAddress(vector.ztDest)!,
    frame: {
      macSource: parseMac(vector.macSource)!,
      macDestination: parseMac(vector.macDest)!,
      etherType: vector.etherType,
      payload: fromHex(vector.frame),
    },
    local: {
      address: parseAddress(filter.localAddress)!,
      networkId: parseNetworkId(filter.nwid)!,
      flags: parseInt(vector.flags ?? filter.defaultFlags, 16),
      timestampMs,
      credentialWindowMs: parseInt(filter.credentialTimeMaxDelta, 16),
      rules: decodeRules(fromHex(vector.rulesHex)),
      tags: tags(vector.localTags),
      capabilities: capabilities(vector.localCaps),
      ownerships: ownerships(vector.localOwns),
      staticIps: (vector.staticIps ?? []).map((text) => parsePrefix(text)!),
    },
    remote: {
      tags: tags(vector.remoteTags).map((tag) => ({ ...tag, ...dated })),
      capabilities: capabilities(vector.remoteCaps).map((held) => ({ ...held, ...dated })),
      ownerships: ownerships(vector.remoteOwns).map((owned) => ({ ...owned, ...dated })),
    },
    teeEnabled: !vector.noTee,
    expected: vector,
  };
}

function tags(pairs: [number, number][] = []): TagValue[] {
  return pairs.map(([id, value]) => ({ id, value }));
}

function capabilities(held: VectorCapability[] = []): CapabilityRules[] {
  return held.map(({ id, rulesHex }) => ({ id, rules: decodeRules(fromHex(rulesHex)) }));
}

function ownerships(things: string[] = []): Ownership[] {
  if (things.length === 0) return [];
  const macs = things.filter((thing) => !thing.includes("/"));
  const ips = things.filter((thing) => thing.includes("/"));
  return [{ ips: ips.map((ip) => parsePrefix(ip)!.ip), macs: macs.map((mac) => parseMac(mac)!) }];
}

/** Compares what was decided with what the reference did. */
export function checkDecision(
  testCase: FilterCase,
  verdict: number,
  copies: readonly FrameCopy[],
): void {
  const { expected, name, frame } = testCase;
  const sent = copies.map(({ to, flags, lengthBytes }) => ({
    to: formatAddress(to),
    flags,
    macDest: frame.macDestination.toString(16).padStart(12, "0"),
    macSource: frame.macSource.toString(16).padStart(12, "0"),
    etherType: frame.etherType,
    payload: toHex(frame.payload.subarray(0, lengthBytes)),
  }));
  deepEqual({ name, result: verdict, sent }, {
    name,
    result: expected.result,
    sent: expected.sent,
  });
}
