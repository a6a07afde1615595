/** Both ciphers in both directions between the programs, and fragments of equal size. @module */
import assert from "node:assert/strict";
import { interopTest } from "./reference.ts";
import { Scene } from "./scene.ts";
import type { Station } from "./station.ts";

const PINGS = 20;
const STREAM_BYTES = 2_000_000;
/** Beside what the test sends: multicast, neighbour discovery, keepalive; and packets sealed before versions are known. */
const STRAY_PACKETS_MAX = 20;

/** Sends both ways and tells what our program counted meanwhile. */
async function traffic(zt: Station, ztIp: string, other: Station, otherIp: string) {
  await zt.untilReaches(otherIp);
  await other.untilReaches(ztIp);
  const before = await zt.counts();
  await zt.pings(otherIp, 2_800, PINGS);
  await other.pings(ztIp, 2_800, PINGS);
  await zt.streams(otherIp, STREAM_BYTES);
  await other.streams(ztIp, STREAM_BYTES);
  const after = await zt.counts();
  const grown = (way: "sent" | "received", cipher: "salsa" | "aes") =>
    after.ciphers[way][cipher] - before.ciphers[way][cipher];
  return {
    sent: { salsa: grown("sent", "salsa"), aes: grown("sent", "aes") },
    received: { salsa: grown("received", "salsa"), aes: grown("received", "aes") },
    inPieces: {
      sent: after.inPieces.sent - before.inPieces.sent,
      received: after.inPieces.received - before.inPieces.received,
    },
    unauthentic: (after.drops.unauthentic ?? 0) - (before.drops.unauthentic ?? 0),
  };
}

for (const root of ["reference", "zt"] as const) {
  for (const setting of ["auto", "salsa", "aes"] as const) {
    const used = setting === "aes" ? "aes" : "salsa";
    const unused = setting === "aes" ? "salsa" : "aes";
    interopTest(`(d) cipher "${setting}": ${used} both ways, ${root} as root`, async () => {
      const nodes = ["zt", "reference"] as const;
      await using scene = await Scene.start({ root, nodes, settings: { cipher: setting } });
      const network = await scene.network();
      const [zt, reference] = scene.nodes;
      const ips = await Promise.all(scene.nodes.map((node) => node.join(network)));
      const seen = await traffic(zt, ips[0], reference, ips[1]);
      for (const way of ["sent", "received"] as const) {
        assert(seen[way][used] > 4 * PINGS, `${way} with ${used}: ${JSON.stringify(seen)}`);
        assert(
          seen[way][unused] <= STRAY_PACKETS_MAX,
          `${way} with ${unused}: ${JSON.stringify(seen)}`,
        );
      }
      assert.equal(seen.unauthentic, 0);
      // (f): each 2800-byte packet of ours is cut into two of equal size, and every one of them was answered.
      assert(seen.inPieces.sent >= 2 * PINGS, JSON.stringify(seen));
      assert(seen.inPieces.received >= 2 * PINGS, JSON.stringify(seen));
    });
  }
}
