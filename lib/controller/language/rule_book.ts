/**
 * A whole set of rules as the tools of this folder pass it on: rules, capabilities and tags, with names and places in a
 * source where these are known.
 * @module
 */
import { UsageError } from "../../base/errors.ts";
import type { Rule } from "../../credential/rule_codec.ts";
import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  memberOf,
  toArray,
  toBoolean,
  toInteger,
} from "../json.ts";
import { parseRule } from "../rule_json.ts";
import type { CompiledSource } from "./compiler.ts";
import type { Span } from "./diagnostic.ts";

/** Rules in order. */
export interface RuleList {
  readonly rules: readonly Rule[];
  /** Where each stands in its source, if there is one */
  readonly spans?: readonly Span[];
}

export interface BookCapability extends RuleList {
  readonly id: number;
  readonly default: boolean;
  readonly name?: string;
}

export interface BookTag {
  readonly id: number;
  readonly default: number | null;
  readonly name?: string;
  readonly enums?: Readonly<Record<string, number>>;
  readonly flags?: Readonly<Record<string, number>>;
}

export interface RuleBook extends RuleList {
  readonly capabilities: readonly BookCapability[];
  readonly tags: readonly BookTag[];
}

/** What a source compiled to. */
export function bookFromSource(compiled: CompiledSource): RuleBook {
  const parse = (rules: readonly JsonObject[]) => rules.map((rule) => parseRule(rule)!);
  return {
    rules: parse(compiled.rules),
    spans: compiled.spans,
    capabilities: [...compiled.capabilities].map(([name, capability]) => ({
      ...capability,
      name,
      rules: parse(capability.rules),
    })),
    tags: [...compiled.tags].map(([name, tag]) => ({ ...tag, name })),
  };
}

/**
 * A book from JSON: a network as the API returns it, what `zt rules compile` prints, or a bare list of rules.
 * @throws {UsageError} when there are no rules in it, or one the controller would leave out
 */
export function bookFromJson(json: JsonValue): RuleBook {
  const config = memberOf(json, "config") ?? json;
  const rules = Array.isArray(config) ? config : memberOf(config, "rules");
  if (!Array.isArray(rules)) throw new UsageError(`the JSON has no list "rules"`);
  const nameOf = (key: string, id: number) => {
    const names = memberOf(json, key);
    return isJsonObject(names) ? Object.keys(names).find((name) => names[name] === id) : undefined;
  };
  const capabilities = toArray(memberOf(config, "capabilities")).map((item): BookCapability => {
    const id = toInteger(memberOf(item, "id"), 0);
    return {
      id,
      default: toBoolean(memberOf(item, "default"), false),
      rules: parseList(toArray(memberOf(item, "rules")), `capability ${id}`),
      name: nameOf("capabilitiesByName", id),
    };
  });
  const tags = toArray(memberOf(config, "tags")).map((item): BookTag => {
    const id = toInteger(memberOf(item, "id"), 0);
    const value = memberOf(item, "default") ?? null;
    const standard = value === null ? null : toInteger(value, 0);
    return { id, default: standard, name: nameOf("tagsByName", id) };
  });
  return { rules: parseList(rules, "rules"), capabilities, tags };
}

function parseList(items: readonly JsonValue[], where: string): Rule[] {
  return items.map((item, index) => {
    const rule = isJsonObject(item) ? parseRule(item) : undefined;
    if (rule) return rule;
    const type = JSON.stringify(memberOf(item, "type") ?? item).slice(0, 60);
    throw new UsageError(`${where}, rule ${index + 1}: the controller does not take ${type}`);
  });
}
