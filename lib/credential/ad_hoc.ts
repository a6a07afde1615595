/**
 * Ad-hoc networks: ids that begin with 0xff have no controller. Whoever joins makes the
 * configuration up, and all make up the same.
 *
 *     id                 what it is
 *     ff SSSS EEEE 000000  IPv6 only, TCP to ports SSSS to EEEE
 *     ff AA hhhhhhhhhh 01  IPv4 in AA.0.0.0/8 and IPv6, everything allowed, multicast; h is a hub's address or 0
 *
 * Source: spec 04 section 2.
 * @module
 */
import { Writer } from "../base/bytes.ts";
import { type Address, isAdHoc, type NetworkId, NIL_ADDRESS } from "../base/ids.ts";
import { type Prefix, sixPlane } from "../base/ip.ts";
import { ConfigFlag, EMPTY_CONFIG, type NetworkConfig } from "./network_config.ts";
import { encodeRules, type Rule, RuleType } from "./rule_codec.ts";

const CREDENTIAL_TIME_MAX_DELTA_MS = 7_200_000;
const MULTICAST_LIMIT = 1_024;
const ETHERTYPE_IPV6 = 0x86dd;
const PROTOCOL_TCP = 0x06;
const PROTOCOL_UDP = 0x11;
const PROTOCOL_ICMPV6 = 0x3a;
const TCP_SYN = 0x2n;
const TCP_ACK = 0x10n;

/**
 * @returns "invalid-range" when the last port is before the first: the network is then "not found";
 * undefined when the id is of neither form: nothing ever comes of such a network
 */
export function adHocConfig(
  networkId: NetworkId,
  address: Address,
  nowMs: number,
): NetworkConfig | "invalid-range" | undefined {
  if (!isAdHoc(networkId)) return undefined;
  const common: NetworkConfig = {
    ...EMPTY_CONFIG,
    networkId,
    timestampMs: nowMs,
    credentialTimeMaxDeltaMs: CREDENTIAL_TIME_MAX_DELTA_MS,
    revision: 1,
    issuedTo: address,
    flags: ConfigFlag.NDP_EMULATION,
    type: "public",
    staticIps: [sixPlane(networkId, address)],
  };
  if ((networkId & 0xff_ffffn) === 0n) return portRange(common);
  return (networkId & 0xffn) === 1n ? ipv4(common) : undefined;
}

function portRange(common: NetworkConfig): NetworkConfig | "invalid-range" {
  const start = Number((common.networkId >> 40n) & 0xffffn);
  const end = Number((common.networkId >> 24n) & 0xffffn);
  if (end < start) return "invalid-range";
  const hex = (port: number) => port.toString(16).padStart(4, "0");
  return {
    ...common,
    name: `adhoc-${hex(start)}-${hex(end)}`,
    rules: encoded(portRangeRules(start, end)),
  };
}

/**
 * IPv6 only; ICMPv6 free; UDP and TCP to the ports; of the rest what is not a TCP connection being
 * opened, and answers to one. As in the reference, UDP to any port passes: it is not TCP with SYN.
 */
function portRangeRules(start: number, end: number): Rule[] {
  const { ACTION_ACCEPT, ACTION_DROP, MATCH_CHARACTERISTICS, MATCH_IP_PROTOCOL } = RuleType;
  return [
    { ...number(RuleType.MATCH_ETHERTYPE, ETHERTYPE_IPV6), not: true },
    action(ACTION_DROP),
    number(MATCH_IP_PROTOCOL, PROTOCOL_ICMPV6),
    action(ACTION_ACCEPT),
    number(MATCH_IP_PROTOCOL, PROTOCOL_UDP),
    { ...number(MATCH_IP_PROTOCOL, PROTOCOL_TCP), or: true },
    { type: RuleType.MATCH_IP_DEST_PORT_RANGE, not: false, or: false, kind: "range", start, end },
    action(ACTION_ACCEPT),
    {
      type: MATCH_CHARACTERISTICS,
      not: true,
      or: false,
      kind: "characteristics",
      mask: TCP_SYN,
    },
    action(ACTION_ACCEPT),
    {
      type: MATCH_CHARACTERISTICS,
      not: false,
      or: false,
      kind: "characteristics",
      mask: TCP_SYN,
    },
    {
      type: MATCH_CHARACTERISTICS,
      not: false,
      or: false,
      kind: "characteristics",
      mask: TCP_ACK,
    },
    action(ACTION_ACCEPT),
    action(ACTION_DROP),
  ];
}

function action(type: RuleType): Rule {
  return { type, not: false, or: false, kind: "none" };
}

function number(type: RuleType, value: number): Rule {
  return { type, not: false, or: false, kind: "number", value };
}

function encoded(rules: Rule[]): Uint8Array {
  const w = new Writer();
  encodeRules(rules, w);
  return w.finish();
}

function ipv4(common: NetworkConfig): NetworkConfig {
  const first = Number((common.networkId >> 48n) & 0xffn);
  const hub = Number((common.networkId >> 8n) & 0xff_ffff_ffffn) as Address;
  const own: Prefix = {
    ip: Uint8Array.of(
      first,
      Math.floor(common.issuedTo / 0x1_0000) & 0xff,
      (common.issuedTo >>> 8) & 0xff,
      common.issuedTo & 0xff,
    ),
    bits: 8,
  };
  return {
    ...common,
    name: `adhoc-${first}.0.0.0`,
    multicastLimit: MULTICAST_LIMIT,
    staticIps: [...common.staticIps, own],
    // No role, as in the reference: the hub gets no special treatment.
    specialists: hub === NIL_ADDRESS ? [] : [{ address: hub, roles: 0 }],
    rules: encoded([action(RuleType.ACTION_ACCEPT)]),
  };
}
