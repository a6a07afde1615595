import assert from "node:assert/strict";
import { isDnsLabel, toDnsLabel } from "../../../../lib/base/dns_label.ts";

Deno.test("toDnsLabel() makes a label of whatever people type", () => {
  const labels = {
    "laptop": "laptop",
    "Anna's Laptop": "anna-s-laptop",
    "  Büro_2 ": "buro-2",
    "ＮＡＳ": "nas",
    "xn--80ak6aa92e": "xn-80ak6aa92e",
    "a.b/c": "a-b-c",
    "-_-": "",
    "": "",
    "日本": "",
    [`${"x".repeat(62)} y`]: "x".repeat(62),
    ["é".repeat(5_000)]: "e".repeat(63),
  };
  for (const [text, label] of Object.entries(labels)) {
    assert.equal(toDnsLabel(text), label, text.slice(0, 80));
    assert.ok(label === "" || isDnsLabel(label));
  }
});

Deno.test("isDnsLabel() wants letters, digits and hyphens in between, 63 at most", () => {
  for (const text of ["a", "0", "a-b", "a".repeat(63)]) assert.ok(isDnsLabel(text), text);
  for (const text of ["", "A", "-a", "a-", "a.b", "a b", "é", "a\n", "a".repeat(64)]) {
    assert.ok(!isDnsLabel(text), text);
  }
});
