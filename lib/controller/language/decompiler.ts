/**
 * From rules back to the language. Compiling the result gives the same rules: what the language has
 * no words for is refused, never left out.
 *
 * Source: spec 04b section 4.
 * @module
 */
import { formatAddress, formatMac } from "../../base/ids.ts";
import { formatPrefix } from "../../base/ip.ts";
import { type Rule, RuleType } from "../../credential/rule_codec.ts";
import { ICMP_CODE_MATCHED } from "../../network/rules/matches.ts";
import { renderRule } from "../rule_json.ts";
import type { BookTag, RuleBook } from "./rule_book.ts";
import {
  ACTIONS,
  CHARACTERISTICS,
  ETHERTYPES,
  MATCHES,
  namesByNumber,
  PROTOCOLS,
  RESERVED,
} from "./vocabulary.ts";

/** A rule the language has no words for. */
export class NotExpressible extends Error {
  override name = "NotExpressible";
  /**
   * @param where e.g. "rules", "capability ssh"
   * @param index Place in the list, from 0
   */
  constructor(readonly where: string, readonly index: number, readonly reason: string) {
    super(`${where}, rule ${index + 1}: ${reason}`);
  }
}

/**
 * The text of a book. Names are optional: those missing or unusable are made from ids.
 * @throws {NotExpressible}
 */
export function decompile(book: RuleBook): string {
  return new Writer(book).write();
}

/** One rule in words, for people: what cannot be said in the language is shown as JSON. */
export function describeRule(rule: Rule, book: RuleBook): string {
  try {
    return new Writer(book).rule(rule);
  } catch (error) {
    if (!(error instanceof NotExpressible)) throw error;
    return JSON.stringify(renderRule(rule));
  }
}

const VALID_NAME = /^[\p{L}_][\p{L}\p{M}\p{N}_]*$/u;
const ETHERTYPE_NAMES = namesByNumber(ETHERTYPES);
const PROTOCOL_NAMES = namesByNumber(PROTOCOLS);
const CHARACTERISTIC_NAMES = namesByNumber(CHARACTERISTICS);
const ACTION_NAMES = namesByNumber(ACTIONS);
const MATCH_NAMES = new Map([...MATCHES].map(([name, { type }]) => [type, name]));
MATCH_NAMES.set(RuleType.MATCH_IPV6_SOURCE, "ipsrc");
MATCH_NAMES.set(RuleType.MATCH_IPV6_DEST, "ipdest");

interface WrittenTag {
  readonly name: string;
  /** Flags hide enums of the same name, so they are written first */
  readonly values: ReadonlyMap<number, string>;
}

class Writer {
  readonly #tags = new Map<number, WrittenTag>();
  readonly #names = new Map<BookTag, string>();
  /** Actions without matches needed amid a list, by keyword: only a macro can hold one there */
  readonly #macros = new Map<string, string>();

  constructor(readonly book: RuleBook) {
    this.#nameTags();
  }

  write(): string {
    const tags = this.#writeTags();
    const capabilities = this.#writeCapabilities();
    const rules = this.#list(this.book.rules, "rules", "");
    const macros = [...this.#macros].map(([keyword, name]) => `macro ${name}\n  ${keyword};\n;\n`);
    return [...macros, ...tags, ...capabilities, rules].filter(Boolean).join("\n");
  }

  /** One rule on its own; throws what the language cannot say. */
  rule(rule: Rule): string {
    const refuse = (reason: string) => new NotExpressible("rules", 0, reason);
    if (rule.type < 16) return action(rule, refuse);
    return `${rule.or ? "or " : ""}${rule.not ? "not " : ""}${this.#match(rule, refuse)}`;
  }

  #nameTags(): void {
    const taken = new Set<string>();
    for (const tag of this.book.tags) {
      const name = freeName(tag.name, `tag${tag.id}`, taken);
      const values = new Map<number, string>();
      const flags = namedValues(tag.flags);
      for (const [label, number] of namedValues(tag.enums)) {
        if (!flags.some(([flag]) => flag === label)) values.set(number, label);
      }
      for (const [label, number] of flags) if (number >= 0) values.set(number, label);
      this.#names.set(tag, name);
      if (!this.#tags.has(tag.id)) this.#tags.set(tag.id, { name, values });
    }
  }

  #writeTags(): string[] {
    return this.book.tags.map((tag) => {
      const lines = [`tag ${this.#names.get(tag)}`, `  id ${tag.id}`];
      for (const [label, number] of namedValues(tag.enums)) lines.push(`  enum ${number} ${label}`);
      for (const [label, number] of namedValues(tag.flags)) {
        lines.push(`  flag ${bitsOf(number)} ${label}`);
      }
      if (tag.default !== null) lines.push(`  default ${tag.default}`);
      return `${lines.join("\n")}\n;\n`;
    });
  }

  #writeCapabilities(): string[] {
    const taken = new Set<string>();
    return this.book.capabilities.map(({ id, default: isDefault, rules, name: wanted }) => {
      const name = freeName(wanted, `cap${id}`, taken);
      const head = [`cap ${name}`, `  id ${id}`, ...(isDefault ? ["  default"] : [])].join("\n");
      return `${head}\n${this.#list(rules, `capability ${name}`, "  ")}` + ";\n";
    });
  }

  #list(rules: readonly Rule[], where: string, indent: string): string {
    let text = "";
    let matches: string[] = [];
    for (const [index, rule] of rules.entries()) {
      const refuse = (reason: string) => new NotExpressible(where, index, reason);
      if (rule.type >= 16) {
        const joiner = matches.length === 0 ? "" : "and ";
        const prefix = rule.or ? "or " : joiner;
        matches.push(`${prefix}${rule.not ? "not " : ""}${this.#match(rule, refuse)}`);
        continue;
      }
      const head = action(rule, refuse);
      const isLast = index === rules.length - 1;
      if (matches.length === 0 && rule.kind === "none" && !isLast) {
        text += `${indent}include ${this.#macro(head)}\n`;
      } else if (matches.length <= 1) {
        text += `${indent}${[head, ...matches].join(" ")};\n`;
      } else {
        text += `${indent}${head}\n${matches.map((match) => `${indent}  ${match}\n`).join("")}` +
          `${indent};\n`;
      }
      matches = [];
    }
    if (matches.length > 0) {
      throw new NotExpressible(where, rules.length - 1, "no action follows the last matches");
    }
    return text;
  }

  #macro(keyword: string): string {
    const name = `always_${keyword}`;
    this.#macros.set(keyword, name);
    return name;
  }

  #match(rule: Rule, refuse: (reason: string) => NotExpressible): string {
    const keyword = MATCH_NAMES.get(rule.type);
    if (keyword === undefined) throw refuse(`there is no word for type ${rule.type}`);
    return `${keyword} ${this.#arguments(rule, refuse)}`;
  }

  #arguments(rule: Rule, refuse: (reason: string) => NotExpressible): string {
    switch (rule.kind) {
      case "address":
        return formatAddress(rule.address);
      case "mac":
        return formatMac(rule.mac);
      case "number":
        return numberText(rule.type, rule.value);
      case "ip":
        return formatPrefix({ ip: rule.ip, bits: Math.min(rule.bits, 8 * rule.ip.length) });
      case "tos":
        return `${rule.mask} ${rangeText(rule.start, rule.end, refuse)}`;
      case "icmp":
        return `${rule.icmpType} ${(rule.flags & ICMP_CODE_MATCHED) === 0 ? -1 : rule.icmpCode}`;
      case "range":
        return rangeText(rule.start, rule.end, refuse);
      case "characteristics":
        return characteristicsText(rule.mask, refuse);
      case "tag": {
        const tag = this.#tags.get(rule.id);
        return `${tag?.name ?? rule.id} ${tag?.values.get(rule.value) ?? rule.value}`;
      }
      default:
        throw refuse(`there is no word for type ${rule.type}`);
    }
  }
}

function namedValues(values: Readonly<Record<string, number>> = {}): [string, number][] {
  return Object.entries(values).filter(([label]) => isName(label));
}

function isName(text: string): boolean {
  return VALID_NAME.test(text) && text === text.toLowerCase() && !RESERVED.has(text);
}

function freeName(wanted: string | undefined, made: string, taken: Set<string>): string {
  let name = wanted !== undefined && isName(wanted) ? wanted : made;
  for (let n = 2; taken.has(name); n++) name = `${made}_${n}`;
  taken.add(name);
  return name;
}

function bitsOf(value: number): string {
  const bits = Array.from({ length: 32 }, (_, bit) => bit);
  return bits.filter((bit) => (value & (1 << bit)) !== 0).join(",");
}

function action(rule: Rule, refuse: (reason: string) => NotExpressible): string {
  const keyword = ACTION_NAMES.get(rule.type);
  if (keyword === undefined) throw refuse(`there is no word for action ${rule.type}`);
  if (rule.kind !== "forward") return keyword;
  if (rule.flags !== 0) throw refuse(`${keyword} has flags, which cannot be written`);
  const address = formatAddress(rule.address);
  if (rule.type === RuleType.ACTION_REDIRECT) return `${keyword} ${address}`;
  return `${keyword} ${rule.length === 0xffff ? -1 : rule.length} ${address}`;
}

function numberText(type: number, value: number): string {
  switch (type) {
    case RuleType.MATCH_ETHERTYPE:
      return ETHERTYPE_NAMES.get(value) ?? `0x${value.toString(16).padStart(4, "0")}`;
    case RuleType.MATCH_IP_PROTOCOL:
      return PROTOCOL_NAMES.get(value) ?? `${value}`;
    case RuleType.MATCH_RANDOM:
      return fractionText(value);
    default:
      return `${value}`;
  }
}

/** The shortest decimal fraction that compiles to a probability. */
function fractionText(probability: number): string {
  if (probability === 0xffff_ffff) return "1";
  for (let digits = 1; digits < 17; digits++) {
    const text = ((probability + 0.5) / 0xffff_ffff).toFixed(digits);
    if (Math.floor(0xffff_ffff * parseFloat(text)) === probability) return text;
  }
  return `${(probability + 0.5) / 0xffff_ffff}`;
}

function rangeText(start: number, end: number, refuse: (reason: string) => NotExpressible): string {
  if (start > end) throw refuse(`the range ${start} to ${end} is empty`);
  return start === end ? `${start}` : `${start}-${end}`;
}

/** Inclusive of the language's defect: a half with its highest bit and others cannot be written. */
function characteristicsText(mask: bigint, refuse: (reason: string) => NotExpressible): string {
  const hex = mask.toString(16).padStart(16, "0");
  if (mask === 0n) throw refuse("an empty mask of characteristics never matches");
  for (const half of [mask >> 32n, mask & 0xffff_ffffn]) {
    if (half > 0x8000_0000n) throw refuse(`the mask ${hex} has bit 63 or 31 together with others`);
  }
  const bits = Array.from({ length: 64 }, (_, i) => 63 - i);
  return bits.filter((bit) => (mask >> BigInt(bit)) & 1n)
    .map((bit) => CHARACTERISTIC_NAMES.get(bit) ?? `${bit}`).join(",");
}
