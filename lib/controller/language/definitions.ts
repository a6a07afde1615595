/**
 * Macros, tags and capabilities of a source: collected before any statement is looked at.
 *
 * Source: spec 04b sections 4.2, 4.5 and 4.6.
 * @module
 */
import { numberArgument, parseNumber, type TagNames } from "./arguments.ts";
import { SourceError, type Warning } from "./diagnostic.ts";
import { RESERVED } from "./vocabulary.ts";
import { type Block, isWord, type Item, type Word } from "./words.ts";

const U32_MAX = 0xffff_ffff;

/** A named piece of source. */
export interface Macro {
  readonly name: Word;
  /** With their "$" */
  readonly parameters: readonly string[];
  readonly statements: readonly Item[];
}

/** A tag, numbers as the reference computes them. */
export interface TagDefinition extends TagNames {
  readonly name: string;
  readonly default: number | null;
}

/** A capability before its statements are rendered. */
export interface CapabilityDefinition {
  readonly name: string;
  readonly id: number;
  readonly default: boolean;
  readonly statements: readonly Item[];
}

/** A document taken apart. Names are in lower case. */
export interface Definitions {
  readonly macros: ReadonlyMap<string, Macro>;
  readonly tags: ReadonlyMap<string, TagDefinition>;
  readonly capabilities: ReadonlyMap<string, CapabilityDefinition>;
  readonly statements: readonly Item[];
}

/** @throws {SourceError} at the first definition that is wrong */
export function collectDefinitions(document: readonly Item[], warnings: Warning[]): Definitions {
  const macros = new Map<string, Macro>();
  const tags = new Map<string, TagDefinition>();
  const capabilities = new Map<string, CapabilityDefinition>();
  const statements: Item[] = [];
  for (let i = 0; i < document.length; i++) {
    const item = document[i];
    const kind = isWord(item) ? item.text.toLowerCase() : "";
    if (!isWord(item) || (kind !== "macro" && kind !== "tag" && kind !== "cap")) {
      statements.push(item);
      continue;
    }
    const block = document[i + 1];
    if (block === undefined || isWord(block)) throw noContents(item);
    i++;
    const name = nameOf(item, block);
    if (kind === "macro") {
      const macro = macroOf(name, block);
      define(macros, splitCall(macro.name).name.toLowerCase(), macro, name, "macro");
    } else if (kind === "tag") {
      const tag = tagOf(name, block, warnings);
      define(tags, tag.name, tag, name, "tag");
    } else {
      const capability = capabilityOf(name, block, capabilities, warnings);
      define(capabilities, capability.name, capability, name, "capability");
    }
  }
  return { macros, tags, capabilities, statements };
}

function noContents(keyword: Word): SourceError {
  const isLower = keyword.text === keyword.text.toLowerCase();
  const expected = isLower ? "a name and a definition" : `"${keyword.text.toLowerCase()}"`;
  return new SourceError(keyword, `"${keyword.text}" defines nothing`, expected);
}

function nameOf(keyword: Word, { items }: Block): Word {
  const [name] = items;
  if (!isWord(name)) throw noContents(keyword);
  return name;
}

function define<T>(all: Map<string, T>, name: string, value: T, at: Word, what: string): void {
  if (all.has(name)) {
    throw new SourceError(at, `there is a ${what} "${name}" already`, "a new name");
  }
  all.set(name, value);
}

function checkName(word: Word, name: string, what: string): void {
  if (RESERVED.has(name)) {
    throw new SourceError(
      word,
      `"${name}" means something in the language`,
      `a name for the ${what}`,
    );
  }
  if (!/^[\p{L}_][\p{L}\p{M}\p{N}_]*$/u.test(name)) {
    const expected = "letters, digits and _, not beginning with a digit";
    throw new SourceError(word, `"${name}" cannot name a ${what}`, expected);
  }
}

/** "name(a,b)" taken apart; empty parameters are none. */
export function splitCall(word: Word): { name: string; parameters: string[] } {
  const open = word.text.indexOf("(");
  if (open < 0) return { name: word.text, parameters: [] };
  const inside = word.text.slice(open + 1).replace(/\)$/, "");
  return { name: word.text.slice(0, open), parameters: inside.split(",").filter(Boolean) };
}

function macroOf(word: Word, { items }: Block): Macro {
  const { name, parameters } = splitCall({ ...word, text: word.text.toLowerCase() });
  checkName(word, name, "macro");
  const bad = parameters.find((parameter) => !parameter.startsWith("$"));
  if (bad !== undefined) {
    throw new SourceError(word, `the parameter "${bad}" does not begin with "$"`, `"$${bad}"`);
  }
  return { name: word, parameters, statements: items.slice(1) };
}

/** The word after `items[i]`. */
function argument(items: readonly Item[], i: number, what: string): Word {
  const [keyword, next] = [items[i] as Word, items[i + 1]];
  if (!isWord(next)) throw new SourceError(keyword, `"${keyword.text}" needs more`, what);
  return next;
}

function tagOf(name: Word, { items }: Block, warnings: Warning[]): TagDefinition {
  const lower = name.text.toLowerCase();
  checkName(name, lower, "tag");
  const scope = { tags: new Map(), warnings };
  const enums = new Map<string, number>();
  const flags = new Map<string, number>();
  let id: number | undefined;
  let defaultWord: Word | undefined;
  for (let i = 1; i < items.length; i++) {
    const item = items[i];
    const keyword = isWord(item) ? item.text.toLowerCase() : "";
    if (keyword === "id") {
      id = numberArgument(argument(items, i, "the tag's number"), U32_MAX, scope);
      i += 1;
    } else if (keyword === "default") {
      defaultWord = argument(items, i, "a value");
      i += 1;
    } else if (keyword === "enum") {
      const value = numberArgument(argument(items, i, "a number and a name"), U32_MAX, scope);
      const label = argument(items, i + 1, "a name for the number");
      defineValue(enums, label, value);
      i += 2;
    } else if (keyword === "flag") {
      const bits = argument(items, i, "bits and a name");
      const label = argument(items, i + 1, "a name for the bits");
      const value = flagValue(bits, flags);
      if (value < 0) {
        const { line, column, length } = label;
        const message = `a flag with bit 31 cannot be used in matches`;
        warnings.push({ line, column, length, message });
      }
      defineValue(flags, label, value);
      i += 2;
    } else {
      throw new SourceError(isWord(item) ? item : name, ...notInTag(item));
    }
  }
  if (id === undefined) {
    throw new SourceError(name, `the tag "${lower}" has no id`, `"id" and a number`);
  }
  return { name: lower, id, default: defaultValue(defaultWord, enums, flags), enums, flags };
}

function notInTag(item: Item): [problem: string, expected: string] {
  const text = isWord(item) ? item.text : "";
  return [`"${text}" does not belong in a tag`, "id, default, enum, flag, or ; to end it"];
}

function defineValue(values: Map<string, number>, label: Word, value: number): void {
  const lower = label.text.toLowerCase();
  checkName(label, lower, "value");
  values.set(lower, value);
}

/** Quirk: bits are joined as signed numbers, so bit 31 makes the value negative. */
function flagValue(word: Word, flags: ReadonlyMap<string, number>): number {
  let value = 0;
  for (const part of word.text.split(",")) {
    const named = flags.get(part);
    const bit = named === undefined ? parseNumber(part) : undefined;
    if (named !== undefined) value |= named;
    else if (bit !== undefined && bit >= 0 && bit <= 31) value |= 1 << bit;
    else {
      const expected = "bits 0 to 31 or earlier flags, separated by commas";
      throw new SourceError(word, `"${part}" is neither a bit nor a flag`, expected);
    }
  }
  return value;
}

function defaultValue(
  word: Word | undefined,
  enums: ReadonlyMap<string, number>,
  flags: ReadonlyMap<string, number>,
): number | null {
  if (word === undefined) return null;
  return enums.get(word.text) ?? flags.get(word.text) ?? parseNumber(word.text) ?? 0;
}

function capabilityOf(
  name: Word,
  { items }: Block,
  others: ReadonlyMap<string, CapabilityDefinition>,
  warnings: Warning[],
): CapabilityDefinition {
  const lower = name.text.toLowerCase();
  checkName(name, lower, "capability");
  const statements: Item[] = [];
  let id: number | undefined;
  let isDefault = false;
  for (let i = 1; i < items.length; i++) {
    const item = items[i];
    const keyword = isWord(item) ? item.text.toLowerCase() : "";
    if (keyword === "id") {
      const word = argument(items, i, "the capability's number");
      id = numberArgument(word, U32_MAX, { tags: new Map(), warnings });
      const taken = [...others.values()].find((other) => other.id === id);
      if (taken) {
        const problem = `the capability "${taken.name}" has the id ${id} already`;
        throw new SourceError(item as Word, problem, "another id");
      }
      i += 1;
    } else if (keyword === "default") {
      isDefault = true;
    } else {
      statements.push(item);
    }
  }
  if (id === undefined) {
    throw new SourceError(name, `the capability "${lower}" has no id`, `"id" and a number`);
  }
  return { name: lower, id, default: isDefault, statements };
}
