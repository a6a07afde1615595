import { deepEqual, equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { toHex, Writer } from "../../../../../lib/base/bytes.ts";
import { encodeRules, type Rule } from "../../../../../lib/credential/rule_codec.ts";
import { compileSource, sourceToJson } from "../../../../../lib/controller/language/compiler.ts";
import {
  decompile,
  describeRule,
  NotExpressible,
} from "../../../../../lib/controller/language/decompiler.ts";
import {
  bookFromJson,
  bookFromSource,
  type RuleBook,
} from "../../../../../lib/controller/language/rule_book.ts";
import { countVectors } from "../../../../vectors/count.ts";
import { anyRules } from "../../network/rules/generators.ts";

function hexOf(rules: readonly Rule[]): string {
  const w = new Writer();
  // NOT and OR mean nothing on actions, and the language has no words for them there.
  encodeRules(rules.map((rule) => rule.type < 16 ? { ...rule, not: false, or: false } : rule), w);
  return toHex(w.finish());
}

function summary(set: RuleBook) {
  return {
    rules: hexOf(set.rules),
    capabilities: set.capabilities.map((c) => ({
      id: c.id,
      default: c.default,
      rules: hexOf(c.rules),
    })),
    tags: set.tags.map(({ id, default: value }) => ({ id, default: value })),
  };
}

Deno.test("decompile() of every recorded source compiles to the same rules, and stays the same text", () => {
  const vectors: { name: string; source: string; error?: unknown }[] = JSON.parse(
    Deno.readTextFileSync(new URL("../../../../vectors/rules.json", import.meta.url)),
  ).compile;
  const good = vectors.filter(({ error }) => !error);
  for (const { name, source } of good) {
    const set = bookFromSource(compileSource(source));
    const text = decompile(set);
    const again = bookFromSource(compileSource(text));
    deepEqual(summary(again), summary(set), `${name}:\n${text}`);
    equal(decompile(again), text, name);
  }
  countVectors("rules.json: decompiled", good.length);
});

const anySet: fc.Arbitrary<RuleBook> = fc.record({
  rules: anyRules(6),
  capabilities: fc.uniqueArray(
    fc.record({ id: fc.nat(9), default: fc.boolean(), rules: anyRules(3) }),
    { maxLength: 3, selector: ({ id }) => id },
  ),
  tags: fc.uniqueArray(
    fc.record({
      id: fc.nat(4),
      default: fc.option(fc.nat(5)),
      name: fc.constantFrom("role", "drop", "größe", "Bad", "7up", "role2"),
      enums: fc.dictionary(fc.constantFrom("a", "b", "and"), fc.nat(5)),
      flags: fc.dictionary(fc.constantFrom("a", "c", "d"), fc.constantFrom(1, 3, 0x4000_0000)),
    }),
    { maxLength: 3, selector: ({ id }) => id },
  ),
});

Deno.test("decompile() then compile then decompile is stable for random rule sets", () => {
  let written = 0;
  const property = fc.property(anySet, (set) => {
    let text: string;
    try {
      text = decompile(set);
    } catch (error) {
      if (error instanceof NotExpressible) return;
      throw error;
    }
    written++;
    const again = bookFromSource(compileSource(text));
    // Two rules differ in what cannot be said and has no effect: nothing else may.
    deepEqual(summary(again), summary(normal(set)), text);
    equal(decompile(again), text);
  });
  fc.assert(property, { numRuns: 3_000, seed: 5 });
  if (written < 300) throw new Error(`only ${written} sets could be written`);
});

/** As the API would return the set: prefix lengths clamped, the code of a code-less ICMP rule 0. */
function normal(set: RuleBook): RuleBook {
  const rules = (list: readonly Rule[]) =>
    list.map((rule): Rule => {
      if (rule.kind === "ip") return { ...rule, bits: Math.min(rule.bits, 8 * rule.ip.length) };
      if (rule.kind === "icmp" && rule.flags === 0) return { ...rule, icmpCode: 0 };
      return rule.kind === "forward" && rule.type === 4 ? { ...rule, length: 0 } : rule;
    });
  return {
    ...set,
    rules: rules(set.rules),
    capabilities: set.capabilities.map((held) => ({ ...held, rules: rules(held.rules) })),
  };
}

Deno.test("decompile() uses names of tags and values", () => {
  const source = "tag dept\n id 7\n enum 1 sales\n flag 2,3 big\n default sales\n;\n" +
    "accept teq dept sales and tand dept big and tor dept 9;\n";
  equal(
    decompile(bookFromSource(compileSource(source))),
    "tag dept\n  id 7\n  enum 1 sales\n  flag 2,3 big\n  default 1\n;\n\n" +
      "accept\n  teq dept sales\n  and tand dept big\n  and tor dept 9\n;\n",
  );
});

Deno.test("decompile() puts an action without matches amid a list into a macro", () => {
  const accept: Rule = { type: 1, not: false, or: false, kind: "none" };
  const drop: Rule = { type: 0, not: false, or: false, kind: "none" };
  const text = decompile({ rules: [drop, accept], capabilities: [], tags: [] });
  equal(text, "macro always_drop\n  drop;\n;\n\ninclude always_drop\naccept;\n");
});

Deno.test("decompile() refuses what the language cannot say", () => {
  const bits = { not: false, or: false };
  const refused: [Rule, RegExp][] = [
    [{ type: 6, ...bits, kind: "none" }, /no word for action 6/],
    [{ type: 63, ...bits, kind: "none" }, /no word for type 63/],
    [{ type: 51, ...bits, kind: "integer", start: 0n, end: 1n, index: 0, format: 7 }, /no word/],
    [{ type: 41, ...bits, kind: "characteristics", mask: 0xc000_0000_0000_0000n }, /bit 63 or 31/],
    [{ type: 41, ...bits, kind: "characteristics", mask: 0n }, /never matches/],
    [{ type: 39, ...bits, kind: "range", start: 2, end: 1 }, /empty/],
    [{ type: 37, ...bits, kind: "number", value: 1 }, /no action follows/],
  ];
  for (const [rule, reason] of refused) {
    throws(() => decompile({ rules: [rule], capabilities: [], tags: [] }), reason);
  }
});

Deno.test("describeRule() says a rule in words, or shows it as JSON", () => {
  const book = bookFromSource(
    compileSource("tag t\n id 7\n enum 2 staff\n;\naccept or not teq t staff;"),
  );
  deepEqual(book.rules.map((rule) => describeRule(rule, book)), ["or not teq t staff", "accept"]);
  equal(
    describeRule({ type: 6, not: false, or: false, kind: "none" }, book),
    '{"type":"ACTION_PRIORITY"}',
  );
});

Deno.test("bookFromJson() reads what compile prints, a network, and a bare list", () => {
  const source =
    "tag t\n id 7\n default 2\n;\ncap c\n id 5\n default\n accept teq t 2;\n;\naccept teq t 1;\n";
  const printed = sourceToJson(compileSource(source));
  const book = bookFromJson(printed);
  deepEqual(summary(book), summary(bookFromSource(compileSource(source))));
  equal(decompile(book), decompile(bookFromSource(compileSource(source))));
  const network = bookFromJson(printed.config);
  deepEqual([network.tags[0].name, network.capabilities[0].name], [undefined, undefined]);
  deepEqual(bookFromJson([{ type: "ACTION_DROP" }]).rules.map(({ type }) => type), [0]);
  throws(() => bookFromJson({}), /no list "rules"/);
  throws(() => bookFromJson([{ type: "MATCH_FOO" }]), /rule 1: .*MATCH_FOO/);
});
