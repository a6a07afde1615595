import { deepEqual, rejects } from "node:assert/strict";
import { linesOf } from "../../../../../cli/engine/demo/lines.ts";

async function collect(pieces: readonly Uint8Array[]): Promise<string[]> {
  return await Array.fromAsync(linesOf(ReadableStream.from(pieces)));
}

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("linesOf() joins what comes in pieces, characters of several bytes included", async () => {
  const text = bytes("eins\nzwölf\n\nlast");
  for (let size = 1; size <= text.length; size++) {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < text.length; at += size) pieces.push(text.slice(at, at + size));
    deepEqual(await collect(pieces), ["eins", "zwölf", "", "last"]);
  }
  deepEqual(await collect([bytes("a\n")]), ["a"]);
});

Deno.test("linesOf() refuses a line without end", async () => {
  const piece = new Uint8Array(1_048_576).fill(97);
  await rejects(collect(Array.from({ length: 20 }, () => piece)), RangeError);
});
