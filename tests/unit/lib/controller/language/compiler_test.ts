import { deepEqual, equal, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { compileSource, sourceToJson } from "../../../../../lib/controller/language/compiler.ts";
import { SourceError } from "../../../../../lib/controller/language/diagnostic.ts";
import { countVectors } from "../../../../vectors/count.ts";

interface CompileVector {
  readonly name: string;
  readonly source: string;
  readonly rules?: unknown;
  readonly capabilities?: Record<string, { id: number; default: boolean; rules: unknown }>;
  readonly tags?: unknown;
  readonly error?: { line: number; column: number; message: string };
}

const vectors: CompileVector[] = JSON.parse(
  Deno.readTextFileSync(new URL("../../../../vectors/rules.json", import.meta.url)),
).compile;

function failure(source: string): SourceError {
  try {
    compileSource(source);
  } catch (error) {
    if (error instanceof SourceError) return error;
    throw error;
  }
  throw new Error(`compiles: ${source}`);
}

Deno.test("compileSource() gives what the reference gave for every source it compiles", () => {
  const good = vectors.filter(({ error }) => !error);
  for (const vector of good) {
    const compiled = compileSource(vector.source);
    deepEqual(compiled.rules, vector.rules, vector.name);
    deepEqual(Object.fromEntries(compiled.tags), vector.tags, vector.name);
    const capabilities = [...compiled.capabilities].map(([name, { id, default: d, rules }]) => [
      name,
      { id, default: d, rules },
    ]);
    const expected = Object.entries(vector.capabilities!).map((
      [name, { id, default: d, rules }],
    ) => [
      name,
      { id, default: d, rules },
    ]);
    deepEqual(capabilities, expected, vector.name);
  }
  countVectors("rules.json: compile", good.length);
});

Deno.test("compileSource() fails at the same place as the reference for every source it refuses", () => {
  const bad = vectors.filter(({ error }) => error);
  for (const { name, source, error } of bad) {
    const { line, column } = failure(source).span;
    // The reference counts columns from 0 on the first line, from 1 on the others.
    const expected = { line: error!.line, column: error!.column + (error!.line === 1 ? 1 : 0) };
    deepEqual({ line, column }, expected, name);
  }
  countVectors("rules.json: compile, errors", bad.length);
});

Deno.test("compileSource() prints rules with the reference's order of fields", () => {
  const good = vectors.filter(({ error }) => !error);
  for (const { name, source, rules } of good) {
    equal(JSON.stringify(compileSource(source).rules), JSON.stringify(rules), name);
  }
});

Deno.test("sourceToJson() has the shape of the reference's command line", () => {
  const source =
    "tag t\n id 7\n default 3\n;\ncap c\n id 5\n default\n accept dport 1;\n;\naccept;\n";
  equal(
    JSON.stringify(sourceToJson(compileSource(source))),
    '{"config":{"rules":[{"type":"ACTION_ACCEPT"}],"capabilities":[{"id":5,"default":true,"rules":' +
      '[{"type":"MATCH_IP_DEST_PORT_RANGE","not":false,"or":false,"start":1,"end":1},' +
      '{"type":"ACTION_ACCEPT"}]}],"tags":[{"id":7,"default":3}]},' +
      '"capabilitiesByName":{"c":5},"tagsByName":{"t":7}}',
  );
});

Deno.test("compileSource() says what was expected, and shows the line with a caret", () => {
  const source = "drop\n\tnot ethertype IPV4\n;\naccept;\n";
  equal(
    failure(source).render(source, "net.rules"),
    'net.rules:2:16: error: "IPV4" is not an ethertype\n' +
      "  2 | \tnot ethertype IPV4\n" +
      "    | \t              ^^^^\n" +
      "  expected a number or one of: ipv4, arp, wol, rarp, ipv6, atalk, aarp, ipx_a, ipx_b " +
      '(did you mean "ipv4"?)',
  );
});

Deno.test("compileSource() guesses what was meant", () => {
  const guesses: [string, RegExp][] = [
    ["acept dport 1;", /"accept"/],
    ["accept dprot 1;", /"dport"/],
    ["accept chr brodcast;", /did you mean "broadcast"/],
    ["DROP dport 1;", /"drop" instead of "DROP"/],
    ["tag Dept\n id 1\n;\naccept teq Dept 1;", /did you mean "dept"/],
    ["macro Foo\n drop;\n;\ninclude Foo\n", /"foo"/],
    ["accept ipprotocol icmp;", /icmp4 or icmp6/],
    ["accept;\ndrop dport 1;", /must be the last statement/],
    ["accept ipsrc 10.0.0.1;", /10\.0\.0\.1\/32/],
    ["macro m($P)\n accept dport $P;\n;\ninclude m(1)", /in lower case/],
  ];
  for (const [source, expected] of guesses) {
    ok(expected.test(failure(source).expected ?? ""), source);
  }
});

Deno.test("compileSource() refuses what only looks like an address", () => {
  for (const ip of ["1.2.3/8", "10.0.0.256/8", "fd00:::1/8", "10.0.0.0/8/8", "10.0.0.0/x"]) {
    throws(() => compileSource(`accept ipsrc ${ip};`), SourceError, ip);
  }
  for (const target of ["tee 0 zzzzzzzzzz;", "redirect 0123456789a;", "watch 70000 0123456789;"]) {
    throws(() => compileSource(target), SourceError, target);
  }
});

Deno.test("compileSource() bounds macros", () => {
  throws(() => compileSource("macro m\n include m\n;\ninclude m\n"), /more than 32 deep/);
  const levels = Array.from(
    { length: 20 },
    (_, i) => `macro m${i + 1}\n include m${i}\n include m${i}\n;\n`,
  );
  const doubling = `macro m0\n accept dport 1;\n;\n${levels.join("")}include m20\n`;
  throws(() => compileSource(doubling), /more than 65536 rules/);
  const empty = `macro m0\n;\n${levels.join("")}include m20\naccept;\n`;
  throws(() => compileSource(empty), /more than 262144 macros/);
  throws(() => compileSource(" ".repeat(1_000_001)), /more than 1000000/);
});

Deno.test("compileSource() refuses a text that ends where the reference forgets what went before", () => {
  throws(() => compileSource("cap c\n id 1\n accept\n"), /the cap of line 1 is not closed/);
});

function warningsOf(source: string): string {
  return compileSource(source).warnings.map(({ line, message }) => `${line} ${message}`).join("\n");
}

Deno.test("compileSource() warns where the language bites", () => {
  const bites: [string, RegExp][] = [
    ["accept chr inbound,multicast;", /^1 bit 63 .* 4000000000000000/],
    ["accept or dport 1;", /^1 "or" on the first match/],
    ["accept ipdest fd00::1/64;", /^1 never matches/],
    ["accept ipsrc 10.0.0.1/99;", /it means \/32/],
    ["accept not icmp 8 -1;", /no effect/],
    ["accept dport 22abc;", /ignored/],
    ["accept ethertype 0x1ffff;", /only 65535/],
    ["accept random 2;", /means 1/],
    ["tag t\n id 1\n flag 31 top\n;\naccept;", /^3 a flag with bit 31/],
    ["cap x\n id 1\n accept;\n drop dport 1;\n;\naccept;", /^3 .*ends the cap of line 1/],
  ];
  for (const [source, expected] of bites) ok(expected.test(warningsOf(source)), source);
  equal(warningsOf("cap x\n id 1\n accept;\n;\ndrop dport 22-23 or chr tcp_syn;\naccept;"), "");
});

Deno.test("compileSource() tells where each rule stands, in a macro too", () => {
  const { rules, spans } = compileSource(
    "macro m($p)\n accept dport $p;\n;\ninclude m(1)\naccept;",
  );
  deepEqual(rules.map(({ type }) => type), [
    "MATCH_IP_DEST_PORT_RANGE",
    "ACTION_ACCEPT",
    "ACTION_ACCEPT",
  ]);
  deepEqual(spans.map(({ line, column }) => [line, column]), [[2, 9], [2, 2], [5, 1]]);
});

const anyWord = fc.constantFrom(
  ..."macro tag cap drop accept tee break redirect include id default enum flag not or and".split(
    " ",
  ),
  ..."chr dport teq icmp ipsrc random tcp_syn 1 0-5 10.0.0.0/8 m m($a) m(1) $a x ; -1".split(" "),
  ..."accept; drop; x; 22; 0bbb823280 #note fd00::/8 ;;".split(" "),
);

Deno.test("compileSource() answers any text with rules or a SourceError", () => {
  const anyText = fc.array(
    fc.oneof({ weight: 9, arbitrary: anyWord }, fc.string({ maxLength: 4 })),
    {
      maxLength: 30,
    },
  ).chain((words) => fc.constantFrom(words.join(" "), words.join("\n")));
  const property = fc.property(anyText, (source) => {
    try {
      compileSource(source);
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      ok(error.render(source, "x").includes("^"));
    }
  });
  fc.assert(property, { numRuns: 4_000, seed: 8 });
});
