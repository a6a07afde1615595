/**
 * What the reference sends for given inputs, recorded from node `a` on one network, against what ours sends.
 *
 * Where we differ on purpose: (1) the reference asks a specialist that is anchor and replicator
 * twice for members of a group, we once; (2) we announce the solicited-node group of our IPv6
 * address too, as spec 04 section 12.1 says, which the recording's TAP did not have. Order of
 * packets to different destinations is not significant, nor is that of groups.
 * @module
 */
import assert from "node:assert/strict";
import { fromHex, toHex } from "../../../../lib/base/bytes.ts";
import {
  type Address,
  formatAddress,
  formatMac,
  type Mac,
  parseMac,
  parseNetworkId,
} from "../../../../lib/base/ids.ts";
import { groupKey } from "../../../../lib/base/multicast_group.ts";
import { issueCom } from "../../../../lib/credential/certificate_of_membership.ts";
import {
  decodeNetworkConfig,
  type NetworkConfig,
} from "../../../../lib/credential/network_config.ts";
import { Role } from "../../../../lib/credential/network_config_binary.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import { buildFrame, parseFrame } from "../../../../lib/network/ethernet.ts";
import type { Network } from "../../../../lib/network/network.ts";
import { Networks } from "../../../../lib/network/networks.ts";
import type { Vl1 } from "../../../../lib/node/vl1.ts";
import { decodeMulticastLike } from "../../../../lib/wire/multicast_like.ts";
import { decodeNetworkCredentials } from "../../../../lib/wire/network_credentials.ts";
import { Verb } from "../../../../lib/wire/packet.ts";
import { countVectors } from "../../../vectors/count.ts";
import { loadVectors } from "../../../vectors/load.ts";
import { actionsOf, vl1Of } from "../node/harness.ts";

interface Packet {
  to: string;
  verb: number;
  payload: string;
}
interface FrameCase {
  data: string;
  etherType: number;
  from: string;
  to: string;
  sent: Packet[];
  toTap: { etherType: number; macDest: string; macSource: string; payload: string }[];
}
interface Vl2Vectors {
  timestamp: string;
  maxDelta: string;
  networkId: string;
  identities: Record<"controller" | "a" | "b" | "c" | "d", { address: string; secret: string }>;
  networkConfig: { dictionaryHex: string };
  behaviour: Record<string, FrameCase | Packet[] | { forwarded: Packet[] }>;
}

const vl2 = loadVectors<Vl2Vectors>("vl2.json");
const who = Object.fromEntries(
  Object.entries(vl2.identities).map(([name, { secret }]) => [name, Identity.parse(secret)]),
) as Record<keyof Vl2Vectors["identities"], Identity>;
const networkId = parseNetworkId(vl2.networkId)!;
const done: string[] = [];

interface Scene {
  readonly vl1: Vl1;
  readonly networks: Networks;
  readonly network: Network;
  /** What was given to VL1 to send since last asked, whoever is known or not. */
  sent(): Packet[];
}

/** Node a, its members b and c known, its credentials pushed to everybody already. */
function sceneOf(
  { config = (it: NetworkConfig) => it, isConfigured = true, pushed = "bcd" } = {},
): Scene {
  const settings = { announceProtocol: 12 };
  const vl1 = vl1Of(who.a, { settings });
  for (const name of ["controller", "b", "c", "d"] as const) vl1.addPeer(who[name].publicOnly());
  const roots = new Set(vl1.upstreams.addresses);
  let log: Packet[] = [];
  vl1.send = (to: Address, verb, payload) => {
    if (roots.has(to)) return; // the recording leaves packets to default roots out
    log.push({ to: formatAddress(to), verb, payload: toHex(payload) });
  };
  const networks = new Networks(vl1);
  networks.join(networkId, undefined);
  const network = networks.find(networkId)!;
  if (isConfigured) {
    network.apply(config(decodeNetworkConfig(fromHex(vl2.networkConfig.dictionaryHex))));
  }
  for (const name of ["b", "c", "d"] as const) {
    const membership = network.membership(who[name].address);
    if (name !== "d") {
      membership.takeCom(issueCom(noblePrimitives, who.controller, {
        networkId,
        timestampMs: parseInt(vl2.timestamp, 16),
        maxDeltaMs: parseInt(vl2.maxDelta, 16),
        member: who[name],
      }));
    }
    if (pushed.includes(name)) membership.lastPushMs = vl1.nowMs;
  }
  actionsOf(vl1.outbox);
  const sent = () => {
    const packets = log;
    log = [];
    return packets;
  };
  sent();
  return { vl1, networks, network, sent };
}

const sorted = (packets: readonly Packet[]) =>
  packets.map(({ to, verb, payload }) => `${to} ${verb} ${payload}`).sort();

/** Same packets, whatever their order; those the reference sends twice count once (difference 1). */
function assertSent(actual: readonly Packet[], expected: readonly Packet[], name: string): void {
  assert.deepEqual(sorted(actual), [...new Set(sorted(expected))], name);
  done.push(name);
}

function frameCase(name: string): FrameCase {
  return vl2.behaviour[name] as FrameCase;
}

/** Hands a recorded frame to the node. @returns the frames that come back to the TAP */
function fromTap(scene: Scene, { data, etherType, from, to }: FrameCase) {
  const payload = fromHex(data);
  const frame = { destination: parseMac(to)!, source: parseMac(from)!, etherType, payload };
  scene.networks.frame(networkId, buildFrame(frame));
  return actionsOf(scene.vl1.outbox).flatMap((action) => {
    if (action.kind !== "deliver") return [];
    const { destination, source, etherType, payload } = parseFrame(action.bytes)!;
    return [{
      etherType,
      macDest: formatMac(destination),
      macSource: formatMac(source),
      payload: toHex(payload),
    }];
  });
}

function checkFrame(scene: Scene, name: string): void {
  const expected = frameCase(name);
  scene.sent();
  assert.deepEqual(fromTap(scene, expected), expected.toTap, name);
  assertSent(scene.sent(), expected.sent, name);
}

const SUBSCRIBED = { mac: 0x01005e000001 as Mac, adi: 0 };

Deno.test("Network.request() asks as the reference does", () => {
  const packets = (name: string) => vl2.behaviour[name] as Packet[];
  const fresh = sceneOf({ isConfigured: false });
  fresh.network.request(() => {});
  assertSent(fresh.sent(), packets("configRequestNoConfig"), "configRequestNoConfig");
  const configured = sceneOf();
  configured.network.request(() => {});
  assertSent(configured.sent(), packets("configRequestWithConfig"), "configRequestWithConfig");
});

Deno.test("Credentials are pushed as the reference pushes them", () => {
  const scene = sceneOf({ pushed: "" });
  scene.networks.credentials.pushIfDue(scene.network, who.b.address);
  assertSent(scene.sent(), vl2.behaviour.credentialsPush as Packet[], "credentialsPush");
});

Deno.test("Multicast announces groups as the reference does", () => {
  const scene = sceneOf();
  scene.networks.groups(networkId, [SUBSCRIBED]);
  assertSent(scene.sent(), vl2.behaviour.likeOnSubscribe as Packet[], "likeOnSubscribe");

  scene.vl1.peers.get(who.b.address)!.lastNontrivialMs = scene.vl1.nowMs;
  scene.networks.multicast.announceAll(scene.network);
  const expected = vl2.behaviour.likePeriodicAllGroups as Packet[];
  const sent = scene.sent();
  assert.deepEqual(
    sent.map(({ to }) => to).sort(),
    expected.map(({ to }) => to).sort(),
  );
  const groupsOf = ({ payload }: Packet) =>
    decodeMulticastLike(fromHex(payload)).items.map(({ group }) => groupKey(group)).sort();
  const solicitedNode = groupKey({ mac: 0x3333ff000001 as Mac, adi: 0 });
  for (const packet of sent) {
    assert.equal(packet.verb, Verb.MULTICAST_LIKE);
    const theirs = groupsOf(expected.find(({ to }) => to === packet.to)!);
    assert.deepEqual(groupsOf(packet), [...theirs, solicitedNode].sort(), "difference 2");
  }
  done.push("likePeriodicAllGroups");
});

Deno.test("Multicast asks for members, sends to those it knows, and to others once they are known", () => {
  const scene = sceneOf();
  scene.networks.groups(networkId, [SUBSCRIBED]);
  checkFrame(scene, "arpRequestNoMembersYet");
  const group = { mac: parseMac("ff:ff:ff:ff:ff:ff")!, adi: 0x0a931409 };
  scene.network.membership(who.d.address).lastPushMs = -Infinity;
  scene.networks.multicast.gathered(scene.network, group, [who.d.address]);
  assertSent(
    scene.sent(),
    vl2.behaviour.arpRequestPendingDeliveredOnGather as Packet[],
    "arpRequestPendingDeliveredOnGather",
  );
  checkFrame(scene, "arpRequestOneMember");
  checkFrame(scene, "broadcastNonArp");
});

Deno.test("Frames go to the member, to ourselves or to the bridges as the reference sends them", () => {
  const scene = sceneOf();
  checkFrame(scene, "unicastToPeer");
  const toSelf = frameCase("unicastToSelf");
  // Its frame came out of the recording's TAP one case late.
  assert.deepEqual(fromTap(scene, toSelf), frameCase("bridgedSourceNotPermitted").toTap);
  assertSent(scene.sent(), toSelf.sent, "unicastToSelf");
  checkFrame(scene, "unicastUnknownMacGoesToActiveBridges");
});

Deno.test("Frames of hosts behind us are refused unless we are a bridge", () => {
  const expected = frameCase("bridgedSourceNotPermitted");
  const scene = sceneOf();
  assert.deepEqual(fromTap(scene, expected), []);
  // What the recording shows in its TAP belongs to unicastToSelf.
  assertSent(scene.sent(), expected.sent, "bridgedSourceNotPermitted");
});

/** The configuration in which a is the bridge. */
const asBridge = (config: NetworkConfig): NetworkConfig => ({
  ...config,
  specialists: [
    { address: who.a.address, roles: Role.ACTIVE_BRIDGE },
    ...config.specialists.filter(({ address }) => address === who.c.address),
  ],
});

Deno.test("Frames of hosts behind us, if we are a bridge, carry their MAC", () => {
  const scene = sceneOf({ config: asBridge, pushed: "cd" });
  checkFrame(scene, "bridgedUnicastExtFrame");
  const group = { mac: parseMac("ff:ff:ff:ff:ff:ff")!, adi: 0x0a931409 };
  scene.networks.multicast.gathered(scene.network, group, [who.d.address]);
  // The recording asked for members of this group within the minute before, so does this.
  fromTap(scene, frameCase("arpRequestNoMembersYet"));
  checkFrame(scene, "bridgedArpMulticastWithSourceMac");
  const { network, networks } = scene;
  assert.ok(network.subscribes(group), "hosts behind us may be in it");
  assert.ok(networks.members.next(networkId, group, 9).includes(who.d.address));
});

Deno.test("NDP is answered for derived addresses, and multicast for others", () => {
  const scene = sceneOf();
  checkFrame(scene, "ndpEmulation6plane");
  checkFrame(scene, "ndpEmulation6planeSubaddress");
  checkFrame(scene, "ndpForeignPrefixGoesToMulticast");
});

Deno.test("Credentials pass a new revocation on to every member but sender and signer", () => {
  const { forwarded } = vl2.behaviour.revocationRumor as { forwarded: Packet[] };
  const { revocations } = decodeNetworkCredentials(fromHex(forwarded[0].payload));
  const scene = sceneOf();
  const received = {
    coms: [],
    capabilities: [],
    tags: [],
    revocations,
    ownerships: [],
    complete: true,
  };
  const controller = scene.vl1.peers.get(who.controller.address);
  assert.equal(scene.networks.credentials.receive(controller, received).trusted, true);
  assertSent(scene.sent(), forwarded, "revocationRumor");
  scene.networks.credentials.receive(controller, received);
  assert.deepEqual(scene.sent(), [], "a known one goes no further");
  const b = scene.vl1.peers.get(who.b.address)!;
  assert.equal(scene.network.admits(b), false, "b's certificate is void");
});

Deno.test("every recorded behaviour was checked", () => {
  assert.deepEqual([...done].sort(), Object.keys(vl2.behaviour).sort());
  countVectors("vl2.json: behaviour", done.length);
});
