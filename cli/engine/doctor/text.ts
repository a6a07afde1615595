/**
 * Findings as a person reads them.
 * @module
 */
import type { Finding, FindingState } from "./findings.ts";

const MARKS: Readonly<Record<FindingState, string>> = {
  ok: "ok",
  note: "note",
  problem: "PROBLEM",
  unchecked: "?",
};

/** One line a finding, a second one with the remedy where there is one, and the sum at the end. */
export function findingsText(findings: readonly Finding[]): string {
  const markWidth = Math.max(...findings.map(({ state }) => MARKS[state].length));
  const checkWidth = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.map(({ check, state, text, remedy }) => {
    const head = `${MARKS[state].padEnd(markWidth)}  ${check.padEnd(checkWidth)}  ${text}\n`;
    return remedy ? `${head}${" ".repeat(markWidth + checkWidth + 4)}-> ${remedy}\n` : head;
  });
  return `${lines.join("")}\n${sumOf(findings)}\n`;
}

function sumOf(findings: readonly Finding[]): string {
  const count = (state: FindingState) => findings.filter((one) => one.state === state).length;
  const [problems, notes, unchecked] = [count("problem"), count("note"), count("unchecked")];
  const parts = [
    problems === 0 ? "no problems found" : `${problems} ${problems === 1 ? "problem" : "problems"}`,
    ...notes > 0 ? [`${notes} ${notes === 1 ? "note" : "notes"}`] : [],
    ...unchecked > 0 ? [`${unchecked} not checked`] : [],
  ];
  return parts.join(", ");
}
