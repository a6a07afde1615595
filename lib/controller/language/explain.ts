/**
 * Says in words how a frame fared: which rule decided, and what every rule before it answered.
 * @module
 */
import { formatAddress } from "../../base/ids.ts";
import type { Consulted, Decision } from "../../network/rules/decision.ts";
import type { Step } from "../../network/rules/interpreter.ts";
import { ListResult, Verdict } from "../../network/rules/verdict.ts";
import type { JsonObject } from "../json.ts";
import { describeRule } from "./decompiler.ts";
import type { Judgement, MadeCopy, Stop } from "./judgement.ts";
import type { RuleBook, RuleList } from "./rule_book.ts";

/** One line: who let it pass and by which rule, or who did not. */
export function summarize(book: RuleBook, { stops, copies, verdict, isChance }: Judgement): string {
  const reasons = stops.map((stop) =>
    `${stop.member.name} ${verbOf(stop)} (${deciding(book, stop)})`
  );
  const made = copies.map((copy) => `, ${copyText(copy)}`).join("");
  const chance = isChance ? " or not, by chance" : "";
  return `${verdict}${chance}: ${reasons.join(", ")}${made}`;
}

function verbOf({ role, decision }: Stop): string {
  if (decision.verdict !== Verdict.DROP) return role === "receiver" ? "takes it" : "sends it";
  const redirected = decision.consulted.some(({ outcome }) => outcome.redirectTo !== undefined);
  return redirected ? "redirects it" : "drops it";
}

function copyText({ by, to, kind, lengthBytes }: MadeCopy): string {
  const what = kind === "redirect" ? "the frame" : `a ${kind} copy of ${lengthBytes} bytes`;
  return `${by.name} sends ${what} to ${formatAddress(to)}`;
}

function listOf(book: RuleBook, { capabilityId }: Consulted): { list: RuleList; name: string } {
  const capability = book.capabilities.find(({ id }) => id === capabilityId);
  if (!capability) return { list: book, name: "network rules" };
  return { list: capability, name: `capability ${capability.name ?? capability.id}` };
}

/** e.g. "line 12" or "rule 5". */
function place({ spans }: RuleList, index: number): string {
  return spans ? `line ${spans[index].line}` : `rule ${index + 1}`;
}

function decidingList({ consulted }: Decision): Consulted {
  const decided = consulted.filter(({ outcome }) => outcome.result !== ListResult.NO_MATCH);
  const allowing = decided.find(({ outcome }) => outcome.result !== ListResult.DROP);
  return allowing ?? decided[0] ?? consulted[0];
}

function deciding(book: RuleBook, { decision }: Stop): string {
  const consulted = decidingList(decision);
  const { list, name } = listOf(book, consulted);
  const at = consulted.outcome.decidedAt;
  const prefix = consulted.capabilityId === undefined ? "" : `${name}, `;
  if (at === undefined) return `${prefix}no rule accepts it`;
  const rule = describeRule(list.rules[at], book);
  const after = consulted.outcome.result === ListResult.NO_MATCH
    ? ", and no capability accepts it"
    : "";
  return `${prefix}${place(list, at)}: ${rule}${after}`;
}

/** The whole story, several lines. */
export function explainInWords(book: RuleBook, judgement: Judgement): string {
  const parts = [summarize(book, judgement)];
  for (const stop of judgement.stops) {
    parts.push("", `${stop.member.name} (${stop.role}): ${verbOf(stop)}`);
    for (const consulted of stop.decision.consulted) {
      const { list, name } = listOf(book, consulted);
      parts.push(`  ${name}`);
      parts.push(...table(consulted.steps.map((step) => stepCells(book, list, step))));
      if (consulted.outcome.decidedAt === undefined) parts.push("    the end: no decision");
    }
  }
  return parts.join("\n");
}

function stepCells(book: RuleBook, list: RuleList, step: Step): string[] {
  const isMatch = step.rule.type >= 16;
  const rule = `${isMatch ? "  " : ""}${describeRule(step.rule, book)}`;
  return [place(list, step.index), rule, stepText(step)];
}

function stepText({ what, answer, setMatches }: Step): string {
  switch (what) {
    case "match": {
      const so = answer!.matched === setMatches
        ? ""
        : `, the set ${setMatches ? "still holds" : "fails"}`;
      const skip = answer!.skipDrop ? ", the next drop is skipped" : "";
      return `${answer!.matched ? "yes" : "no"}: ${answer!.why}${so}${skip}`;
    }
    case "short":
      return "not asked, the set failed";
    case "unmatched":
      return "does not apply";
    case "skipped":
      return "skipped: only the receiver knows its tags";
    case "nothing":
      return "has no effect here";
    case "taken":
      return "done, goes on";
    case "end":
      return "DECIDES";
  }
}

function table(rows: readonly string[][]): string[] {
  const widths = [0, 1].map((column) => Math.max(0, ...rows.map((row) => row[column].length)));
  return rows.map(([at, rule, text]) =>
    `    ${at.padEnd(widths[0])}  ${rule.padEnd(widths[1])}  ${text}`
  );
}

/** The same as JSON. */
export function explainAsJson(book: RuleBook, judgement: Judgement): JsonObject {
  return {
    verdict: judgement.verdict,
    chance: judgement.isChance,
    copies: judgement.copies.map(({ by, to, kind, lengthBytes }) => ({
      by: formatAddress(by.address),
      to: formatAddress(to),
      kind,
      lengthBytes,
    })),
    decisions: judgement.stops.map((stop) => ({
      member: stop.member.name,
      address: formatAddress(stop.member.address),
      role: stop.role,
      passes: stop.decision.verdict !== Verdict.DROP,
      lists: stop.decision.consulted.map((consulted) => listJson(book, consulted)),
    })),
  };
}

const RESULT_NAMES = ["no match", "drop", "redirect", "accept", "super accept"];

function listJson(book: RuleBook, consulted: Consulted): JsonObject {
  const { list, name } = listOf(book, consulted);
  return {
    list: name,
    result: RESULT_NAMES[consulted.outcome.result],
    decidedAt: consulted.outcome.decidedAt ?? null,
    steps: consulted.steps.map((step) => ({
      rule: step.index,
      line: list.spans?.[step.index].line ?? null,
      text: describeRule(step.rule, book),
      outcome: stepText(step),
    })),
  };
}
