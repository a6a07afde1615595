/**
 * Through NATs of the kernel, each pair with one end the reference: introduced by a root of either
 * kind (RENDEZVOUS), and by what the ends tell each other (PUSH_DIRECT_PATHS); and planets with a
 * root of each kind.
 * @module
 */
import assert from "node:assert/strict";
import { type Meeting, NatScene } from "./nat_scene.ts";
import { interopTest } from "./reference.ts";
import type { Kind, Station } from "./station.ts";

const PATIENCE_MS = 90_000; // the reference pushes its addresses every 15 s, and is introduced again every 30 s
const FAILOVER_MS = 15_000; // the bound is 5 s on a machine that does nothing else

const MEMBERS = [
  { kind: "zt", place: "pr" },
  { kind: "reference", place: "pr" },
  { kind: "zt", place: "eim" },
  { kind: "reference", place: "sym" },
  { kind: "zt", place: "sym" },
  { kind: "reference", place: "eim" },
  { kind: "zt", place: "dbl" },
  { kind: "reference", place: "pub" },
] as const;
/** One end ours, the other the reference, and a NAT at least; those that can be direct without guessing ports. */
const PAIRS = [[0, 1], [2, 1], [2, 3], [4, 5], [6, 5], [0, 5], [6, 7], [4, 7], [6, 1]] as const;

function nameOf({ a, b }: Meeting): string {
  return `zt ${MEMBERS[a].place}, reference ${MEMBERS[b].place}`;
}

/** Packets of a type our node received. */
async function received(node: Station, type: string): Promise<number> {
  const text = (await node.request("GET", "/metrics")).text;
  const line = text.split("\n").find((one) =>
    one.startsWith("zt_packet{") && one.includes('"rx"') && one.includes(`"${type}"`)
  );
  return Number(line?.split(" ").at(-1) ?? 0);
}

for (const roots of [["zt"], ["reference"]] as const satisfies Kind[][]) {
  interopTest(
    `mixed pairs behind NATs, introduced by a ${roots[0]} root, become direct`,
    async () => {
      await using scene = await NatScene.start({ roots, members: MEMBERS });
      await scene.join();
      const areDirect = (meetings: readonly Meeting[]) =>
        meetings.every(({ contactMs, directMs }) =>
          contactMs !== undefined && directMs !== undefined
        );
      const meetings = await scene.meet(PAIRS, areDirect, PATIENCE_MS);
      for (const meeting of meetings) {
        assert(meeting.contactMs !== undefined, `${nameOf(meeting)} reach each other`);
        assert(meeting.directMs !== undefined, `${nameOf(meeting)} are direct`);
        console.log(
          `measured: ${nameOf(meeting)}: direct after ${Math.round(meeting.directMs)} ms`,
        );
      }
      assert(await received(scene.nodes[0], "rendezvous") > 0, "introduced by the root");
    },
  );
}

for (const root of ["zt", "reference"] as const) {
  interopTest(`a mixed pair finds the cable between it through a ${root} root`, async () => {
    const members = [{ kind: "zt", place: "sym" }, { kind: "reference", place: "sym" }] as const;
    await using scene = await NatScene.prepare({ roots: [root], members });
    const [ours, theirs] = scene.nodes;
    // Behind NATs like these nobody else could tell either where the other is.
    const cable = { a: ["10.20.0.1/24"], b: ["10.20.0.2/24"] };
    scene.lab.wire(ours.host, theirs.host, cable);
    await scene.startRoots();
    await scene.startNodes();
    await scene.join();
    const [{ contactMs, directMs }] = await scene.meet(
      [[0, 1]],
      ([{ directMs }]) => directMs !== undefined,
      PATIENCE_MS,
    );
    assert(contactMs !== undefined && directMs !== undefined, "they are direct");
    for (const [node, other, ip] of [[ours, 1, "10.20.0.2"], [theirs, 0, "10.20.0.1"]] as const) {
      const peer = (await node.peers()).find((one) => one.address === scene.addresses[other]);
      assert(
        peer?.paths.some((path) => path.address.startsWith(`${ip}/`)),
        `${node.name} by ${ip}`,
      );
    }
    assert(await received(ours, "push_direct_paths") > 0, "told by the reference");
  });
}

interopTest(
  "a planet of a zt and a reference root: nodes of both kinds outlive either",
  async () => {
    const members = [
      { kind: "zt", place: "sym" },
      { kind: "zt", place: "sym" },
      { kind: "reference", place: "pub" },
    ] as const;
    await using scene = await NatScene.start({ roots: ["zt", "reference"], members });
    await scene.join();
    const [a, , theirs] = scene.nodes;
    for (const node of scene.nodes) {
      await node.until("it knows both roots", async () => {
        const roots = (await node.peers()).filter(({ role }) => role === "PLANET");
        return roots.length === 2 && roots.every(({ paths }) => paths.length > 0);
      });
    }
    const meetings = await scene.meet(
      [[0, 1], [0, 2], [1, 2]],
      ([, ...mixed]) => mixed.every(({ directMs }) => directMs !== undefined),
      PATIENCE_MS,
    );
    assert(
      meetings.slice(1).every(({ directMs }) => directMs !== undefined),
      "mixed pairs are direct",
    );
    for (const root of [...scene.roots].reverse()) {
      await root.kill();
      // Relayed or not: by the root that is left.
      assert(await a.reaches(scene.ips[1], FAILOVER_MS), `the zt pair without ${root.name}`);
      assert(await a.reaches(scene.ips[2], FAILOVER_MS), `the mixed pair without ${root.name}`);
      assert(await theirs.reaches(scene.ips[0], FAILOVER_MS), `its other end without ${root.name}`);
      await root.start();
      await a.until("the root is back", async () => {
        const { address } = await root.status();
        const peer = (await a.peers()).find((one) => one.address === address);
        return peer !== undefined && peer.paths.length > 0;
      });
    }
  },
);
