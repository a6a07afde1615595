/**
 * Direct paths through symmetric NATs: how often, how soon, and within which limits.
 * @module
 */
import assert from "node:assert/strict";
import { formatEndpoint } from "../../lib/base/ip.ts";
import { DOOR_SOCKET_MIN } from "../../lib/peer/path.ts";
import { HEADER_LENGTH } from "../../lib/wire/packet.ts";
import type { SimHost } from "./host.ts";
import { connect, goDirect, lab, Pinger, reaches } from "./lab.ts";
import { measured, simTest } from "./scenario.ts";
import { type Place, World } from "./world.ts";

const SEEDS = [1, 2];
const TRIES = 50;
const ATTEMPT_MS = 15_000; // all probes are sent within 10.3 s of the first second

/** Two members that talk all the time. */
function pair(world: World, one: Place, other: Place): [SimHost, SimHost] {
  const { nodes: [a, b] } = lab(world, [{ place: one }, { place: other }], { isPrivate: false });
  new Pinger(world, a, b, 500);
  return [a, b];
}

/** How soon the pair goes direct; undefined when it does not in one attempt. */
function tryOnce(seed: number, one: Place, other: Place): number | undefined {
  const world = new World({ seed: `${seed} ${one} ${other}` });
  const [a, b] = pair(world, one, other);
  const sinceMs = world.nowMs;
  while (world.nowMs - sinceMs < ATTEMPT_MS) {
    world.run(50);
    if (a.isDirectTo(b) && b.isDirectTo(a)) return world.nowMs - sinceMs;
  }
  return undefined;
}

for (
  const [one, other, wanted] of [["sym", "pr", 0.9], ["seq", "pr", 0.95], [
    "sym",
    "dbl",
    0.9,
  ]] as const
) {
  Deno.test(`${one} and ${other} go direct in nearly every one of ${TRIES} tries`, () => {
    const times = Array.from({ length: TRIES }, (_, i) => tryOnce(i + 1, one, other))
      .filter((ms) => ms !== undefined).sort((a, b) => a - b);
    const rate = times.length / TRIES;
    measured(`${one} ${other}: direct in the first attempt, of ${TRIES} tries`, 100 * rate, "%");
    measured(`${one} ${other}: median time to direct`, times[times.length >> 1], "ms");
    measured(`${one} ${other}: p90`, times[Math.floor(times.length * 0.9)], "ms");
    assert.ok(rate >= wanted, `${times.length} of ${TRIES}`);
  });
}
