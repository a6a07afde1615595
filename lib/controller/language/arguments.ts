/**
 * Arguments of matches: from words to the fields of a rule.
 *
 * Source: spec 04b section 4.3.
 * @module
 */
import { networkOf, parseIp, sameIp } from "../../base/ip.ts";
import { RuleType } from "../../credential/rule_codec.ts";
import type { JsonObject } from "../json.ts";
import { SourceError, suggest, type Warning } from "./diagnostic.ts";
import { CHARACTERISTICS, ETHERTYPES, type MatchKeyword, PROTOCOLS } from "./vocabulary.ts";
import type { Word } from "./words.ts";

/** What a tag definition gives to matches. Values are as written: a flag with bit 31 is negative. */
export interface TagNames {
  readonly id: number;
  readonly enums: ReadonlyMap<string, number>;
  readonly flags: ReadonlyMap<string, number>;
}

/** What arguments may refer to, and where remarks go. */
export interface ArgumentScope {
  readonly tags: ReadonlyMap<string, TagNames>;
  readonly warnings: Warning[];
}

const U32_MAX = 0xffff_ffff;

/** "0x" hexadecimal or decimal; what follows the digits is ignored. @returns undefined without digits */
export function parseNumber(text: string): number | undefined {
  const number = /^[+-]?0x/i.test(text) ? parseInt(text, 16) : parseInt(text, 10);
  return Number.isNaN(number) ? undefined : number;
}

/** Says when digits are followed by something that has no effect. */
function warnOfGarbage(word: Word, scope: ArgumentScope): void {
  if (/^-?(0x[0-9a-f]+|\d+)(-(0x[0-9a-f]+|\d+))?$/i.test(word.text)) return;
  warn(word, scope, `what follows the number in "${word.text}" is ignored`);
}

function warn({ line, column, length }: Word, scope: ArgumentScope, message: string): void {
  scope.warnings.push({ line, column, length, message });
}

/** @throws {SourceError} when the word is no number within the limits */
export function numberArgument(word: Word, max: number, scope: ArgumentScope): number {
  const number = parseNumber(word.text);
  if (number === undefined || number < 0 || number > max) {
    throw new SourceError(word, `"${word.text}" is not such a number`, `a number from 0 to ${max}`);
  }
  warnOfGarbage(word, scope);
  return number;
}

function namedNumber(
  word: Word,
  names: ReadonlyMap<string, number>,
  what: string,
  max: number,
  scope: ArgumentScope,
): number {
  const named = names.get(word.text);
  if (named !== undefined) return named;
  const number = parseNumber(word.text);
  if (number === undefined || number < 0 || number > U32_MAX) {
    const close = suggest(word.text, names.keys());
    const expected = `a number or one of: ${[...names.keys()].join(", ")}` +
      (close === undefined ? "" : ` (did you mean "${close}"?)`);
    throw new SourceError(word, `"${word.text}" is not ${what}`, expected);
  }
  warnOfGarbage(word, scope);
  if (number > max) warn(word, scope, `of ${number} only ${number & max} reaches the members`);
  return number;
}

function rangeArgument(word: Word, max: number, scope: ArgumentScope): JsonObject {
  const parts = word.text.split("-").map(parseNumber);
  const [start, end = start] = parts;
  const isRange = parts.length <= 2 && !parts.includes(undefined) && start! >= 0 && end! <= max;
  if (!isRange || start! > end!) {
    const expected = `a number or "from-to", both from 0 to ${max}`;
    throw new SourceError(word, `"${word.text}" is not such a range`, expected);
  }
  warnOfGarbage(word, scope);
  return { start: start!, end: end! };
}

function addressArgument(word: Word): JsonObject {
  const zt = word.text.replace(/[^0-9a-fA-F]/g, "");
  if (zt.length !== 10) {
    const problem = `"${word.text}" is not a ZeroTier address`;
    throw new SourceError(word, problem, "10 hexadecimal digits");
  }
  return { zt };
}

function macArgument(word: Word): JsonObject {
  const digits = word.text.replace(/[^0-9a-fA-F]/g, "");
  if (digits.length !== 12) {
    const problem = `"${word.text}" is not a MAC address`;
    throw new SourceError(word, problem, "12 hexadecimal digits, separated or not");
  }
  return { mac: digits.replace(/(..)(?=.)/g, "$1:") };
}

/** Stricter than the reference, whose controller would make 0.0.0.0/0 of what merely looks like an address. */
function ipArgument(word: Word, scope: ArgumentScope): { ip: string; isV6: boolean } {
  const [ipText, bitsText, ...rest] = word.text.split("/");
  const ip = parseIp(ipText);
  if (!ip || rest.length > 0) {
    const problem = `"${word.text}" is not an IP address`;
    throw new SourceError(word, problem, "an IPv4 or IPv6 address with /bits");
  }
  if (bitsText === undefined || !/^\d/.test(bitsText)) {
    const problem = `"${word.text}" has no network length`;
    throw new SourceError(word, problem, `/bits, e.g. ${ipText}/${8 * ip.length} for one address`);
  }
  const bits = parseInt(bitsText, 10);
  const isV6 = ip.length === 16;
  if (bits > 8 * ip.length) {
    warn(word, scope, `/${bits} is too long, it means /${8 * ip.length}`);
  } else if (isV6 && !sameIp(networkOf({ ip, bits }).ip, ip)) {
    warn(word, scope, `never matches: the address has bits set behind the first ${bits}`);
  }
  return { ip: word.text, isV6 };
}

/**
 * The 64-bit mask of a comma separated list. Quirk: each half is made with signed numbers and then
 * without sign, so bit 63 or 31 together with others of its half comes out wrong; kept, so that a
 * source means the same everywhere, and warned of.
 */
function characteristicsArgument(word: Word, scope: ArgumentScope): JsonObject {
  let low = 0;
  let high = 0;
  let intended = 0n;
  for (const part of word.text.split(",")) {
    const bit = CHARACTERISTICS.get(part) ?? parseNumber(part);
    if (bit === undefined || bit < 0 || bit > 63) {
      const close = suggest(part, CHARACTERISTICS.keys());
      const expected =
        `bits 0 to 63 or names, separated by commas: ${[...CHARACTERISTICS.keys()].join(", ")}` +
        (close === undefined ? "" : ` (did you mean "${close}"?)`);
      throw new SourceError(word, `"${part}" is not a characteristic of frames`, expected);
    }
    intended |= 1n << BigInt(bit);
    if (bit < 32) low |= 1 << bit;
    else high |= 1 << (bit - 32);
  }
  const hex = (half: number) => Math.abs(half).toString(16).padStart(8, "0");
  const mask = hex(high) + hex(low);
  if (BigInt(`0x${mask}`) !== intended) {
    const message =
      `bit 63 (inbound) or 31 together with others gives the mask ${mask}, as in the ` +
      `reference: use a chr for each`;
    warn(word, scope, message);
  }
  return { mask };
}

function icmpArguments([typeWord, codeWord]: readonly Word[], scope: ArgumentScope): JsonObject {
  const icmpType = numberArgument(typeWord, 255, scope);
  const code = parseNumber(codeWord.text);
  if (code !== undefined && code > 255) {
    const problem = `"${codeWord.text}" is not an ICMP code`;
    throw new SourceError(codeWord, problem, "a number from 0 to 255, or -1 for any");
  }
  return { icmpType, icmpCode: code === undefined || code < 0 ? null : code };
}

function randomArgument(word: Word, scope: ArgumentScope): JsonObject {
  const fraction = parseFloat(word.text);
  if (!(fraction >= 0 && fraction <= 1)) {
    warn(
      word,
      scope,
      `"${word.text}" is not a fraction from 0 to 1; it means ${fraction > 1 ? 1 : 0}`,
    );
  }
  const clamped = Number.isNaN(fraction) ? 0 : Math.min(Math.max(fraction, 0), 1);
  return { probability: Math.floor(U32_MAX * clamped) };
}

function tagArguments([tagWord, valueWord]: readonly Word[], scope: ArgumentScope): JsonObject {
  const tag = scope.tags.get(tagWord.text);
  const id = tag?.id ?? parseNumber(tagWord.text);
  if (id === undefined || id < 0 || id > U32_MAX) {
    const lower = tagWord.text.toLowerCase();
    const close = scope.tags.has(lower) ? lower : suggest(tagWord.text, scope.tags.keys());
    const expected = "the name of a tag or its id" +
      (close === undefined ? "" : ` (did you mean "${close}"?)`);
    throw new SourceError(tagWord, `there is no tag "${tagWord.text}"`, expected);
  }
  const { text } = valueWord;
  const value = tag?.flags.get(text) ?? tag?.enums.get(text) ?? parseNumber(text);
  if (value === undefined || value < 0 || value > U32_MAX) {
    throw new SourceError(valueWord, ...tagValueProblem(text, value, tag));
  }
  return { id, value };
}

function tagValueProblem(text: string, value: number | undefined, tag?: TagNames) {
  const names = [...tag?.flags.keys() ?? [], ...tag?.enums.keys() ?? []];
  const known = names.length === 0 ? "" : ` or one of: ${names.join(", ")}`;
  const problem = value !== undefined && tag?.flags.has(text)
    ? `the flag "${text}" has bit 31, which matches cannot use`
    : `"${text}" is not a value of this tag`;
  return [problem, `a number from 0 to ${U32_MAX}${known}`] as const;
}

/**
 * The type and fields of a match.
 * @param words As many as the keyword takes
 * @throws {SourceError}
 */
export function matchFields(
  keyword: MatchKeyword,
  words: readonly Word[],
  scope: ArgumentScope,
): { type: number; fields: JsonObject } {
  const { type } = keyword;
  const [word] = words;
  switch (keyword.shape) {
    case "address":
      return { type, fields: addressArgument(word) };
    case "vlan":
      return { type, fields: { [VLAN_FIELDS.get(type)!]: numberArgument(word, U32_MAX, scope) } };
    case "ethertype": {
      const etherType = namedNumber(word, ETHERTYPES, "an ethertype", 0xffff, scope);
      return { type, fields: { etherType } };
    }
    case "mac":
      return { type, fields: macArgument(word) };
    case "ip": {
      const { ip, isV6 } = ipArgument(word, scope);
      return { type: isV6 ? IPV6_TYPES.get(type)! : type, fields: { ip } };
    }
    case "tos": {
      const mask = numberArgument(word, 255, scope);
      return { type, fields: { mask, ...rangeArgument(words[1], 255, scope) } };
    }
    case "protocol": {
      const ipProtocol = namedNumber(word, PROTOCOLS, "an IP protocol", 0xff, scope);
      return { type, fields: { ipProtocol } };
    }
    case "icmp":
      return { type, fields: icmpArguments(words, scope) };
    case "range":
      return { type, fields: rangeArgument(word, 65_535, scope) };
    case "characteristics":
      return { type, fields: characteristicsArgument(word, scope) };
    case "random":
      return { type, fields: randomArgument(word, scope) };
    case "tag":
      return { type, fields: tagArguments(words, scope) };
  }
}

const VLAN_FIELDS = new Map<number, string>([
  [RuleType.MATCH_VLAN_ID, "vlanId"],
  [RuleType.MATCH_VLAN_PCP, "vlanPcp"],
  [RuleType.MATCH_VLAN_DEI, "vlanDei"],
]);
const IPV6_TYPES = new Map<number, number>([
  [RuleType.MATCH_IPV4_SOURCE, RuleType.MATCH_IPV6_SOURCE],
  [RuleType.MATCH_IPV4_DEST, RuleType.MATCH_IPV6_DEST],
]);
