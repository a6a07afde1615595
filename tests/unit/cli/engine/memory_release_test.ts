import { deepEqual } from "node:assert/strict";
import { MemoryRelease } from "../../../../cli/engine/memory_release.ts";

const MEGABYTE = 1_000_000;

/** At which seconds it gave back, after `seconds` of them. */
function run(
  seconds: number,
  load: (second: number) => { inputs?: number; bytes?: number },
): { all: number[]; freed: number[] } {
  const given = { all: [] as number[], freed: [] as number[] };
  let [second, bytes] = [0, 0];
  const release = new MemoryRelease({
    all: () => given.all.push(second),
    freed: () => given.freed.push(second),
  });
  while (second++ < seconds) {
    const now = load(second);
    bytes += now.bytes ?? 0;
    release.tick(now.inputs ?? 0, bytes);
  }
  return given;
}

Deno.test("MemoryRelease gives back all after the start, and now and then", () => {
  deepEqual(run(1_250, () => ({})), { all: [3, 20, 60, 600, 1_200], freed: [] });
});

Deno.test("MemoryRelease gives back all two seconds into a stream, once for each", () => {
  const streams = (second: number) => second >= 25 && second < 35 || second >= 100;
  const { all } = run(200, (second) => ({ bytes: streams(second) ? 100 * MEGABYTE : MEGABYTE }));
  deepEqual(all, [3, 20, 27, 60, 102]);
});

Deno.test("MemoryRelease gives back what was freed after a second of many inputs", () => {
  const { all, freed } = run(16, (second) => ({ inputs: second > 13 ? 2_000 : 1_999 }));
  deepEqual({ all, freed }, { all: [3], freed: [14, 15, 16] });
});
