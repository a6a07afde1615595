/**
 * The two versions of this program: its own, and the one of the reference it announces to peers and tools.
 *
 * Source: DESIGN.md section 7: never announce 1.1.0, which switches ECHO off.
 * @module
 */

/** Our own version; the same as in `deno.json`. */
export const ZT_VERSION = "0.1.0";

/** What HELLO and `GET /status` say, for peers and tools that test it. */
export const ANNOUNCED_VERSION = { major: 1, minor: 14, revision: 1, build: 0, text: "1.14.1" };
