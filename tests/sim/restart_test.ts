/**
 * A member that starts again, at other ports, and talks at once: what its first frame asks for must
 * not be answered where it was.
 * @module
 */
import assert from "node:assert/strict";
import type { SimHost } from "./host.ts";
import { connect, goDirect, lab } from "./lab.ts";
import { measured, simTest } from "./scenario.ts";
import type { Place, World } from "./world.ts";

const PLACES: readonly (readonly [Place, Place])[] = [["pub", "pub"], ["pr", "pr"], ["pub", "pr"]];
const STARTS = 4; // one after the other: by the second, we have just found a path of the peer dead
const AWAY_MS = 150; // as short a while as a service takes to start

/** Ends the machine's service and starts it at another port. @returns how long its first ping takes to be answered */
function startAgain(world: World, host: SimHost, other: SimHost): number {
  host.stop(true);
  world.run(AWAY_MS);
  host.config.udpPort++;
  host.boot(world.planet());
  world.runUntil(() => host.stack()?.ip !== undefined, { withinMs: 1_000, what: "an address" });
  const ping = host.ping(other);
  return world.runUntil(() => ping.receivedMs !== undefined, {
    withinMs: 5_000,
    what: "the ping is answered",
  });
}

for (const [one, another] of PLACES) {
  simTest(`who starts again at another port is answered at once, ${one} to ${another}`, {
    seeds: [1, 2],
  }, (world) => {
    const { nodes: [a, b] } = lab(world, [{ place: one }, { place: another }]);
    connect(world, a, b);
    goDirect(world, a, b);
    let worstMs = 0;
    for (let start = 0; start < STARTS; start++) {
      world.run(400 * (start + 1));
      worstMs = Math.max(worstMs, startAgain(world, b, a));
    }
    measured(`first ping after a new start, ${one} to ${another}`, worstMs, "ms");
    assert.ok(worstMs < 500, `${worstMs} ms`);
  });
}
