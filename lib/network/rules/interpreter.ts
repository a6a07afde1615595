/**
 * Evaluates a rule list on {@linkcode Rule} objects: the specification in code, slow and obvious.
 * Filtering frames is the business of `evaluator.ts`, which is held to this one; explaining
 * decisions is the business of this one.
 *
 * Source: spec 04b section 2.2.
 * @module
 */
import type { Address } from "../../base/ids.ts";
import { type Rule, RuleType } from "../../credential/rule_codec.ts";
import { evaluateMatch, type MatchAnswer, type Situation } from "./matches.ts";
import { ListResult, WHOLE_FRAME } from "./verdict.ts";

/** Types below this are actions, the others are matches. */
const FIRST_MATCH_TYPE = 16;
type ForwardRule = Extract<Rule, { kind: "forward" }>;

/** Whether a rule is an action rather than a match. */
export function isAction(rule: Rule): boolean {
  return rule.type < FIRST_MATCH_TYPE;
}

/** A copy of the frame somebody is to get. */
export interface CopyTarget {
  readonly to: Address;
  /** Leading bytes of the payload */
  readonly lengthBytes: number;
  readonly isWatch: boolean;
}

/** What happened at one rule, in the order of evaluation. */
export interface Step {
  /** Place in the list, from 0 */
  readonly index: number;
  readonly rule: Rule;
  /**
   * match: evaluated; short: skipped since the set failed already; unmatched: an action whose set
   * failed; skipped: a DROP passed over for an unknown tag; nothing: an action without effect here;
   * taken: an action done; end: it decided
   */
  readonly what: "match" | "short" | "unmatched" | "skipped" | "nothing" | "taken" | "end";
  /** For match */
  readonly answer?: MatchAnswer;
  /** For match: whether the set holds after it */
  readonly setMatches?: boolean;
}

/** How a list ended. */
export interface ListOutcome {
  readonly result: ListResult;
  /** With REDIRECT */
  readonly redirectTo?: Address;
  /** The last TEE or WATCH executed */
  readonly copy?: CopyTarget;
  /** Place of the deciding rule; missing when the end was reached */
  readonly decidedAt?: number;
}

/** @param trace Gets one entry a rule that was reached */
export function interpretRules(
  rules: readonly Rule[],
  on: Situation,
  trace: Step[] = [],
): ListOutcome {
  let setMatches = true;
  let skipDrop = false;
  let superAccept = false;
  let copy: CopyTarget | undefined;
  for (const [index, rule] of rules.entries()) {
    if (!isAction(rule)) {
      if (!setMatches && !rule.or) {
        trace.push({ index, rule, what: "short" });
        continue;
      }
      const answer = evaluateMatch(rule, on, superAccept);
      setMatches = rule.or ? setMatches || answer.matched : setMatches && answer.matched;
      // Quirk: not taken back when the set fails later, so it can save a frame from a DROP that has
      // nothing to do with it.
      skipDrop ||= answer.skipDrop;
      trace.push({ index, rule, what: "match", answer, setMatches });
      continue;
    }
    if (!setMatches) {
      if (on.inbound && rule.kind === "forward" && rule.address === on.local.address) {
        superAccept = true;
      }
      setMatches = true;
      trace.push({ index, rule, what: "unmatched" });
      continue;
    }
    const done = act(rule, on, superAccept, skipDrop);
    trace.push({ index, rule, what: done.what });
    if (done.what === "skipped") skipDrop = false;
    copy = done.copy ?? copy;
    if (done.result !== undefined) {
      return { result: done.result, redirectTo: done.redirectTo, copy, decidedAt: index };
    }
  }
  return { result: ListResult.NO_MATCH, copy };
}

interface Done {
  readonly what: Step["what"];
  readonly result?: ListResult;
  readonly redirectTo?: Address;
  readonly copy?: CopyTarget;
}

function act(rule: Rule, on: Situation, superAccept: boolean, skipDrop: boolean): Done {
  switch (rule.type) {
    case RuleType.ACTION_DROP:
      return skipDrop ? { what: "skipped" } : { what: "end", result: ListResult.DROP };
    case RuleType.ACTION_ACCEPT:
      return { what: "end", result: superAccept ? ListResult.SUPER_ACCEPT : ListResult.ACCEPT };
    case RuleType.ACTION_PRIORITY: // quirk: queues are disabled in 1.14.1, what is left is the end of the list
      return { what: "end", result: ListResult.ACCEPT };
    case RuleType.ACTION_BREAK:
      return { what: "end", result: ListResult.NO_MATCH };
    default:
      return rule.kind === "forward" ? forward(rule, on) : { what: "nothing" };
  }
}

function forward(rule: ForwardRule, on: Situation): Done {
  const { address: to, length: lengthMax } = rule;
  if (to === on.source) return { what: "nothing" };
  if (to === on.local.address) {
    return on.inbound ? { what: "end", result: ListResult.SUPER_ACCEPT } : { what: "nothing" };
  }
  if (to === on.destination) return { what: "nothing" };
  if (rule.type === RuleType.ACTION_REDIRECT) {
    return { what: "end", result: ListResult.REDIRECT, redirectTo: to };
  }
  const frameLength = on.frame.payload.length;
  const length = lengthMax === 0 || lengthMax === WHOLE_FRAME
    ? frameLength
    : Math.min(frameLength, lengthMax);
  return {
    what: "taken",
    copy: { to, lengthBytes: length, isWatch: rule.type === RuleType.ACTION_WATCH },
  };
}
