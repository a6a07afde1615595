import assert from "node:assert/strict";
import { ANNOUNCED_VERSION, ZT_VERSION } from "../../../../cli/engine/version.ts";

Deno.test("ZT_VERSION is the version of deno.json", () => {
  const file = new URL("../../../../deno.json", import.meta.url);
  assert.equal(JSON.parse(Deno.readTextFileSync(file)).version, ZT_VERSION);
});

Deno.test("ANNOUNCED_VERSION is a 1.14 whose text fits its parts, and never 1.1.0", () => {
  const { major, minor, revision, text } = ANNOUNCED_VERSION;
  assert.equal(text, `${major}.${minor}.${revision}`);
  assert.deepEqual([major, minor], [1, 14]);
});
