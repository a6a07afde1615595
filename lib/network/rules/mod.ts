/**
 * The rules of a network: which frames may pass between two members. `NetworkFilter` decides
 * frames, without allocation; `decide()` says the same slowly and with reasons. Leans on base and
 * on the rule codec. Read `decision.ts` and `interpreter.ts` first: they are the specification in
 * code.
 * @module
 */
export * from "./characteristics.ts";
export * from "./decision.ts";
export * from "./frame_view.ts";
export * from "./headers.ts";
export * from "./interpreter.ts";
export * from "./matches.ts";
export * from "./member.ts";
export * from "./network_filter.ts";
export * from "./verdict.ts";
