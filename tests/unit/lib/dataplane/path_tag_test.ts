import { equal, notEqual, ok } from "node:assert/strict";
import { pathTag } from "../../../../lib/dataplane/path_tag.ts";

const ip = Uint8Array.of(9, 9, 10, 0, 0, 1, 10, 0, 0, 2);

Deno.test("pathTag() tells sockets, addresses and ports apart, and fits 32 bits with a sign", () => {
  const tag = pathTag(1, ip, 2, 4, 9993);
  equal(tag, tag | 0);
  equal(pathTag(1, ip.slice(2), 0, 4, 9993), tag);
  notEqual(pathTag(2, ip, 2, 4, 9993), tag);
  notEqual(pathTag(1, ip, 6, 4, 9993), tag);
  notEqual(pathTag(1, ip, 2, 4, 9994), tag);
  notEqual(pathTag(1, ip, 2, 4, 9993 ^ 0x100), tag);
});

Deno.test("pathTag() seldom gives two paths the same name", () => {
  const seen = new Set<number>();
  for (let i = 0; i < 20_000; i++) {
    const one = Uint8Array.of(10, 0, i >> 8, i & 0xff);
    seen.add(pathTag(1, one, 0, 4, 9993));
  }
  ok(seen.size > 19_990, `${seen.size} of 20000`);
});
