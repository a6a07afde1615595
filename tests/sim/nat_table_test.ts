/**
 * Every kind of place against every other: what two nodes there come to, and when. The table is kept in the tree, so a
 * change of behaviour shows as a difference; `deno task sim -- --write-table` (with --allow-write) writes it anew.
 * @module
 */
import assert from "node:assert/strict";
import { lab, Pinger } from "./lab.ts";
import { simTest } from "./scenario.ts";
import { type Place, World } from "./world.ts";

const PLACES: Place[] = ["pub", "eim", "pr", "sym", "dbl", "udpb"];
const FILE = new URL("nat_table.txt", import.meta.url);
const SETTLE_MS = 30_000;
const SEED = 1;

interface Cell {
  readonly kind: "direct" | "relayed" | "none";
  /** First answer to a ping. */
  readonly contactMs: number | undefined;
  /** Both ends send directly. */
  readonly directMs: number | undefined;
}

/** Two nodes on one public network, in these places. */
function meet(one: Place, other: Place, seed: number): Cell {
  const world = new World({ seed: `${seed} ${one} ${other}`, hasTcp: true });
  const { nodes: [a, b] } = lab(world, [{ place: one }, { place: other }], { isPrivate: false });
  const pinger = new Pinger(world, a, b);
  const sinceMs = world.nowMs;
  let directMs: number | undefined;
  while (world.nowMs - sinceMs < SETTLE_MS) {
    world.run(10);
    if (a.isDirectTo(b) && b.isDirectTo(a)) directMs ??= world.nowMs - sinceMs;
    else directMs = undefined;
  }
  const first = pinger.pings.find((ping) => ping.receivedMs !== undefined);
  const kind = directMs !== undefined ? "direct" : first ? "relayed" : "none";
  return { kind, contactMs: first && first.receivedMs! - sinceMs, directMs };
}

function tableOf(cells: Map<string, Cell>): string {
  const lines = [
    "What two nodes come to, by what stands between each and the Internet (links of 5 ms, one root, no loss; udpb lets TCP out alone).",
    "direct or relayed, first ping answered after, both direct after; written by tests/sim/nat_table_test.ts",
    "",
  ];
  const counts = { direct: 0, relayed: 0, none: 0 };
  for (const [pair, { kind, contactMs, directMs }] of cells) {
    counts[kind]++;
    const ms = (value: number | undefined) =>
      value === undefined ? "-" : `${Math.round(value / 10) * 10} ms`;
    const columns = [pair.padEnd(12), kind.padEnd(8), ms(contactMs).padStart(8)];
    lines.push([...columns, ms(directMs).padStart(8)].join("  "));
  }
  lines.push("", `${counts.direct} direct, ${counts.relayed} relayed, ${counts.none} none`, "");
  return lines.join("\n");
}

function cellsFor(seed: number): Map<string, Cell> {
  const cells = new Map<string, Cell>();
  for (const [index, one] of PLACES.entries()) {
    for (const other of PLACES.slice(index)) cells.set(`${one} ${other}`, meet(one, other, seed));
  }
  return cells;
}

Deno.test("the NAT table is what the file says, and nobody who could be relayed is left out", () => {
  const cells = cellsFor(SEED);
  for (const [pair, { kind, contactMs }] of cells) {
    assert.notEqual(kind, "none", pair);
    assert.ok(contactMs! < 5_000, `${pair}: ${contactMs} ms`);
  }
  const table = tableOf(cells);
  if (Deno.args.includes("--write-table")) Deno.writeTextFileSync(FILE, table);
  console.log(table);
  assert.equal(table, Deno.readTextFileSync(FILE));
});

simTest("every pair of places is connected whatever the seed", { seeds: [2] }, (world) => {
  for (const [pair, { kind }] of cellsFor(Number(world.options.seed))) {
    assert.notEqual(kind, "none", pair);
  }
});

simTest("every further kind of NAT is connected to every other", { seeds: [1] }, (world) => {
  const places: Place[] = ["ar", "seq", "cgn", "sym"];
  for (const [index, one] of places.entries()) {
    for (const other of places.slice(index)) {
      const { kind, contactMs } = meet(one, other, Number(world.options.seed));
      assert.notEqual(kind, "none", `${one} ${other}`);
      assert.ok(contactMs! < 5_000);
    }
  }
});
