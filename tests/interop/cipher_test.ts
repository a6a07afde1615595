/** Both ciphers in both directions between the programs, and fragments of equal size. @module */
import assert from "node:assert/strict";
import { hasFastAes } from "../../ffi/linux/libcrypto.ts";
import { interopTest } from "./reference.ts";
import { Scene } from "./scene.ts";
import type { PacketCounts } from "./station.ts";

const PINGS = 60;
const STREAM_BYTES = 2_000_000;
/**
 * Beside what the test sends: multicast, neighbour discovery, keepalive; and packets sealed before
 * versions are known.
 */
const STRAY_PACKETS_MAX = 20;
/**
 * The same in datagrams, probes of paths and of what they carry among them: half of what a third
 * datagram for every packet would be.
 */
const STRAY_DATAGRAMS_MAX = PINGS;
const SETTLING_PINGS = 20; // a second in which both find the path they use, of a dozen

/** What our program counted between two looks. */
function grown(before: PacketCounts, after: PacketCounts) {
  const by = (way: "sent" | "received", cipher: "salsa" | "aes") =>
    after.ciphers[way][cipher] - before.ciphers[way][cipher];
  const { statistics: old } = before.data;
  const { statistics } = after.data;
  return {
    sent: { salsa: by("sent", "salsa"), aes: by("sent", "aes") },
    received: { salsa: by("received", "salsa"), aes: by("received", "aes") },
    datagramsOut: statistics.datagrams_out - old.datagrams_out,
    datagramsIn: statistics.datagrams_in - old.datagrams_in,
    unauthentic: (after.drops.unauthentic ?? 0) - (before.drops.unauthentic ?? 0),
  };
}

for (const root of ["reference", "zt"] as const) {
  for (const setting of ["auto", "salsa", "aes"] as const) {
    const isAes = setting === "aes" || (setting === "auto" && hasFastAes());
    const [used, unused] = isAes ? ["aes", "salsa"] as const : ["salsa", "aes"] as const;
    interopTest(`(d) cipher "${setting}": ${used} both ways, ${root} as root`, async () => {
      const nodes = ["zt", "reference"] as const;
      await using scene = await Scene.start({ root, nodes, settings: { cipher: setting } });
      const network = await scene.network();
      const [zt, reference] = scene.nodes;
      const ips = await Promise.all(scene.nodes.map((node) => node.join(network)));
      await zt.untilReaches(ips[1]);
      await reference.untilReaches(ips[0]);
      await zt.pings(ips[1], 2_800, SETTLING_PINGS);
      const start = await zt.counts();
      await zt.pings(ips[1], 2_800, PINGS);
      await reference.pings(ips[0], 2_800, PINGS);
      // (f): each such packet, there and back, takes two datagrams: ours are of equal size, and all were understood.
      const pings = grown(start, await zt.counts());
      const text = JSON.stringify(pings);
      for (const count of [pings.datagramsOut, pings.datagramsIn]) {
        assert(count >= 4 * PINGS && count <= 4 * PINGS + STRAY_DATAGRAMS_MAX, text);
      }
      await zt.streams(ips[1], STREAM_BYTES);
      await reference.streams(ips[0], STREAM_BYTES);
      const seen = grown(start, await zt.counts());
      for (const way of ["sent", "received"] as const) {
        const all = JSON.stringify(seen);
        assert(seen[way][used] > 4 * PINGS, `${way} with ${used}: ${all}`);
        // Left to choose, we seal what is short with Salsa20/12: acknowledgements of a stream.
        if (setting === "auto" && way === "sent") continue;
        assert(seen[way][unused] <= STRAY_PACKETS_MAX, `${way} with ${unused}: ${all}`);
      }
      assert.equal(seen.unauthentic, 0);
    });
  }
}
