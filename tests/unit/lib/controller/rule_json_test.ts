import { deepEqual, equal } from "node:assert/strict";
import { fromHex, toHex, Writer } from "../../../../lib/base/bytes.ts";
import { decodeRules, encodeRules, type Rule } from "../../../../lib/credential/rule_codec.ts";
import type { JsonObject } from "../../../../lib/controller/json.ts";
import { parseRule, renderRule } from "../../../../lib/controller/rule_json.ts";
import { countVectors } from "../../../vectors/count.ts";

interface ListVector {
  readonly name: string;
  readonly rules?: JsonObject[];
  readonly rulesHex: string;
  readonly rulesNormalized: JsonObject[];
  readonly capabilities?: Record<string, { rules: JsonObject[]; rulesHex: string }>;
}

function load(name: string) {
  return JSON.parse(Deno.readTextFileSync(new URL(`../../../vectors/${name}`, import.meta.url)));
}

function parseAll(rules: readonly JsonObject[]): Rule[] {
  return rules.map(parseRule).filter((rule) => rule !== undefined);
}

function hexOf(rules: readonly Rule[]): string {
  const w = new Writer();
  encodeRules(rules, w);
  return toHex(w.finish());
}

const vectors: { compile: ListVector[]; controllerJson: ListVector[] } = load("rules.json");

Deno.test("parseRule() and renderRule() make of every list what the reference's controller made", () => {
  let count = 0;
  for (const list of [...vectors.compile, ...vectors.controllerJson]) {
    if (!list.rules) continue; // sources that do not compile
    const rules = parseAll(list.rules);
    equal(hexOf(rules), list.rulesHex, list.name);
    deepEqual(rules.map(renderRule), list.rulesNormalized, list.name);
    deepEqual(parseAll(list.rulesNormalized).map(renderRule), list.rulesNormalized, list.name);
    for (const capability of Object.values(list.capabilities ?? {})) {
      equal(hexOf(parseAll(capability.rules)), capability.rulesHex, list.name);
      count++;
    }
    count++;
  }
  countVectors("rules.json: compile and controllerJson as JSON and binary", count);
});

Deno.test("renderRule() answers a POST of all rule types as the reference did", () => {
  const { entries } = load("service-api.json");
  const entry = entries.find(({ name }: { name: string }) => name === "all rule types");
  const posted: JsonObject[] = JSON.parse(entry.request.body).rules;
  deepEqual(parseAll(posted).map(renderRule), entry.response.json.rules);
});

Deno.test("renderRule() lists keys in ascending order", () => {
  const rule = renderRule(decodeRules(fromHex("2804005000510100"))[0]);
  deepEqual(Object.keys(rule), ["end", "not", "or", "start", "type"]);
});

Deno.test("parseRule() takes decimal text, wraps negatives and cuts fractions", () => {
  const value = (vlanId: number | string | boolean | null) =>
    renderRule(parseRule({ type: "MATCH_VLAN_ID", vlanId })!).vlanId;
  deepEqual([value("12abc"), value(-1), value(3.9), value(true), value(null), value("x")], [
    12,
    65535,
    3,
    1,
    0,
    0,
  ]);
});

Deno.test("parseRule() reads not and or as the API reads booleans", () => {
  const rule = parseRule({ type: "MATCH_ETHERTYPE", etherType: 1, not: "true", or: 2 })!;
  deepEqual([rule.not, rule.or], [true, true]);
  const other = parseRule({ type: "MATCH_ETHERTYPE", etherType: 1, not: "false", or: 0 })!;
  deepEqual([other.not, other.or], [false, false]);
});

Deno.test("renderRule() shows types the API does not take", () => {
  deepEqual(
    renderRule(decodeRules(fromHex("3313000000000000000500000000000000090002" + "8f"))[0]),
    {
      bits: 16,
      end: "0000000000000009",
      idx: 2,
      little: true,
      not: false,
      or: false,
      start: "0000000000000005",
      type: "INTEGER_RANGE",
    },
  );
  deepEqual(renderRule(decodeRules(fromHex("bf00"))[0]), {
    not: true,
    or: false,
    type: "MATCH_63",
  });
  deepEqual(renderRule(decodeRules(fromHex("0600"))[0]), { type: "ACTION_PRIORITY" });
  equal(parseRule({ type: "toString" }), undefined);
  equal(parseRule({ type: 5 }), undefined);
});
