/**
 * Lists of rules as records hold them: checked, rendered in one form, and parsed for a config.
 *
 * Source: spec 05 section 8.4, spec 04b section 3.
 * @module
 */
import type { Rule } from "../credential/rule_codec.ts";
import { JsonTypeError, mapArray } from "./coerced_fields.ts";
import { isJsonObject, type JsonValue } from "./json.ts";
import { parseRule, renderRule } from "./rule_json.ts";

/**
 * Posted rules in the form they are stored in; those that mean nothing to us are left out.
 * @throws {JsonTypeError} when a characteristics mask is neither number nor text
 */
export function normalizeRules(items: readonly JsonValue[]): JsonValue[] {
  return mapArray(items, (item) => {
    if (!isJsonObject(item)) return undefined;
    checkMask(item.type, item.mask);
    const rule = parseRule(item);
    return rule && renderRule(rule) as JsonValue;
  });
}

function checkMask(type: JsonValue | undefined, mask: JsonValue | undefined): void {
  if (type !== "MATCH_CHARACTERISTICS" || mask === undefined) return;
  if (typeof mask !== "number" && typeof mask !== "string") throw new JsonTypeError("string", mask);
}

/** Stored rules in order, without those that mean nothing to us. @param countMax More are cut off */
export function parseRules(items: readonly JsonValue[], countMax: number): Rule[] {
  const rules: Rule[] = [];
  for (const item of items) {
    if (rules.length === countMax) break;
    const rule = isJsonObject(item) ? parseRule(item) : undefined;
    if (rule) rules.push(rule);
  }
  return rules;
}
