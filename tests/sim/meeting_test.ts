/**
 * How nodes find each other: through a root, directly, and by relay when nothing else is possible.
 * @module
 */
import assert from "node:assert/strict";
import { measured, simTest } from "./scenario.ts";

simTest("two nodes meet through a root and go direct", { seeds: [1, 2, 3] }, (world) => {
  world.addRoot();
  const controller = world.addController();
  const [a, b] = [world.addNode(), world.addNode()];
  world.run(1_000);
  const network = world.addNetwork(controller, { private: false });
  world.joinAll(network, [a, b]);
  const ping = a.ping(b);
  const arrivedMs = world.runUntil(() => ping.receivedMs !== undefined, {
    withinMs: 3_000,
    what: "the first ping is answered",
  });
  measured("first ping, nothing known of the peer, 20 ms to root and peer", arrivedMs, "ms");
  const directMs = world.runUntil(() => a.isDirectTo(b) && b.isDirectTo(a), {
    withinMs: 3_000,
    what: "both go direct",
  });
  measured("both direct after the first ping", directMs, "ms");
  assert.ok(arrivedMs <= 1_000);
});
