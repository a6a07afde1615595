/**
 * The reference at one end of a pair of which one NAT is symmetric. It knows nothing of ports to
 * open or to try: the pair is relayed, unless a likely port is found, and our trying must not
 * disturb it. Probes are HELLOs and ECHOs as it knows them, each to a port of its own, so that none
 * meets its gate of one ECHO in 166 ms a path; and few, as it says nothing of its NAT.
 * @module
 */
import assert from "node:assert/strict";
import type { Place } from "../e2e/nat_lab.ts";
import { type Meeting, NatScene } from "./nat_scene.ts";
import { interopTest } from "./reference.ts";
import type { Station } from "./station.ts";

const WATCH_MS = 30_000; // probing begins a second after the introduction and would take ten
const PINGS = 50;
/** Four known ports and 32 that follow each; before, introductions and pushed addresses: some 250 here. */
const PROBES_MAX = 4 * 32 + 320; // to open ports would add 256, to try them by chance 1,024

/** Probes a node of ours has sent, keepalive included. */
async function probesSentBy(node: Station): Promise<number> {
  const { text } = await node.request("GET", "/metrics");
  const counts = ["hello", "echo"].map((verb) =>
    new RegExp(`^zt_packet\\{direction="tx",packet_type="${verb}"\\} (\\d+)$`, "m").exec(text)?.[1]
  );
  return counts.reduce((sum, count) => sum + Number(count), 0);
}

for (const [ours, theirs] of [["sym", "pr"], ["pr", "sym"]] as [Place, Place][]) {
  interopTest(
    `zt behind ${ours}, the reference behind ${theirs}: reached all the time`,
    async () => {
      await using scene = await NatScene.start({
        roots: ["zt"],
        members: [{ kind: "zt", place: ours }, { kind: "reference", place: theirs }],
      });
      await scene.join();
      const [zt, reference] = scene.nodes;
      const never = (_: readonly Meeting[]) => false;
      const [{ contactMs, directMs }] = await scene.meet([[0, 1]], never, WATCH_MS);
      assert(contactMs !== undefined, "they talk");
      const probes = await probesSentBy(zt);
      const how = directMs === undefined ? "relayed" : "direct";
      console.log(
        `measured: zt ${ours}, reference ${theirs}: ${how}, ${probes} probes in ${
          WATCH_MS / 1_000
        } s`,
      );
      assert(probes <= PROBES_MAX, `${probes} probes`);
      let answered = 0;
      for (let i = 0; i < PINGS; i++) if (await reference.reaches(scene.ips[0])) answered++;
      assert(answered >= 0.95 * PINGS, `${answered} of ${PINGS} pings of the reference`);
    },
  );
}
