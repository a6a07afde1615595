/**
 * The rule definition language: `compileSource()` to rules, `decompile()` back, `formatSource()`,
 * and what answers questions about rules: `judge()`, `explainInWords()`, `runExpectations()`. Pure:
 * text in, values and text out. Leans on base, the rule codec and `network/rules`. Read `words.ts`,
 * `compiler.ts`, then `scenario.ts`.
 * @module
 */
export * from "./compiler.ts";
export * from "./decompiler.ts";
export * from "./diagnostic.ts";
export * from "./expectations.ts";
export * from "./explain.ts";
export * from "./formatter.ts";
export * from "./judgement.ts";
export * from "./rule_book.ts";
export * from "./scenario.ts";
