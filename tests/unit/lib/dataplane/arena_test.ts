import { ok } from "node:assert/strict";
import * as arena from "../../../../lib/dataplane/arena.ts";
import { KERNEL_BYTES } from "../../../../lib/kernel/mod.ts";
import * as kernel from "../../../../lib/kernel/data_kernel.ts";

Deno.test("the arena's areas lie apart, aligned, behind the kernel's own bytes and within its pages", () => {
  const areas: [at: number, length: number][] = [
    [arena.IDS_AT, kernel.IDS_BYTES],
    [arena.SCRATCH_AT, kernel.SCRATCH_BYTES],
    [arena.SESSIONS_AT, arena.SESSIONS_MAX * kernel.SESSION_BYTES],
    [arena.INDEX_AT, arena.INDEX_SIZE * 4],
    [arena.REASSEMBLY_AT, kernel.REASSEMBLY_BYTES],
    [arena.MEMBERS_AT, arena.MEMBERS_MAX * arena.MEMBER_BYTES],
    [arena.RESULTS_AT, arena.RESULTS_MAX * kernel.RESULT_BYTES],
    [arena.RUNS_AT, arena.RUNS_MAX * kernel.RUN_BYTES],
    [arena.WRITES_AT, arena.WRITES_MAX * kernel.WRITE_BYTES],
    [arena.SPLIT_LIST_AT, arena.SPLIT_MAX * kernel.LIST_BYTES],
    [arena.SPLIT_AT, arena.SPLIT_BYTES],
    [arena.TAP_IN_AT, arena.TAP_IN_BYTES],
    [arena.UDP_OUT_AT, arena.UDP_OUT_BYTES],
    [arena.UDP_IN_AT, arena.UDP_IN_COUNT * arena.UDP_IN_BYTES],
    [arena.TAP_OUT_AT, arena.TAP_OUT_BYTES],
  ];
  let end = KERNEL_BYTES;
  for (const [at, length] of areas.sort(([a], [b]) => a - b)) {
    ok(at >= end && at % 64 === 0, `an area at ${at} after one that ends at ${end}`);
    end = at + length;
  }
  ok(end <= arena.ARENA_PAGES * 65_536);
});
