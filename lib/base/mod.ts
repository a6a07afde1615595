/**
 * What everything else stands on: errors, bytes, names, IP addresses. Leans on nothing. Read `ids.ts` first.
 * @module
 */
export * from "./bytes.ts";
export * from "./cut_text.ts";
export * from "./device_name.ts";
export * from "./errors.ts";
export * from "./ids.ts";
export * from "./ip.ts";
export * from "./multicast_group.ts";
export * from "./rate.ts";
export * from "./timers.ts";
export * from "./waiting.ts";
