/**
 * Tests of rules: a text of members and expectations, run against a rule book.
 *
 *     text        = { line }
 *     line        = member | expectation | "#" comment
 *     expectation = "expect" verdict frame
 *     verdict     = "accept" | "drop" | ("redirect" | "tee" | "watch") MEMBER-or-HEX10
 *
 *     member printer ip 10.0.0.5 tag role server
 *     expect drop tcp from tag:guest to 10.0.0.5 port 22
 *     expect accept udp from anyone to printer port 631
 *     expect drop ipv4 from printer as 10.0.0.9 to anyone
 *
 * Members and frames: see `scenario.ts`. "accept": the sender sends the frame and the receiver
 * takes it. "drop": one of them does not, and nobody else gets it instead. "redirect": the frame
 * goes to the named member instead. "tee", "watch": the named member gets a copy.
 * @module
 */
import type { Address } from "../../base/ids.ts";
import { SourceError, type Span } from "./diagnostic.ts";
import { summarize } from "./explain.ts";
import { judge, type Judgement } from "./judgement.ts";
import type { RuleBook } from "./rule_book.ts";
import { type Line, linesOf, Stage } from "./scenario.ts";
import { SOURCE_LENGTH_MAX } from "./words.ts";

const VERDICTS = ["accept", "drop", "redirect", "tee", "watch"] as const;
type ExpectedVerdict = typeof VERDICTS[number];

/** How one expectation fared. */
export interface ExpectationResult {
  readonly span: Span;
  /** The line without the word "expect" */
  readonly text: string;
  readonly passed: boolean;
  /** What happened, in words */
  readonly actual: string;
}

/**
 * Runs every expectation of a text.
 * @throws {SourceError} at the first line that makes no sense: nothing is run then
 */
export function runExpectations(book: RuleBook, text: string): ExpectationResult[] {
  if (text.length > SOURCE_LENGTH_MAX) {
    const problem = `the text has more than ${SOURCE_LENGTH_MAX} characters`;
    throw new SourceError({ line: 1, column: 1, length: 0 }, problem);
  }
  const stage = new Stage(book);
  const results: ExpectationResult[] = [];
  for (const line of linesOf(text)) {
    const word = line.take("");
    if (word.text === "member") stage.member(line);
    else if (word.text === "expect") results.push(expectation(book, stage, line));
    else throw new SourceError(word, `"${word.text}" is not a statement`, '"member" or "expect"');
  }
  return results;
}

function expectation(book: RuleBook, stage: Stage, line: Line): ExpectationResult {
  const word = line.take(VERDICTS.join(", "));
  const verdict = VERDICTS.find((name) => name === word.text);
  if (!verdict) {
    const problem = `"${word.text}" cannot be expected`;
    throw new SourceError(word, problem, `one of: ${VERDICTS.join(", ")}`);
  }
  const isForward = verdict !== "accept" && verdict !== "drop";
  const to = isForward ? stage.addressOf(line.take("who gets it")) : undefined;
  const judgement = judge(book, stage.scenario(line));
  return {
    span: line.words[0],
    text: line.words.slice(1).map(({ text }) => text).join(" "),
    passed: !judgement.isChance && isAsExpected(verdict, to, judgement),
    actual: summarize(book, judgement),
  };
}

function isAsExpected(
  expected: ExpectedVerdict,
  to: Address | undefined,
  { verdict, copies }: Judgement,
): boolean {
  if (to === undefined) return verdict === expected;
  if (expected === "redirect" && verdict !== "redirect") return false;
  return copies.some((copy) => copy.kind === expected && copy.to === to);
}
