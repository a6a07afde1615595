/**
 * What becomes of a described frame: the sender's outbound decision, then the receiver's inbound
 * one. A frame passes only when both let it.
 *
 * Source: spec 04b section 2.8, spec 04 section 12.4 for multicast.
 * @module
 */
import { type Address, isMulticast, NIL_ADDRESS } from "../../base/ids.ts";
import { RuleType } from "../../credential/rule_codec.ts";
import { decide, type Decision } from "../../network/rules/decision.ts";
import type { LocalMember, RemoteMember } from "../../network/rules/member.ts";
import { CopyFlags, Verdict } from "../../network/rules/verdict.ts";
import type { RuleBook } from "./rule_book.ts";
import { type Member, type Scenario, SCENARIO_NETWORK } from "./scenario.ts";

/** One decision on the way. */
export interface Stop {
  readonly member: Member;
  /** Multicast is looked at twice by the sender: before and after its receivers are known */
  readonly role: "sender" | "sender, to anybody" | "receiver";
  readonly decision: Decision;
}

/** A copy somebody gets, or the frame itself when it was redirected. */
export interface MadeCopy {
  readonly by: Member;
  readonly to: Address;
  readonly kind: "tee" | "watch" | "redirect";
  readonly lengthBytes: number;
}

/** How a frame fared. */
export interface Judgement {
  readonly verdict: "accept" | "drop" | "redirect";
  /** In order; the last one decided */
  readonly stops: readonly Stop[];
  readonly copies: readonly MadeCopy[];
  /** MATCH_RANDOM can turn the verdict */
  readonly isChance: boolean;
}

/** Judges a frame twice if chance is involved, with the lowest and the highest draw. */
export function judge(book: RuleBook, scenario: Scenario): Judgement {
  const low = judgeOnce(book, scenario, 0);
  const lists = [book, ...book.capabilities];
  if (!lists.some(({ rules }) => rules.some(({ type }) => type === RuleType.MATCH_RANDOM))) {
    return low;
  }
  const high = judgeOnce(book, scenario, 0xffff_ffff);
  return { ...low, isChance: high.verdict !== low.verdict };
}

function judgeOnce(book: RuleBook, { from, to, frame }: Scenario, drawn: number): Judgement {
  const [sender, receiver] = [localMember(book, from), localMember(book, to)];
  const stops: Stop[] = [];
  const copies: MadeCopy[] = [];
  const ask = (role: Stop["role"], destination: Address, teeEnabled: boolean): boolean => {
    const inbound = role === "receiver";
    const [local, other] = inbound ? [receiver, sender] : [sender, receiver];
    const isKnown = destination !== NIL_ADDRESS;
    const remote = isKnown ? credentialsOf(other) : { tags: [], capabilities: [], ownerships: [] };
    const random = () => drawn;
    const { address: source } = from;
    const decision = decide(
      { inbound, source, destination, frame, local, remote, random },
      teeEnabled,
    );
    const member = inbound ? to : from;
    stops.push({ member, role, decision });
    copies.push(...decision.copies.map(({ to, flags, lengthBytes }) => ({
      by: member,
      to,
      kind: kindOf(flags),
      lengthBytes,
    })));
    return decision.verdict !== Verdict.DROP;
  };
  const isGroup = isMulticast(frame.macDestination);
  const passes = (!isGroup || ask("sender, to anybody", NIL_ADDRESS, true)) &&
    ask("sender", to.address, !isGroup) && ask("receiver", to.address, true);
  const redirected = copies.some(({ kind }) => kind === "redirect");
  const verdict = passes ? "accept" : redirected ? "redirect" : "drop";
  return { verdict, stops, copies, isChance: false };
}

function kindOf(flags: number): MadeCopy["kind"] {
  if (flags === CopyFlags.TEE_INBOUND || flags === CopyFlags.TEE_OUTBOUND) return "tee";
  return flags === CopyFlags.WATCH_INBOUND || flags === CopyFlags.WATCH_OUTBOUND
    ? "watch"
    : "redirect";
}

function localMember({ rules, capabilities }: RuleBook, member: Member): LocalMember {
  return {
    address: member.address,
    networkId: SCENARIO_NETWORK,
    flags: 0,
    timestampMs: 0,
    credentialWindowMs: 0,
    rules,
    tags: [...member.tags].map(([id, value]) => ({ id, value })),
    capabilities: capabilities.filter(({ id }) => member.capabilityIds.has(id)),
    ownerships: [{ ips: member.ips, macs: member.macs }],
    staticIps: member.ips.map((ip) => ({ ip, bits: 8 * ip.length })),
  };
}

/** The other side as if all its credentials had arrived. */
function credentialsOf({ tags, capabilities, ownerships }: LocalMember): RemoteMember {
  const dated = { timestampMs: 0 };
  return {
    tags: tags.map((tag) => ({ ...tag, ...dated })),
    capabilities: capabilities.map((held) => ({ ...held, ...dated })),
    ownerships: ownerships.map((owned) => ({ ...owned, ...dated })),
  };
}
