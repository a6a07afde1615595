/**
 * Builds and signs what a member gets: its config and every credential in it, all as of now.
 *
 * Beyond the reference, the certificate of ownership also names the member's own MAC address, so that rules on
 * authenticated MACs can be used. Nodes of the reference accept it, they are just never sent one (`vl2.json`: the
 * ownership named "valid" has a MAC, verifies and owns it).
 *
 * Source: spec 05 sections 3 and 4, weakness 4.
 * @module
 */
import { Writer } from "../base/bytes.ts";
import { type Address, macOf, NIL_ADDRESS, parseAddress } from "../base/ids.ts";
import type { Prefix } from "../base/ip.ts";
import { type Capability, signCapability } from "../credential/capability.ts";
import { issueCom } from "../credential/certificate_of_membership.ts";
import {
  type CertificateOfOwnership,
  ipThing,
  macThing,
  signOwnership,
  THINGS_MAX,
} from "../credential/certificate_of_ownership.ts";
import { ConfigFlag, EMPTY_CONFIG, type NetworkConfig } from "../credential/network_config.ts";
import { ConfigLimits, Role } from "../credential/network_config_binary.ts";
import { encodeRules } from "../credential/rule_codec.ts";
import { signTag, type Tag } from "../credential/tag.ts";
import { ACCEPT_ALL, type CompiledNetwork } from "./compiled_network.ts";
import type { ConfigRequest, DecisionContext } from "./decide_request.ts";
import { assignAddresses } from "./ip_assignment.ts";
import { type JsonObject, type JsonValue, toArray, toBoolean, toInteger, toText } from "./json.ts";
import { toUint32 } from "./member_record.ts";
import { namesFor } from "./network_names.ts";
import type { NetworkState } from "./network_state.ts";

const OWNERSHIP_ID = 1;

/** The member's record as it will be stored: gains defaults and addresses here. */
export interface IssueTarget {
  readonly record: JsonObject;
  /** There was no record before this request. */
  readonly isNew: boolean;
}

export interface IssuedConfig {
  readonly config: NetworkConfig;
  /** Addresses handed out just now. */
  readonly claims: readonly string[];
  /** Addresses tried in pools. */
  readonly trials: number;
}

export function issueConfig(
  state: NetworkState,
  target: IssueTarget & ConfigRequest,
  context: DecisionContext,
): IssuedConfig {
  const { record, from: member, metadata } = target;
  const network = state.compiled;
  const hasRules = metadata.rulesEngineRevision > 0;
  if (hasRules) {
    if (target.isNew) grantDefaultCapabilities(record, network);
    grantDefaultTags(record, network);
  }
  const addresses = assignAddresses({
    network,
    member: member.address,
    stored: toArray(record.ipAssignments),
    noAutoAssign: toBoolean(record.noAutoAssignIps, false),
    isTaken: (ip) => state.isTaken(ip),
    random: context.random,
  });
  if (addresses.added.length > 0) {
    record.ipAssignments = [...toArray(record.ipAssignments), ...addresses.added];
  }
  const issuer = new Issuer(network, member.address, context);
  const config: NetworkConfig = {
    ...EMPTY_CONFIG,
    ...simpleFields(network, record),
    timestampMs: context.wallMs,
    issuedTo: member.address,
    flags: (network.broadcast ? ConfigFlag.BROADCAST : 0) |
      (addresses.ndpEmulation ? ConfigFlag.NDP_EMULATION : 0),
    specialists: state.bridges.map((address) => ({ address, roles: Role.ACTIVE_BRIDGE })),
    staticIps: addresses.prefixes,
    rules: hasRules ? network.rules : ACCEPT_ALL_ENCODED,
    capabilities: hasRules ? issuer.capabilities(record) : [],
    tags: hasRules ? issuer.tags(record) : [],
    ownerships: issuer.ownerships(addresses.prefixes),
    com: issueCom(context.primitives, context.identity, {
      networkId: network.id,
      timestampMs: context.wallMs,
      maxDeltaMs: network.windowMs,
      member,
    }),
    names: namesFor(network.names ? state.names : undefined, {
      isOwn: member.address === context.identity.address,
      namesHeld: metadata.namesHeld,
      isPush: target.isPush,
    }),
  };
  return { config, claims: addresses.added, trials: addresses.trials };
}

const ACCEPT_ALL_ENCODED: Uint8Array = (() => {
  const w = new Writer(2);
  encodeRules(ACCEPT_ALL, w);
  return w.finish();
})();

function simpleFields(network: CompiledNetwork, record: JsonObject): Partial<NetworkConfig> {
  const traced = toText(record.remoteTraceTarget, "");
  const trace = traced.length === 10
    ? { target: parseAddress(traced), level: toInteger(record.remoteTraceLevel, 0) }
    : { target: network.traceTarget, level: network.traceLevel };
  return {
    networkId: network.id,
    credentialTimeMaxDeltaMs: network.windowMs,
    revision: network.revision,
    traceTarget: trace.target ?? NIL_ADDRESS,
    traceLevel: trace.level,
    multicastLimit: network.multicastLimit,
    type: network.isPrivate ? "private" : "public",
    name: network.name,
    mtu: network.mtu,
    routes: network.routes.map((route) => ({ ...route, flags: 0, metric: 0 })),
    dns: network.dns,
  };
}

/** As in the reference, only a member whose very first request is granted gets them. */
function grantDefaultCapabilities(record: JsonObject, network: CompiledNetwork): void {
  const held = toArray(record.capabilities);
  const granted = [...network.capabilities].filter(([, capability]) => capability.isDefault);
  const missing = granted.map(([id]) => id).filter((id) => !held.includes(id));
  if (missing.length > 0) record.capabilities = [...held, ...missing];
}

/** Written into the record, so that a later change of the default does not reach the member. */
function grantDefaultTags(record: JsonObject, network: CompiledNetwork): void {
  const held = toArray(record.tags);
  const heldIds = new Set(held.map(tagIdOf));
  const missing = [...network.tagDefaults].filter(([id]) => !heldIds.has(id));
  if (missing.length > 0) record.tags = [...held, ...missing];
}

function tagIdOf(pair: JsonValue): number {
  return toUint32(toArray(pair)[0]);
}

/** Signs the credentials of one member. */
class Issuer {
  constructor(
    readonly network: CompiledNetwork,
    readonly member: Address,
    readonly context: DecisionContext,
  ) {}

  get #common() {
    return { networkId: this.network.id, timestampMs: this.context.wallMs };
  }

  /** Those in the member's list that the network defines, ascending. */
  capabilities(record: JsonObject): Capability[] {
    const ids = [...new Set(toArray(record.capabilities).map(toUint32))].sort((a, b) => a - b);
    const defined = ids.filter((id) => this.network.capabilities.has(id));
    return defined.slice(0, ConfigLimits.CAPABILITIES).map((id) => {
      const { rules } = this.network.capabilities.get(id)!;
      const fields = { ...this.#common, id, rules, custodyLinksMax: 1 };
      const { primitives, identity } = this.context;
      return signCapability(primitives, identity, fields, this.member);
    });
  }

  /** All in the member's list, also those the network does not define, ascending. */
  tags(record: JsonObject): Tag[] {
    const pairs = toArray(record.tags).filter((pair) => toArray(pair).length === 2);
    const values = new Map(pairs.map((pair) => [tagIdOf(pair), toUint32(toArray(pair)[1])]));
    const ascending = [...values].sort(([a], [b]) => a - b).slice(0, ConfigLimits.TAGS);
    return ascending.map(([id, value]) =>
      signTag(this.context.primitives, this.context.identity, {
        ...this.#common,
        id,
        value,
        issuedTo: this.member,
      })
    );
  }

  /** One certificate, for the addresses in their order and, where there is room, the MAC. */
  ownerships(prefixes: readonly Prefix[]): CertificateOfOwnership[] {
    const ips = prefixes.map(({ ip }) => ipThing(ip));
    const mac = macThing(macOf(this.member, this.network.id));
    const things = [...ips, mac].slice(0, THINGS_MAX);
    return [signOwnership(this.context.primitives, this.context.identity, {
      ...this.#common,
      flags: 0n,
      id: OWNERSHIP_ID,
      things,
      issuedTo: this.member,
    })];
  }
}
