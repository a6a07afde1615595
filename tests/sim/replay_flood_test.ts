/**
 * Who overhears a node and forges addresses sends copies of its packets from everywhere, as fast as
 * a slow line carries: the node is found where it moves to all the same.
 * @module
 */
import assert from "node:assert/strict";
import { Attacker } from "./attacker.ts";
import { connect, lab, Pinger } from "./lab.ts";
import { measured, simTest } from "./scenario.ts";

const PER_SECOND = 1_000;
const OVERHEARD_MAX = 1_000;

simTest("a node that moves is found, though copies of its packets come from everywhere", {
  seeds: [1, 2, 3],
}, (world) => {
  const { nodes: [a, b] } = lab(world, [{ place: "sym" }, { place: "sym" }]);
  const attacker = new Attacker(world);
  const [root] = world.roots;
  const overheard: Uint8Array[] = [];
  world.filter(({ origin, bytes }, to) => {
    const isWanted = origin === a && to === root && overheard.length < OVERHEARD_MAX;
    if (isWanted) overheard.push(bytes);
    return false;
  });
  connect(world, a, b);
  world.run(130_000);
  const pinger = new Pinger(world, a, b);
  const endMs = world.nowMs + 40_000;
  const { rng } = attacker;
  const replay = () => {
    const from = { ip: rng.bytes(4), port: 1_024 + rng.below(60_000) };
    from.ip[0] = 60 + rng.below(40);
    attacker.send(rng.pick(overheard), root.endpoints[0], from);
    if (world.nowMs < endMs) world.after(1_000 / PER_SECOND, replay);
  };
  replay();
  world.run(5_000);
  const movedMs = world.nowMs;
  a.connect(world.interfacesFor({ place: "sym" }), 100);
  world.run(30_000);
  pinger.stop();
  measured("a move amid replays: gap", pinger.gapMs(movedMs), "ms");
  assert.ok(pinger.gapMs(movedMs) < 5_000);
});
