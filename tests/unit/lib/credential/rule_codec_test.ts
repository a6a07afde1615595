import { deepEqual, equal, throws } from "node:assert/strict";
import { fromHex, toHex, Writer } from "../../../../lib/base/bytes.ts";
import { WireError } from "../../../../lib/base/errors.ts";
import {
  decodeRules,
  encodeRules,
  type Rule,
  RuleType,
} from "../../../../lib/credential/rule_codec.ts";
import { countVectors } from "../../../vectors/count.ts";

interface Vectors {
  compile: { rulesHex?: string; capabilities?: Record<string, { rulesHex: string }> }[];
  controllerJson: { rulesHex: string }[];
  filter: {
    cases: { rulesHex: string; ruleText?: string; localCaps?: Cap[]; remoteCaps?: Cap[] }[];
  };
}
interface Cap {
  rulesHex: string;
}
const vectors: Vectors = JSON.parse(
  Deno.readTextFileSync(new URL("../../../vectors/rules.json", import.meta.url)),
);

function encoded(rules: readonly Rule[]): Uint8Array {
  const w = new Writer();
  encodeRules(rules, w);
  return w.finish();
}

/** Rule lists the reference's controller encoded, and those written by hand to try its decoder. */
function allLists(): { made: string[]; byHand: string[] } {
  const made: string[] = [];
  const byHand: string[] = [];
  for (const { rulesHex, capabilities } of vectors.compile) {
    if (rulesHex !== undefined) made.push(rulesHex);
    for (const capability of Object.values(capabilities ?? {})) made.push(capability.rulesHex);
  }
  for (const { rulesHex } of vectors.controllerJson) made.push(rulesHex);
  for (const { rulesHex, ruleText, localCaps, remoteCaps } of vectors.filter.cases) {
    (ruleText === undefined ? byHand : made).push(rulesHex);
    for (const { rulesHex } of [...localCaps ?? [], ...remoteCaps ?? []]) made.push(rulesHex);
  }
  return { made, byHand };
}

Deno.test("encodeRules() gives back every list the reference made, byte for byte", () => {
  const { made, byHand } = allLists();
  for (const hex of made) equal(toHex(encoded(decodeRules(fromHex(hex)))), hex);
  for (const hex of byHand) {
    const rules = decodeRules(fromHex(hex));
    deepEqual(decodeRules(encoded(rules)), rules);
  }
  countVectors("rules.json: binary rule lists", made.length + byHand.length);
});

Deno.test("decodeRules() rejects every truncation that cuts a rule", () => {
  for (const hex of allLists().made.slice(0, 40)) {
    const bytes = fromHex(hex);
    const starts = new Set<number>();
    for (let at = 0; at <= bytes.length; at += 2 + (bytes[at + 1] ?? 0)) starts.add(at);
    for (let length = 0; length < bytes.length; length++) {
      const cut = bytes.subarray(0, length);
      if (starts.has(length)) decodeRules(cut);
      else throws(() => decodeRules(cut), WireError);
    }
  }
});

Deno.test("decodeRules() skips the value of unknown types and keeps their bits", () => {
  const rules = decodeRules(fromHex("fe03aabbcc" + "4a00" + "0100"));
  deepEqual(rules, [
    { type: 62, not: true, or: true, kind: "none" },
    { type: 10, not: false, or: true, kind: "none" },
    { type: RuleType.ACTION_ACCEPT, not: false, or: false, kind: "none" },
  ]);
});

Deno.test("decodeRules() moves by the stated length, not by the table's", () => {
  const longer = decodeRules(fromHex("25030800ff" + "0100"));
  deepEqual(longer.map((rule) => rule.type), [RuleType.MATCH_ETHERTYPE, RuleType.ACTION_ACCEPT]);
  const shorter = decodeRules(fromHex("2500" + "0100")); // its two bytes are those of the next rule
  deepEqual(shorter.map((rule) => rule.kind === "number" ? rule.value : rule.type), [0x0100, 1]);
});

Deno.test("decodeRules() keeps 32 bits of the width of an integer range", () => {
  const [rule] = decodeRules(fromHex("3313" + "0000000000000005" + "0000000300000009" + "00020f"));
  deepEqual(rule, {
    type: RuleType.INTEGER_RANGE,
    not: false,
    or: false,
    kind: "integer",
    start: 5n,
    end: 9n,
    index: 2,
    format: 0x0f,
  });
});
