/**
 * `zt rules compile|check|format|explain|test`: what the commands print, as functions of the texts
 * they are given. Reading files and declaring options is the caller's.
 *
 * Exit codes: 0 done; 1 the rules are wrong or an expectation failed; 2 the description of a frame
 * or the test file is wrong.
 * @module
 */
import { messageOf, UsageError } from "../../lib/base/errors.ts";
import { compileSource, sourceToJson } from "../../lib/controller/language/compiler.ts";
import { decompile, NotExpressible } from "../../lib/controller/language/decompiler.ts";
import {
  renderWarning,
  SourceError,
  type Warning,
} from "../../lib/controller/language/diagnostic.ts";
import {
  type ExpectationResult,
  runExpectations,
} from "../../lib/controller/language/expectations.ts";
import { explainAsJson, explainInWords } from "../../lib/controller/language/explain.ts";
import { formatSource } from "../../lib/controller/language/formatter.ts";
import { judge } from "../../lib/controller/language/judgement.ts";
import {
  bookFromJson,
  bookFromSource,
  type RuleBook,
} from "../../lib/controller/language/rule_book.ts";
import { linesOf, type Scenario, Stage } from "../../lib/controller/language/scenario.ts";

/** A file the user named; "-" was standard input. */
export interface TextFile {
  readonly name: string;
  readonly text: string;
}

/** What a command prints, and its exit code. Texts end with a line break unless empty. */
export interface RulesOutput {
  readonly exitCode: 0 | 1 | 2;
  readonly out: string;
  readonly err: string;
}

/** Options every one of the commands takes. */
export interface RulesOptions {
  /** Print one line of JSON */
  readonly json: boolean;
}

/**
 * Prints what the controller API takes, and the numbers of the names: `{"config":{...},"capabilitiesByName":{...},
 * "tagsByName":{...}}`. Warnings go to the error output.
 */
export function rulesCompile(file: TextFile, { json }: RulesOptions): RulesOutput {
  return guarded(file, json, () => {
    const compiled = compileSource(file.text);
    const object = sourceToJson(compiled);
    const out = json ? JSON.stringify(object) : JSON.stringify(object, null, 2);
    return { exitCode: 0, out: `${out}\n`, err: warningText(compiled.warnings, file) };
  });
}

/** Says whether a file compiles, and what in it may surprise. */
export function rulesCheck(file: TextFile, { json }: RulesOptions): RulesOutput {
  return guarded(file, json, () => {
    const { rules, capabilities, tags, warnings } = compileSource(file.text);
    const counts = { rules: rules.length, capabilities: capabilities.size, tags: tags.size };
    if (json) {
      return printed({
        ok: true,
        ...counts,
        warnings: warnings.map((warning) => ({ ...warning })),
      });
    }
    const summary = [
      plural(counts.rules, "rule", "rules"),
      plural(counts.capabilities, "capability", "capabilities"),
      plural(counts.tags, "tag", "tags"),
    ].join(", ");
    return { exitCode: 0, out: `${file.name}: ${summary}\n`, err: warningText(warnings, file) };
  });
}

/** Prints a source with even layout; JSON rules are turned into a source. */
export function rulesFormat(file: TextFile, { json }: RulesOptions): RulesOutput {
  return guarded(file, json, () => {
    const source = isJson(file) ? decompile(bookOf(file)) : formatSource(file.text);
    return json ? printed({ source }) : { exitCode: 0, out: source, err: "" };
  });
}

/**
 * Says what becomes of a frame, by which rule, and what every rule answered.
 * @param description e.g. "tcp from tag:guest to 10.0.0.5 port 22", see `scenario.ts`
 * @param members Lines "member ...", if any
 */
export function rulesExplain(
  file: TextFile,
  description: string,
  members: TextFile | undefined,
  { json }: RulesOptions,
): RulesOutput {
  return guarded(file, json, () => {
    const book = bookOf(file);
    const stage = new Stage(book);
    if (members) declareMembers(stage, members);
    const judgement = judge(book, parseDescription(stage, description));
    return json
      ? printed(explainAsJson(book, judgement))
      : { exitCode: 0, out: `${explainInWords(book, judgement)}\n`, err: "" };
  });
}

/** Runs the expectations of a test file, see `expectations.ts`. */
export function rulesTest(file: TextFile, tests: TextFile, { json }: RulesOptions): RulesOutput {
  return guarded(file, json, () => {
    const book = bookOf(file);
    const results = blaming(tests, () => runExpectations(book, tests.text));
    if (results.length === 0) throw new UsageError(`${tests.name}: there is no expectation in it`);
    const failed = results.filter(({ passed }) => !passed).length;
    const exitCode = failed === 0 ? 0 : 1;
    if (json) {
      const list = results.map(({ span, ...rest }) => ({ line: span.line, ...rest }));
      return { ...printed({ passed: results.length - failed, failed, results: list }), exitCode };
    }
    return { exitCode, out: testReport(results, tests, failed), err: "" };
  });
}

function testReport(
  results: readonly ExpectationResult[],
  tests: TextFile,
  failed: number,
): string {
  const lines = results.filter(({ passed }) => !passed).map(({ span, text, actual }) =>
    `${tests.name}:${span.line}: FAILED: expect ${text}\n  ${actual}\n`
  );
  return `${lines.join("")}${results.length - failed} passed, ${failed} failed\n`;
}

/** A mistake in a text other than the rules: exit code 2. */
class OtherTextError extends Error {
  override name = "OtherTextError";
  constructor(readonly file: TextFile, readonly mistake: SourceError) {
    super(mistake.message);
  }
}

function blaming<T>(file: TextFile, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof SourceError ? new OtherTextError(file, error) : error;
  }
}

function declareMembers(stage: Stage, members: TextFile): void {
  blaming(members, () => {
    for (const line of linesOf(members.text)) {
      const word = line.take("");
      if (word.text === "member") stage.member(line);
      else if (word.text !== "expect") {
        throw new SourceError(word, `"${word.text}" is not a statement`, '"member"');
      }
    }
  });
}

function parseDescription(stage: Stage, description: string): Scenario {
  const file = { name: "frame", text: description };
  const [line, ...more] = linesOf(description);
  if (!line || more.length > 0) throw new UsageError("the frame must be described in one line");
  return blaming(file, () => stage.scenario(line));
}

function isJson({ text }: TextFile): boolean {
  return /^\s*[{[]/.test(text);
}

function bookOf(file: TextFile): RuleBook {
  if (!isJson(file)) return bookFromSource(compileSource(file.text));
  let json;
  try {
    json = JSON.parse(file.text);
  } catch (error) {
    throw new NotRules(messageOf(error));
  }
  try {
    return bookFromJson(json);
  } catch (error) {
    throw error instanceof UsageError ? new NotRules(error.message) : error;
  }
}

/** A file of JSON without usable rules. */
class NotRules extends Error {
  override name = "NotRules";
}

/** Turns what the user got wrong into output; anything else is a bug and goes on. */
function guarded(file: TextFile, json: boolean, run: () => RulesOutput): RulesOutput {
  try {
    return run();
  } catch (error) {
    if (error instanceof SourceError) return refused(file, error, 1, json);
    if (error instanceof OtherTextError) return refused(error.file, error.mistake, 2, json);
    if (error instanceof NotExpressible || error instanceof NotRules) {
      return plainlyRefused(`${file.name}: ${error.message}`, 1, json);
    }
    if (error instanceof UsageError) return plainlyRefused(error.message, 2, json);
    throw error;
  }
}

function refused(file: TextFile, error: SourceError, exitCode: 1 | 2, json: boolean): RulesOutput {
  if (!json) return { exitCode, out: "", err: `${error.render(file.text, file.name)}\n` };
  const { span: { line, column }, problem, expected } = error;
  const details = { file: file.name, line, column, problem, expected: expected ?? null };
  return { ...printed({ ok: false, error: details }), exitCode };
}

function plainlyRefused(problem: string, exitCode: 1 | 2, json: boolean): RulesOutput {
  if (json) return { ...printed({ ok: false, error: { problem } }), exitCode };
  return { exitCode, out: "", err: `error: ${problem}\n` };
}

function printed(value: unknown): RulesOutput {
  return { exitCode: 0, out: `${JSON.stringify(value)}\n`, err: "" };
}

function warningText(warnings: readonly Warning[], file: TextFile): string {
  return warnings.map((warning) => `${renderWarning(warning, file.text, file.name)}\n`).join("");
}

function plural(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
