/**
 * The complete decision on a frame, network rules first, then capabilities: the obvious twin of `NetworkFilter`.
 *
 * Source: spec 04b section 2.8.
 * @module
 */
import type { Address } from "../../base/ids.ts";
import { type CopyTarget, interpretRules, type ListOutcome, type Step } from "./interpreter.ts";
import type { Situation } from "./matches.ts";
import { CopyFlags, ListResult, Verdict } from "./verdict.ts";

/** An EXT_FRAME to send: original MACs and ethertype, the payload cut to `lengthBytes`. */
export interface FrameCopy {
  readonly to: Address;
  readonly flags: number;
  readonly lengthBytes: number;
}

/** One rule list that was consulted. */
export interface Consulted {
  /** Missing for the network's own rules */
  readonly capabilityId?: number;
  readonly outcome: ListOutcome;
  readonly steps: Step[];
}

/** What becomes of a frame, and how it came to that. */
export interface Decision {
  readonly verdict: Verdict;
  /** In the order of sending */
  readonly copies: FrameCopy[];
  readonly consulted: Consulted[];
}

/**
 * @param on `remote` must hold only credentials that count
 * @param teeEnabled false on the second pass of a frame outbound: copies were made on the first
 */
export function decide(on: Situation, teeEnabled = true): Decision {
  const consulted = [consult(on.local.rules, on)];
  const network = consulted[0].outcome;
  let outcome = network;
  if (network.result === ListResult.NO_MATCH) {
    for (const { id, rules } of capabilitiesOf(on)) {
      const attempt = consult(rules, on, id);
      consulted.push(attempt);
      const { result } = attempt.outcome;
      // Quirk: a DROP inside a capability decides nothing.
      if (result === ListResult.NO_MATCH || result === ListResult.DROP) continue;
      outcome = attempt.outcome;
      break;
    }
  }
  if (outcome.result === ListResult.NO_MATCH || outcome.result === ListResult.DROP) {
    return { verdict: Verdict.DROP, copies: [], consulted };
  }
  const copies: FrameCopy[] = [];
  if (teeEnabled && outcome !== network && outcome.copy) copies.push(copyOf(outcome.copy, on));
  if (teeEnabled && network.copy) copies.push(copyOf(network.copy, on));
  if (outcome.redirectTo !== undefined) {
    const flags = on.inbound ? CopyFlags.REDIRECT_INBOUND : CopyFlags.REDIRECT_OUTBOUND;
    copies.push({ to: outcome.redirectTo, flags, lengthBytes: on.frame.payload.length });
    return { verdict: Verdict.DROP, copies, consulted };
  }
  const isSuper = on.inbound && outcome.result === ListResult.SUPER_ACCEPT;
  return { verdict: isSuper ? Verdict.SUPER_ACCEPT : Verdict.ACCEPT, copies, consulted };
}

/** Ascending by id; the reference takes those of a peer in no particular order. */
function capabilitiesOf(on: Situation) {
  const held = on.inbound ? on.remote.capabilities : on.local.capabilities;
  return [...held].sort((a, b) => a.id - b.id);
}

function consult(
  rules: Parameters<typeof interpretRules>[0],
  on: Situation,
  id?: number,
): Consulted {
  const steps: Step[] = [];
  return { capabilityId: id, outcome: interpretRules(rules, on, steps), steps };
}

function copyOf({ to, lengthBytes, isWatch }: CopyTarget, { inbound }: Situation): FrameCopy {
  const flags = inbound
    ? (isWatch ? CopyFlags.WATCH_INBOUND : CopyFlags.TEE_INBOUND)
    : (isWatch ? CopyFlags.WATCH_OUTBOUND : CopyFlags.TEE_OUTBOUND);
  return { to, flags, lengthBytes };
}
