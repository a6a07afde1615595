/**
 * Compiles the rule definition language to rules, capabilities and tags as the controller API takes them. Equal to the
 * reference's compiler on what that compiles, with better errors, and warnings where the language bites.
 *
 * Source: spec 04b section 4.
 * @module
 */
import type { JsonObject } from "../json.ts";
import type { RuleJson } from "../rule_json.ts";
import { matchFields, parseNumber } from "./arguments.ts";
import { collectDefinitions, type Definitions, type Macro, splitCall } from "./definitions.ts";
import { SourceError, type Span, suggest, type Warning } from "./diagnostic.ts";
import { ACTIONS, MATCHES, type MatchKeyword, RESERVED, typeName } from "./vocabulary.ts";
import { isWord, type Item, nest, tokenize, type Word } from "./words.ts";

/** Most macros inside one another: a macro that includes itself must end. */
const INCLUDE_DEPTH_MAX = 32;
/** Most rules one source may expand to: macros can double with every level. */
const RULES_MAX = 65_536;
/** Most macros it may include: they may hold no rule. */
const INCLUDES_MAX = 4 * RULES_MAX;

/** A rule list and where each rule stands in the source (inside a macro: in the macro). */
export interface CompiledRules {
  readonly rules: RuleJson[];
  readonly spans: Span[];
}

export interface CompiledCapability extends CompiledRules {
  readonly id: number;
  readonly default: boolean;
}

export interface CompiledTag {
  readonly id: number;
  readonly default: number | null;
  readonly enums: Readonly<Record<string, number>>;
  readonly flags: Readonly<Record<string, number>>;
}

/** A compiled source; names are in lower case. */
export interface CompiledSource extends CompiledRules {
  readonly capabilities: ReadonlyMap<string, CompiledCapability>;
  readonly tags: ReadonlyMap<string, CompiledTag>;
  readonly warnings: readonly Warning[];
}

/** @throws {SourceError} at the first mistake */
export function compileSource(source: string): CompiledSource {
  const { tokens } = tokenize(source);
  const { items, warnings: nestWarnings } = nest(tokens);
  const warnings = [...nestWarnings];
  const definitions = collectDefinitions(items, warnings);
  const compiler = new Compiler(definitions, warnings);
  const capabilities = new Map<string, CompiledCapability>();
  for (const { name, id, default: isDefault, statements } of definitions.capabilities.values()) {
    capabilities.set(name, { id, default: isDefault, ...compiler.compile(statements) });
  }
  const tags = new Map<string, CompiledTag>();
  for (const { name, id, default: value, enums, flags } of definitions.tags.values()) {
    const [enumObject, flagObject] = [Object.fromEntries(enums), Object.fromEntries(flags)];
    tags.set(name, { id, default: value, enums: enumObject, flags: flagObject });
  }
  const document = compiler.compile(definitions.statements);
  return { ...document, capabilities, tags, warnings: uniqueWarnings(warnings) };
}

/** A macro included twice warns once. */
function uniqueWarnings(warnings: readonly Warning[]): Warning[] {
  const byKey = new Map(warnings.map((w) => [`${w.line}:${w.column}:${w.message}`, w]));
  return [...byKey.values()].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** The object the reference's command line prints: what the controller takes, and the numbers of names. */
export function sourceToJson({ rules, capabilities, tags }: CompiledSource): JsonObject {
  const capabilityList = [...capabilities.values()].map(({ id, default: isDefault, rules }) => ({
    id,
    default: isDefault,
    rules,
  }));
  const tagList = [...tags.values()].map(({ id, default: value }) => ({ id, default: value }));
  const idsByName = (all: ReadonlyMap<string, { id: number }>) =>
    Object.fromEntries([...all].map(([name, { id }]) => [name, id]));
  return {
    config: { rules, capabilities: capabilityList, tags: tagList },
    capabilitiesByName: idsByName(capabilities),
    tagsByName: idsByName(tags),
  };
}

/** What a statement can refer to. */
interface Scope {
  /** Values of "$" parameters; none outside of macros */
  readonly parameters: ReadonlyMap<string, string>;
  readonly depth: number;
}

class Compiler {
  #ruleCount = 0;
  #includeCount = 0;

  constructor(readonly definitions: Definitions, readonly warnings: Warning[]) {}

  compile(statements: readonly Item[]): CompiledRules {
    const into: CompiledRules = { rules: [], spans: [] };
    this.#statements(statements, { parameters: new Map(), depth: 0 }, into);
    return into;
  }

  #emit(rule: RuleJson, at: Word, into: CompiledRules): void {
    if (++this.#ruleCount > RULES_MAX) {
      throw new SourceError(at, `the source expands to more than ${RULES_MAX} rules`);
    }
    into.rules.push(rule);
    into.spans.push({ line: at.line, column: at.column, length: at.length });
  }

  #statements(items: readonly Item[], scope: Scope, into: CompiledRules): void {
    for (let i = 0; i < items.length; i++) {
      const word = items[i];
      if (!isWord(word)) continue; // the empty contents of a keyword that takes none
      const keyword = word.text.toLowerCase();
      const next = items[i + 1];
      const type = ACTIONS.get(keyword);
      if (type !== undefined) {
        const block = next !== undefined && !isWord(next) ? next : undefined;
        if (block) i++;
        this.#action(word, type, block?.items ?? [], scope, into);
      } else if (keyword === "include") {
        this.#include(word, next, scope, into);
        i++;
      } else {
        throw notAStatement(word, items[i - 1]);
      }
    }
  }

  #action(
    word: Word,
    type: number,
    items: readonly Item[],
    scope: Scope,
    into: CompiledRules,
  ): void {
    const rule: RuleJson = { type: typeName(type) };
    let matches = items;
    if (rule.type === "ACTION_TEE" || rule.type === "ACTION_WATCH") {
      const [lengthWord, target] = items;
      if (!isWord(lengthWord) || !isWord(target)) {
        const expected = "a length (-1: whole frames) and the address of a member";
        throw new SourceError(word, `"${word.text}" does not say what goes where`, expected);
      }
      rule.address = targetAddress(target);
      rule.length = copyLength(lengthWord);
      matches = items.slice(2);
    } else if (rule.type === "ACTION_REDIRECT") {
      const [target] = items;
      if (!isWord(target)) {
        const expected = "the address of a member";
        throw new SourceError(word, `"${word.text}" does not say where to`, expected);
      }
      rule.address = targetAddress(target);
      matches = items.slice(1);
    }
    this.#matches(matches, scope, into);
    this.#emit(rule, word, into);
  }

  #matches(items: readonly Item[], scope: Scope, into: CompiledRules): void {
    let not = false;
    let or = false;
    let isFirst = true;
    for (let i = 0; i < items.length; i++) {
      const word = items[i];
      if (!isWord(word)) continue;
      const text = word.text.toLowerCase();
      if (text === "and") continue;
      if (text === "not") not = true;
      else if (text === "or") or = true;
      else {
        const match = MATCHES.get(text);
        if (!match) throw notAMatch(word);
        if (or && isFirst) this.#warn(word, `"or" on the first match makes it always true`);
        const { type, fields } = this.#match(word, match, items.slice(i + 1), scope);
        if (not && fields.icmpCode === null) {
          this.#warn(word, `"not" has no effect on icmp without a code`);
        }
        this.#emit({ type: typeName(type), not, or, ...fields }, word, into);
        i += match.argumentCount;
        not = or = isFirst = false;
      }
    }
  }

  #warn({ line, column, length }: Word, message: string): void {
    this.warnings.push({ line, column, length, message });
  }

  #match(word: Word, keyword: MatchKeyword, following: readonly Item[], scope: Scope) {
    const words: Word[] = [];
    for (const item of following.slice(0, keyword.argumentCount)) {
      if (!isWord(item) || RESERVED.has(item.text)) break;
      words.push(substitute(item, scope));
    }
    if (words.length < keyword.argumentCount) {
      const next = following[words.length];
      const found = isWord(next) ? `, and "${next.text}" cannot be one` : "";
      const count = keyword.argumentCount === 1
        ? "an argument"
        : `${keyword.argumentCount} arguments`;
      const hint = keyword.shape === "protocol" ? ` (ICMP is icmp4 or icmp6)` : "";
      throw new SourceError(word, `"${word.text}" needs ${count}${found}`, `${count}${hint}`);
    }
    const { warnings, definitions: { tags } } = this;
    return matchFields(keyword, words, { tags, warnings });
  }

  #include(word: Word, call: Item | undefined, scope: Scope, into: CompiledRules): void {
    if (!isWord(call)) {
      throw new SourceError(word, `"include" names no macro`, "the name of a macro");
    }
    const { name, parameters: values } = splitCall(call);
    const macro = this.definitions.macros.get(name);
    if (!macro) throw this.#noMacro(call, name);
    if (values.length < macro.parameters.length) {
      const wanted = macro.parameters.join(",");
      const problem = `"${name}" is given ${values.length} of ${macro.parameters.length} arguments`;
      throw new SourceError(call, problem, `${name}(${wanted})`);
    }
    if (scope.depth === INCLUDE_DEPTH_MAX) {
      throw new SourceError(call, `macros include each other more than ${INCLUDE_DEPTH_MAX} deep`);
    }
    if (++this.#includeCount > INCLUDES_MAX) {
      throw new SourceError(call, `the source includes more than ${INCLUDES_MAX} macros`);
    }
    this.#statements(macro.statements, innerScope(macro, values, scope), into);
  }

  #noMacro(call: Word, name: string): SourceError {
    const names = [...this.definitions.macros.keys()];
    const lower = name.toLowerCase();
    const close = names.includes(lower) ? lower : suggest(name, names);
    const expected = close === undefined ? "the name of a macro, in lower case" : `"${close}"`;
    return new SourceError(call, `there is no macro "${name}"`, expected);
  }
}

function innerScope(macro: Macro, values: readonly string[], scope: Scope): Scope {
  const parameters = new Map(macro.parameters.map((parameter, i) => [parameter, values[i]]));
  return { parameters, depth: scope.depth + 1 };
}

function substitute(word: Word, { parameters }: Scope): Word {
  if (!word.text.startsWith("$")) return word;
  const value = parameters.get(word.text);
  if (value === undefined) {
    const known = [...parameters.keys()];
    const expected = known.length === 0
      ? "a value: there are no parameters here"
      : `one of ${known.join(", ")} (names of parameters are in lower case)`;
    throw new SourceError(word, `there is no parameter "${word.text}"`, expected);
  }
  return { ...word, text: value };
}

function notAStatement(word: Word, before: Item | undefined): SourceError {
  const statements = [...ACTIONS.keys(), "include", "macro", "tag", "cap"];
  const problem = `"${word.text}" is not a statement`;
  if (isWord(before) && ACTIONS.has(before.text.toLowerCase())) {
    const lower = before.text.toLowerCase();
    return new SourceError(word, problem, `"${lower}" instead of "${before.text}" before it`);
  }
  const close = suggest(word.text, statements);
  const expected = close === undefined ? `one of: ${statements.join(", ")}` : `"${close}"`;
  return new SourceError(word, problem, expected);
}

function notAMatch(word: Word): SourceError {
  const lower = word.text.toLowerCase();
  const problem = `"${word.text}" is not a match`;
  if (ACTIONS.has(lower) || lower === "include") {
    const expected =
      `a match: an action before it is not closed, or is "drop;", "accept;" or "break;" ` +
      `without matches, which must be the last statement`;
    return new SourceError(word, problem, expected);
  }
  const close = suggest(word.text, MATCHES.keys());
  const expected = close === undefined ? `one of: ${[...MATCHES.keys()].join(", ")}` : `"${close}"`;
  return new SourceError(word, problem, expected);
}

/** Stricter than the reference, which takes any ten characters. */
function targetAddress(word: Word): string {
  if (!/^[0-9a-fA-F]{10}$/.test(word.text)) {
    const problem = `"${word.text}" is not the address of a member`;
    throw new SourceError(word, problem, "10 hexadecimal digits");
  }
  return word.text;
}

function copyLength(word: Word): number {
  const length = parseNumber(word.text);
  if (length === undefined || length < -1 || length > 65_535) {
    const expected = "a number from 0 to 65535, or -1 for whole frames";
    throw new SourceError(word, `"${word.text}" is not a length`, expected);
  }
  return length;
}
