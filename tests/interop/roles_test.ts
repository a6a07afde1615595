/** Either program as root and controller, either as nodes. @module */
import assert from "node:assert/strict";
import { interopTest } from "./reference.ts";
import { Scene } from "./scene.ts";
import type { Kind, Station } from "./station.ts";

/** Joins all nodes; each pair must talk both ways, with small and large packets and a stream. */
async function joinAndTalk(scene: Scene): Promise<void> {
  const network = await scene.network();
  const ips = await Promise.all(scene.nodes.map((node) => node.join(network)));
  const [a, b] = scene.nodes;
  await a.untilReaches(ips[1]);
  await b.untilReaches(ips[0]);
  for (const sizeBytes of [64, 1_400, 1_432, 2_800]) {
    await a.pings(ips[1], sizeBytes);
    await b.pings(ips[0], sizeBytes);
  }
  await a.streams(ips[1], 4_000_000);
  await b.streams(ips[0], 4_000_000);
  await assertDirect(a, b);
  await assertDirect(b, a);
}

async function assertDirect(from: Station, to: Station): Promise<void> {
  const { address } = await to.status();
  const peer = (await from.peers()).find((one) => one.address === address);
  assert(peer && peer.paths.length > 0, `${from.name} has a direct path to ${to.name}`);
  assert.equal(peer.version, "1.14.1");
}

function roles(title: string, root: Kind, nodes: Kind[]): void {
  interopTest(title, async () => {
    await using scene = await Scene.start({ root, nodes });
    await joinAndTalk(scene);
  });
}

roles("(a) reference as root and controller, two zt nodes", "reference", ["zt", "zt"]);
roles("(b) zt as root and controller, two reference nodes", "zt", ["reference", "reference"]);
roles("(c) zt and reference node, reference as root and controller", "reference", [
  "zt",
  "reference",
]);
roles("(c) zt and reference node, zt as root and controller", "zt", ["zt", "reference"]);
