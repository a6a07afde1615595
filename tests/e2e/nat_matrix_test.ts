/**
 * Every kind of place against every other, with NATs of the kernel: what two nodes there come to. All twelve are in one
 * network and all pairs talk at once. The results are kept in `nat_table.txt`, so that a change shows as a difference:
 *
 *     deno test -A tests/e2e/nat_matrix_test.ts -- --write-table
 *
 * watches for as long as probing may take and writes it anew. Times are printed, not kept: they are the machine's.
 * `tests/sim/nat_table.txt` is its like from the simulator.
 * @module
 */
import assert from "node:assert/strict";
import { type Meeting, NatScene } from "../interop/nat_scene.ts";
import { PLACES } from "./nat_lab.ts";
import { endToEndTest } from "./stage.ts";

const FILE = new URL("nat_table.txt", import.meta.url);
const WRITE = Deno.args.includes("--write-table");
/** The bound is 10 s on a machine that does nothing else; probing of ports may take longer. */
const PATIENCE_MS = WRITE ? 30_000 : 60_000;

/** Those behind one NAT that gives a port for each destination and one that lets in only who was sent to. */
const GUESSED = ["pr sym", "sym dbl"];
const GUESS_MS = 15_000; // how long ports are guessed, and a little more

/** "guessed" is direct, or relayed where guessing ports came to nothing. */
type Result = "direct" | "guessed" | "relayed" | "none";

/** Two nodes at each place, so that each kind meets its own: the n-th of a place is number 2 * place + n. */
const MEMBERS = PLACES.flatMap((place) =>
  [place, place].map((one) => ({ kind: "zt", place: one }) as const)
);
const PAIRS = PLACES.flatMap((_, one) =>
  PLACES.map((_, other) => [2 * one, 2 * other + 1] as const).slice(one)
);

function nameOf({ a, b }: Meeting): string {
  return `${MEMBERS[a].place} ${MEMBERS[b].place}`;
}

function resultOf(meeting: Meeting): Result {
  if (meeting.contactMs === undefined) return "none";
  if (meeting.directMs === undefined) return "relayed";
  return GUESSED.includes(nameOf(meeting)) ? "guessed" : "direct";
}

/** Results by pair, as the file has them. */
function readTable(): Map<string, Result> {
  const lines = Deno.readTextFileSync(FILE).split("\n");
  const rows = lines.map((line) => /^(\S+ \S+) +(direct|guessed|relayed|none)$/.exec(line));
  return new Map(rows.flatMap((row) => row ? [[row[1], row[2] as Result]] : []));
}

function tableOf(meetings: readonly Meeting[]): string {
  const results = meetings.map(resultOf);
  const count = (result: Result) => results.filter((one) => one === result).length;
  return [
    "What two nodes come to in the kernel, by what stands between each and the Internet (nftables, one root, no UDP for udpb).",
    "guessed: direct in about seven of eight tries, else relayed. Written by tests/e2e/nat_matrix_test.ts, which says how.",
    "",
    ...meetings.map((meeting, i) => `${nameOf(meeting).padEnd(12)}  ${results[i]}`),
    "",
    `${count("direct")} direct, ${count("guessed")} guessed, ${count("relayed")} relayed, ${
      count("none")
    } none`,
    "",
  ].join("\n");
}

function printTimes(meetings: readonly Meeting[]): void {
  const seconds = (timeMs: number | undefined) =>
    timeMs === undefined ? "-" : `${(timeMs / 1_000).toFixed(1)} s`;
  for (const meeting of meetings) {
    const columns = [nameOf(meeting).padEnd(12), resultOf(meeting).padEnd(8)];
    const times = [meeting.contactMs, meeting.directMs].map((one) => seconds(one).padStart(7));
    console.log(["measured:", ...columns, ...times].join(" "));
  }
}

endToEndTest("nobody is out of reach behind any NAT, and who can talk directly does", async () => {
  await using scene = await NatScene.start({ roots: ["zt"], members: MEMBERS });
  await scene.join();
  const expected = WRITE ? new Map<string, Result>() : readTable();
  const startMs = performance.now();
  const isAsExpected = (meetings: readonly Meeting[]) =>
    meetings.every((meeting) => {
      const wanted = expected.get(nameOf(meeting));
      const mayWait = wanted === "guessed" && performance.now() - startMs < GUESS_MS;
      return meeting.contactMs !== undefined &&
        (meeting.directMs !== undefined || (wanted !== "direct" && !mayWait));
    });
  const meetings = await scene.meet(PAIRS, (seen) => !WRITE && isAsExpected(seen), PATIENCE_MS);
  printTimes(meetings);
  if (WRITE) Deno.writeTextFileSync(FILE, tableOf(meetings));
  for (const meeting of meetings) {
    const [name, result] = [nameOf(meeting), resultOf(meeting)];
    assert.notEqual(result, "none", name);
    if (expected.get(name) === "direct") assert.equal(result, "direct", name);
  }
});
