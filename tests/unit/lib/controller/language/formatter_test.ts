import { deepEqual, equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { compileSource, sourceToJson } from "../../../../../lib/controller/language/compiler.ts";
import { formatSource } from "../../../../../lib/controller/language/formatter.ts";
import { SourceError } from "../../../../../lib/controller/language/diagnostic.ts";
import { tokenize } from "../../../../../lib/controller/language/words.ts";
import { countVectors } from "../../../../vectors/count.ts";

const vectors: { name: string; source: string; error?: unknown }[] = JSON.parse(
  Deno.readTextFileSync(new URL("../../../../vectors/rules.json", import.meta.url)),
).compile;

const good = vectors.filter(({ error }) => !error);

function meaning(source: string): unknown {
  const compiled = compileSource(source);
  return { json: sourceToJson(compiled), tags: [...compiled.tags] };
}

Deno.test("formatSource() changes neither the meaning of any recorded source nor a formatted one", () => {
  for (const { name, source, error } of vectors) {
    if (error) {
      throws(() => formatSource(source), SourceError, name);
      continue;
    }
    const formatted = formatSource(source);
    deepEqual(meaning(formatted), meaning(source), `${name}:\n${formatted}`);
    equal(formatSource(formatted), formatted, name);
  }
  countVectors("rules.json: formatted", vectors.length);
});

const anyGap = fc.constantFrom(" ", " ", "\n", "\n\n", "\t", " # note;\n", "\n# note\n# more\n");
/** A recorded source with other spaces between its words, and comments; never a space before a semicolon. */
const anyLayout = fc.constantFrom(...good).chain(({ source }) => {
  const words = tokenize(source).tokens.map(({ text, closes }) => text + (closes ? ";" : ""));
  const gaps = fc.array(anyGap, { minLength: words.length + 1, maxLength: words.length + 1 });
  return gaps.map((all) => all[0] + words.map((word, i) => word + all[i + 1]).join(""));
});

Deno.test("formatSource() keeps meaning and comments whatever the layout was", () => {
  const property = fc.property(anyLayout, (source) => {
    const formatted = formatSource(source);
    deepEqual(meaning(formatted), meaning(source));
    const texts = (text: string) =>
      tokenize(text).comments.map((comment) => comment.text.trimEnd());
    deepEqual(texts(formatted), texts(source));
    equal(formatSource(formatted), formatted);
  });
  fc.assert(property, { numRuns: 1_500, seed: 6 });
});

Deno.test("formatSource() lays out definitions, long and short statements, and comments", () => {
  const source = `# Only IP
drop not ethertype ipv4 and not ethertype arp   # no IPX
  and not ethertype ipv6;


tag department id 1000 default 0 enum 100 sales ;
macro web($p) accept dport $p; ;
cap ssh id 1 accept ipprotocol tcp and dport 22; ;
tee -1 0bbb823280 ipprotocol tcp
;
include web(80)
accept;
# the end`;
  equal(
    formatSource(source),
    `# Only IP
drop
  not ethertype ipv4
  and not ethertype arp # no IPX
  and not ethertype ipv6
;

tag department
  id 1000
  default 0
  enum 100 sales
;
macro web($p)
  accept dport $p;
;
cap ssh
  id 1
  accept ipprotocol tcp and dport 22;
;
tee -1 0bbb823280 ipprotocol tcp;
include web(80)
accept;
# the end
`,
  );
});
