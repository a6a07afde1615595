import assert from "node:assert/strict";
import { bondInfo, bondPathInfo, EngineBonds } from "../../../../cli/engine/bond_view.ts";
import type { PeerInfo } from "../../../../cli/api/view.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import type { Node } from "../../../../lib/node/node.ts";
import { Bond } from "../../../../lib/peer/bond.ts";
import { BondMode, bondPolicy, DEFAULT_LINK } from "../../../../lib/peer/bond_policy.ts";
import { Path } from "../../../../lib/peer/path.ts";
import { markSuspect, Peer } from "../../../../lib/peer/peer.ts";
import { ALICE, BOB, endpoint } from "../../lib/node/harness.ts";
import { loadVectors } from "../../../vectors/load.ts";

/** A peer with two paths over eth1 and eth2, heard at 1 s. */
function bondedPeer(mode: BondMode, name?: string) {
  const peer = Peer.meet(noblePrimitives, ALICE, BOB, 0)!;
  const paths = [1, 2].map((socket) =>
    peer.learn(new Path(socket, endpoint(`44.0.0.${socket}/1`)), 1_000)!
  );
  const links = new Map(
    ["eth1", "eth2"].map((device) => [device, { ...DEFAULT_LINK, capacity: 7 }]),
  );
  const policy = bondPolicy(mode, { links, ...name && { name } });
  const place = ({ socket }: Path) => ({
    device: `eth${socket}`,
    way: `${socket}`,
    mtu: undefined,
  });
  peer.bond = new Bond(policy, peer.paths, place, 1_000);
  return { peer, paths, bond: peer.bond };
}

interface Recorded {
  entries: { name: string; response: { json?: Record<string, unknown> } }[];
}

Deno.test("bondInfo() and bondPathInfo() have the fields of the reference's", () => {
  const { entries } = loadVectors<Recorded>("service-api.json");
  const recorded = entries.find(({ name }) => name === "bond show")!.response.json!;
  const plain = entries.find(({ name }) => name === "peer list with bond")!.response.json!;
  const [, unbonded] = plain as unknown as Record<string, unknown>[];
  const { peer, bond, paths } = bondedPeer(BondMode.ACTIVE_BACKUP);
  const added = (whole: unknown, part: unknown) =>
    Object.keys(whole as object).filter((key) => !(key in (part as object))).sort();
  assert.deepEqual(Object.keys(bondInfo(peer, 1_000)!).sort(), added(recorded, unbonded));
  const [wholePath] = recorded.paths as unknown[];
  const [plainPath] = unbonded.paths as unknown[];
  const ours = Object.keys(bondPathInfo(bond, paths[0], 9993, 1_000)!);
  assert.deepEqual(ours.filter((key) => key !== "localPort").sort(), added(wholePath, plainPath));
});

Deno.test("bondInfo() says policy and links; of a custom policy what it is based on", () => {
  const { peer, paths } = bondedPeer(BondMode.BALANCE_XOR, "mine");
  assert.deepEqual(bondInfo(peer, 1_000), {
    bondingPolicyCode: 4,
    bondingPolicyStr: "balance-xor",
    numAliveLinks: 2,
    numTotalLinks: 2,
    failoverInterval: 5_000,
    downDelay: 0,
    upDelay: 0,
    packetsPerLink: 64,
  });
  markSuspect(paths[0]);
  assert.equal(bondInfo(peer, 1_000)?.numAliveLinks, 1);
  peer.bond = undefined;
  assert.equal(bondInfo(peer, 1_000), undefined);
});

Deno.test("bondPathInfo() says how a path does", () => {
  const { bond, paths } = bondedPeer(BondMode.BALANCE_XOR);
  for (const sample of [4, 6, 4, 6]) bond.links[0].window.add(sample);
  const info = bondPathInfo(bond, paths[0], 9993, 1_250);
  assert.deepEqual(info, {
    localPort: 9993,
    ifname: "eth1",
    latencyMean: 5,
    latencyVariance: 1,
    packetLossRatio: 0,
    packetErrorRatio: 0,
    assignedFlowCount: 128,
    lastInAge: 250,
    lastOutAge: -1,
    bonded: 1,
    eligible: 1,
    givenLinkSpeed: 7,
    relativeQuality: 0,
  });
});

Deno.test("EngineBonds shows bonded peers only, rotates, and says of no link that it is unknown", () => {
  const { peer, bond, paths } = bondedPeer(BondMode.ACTIVE_BACKUP);
  let checks = 0;
  const node = {
    bonds: {
      find: (address: number) => address === BOB.address ? bond : undefined,
      setMtu: (_mtu: number, device: string) => device === "eth1",
    },
    publisher: { check: () => checks++ },
  } as unknown as Node;
  const infos = new Map<number, unknown>([[BOB.address, { isBonded: true }], [1, {
    isBonded: false,
  }]]);
  const view = new EngineBonds(node, () => 2_000, (address) => infos.get(address) as PeerInfo);
  assert.deepEqual(view.show(BOB.address), { isBonded: true });
  assert.equal(view.show(1 as typeof BOB.address), undefined);
  assert.equal(view.show(2 as typeof BOB.address), undefined);
  assert.equal(view.rotate(BOB.address), true);
  assert.equal(peer.preferred(2_000), paths[1]);
  assert.equal(view.rotate(1 as typeof BOB.address), false);
  assert.equal(view.setMtu(1_400, "eth1", "10.0.0.1"), undefined);
  assert.equal(view.setMtu(1_400, "eth9", "10.0.0.1"), "Unable to find specified link");
  assert.equal(checks, 2, "the data plane is told");
});
