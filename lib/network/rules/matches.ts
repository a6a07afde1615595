/**
 * Whether a frame meets one match, on {@linkcode Rule} objects: slow and obvious. It says why in words, for
 * `zt rules explain`, and the compiled evaluator is held to it.
 *
 * Source: spec 04b sections 2.3 to 2.7.
 * @module
 */
import {
  type Address,
  BROADCAST_MAC,
  formatAddress,
  formatMac,
  isMulticast,
} from "../../base/ids.ts";
import {
  commonBits,
  formatIp,
  type Ip,
  networkOf,
  rfc4193,
  sameIp,
  sixPlane,
} from "../../base/ip.ts";
import { type Rule, RuleType } from "../../credential/rule_codec.ts";
import { describeCharacteristics } from "./characteristics.ts";
import {
  claimedSource,
  type Frame,
  icmp,
  integerAt,
  isIpv4,
  isIpv6,
  port,
  tcpBits,
  transport,
  typeOfService,
} from "./headers.ts";
import {
  FLAG_NDP_EMULATION,
  FLAG_UNKNOWN_MATCHES,
  type LocalMember,
  type Ownership,
  type RemoteMember,
} from "./member.ts";

/** Flag of an ICMP rule: the code counts too. */
export const ICMP_CODE_MATCHED = 0x01;
type TagRule = Extract<Rule, { kind: "tag" }>;

/** What a rule list is evaluated on. */
export interface Situation {
  readonly inbound: boolean;
  readonly source: Address;
  /** 0 when unknown: the first pass of multicast and of unknown unicast */
  readonly destination: Address;
  readonly frame: Frame;
  readonly local: LocalMember;
  /** The other side's credentials, only those that count (`validCredentials`) */
  readonly remote: RemoteMember;
  /** 32 random bits, unsigned */
  readonly random: () => number;
}

/** The answer of one match. */
export interface MatchAnswer {
  readonly matched: boolean;
  /** The answer stands whatever NOT says */
  readonly hard: boolean;
  /** The next DROP that would be taken is skipped: only the receiver can know */
  readonly skipDrop: boolean;
  /** In words, e.g. "the frame's destination port is 22" */
  readonly why: string;
}

function raw(matched: boolean, why: string): MatchAnswer {
  return { matched, hard: false, skipDrop: false, why };
}

function hardNo(why: string): MatchAnswer {
  return { matched: false, hard: true, skipDrop: false, why };
}

function hardYes(why: string, skipDrop = false): MatchAnswer {
  return { matched: true, hard: true, skipDrop, why };
}

/**
 * @param rule A match, not an action
 * @param superAccept The list met a TEE, WATCH or REDIRECT to this member whose set did not match
 */
export function evaluateMatch(rule: Rule, on: Situation, superAccept: boolean): MatchAnswer {
  const answer = rawMatch(rule, on, superAccept);
  return answer.hard ? answer : { ...answer, matched: answer.matched !== rule.not };
}

function rawMatch(rule: Rule, on: Situation, superAccept: boolean): MatchAnswer {
  const { frame } = on;
  switch (rule.kind) {
    case "address": {
      const isSource = rule.type === RuleType.MATCH_SOURCE_ZEROTIER_ADDRESS;
      const address = isSource ? on.source : on.destination;
      const who = isSource ? "sender" : "receiver";
      return raw(
        address === rule.address,
        `the ${who} is ${address ? formatAddress(address) : "unknown"}`,
      );
    }
    case "mac": {
      const isSource = rule.type === RuleType.MATCH_MAC_SOURCE;
      const mac = isSource ? frame.macSource : frame.macDestination;
      return raw(
        mac === rule.mac,
        `the ${isSource ? "source" : "destination"} MAC is ${formatMac(mac)}`,
      );
    }
    case "number":
      return numberMatch(rule.type, rule.value, on);
    case "ip":
      return ipMatch(rule.type, rule.ip, rule.bits, frame);
    case "tos": {
      const tos = typeOfService(frame);
      if (tos === undefined) return hardNo("the frame is not IP");
      const masked = tos & rule.mask;
      return raw(rule.start <= masked && masked <= rule.end, `the type of service is ${tos}`);
    }
    case "icmp": {
      const found = icmp(frame);
      if (!found) return hardNo("the frame is not ICMP");
      const { icmpType, icmpCode } = found;
      if (icmpType !== rule.icmpType) return hardNo(`the ICMP type is ${icmpType}`);
      // Quirk: without a code to compare NOT has no effect.
      if ((rule.flags & ICMP_CODE_MATCHED) === 0) return hardYes(`the ICMP type is ${icmpType}`);
      return raw(icmpCode === rule.icmpCode, `the ICMP type is ${icmpType}, the code ${icmpCode}`);
    }
    case "range":
      return rangeMatch(rule.type, rule.start, rule.end, frame);
    case "characteristics": {
      const found = characteristics(on);
      return raw(
        (found & rule.mask) !== 0n,
        `the frame's characteristics are ${describeCharacteristics(found)}`,
      );
    }
    case "tag":
      return rule.type >= RuleType.MATCH_TAG_SENDER
        ? oneSidedTagMatch(rule, on, superAccept)
        : twoSidedTagMatch(rule, on, superAccept);
    case "integer": {
      const value = integerAt(frame.payload, rule.index, rule.format);
      return raw(rule.start <= value && value <= rule.end, `the number there is ${value}`);
    }
    default: {
      const matched = (on.local.flags & FLAG_UNKNOWN_MATCHES) !== 0;
      return raw(matched, `the config says such matches are ${matched}`);
    }
  }
}

function numberMatch(type: number, value: number, on: Situation): MatchAnswer {
  switch (type) {
    case RuleType.MATCH_ETHERTYPE: {
      const { etherType } = on.frame;
      return raw(
        etherType === value,
        `the ethertype is 0x${etherType.toString(16).padStart(4, "0")}`,
      );
    }
    case RuleType.MATCH_IP_PROTOCOL: {
      const header = transport(on.frame)?.header;
      if (header === undefined) return hardNo("the frame is not IP");
      return raw(header === value, `the IP protocol is ${header}`);
    }
    case RuleType.MATCH_RANDOM: {
      const drawn = on.random();
      return raw(drawn <= value, `${drawn} of 4294967295 was drawn`);
    }
    default: // VLAN id, priority and drop eligibility: a network carries no VLAN tags
      return raw(value === 0, "the frame has no VLAN tag");
  }
}

function ipMatch(type: number, ip: Ip, bits: number, frame: Frame): MatchAnswer {
  const wantsV4 = ip.length === 4;
  if (wantsV4 ? !isIpv4(frame) : !isIpv6(frame)) {
    return hardNo(`the frame is not IPv${wantsV4 ? 4 : 6}`);
  }
  const isSource = type === RuleType.MATCH_IPV4_SOURCE || type === RuleType.MATCH_IPV6_SOURCE;
  const at = wantsV4 ? (isSource ? 12 : 16) : (isSource ? 8 : 24);
  const found = frame.payload.slice(at, at + ip.length);
  const why = `the ${isSource ? "source" : "destination"} address is ${formatIp(found)}`;
  if (wantsV4) return raw(commonBits(ip, found) >= Math.min(bits, 32), why);
  // Quirk: host bits in an IPv6 rule are compared too, so such a rule never matches.
  return raw(sameIp(networkOf({ ip: found, bits: Math.min(bits, 128) }).ip, ip), why);
}

function rangeMatch(type: number, start: number, end: number, frame: Frame): MatchAnswer {
  if (type === RuleType.MATCH_FRAME_SIZE_RANGE) {
    const { length } = frame.payload;
    return raw(start <= length && length <= end, `the frame's payload has ${length} bytes`);
  }
  const which = type === RuleType.MATCH_IP_SOURCE_PORT_RANGE ? "source" : "destination";
  const found = port(frame, which);
  if (found === undefined) return hardNo("the frame is not IP");
  if (found === "none") return raw(false, `the frame has no ${which} port`);
  return raw(start <= found && found <= end, `the ${which} port is ${found}`);
}

const INBOUND = 1n << 63n;
const MULTICAST = 1n << 62n;
const BROADCAST = 1n << 61n;
const SENDER_IP_AUTHENTICATED = 1n << 60n;
const SENDER_MAC_AUTHENTICATED = 1n << 59n;

/** The 64 bits MATCH_CHARACTERISTICS looks at. */
export function characteristics(on: Situation): bigint {
  const { frame, inbound } = on;
  const owned = inbound ? on.remote.ownerships : on.local.ownerships;
  let bits = BigInt(tcpBits(frame));
  if (inbound) bits |= INBOUND;
  if (isMulticast(frame.macDestination)) bits |= MULTICAST;
  if (frame.macDestination === BROADCAST_MAC) bits |= BROADCAST;
  if (isSenderIpAuthenticated(on, owned)) bits |= SENDER_IP_AUTHENTICATED;
  if (owned.some(({ macs }) => macs.includes(frame.macSource))) bits |= SENDER_MAC_AUTHENTICATED;
  return bits;
}

function isSenderIpAuthenticated(on: Situation, owned: readonly Ownership[]): boolean {
  const claimed = claimedSource(on.frame);
  if (claimed === undefined) return false;
  if (claimed === "any") return true;
  if (owned.some(({ ips }) => ips.some((ip) => sameIp(ip, claimed)))) return true;
  return on.inbound && isNdpEmulated(on.local, claimed);
}

/** Quirk: which node address the sender's IPv6 address contains is not compared with the sender. */
function isNdpEmulated(local: LocalMember, claimed: Ip): boolean {
  if (claimed.length !== 16 || (local.flags & FLAG_NDP_EMULATION) === 0) return false;
  const plane = sixPlane(local.networkId, local.address).ip;
  const derived = rfc4193(local.networkId, local.address).ip;
  return local.staticIps.some(({ ip }) =>
    (sameIp(ip, plane) && commonBits(plane, claimed) >= 5 * 8) ||
    (sameIp(ip, derived) && commonBits(derived, claimed) >= 11 * 8)
  );
}

function tagOf(tags: readonly { id: number; value: number }[], id: number): number | undefined {
  return tags.find((tag) => tag.id === id)?.value;
}

function twoSidedTagMatch(rule: TagRule, on: Situation, superAccept: boolean): MatchAnswer {
  const local = tagOf(on.local.tags, rule.id);
  if (local === undefined) return hardNo(`this member has no tag ${rule.id}`);
  const remote = tagOf(on.remote.tags, rule.id);
  if (remote === undefined) {
    const why = `the other member's tag ${rule.id} is not known`;
    return on.inbound && !superAccept ? hardNo(why) : hardYes(why, true);
  }
  return raw(
    compareTags(rule, local, remote),
    `tag ${rule.id} is ${local} on this side and ${remote} on the other`,
  );
}

function compareTags({ type, value }: TagRule, local: number, remote: number): boolean {
  switch (type) {
    case RuleType.MATCH_TAGS_DIFFERENCE:
      return Math.abs(local - remote) <= value;
    case RuleType.MATCH_TAGS_BITWISE_AND:
      return (local & remote) >>> 0 === value;
    case RuleType.MATCH_TAGS_BITWISE_OR:
      return (local | remote) >>> 0 === value;
    case RuleType.MATCH_TAGS_BITWISE_XOR:
      return (local ^ remote) >>> 0 === value;
    default:
      return local === value && remote === value;
  }
}

function oneSidedTagMatch(rule: TagRule, on: Situation, superAccept: boolean): MatchAnswer {
  if (superAccept) return hardYes("this member receives a copy", true);
  const isSender = rule.type === RuleType.MATCH_TAG_SENDER;
  const looksAtRemote = isSender === on.inbound;
  const value = tagOf(looksAtRemote ? on.remote.tags : on.local.tags, rule.id);
  const who = isSender ? "sender" : "receiver";
  if (value !== undefined) {
    return raw(value === rule.value, `the ${who}'s tag ${rule.id} is ${value}`);
  }
  const why = `the ${who}'s tag ${rule.id} is not known`;
  return looksAtRemote && !isSender ? hardYes(why, true) : hardNo(why);
}
