import { deepEqual, equal, ok } from "node:assert/strict";
import { macOf, type NetworkId } from "../../../../lib/base/ids.ts";
import { formatEndpoint, parseIp } from "../../../../lib/base/ip.ts";
import { Writer } from "../../../../lib/base/bytes.ts";
import { issueCom } from "../../../../lib/credential/certificate_of_membership.ts";
import {
  decodeNetworkConfig,
  EMPTY_CONFIG,
  type NetworkConfig,
} from "../../../../lib/credential/network_config.ts";
import { CredentialType, signRevocation } from "../../../../lib/credential/revocation.ts";
import { encodeRules, type Rule, RuleType } from "../../../../lib/credential/rule_codec.ts";
import { signTag } from "../../../../lib/credential/tag.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import type { TableRecord } from "../../../../lib/dataplane/table_records.ts";
import type { Identity } from "../../../../lib/identity/identity.ts";
import { buildFrame } from "../../../../lib/network/ethernet.ts";
import type { Network } from "../../../../lib/network/network.ts";
import type { NodeSettings } from "../../../../lib/node/machine.ts";
import type { Node } from "../../../../lib/node/node.ts";
import { BondMode, bondPolicy } from "../../../../lib/peer/bond_policy.ts";
import { markSuspect } from "../../../../lib/peer/peer.ts";
import { decodeNetworkCredentials } from "../../../../lib/wire/network_credentials.ts";
import { ALICE, Bench, BOB, CAROL, endpoint, ROOT, WHERE } from "./harness.ts";

const NETWORK = 0x4555_5555_5500_0001n as NetworkId; // Carol is its controller
const TIMESTAMP_MS = 1_790_000_000_000;
const MAX_DELTA_MS = 1_000_000;
const ACCEPT: Rule = { type: RuleType.ACTION_ACCEPT, kind: "none", not: false, or: false };

function rulesOf(...rules: Rule[]): Uint8Array {
  const w = new Writer(64);
  encodeRules(rules, w);
  return w.finish();
}

function comOf(member: Identity, timestampMs = TIMESTAMP_MS) {
  const fields = { networkId: NETWORK, timestampMs, maxDeltaMs: MAX_DELTA_MS, member };
  return issueCom(noblePrimitives, CAROL, fields);
}

function configOf(member: Identity, changes: Partial<NetworkConfig> = {}): NetworkConfig {
  return {
    ...EMPTY_CONFIG,
    networkId: NETWORK,
    issuedTo: member.address,
    timestampMs: TIMESTAMP_MS,
    credentialTimeMaxDeltaMs: MAX_DELTA_MS,
    com: comOf(member),
    rules: rulesOf(ACCEPT),
    ...changes,
  };
}

/** Alice and Bob, members of Carol's network who know each other; everything looks from Alice. */
class Scene {
  readonly bench = new Bench();
  readonly alice: Node;
  readonly bob: Node;

  constructor(settings: Partial<NodeSettings> = {}) {
    this.bench.add(ROOT);
    this.alice = this.bench.add(ALICE, { settings });
    this.bob = this.bench.add(BOB);
    for (const [node, identity] of [[this.alice, ALICE], [this.bob, BOB]] as const) {
      node.vl1.addPeer(CAROL.publicOnly()); // whose signature members check
      this.bench.hand(node, { kind: "command", command: { kind: "join", network: NETWORK } });
      this.networkOf(node).apply(configOf(identity));
    }
    this.bench.run(2_000);
    this.published();
  }

  networkOf(node: Node): Network {
    return node.networks.find(NETWORK)!;
  }

  get network(): Network {
    return this.networkOf(this.alice);
  }

  /** What Alice told her data plane since last asked. */
  published(): TableRecord[] {
    return this.bench.actions.splice(0).flatMap(({ node, action }) =>
      node === this.alice && action.kind === "publish" ? [action.record] : []
    );
  }

  kinds(): string[] {
    return this.published().map(({ kind }) => kind);
  }

  /** A frame from one's machine to the other's. */
  send(from: Node, to: Node): void {
    const frame = {
      destination: macOf(to.address, NETWORK),
      source: macOf(from.address, NETWORK),
      etherType: 0x0800,
      payload: new Uint8Array(100),
    };
    this.bench.hand(from, { kind: "frame", network: NETWORK, bytes: buildFrame(frame) });
  }

  /** Frames go both ways, with everything known of each other. */
  exchange(): void {
    for (let i = 0; i < 3; i++) {
      this.send(this.alice, this.bob);
      this.send(this.bob, this.alice);
      this.bench.run(500);
    }
  }

  report(changes: Partial<{ direct: string; relayed: string; packetsOut: number }> = {}): void {
    const { direct, relayed, ...rest } = changes;
    const from = direct ?? relayed;
    this.bench.hand(this.alice, {
      kind: "traffic",
      session: 0,
      packetsOut: 0,
      packetsIn: 0,
      ...rest,
      heard: from === undefined
        ? undefined
        : { socket: 1, from: endpoint(from), isRelayed: direct === undefined },
    });
  }
}

/** A scene in which Alice's data plane knows Bob. */
function published(): Scene {
  const scene = new Scene();
  scene.exchange();
  scene.published();
  return scene;
}

Deno.test("nothing is published before a frame was exchanged; then session, route, network and member, in this order", () => {
  const scene = new Scene();
  deepEqual(scene.kinds(), []);
  scene.exchange();
  const records = scene.published();
  deepEqual(records.slice(0, 4).map(({ kind }) => kind), ["session", "route", "network", "member"]);
  const [session, route, network] = records;
  ok(session.kind === "session" && route.kind === "route" && network.kind === "network");
  equal(session.address, BOB.address);
  deepEqual(session.key, scene.alice.vl1.peers.get(BOB.address)!.keys.salsa);
  const { ip, port } = WHERE.get(BOB.address)!;
  const last = records.filter(({ kind }) => kind === "route").at(-1)!;
  ok(last.kind === "route");
  deepEqual([last.route.ip, last.route.port, last.route.socket], [ip, port, 1]);
  equal(network.id, NETWORK);
  equal(network.mac, macOf(ALICE.address, NETWORK));
  deepEqual(decodeNetworkConfig(network.config).rules, rulesOf(ACCEPT));
  const member = records.filter(({ kind }) => kind === "member").at(-1)!;
  ok(member.kind === "member" && member.admitted);
});

Deno.test("a member without a certificate is published for sending, and admitted when its certificate came", () => {
  const scene = new Scene();
  scene.networkOf(scene.bob).apply(configOf(BOB, { com: undefined }));
  scene.send(scene.alice, scene.bob); // finds out who that is
  scene.bench.run(100);
  scene.send(scene.alice, scene.bob);
  const before = scene.published().filter(({ kind }) => kind === "member");
  ok(before.length > 0 && before.every((record) => record.kind === "member" && !record.admitted));
  const credentials = { coms: [comOf(BOB)], capabilities: [], tags: [], revocations: [] };
  scene.alice.networks.credentials.receive(undefined, {
    ...credentials,
    ownerships: [],
    complete: true,
  });
  scene.bench.run(0);
  const [after] = scene.published();
  ok(after.kind === "member" && after.admitted);
});

Deno.test("a gate that closes is published at once: the certificate revoked, or too old for ours", () => {
  for (const how of ["revoked", "stale"]) {
    const scene = published();
    if (how === "revoked") {
      const revocation = signRevocation(noblePrimitives, CAROL, {
        id: 1,
        networkId: NETWORK,
        credentialId: 0,
        thresholdMs: TIMESTAMP_MS + 1,
        flags: 0n,
        target: BOB.address,
        type: CredentialType.COM,
      });
      const nothing = { coms: [], capabilities: [], tags: [], ownerships: [] };
      scene.alice.networks.credentials.receive(undefined, {
        ...nothing,
        revocations: [revocation],
        complete: true,
      });
    } else {
      const timestampMs = TIMESTAMP_MS + 2 * MAX_DELTA_MS;
      scene.network.apply(configOf(ALICE, { timestampMs, com: comOf(ALICE, timestampMs) }));
    }
    scene.bench.run(0);
    const members = scene.published().filter((record) => record.kind === "member");
    equal(members.length, 1, how);
    equal(members[0].admitted, false, how);
  }
});

Deno.test("new credentials of a member are published at once, and only those that count", () => {
  const scene = published();
  const tag = signTag(noblePrimitives, CAROL, {
    networkId: NETWORK,
    timestampMs: TIMESTAMP_MS,
    id: 7,
    value: 42,
    issuedTo: BOB.address,
  });
  const nothing = { coms: [], capabilities: [], revocations: [], ownerships: [] };
  scene.alice.networks.credentials.receive(undefined, { ...nothing, tags: [tag], complete: true });
  scene.bench.run(0);
  const [record, ...more] = scene.published();
  ok(record.kind === "member" && more.length === 0);
  const { tags } = decodeNetworkCredentials(record.credentials);
  deepEqual(tags.map(({ id, value }) => [id, value]), [[7, 42]]);
});

Deno.test("a new configuration is published at once", () => {
  const scene = published();
  scene.network.apply(configOf(ALICE, { rules: rulesOf(), mtu: 1_400 }));
  scene.bench.run(0);
  const [record] = scene.published();
  ok(record.kind === "network");
  const config = decodeNetworkConfig(record.config);
  deepEqual([config.rules.length, config.mtu], [0, 1_400]);
});

Deno.test("leaving a network takes its member and itself back at once", () => {
  const scene = published();
  scene.bench.hand(scene.alice, {
    kind: "command",
    command: { kind: "leave", network: NETWORK },
  });
  scene.bench.run(0);
  deepEqual(scene.kinds(), ["no-member", "no-network"]);
});

Deno.test("a session without traffic is taken back after a minute, one with traffic stays", () => {
  const scene = published();
  for (let i = 0; i < 10; i++) {
    scene.bench.run(20_000);
    scene.report({ packetsOut: 1, direct: "44.0.0.4/9993" });
  }
  ok(!scene.kinds().includes("no-session"));
  scene.bench.run(66_000);
  const kinds = scene.kinds();
  deepEqual(kinds.slice(-2), ["no-member", "no-session"]);
  scene.exchange();
  const again = scene.published().find((record) => record.kind === "session");
  ok(again?.kind === "session");
});

Deno.test("a slot given back is not another peer's at once: reports of the first may still come", () => {
  const scene = published();
  scene.bench.run(66_000);
  ok(scene.kinds().includes("no-session"));
  scene.exchange(); // the session is gone for less than the rest
  const soon = scene.published().find((record) => record.kind === "session");
  ok(soon?.kind === "session");
  equal(soon.slot, 1);
  scene.bench.run(66_000);
  scene.published();
  scene.bench.run(20_000);
  scene.exchange();
  const later = scene.published().find((record) => record.kind === "session");
  ok(later?.kind === "session");
  equal(later.slot, 0);
});

Deno.test("another path or MTU changes the route, no path at all takes it back", () => {
  const scene = published();
  const peer = scene.alice.vl1.peers.get(BOB.address)!;
  peer.paths[0].path.mtu = 1_300;
  scene.alice.vl1.onMtu(peer);
  scene.bench.run(0);
  const [mtu] = scene.published();
  ok(mtu.kind === "route");
  equal(mtu.route.mtu, 1_300);
  const { vl1 } = scene.alice;
  const elsewhere = vl1.paths.get(1, endpoint("44.0.0.9/9993"));
  vl1.paths.keep(elsewhere);
  for (const path of [...peer.paths]) scene.alice.contact.lose(peer, path);
  peer.learn(elsewhere, vl1.nowMs);
  scene.alice.publisher.check();
  scene.bench.run(0);
  const [moved] = scene.published();
  ok(moved.kind === "route");
  deepEqual(moved.route.ip, parseIp("44.0.0.9"));
  // Neither a path of its own nor an upstream that could relay.
  scene.bench.passes = () => false;
  for (const path of [...peer.paths]) scene.alice.contact.lose(peer, path);
  for (const root of vl1.upstreams.peers()) {
    for (const path of [...root.paths]) scene.alice.contact.lose(root, path);
  }
  scene.alice.publisher.check();
  scene.bench.run(0);
  deepEqual(scene.kinds(), ["no-route"]);
});

Deno.test("traffic() says by which path frames came, straight or through which relay", () => {
  const scene = published();
  const heard: string[] = [];
  scene.alice.received = ({ path, hops }) => {
    heard.push(`${formatEndpoint(path.endpoint)} ${hops}`);
  };
  const rootAt = formatEndpoint(WHERE.get(ROOT.address)!);
  scene.report({ direct: "44.0.0.4/9993" });
  scene.report({ relayed: rootAt });
  scene.report({ packetsOut: 1 });
  deepEqual(heard, ["44.0.0.4/9993 0", `${rootAt} 1`]);
});

Deno.test("without a direct path the route leads to the root that relays", () => {
  const scene = published();
  const peer = scene.alice.vl1.peers.get(BOB.address)!;
  for (const path of [...peer.paths]) scene.alice.contact.lose(peer, path);
  scene.alice.publisher.check();
  scene.bench.run(0);
  const [relayed] = scene.published();
  ok(relayed.kind === "route");
  deepEqual(relayed.route.ip, WHERE.get(ROOT.address)!.ip);
});

Deno.test("a data plane that lost its tables is told everything again, parents before children", () => {
  const scene = published();
  scene.bench.hand(scene.alice, { kind: "plane-reset" });
  deepEqual(scene.kinds(), ["session", "route", "network", "member"]);
  scene.bench.run(3_000);
  deepEqual(scene.kinds(), []); // and nothing twice
});

Deno.test("a report of traffic counts as packets from the peer: it was heard, by this path", () => {
  const scene = published();
  const peer = scene.alice.vl1.peers.get(BOB.address)!;
  scene.bench.run(5_000);
  const { nowMs } = scene.bench;
  scene.report({ direct: "44.0.0.4/9993" });
  deepEqual([peer.lastReceiveMs, peer.lastTrustedMs], [nowMs, nowMs]);
  equal(peer.paths[0].lastInMs, nowMs);
});

Deno.test("a report of packets sent starts the wait for an answer, like packets of our own", () => {
  const scene = published();
  const peer = scene.alice.vl1.peers.get(BOB.address)!;
  scene.report({ direct: "44.0.0.4/9993" });
  equal(peer.paths[0].quietSinceMs, undefined);
  scene.report({ packetsOut: 3 });
  equal(peer.paths[0].quietSinceMs, scene.bench.nowMs);
});

Deno.test("a report about a session that is gone is nobody's", () => {
  const scene = published();
  scene.bench.run(66_000);
  const peer = scene.alice.vl1.peers.get(BOB.address)!;
  const before = peer.lastReceiveMs;
  scene.report({ direct: "44.0.0.4/9993", packetsOut: 1 });
  equal(peer.lastReceiveMs, before);
});

Deno.test("what the data plane opened is handled as if it had come here sealed", () => {
  const scene = published();
  const peer = scene.alice.vl1.peers.get(BOB.address)!;
  const packet = new Uint8Array(28 + 10);
  const view = new DataView(packet.buffer);
  view.setBigUint64(0, 5n);
  view.setUint8(8, 0x23);
  view.setUint32(9, 0x3333_3333);
  view.setUint8(13, 0x34);
  view.setUint32(14, 0x4444_4444);
  packet[18] = 0x08;
  packet[27] = 0x08; // ECHO
  scene.bench.run(1_000);
  const from = WHERE.get(BOB.address)!;
  scene.bench.hand(scene.alice, { kind: "opened", socket: 1, from, bytes: packet });
  equal(peer.lastReceiveMs, scene.bench.nowMs);
  // From a peer that was forgotten meanwhile: dropped, counted.
  packet[17] = 0x45;
  scene.bench.hand(scene.alice, { kind: "opened", socket: 1, from, bytes: packet });
  equal(scene.alice.vl1.counters.drops.get("unknown-sender"), 1);
});

Deno.test("Publisher gives keys for AES-GMAC-SIV where both sides announce it, and publishes anew when a peer is updated", () => {
  const version = (protocol: number) => ({ protocol, major: 1, minor: 14, revision: 1 });
  const aes = { cipher: "aes", announceProtocol: 12 } as const;
  const auto = { cipher: "auto", announceProtocol: 12 } as const;
  const salsa = { cipher: "salsa", announceProtocol: 11 } as const;
  /** With what length it begins: none for Salsa20/12 alone, undefined when it is left to the slow path. */
  const cases: [Partial<NodeSettings>, number, number | "none" | undefined][] = [
    [aes, 0, undefined],
    [aes, 11, "none"],
    [aes, 12, 1],
    [auto, 0, "none"],
    [auto, 11, "none"],
    [auto, 12, 700],
    [salsa, 12, "none"],
  ];
  for (const [settings, protocol, expected] of cases) {
    const scene = new Scene(settings);
    scene.exchange();
    const peer = scene.alice.vl1.peers.get(BOB.address)!;
    peer.version = version(protocol);
    scene.bench.run(70_000); // whatever was published is idle and gone
    scene.published();
    peer.version = version(protocol);
    scene.send(scene.alice, scene.bob);
    const session = scene.published().find((record) => record.kind === "session");
    const what = `${settings.cipher}, protocol ${protocol}`;
    equal(session && (session.aes?.from ?? "none"), expected, what);
    if (!session || protocol === 0) continue; // who it is unknown of says so soon
    const { k0, k1 } = peer.keys;
    if (session.aes) deepEqual([session.aes.k0, session.aes.k1], [k0, k1]);
    const other = protocol < 12 ? 12 : 11;
    peer.version = version(other);
    scene.bench.run(5_000);
    equal(scene.kinds().includes("no-session"), settings !== salsa, `${what}, updated meanwhile`);
  }
});

Deno.test("a bond over several paths is published beside the route, and taken back when one is left", () => {
  const policy = bondPolicy(BondMode.BALANCE_XOR, { packetsPerLink: 7 });
  const scene = new Scene({ bondPolicy: () => policy });
  scene.exchange();
  const { vl1, publisher } = scene.alice;
  const bob = vl1.peers.get(BOB.address)!;
  deepEqual(scene.kinds().filter((kind) => kind.includes("bond")), [], "one path is no bond");
  const where = WHERE.get(BOB.address)!;
  const second = parseIp("44.7.0.3")!;
  vl1.sockets = [...vl1.sockets, { id: 2, ip: second, port: 9993 }];
  const path = vl1.paths.get(2, where);
  vl1.paths.keep(path);
  const learned = bob.learn(path, vl1.nowMs)!;
  bob.bond!.update(vl1.nowMs);
  const look = () => {
    publisher.check();
    scene.bench.hand(scene.alice, { kind: "timeout" });
    return scene.published().filter(({ kind }) => kind.includes("bond"));
  };
  const [record, ...more] = look();
  equal(more.length, 0);
  ok(record.kind === "bond");
  const { mode, packetsPerLink, routes, groups } = record.bond;
  deepEqual([mode, packetsPerLink], [BondMode.BALANCE_XOR, 7]);
  deepEqual(routes.map(({ socket }) => socket), [1, 2]);
  deepEqual([...groups.subarray(0, 4)], [0, 1, 0, 1]);
  deepEqual(look(), [], "said once");
  scene.bench.hand(scene.alice, { kind: "plane-reset" });
  equal(scene.published().filter(({ kind }) => kind === "bond").length, 1, "and to a new Worker");
  path.mtu = 1_232;
  path.mtuCheckedMs = vl1.nowMs;
  const [shorter] = look();
  ok(shorter.kind === "bond" && shorter.bond.routes[1].mtu === 1_232);
  markSuspect(learned);
  deepEqual(look().map(({ kind }) => kind), ["no-bond"]);
  deepEqual(look(), []);
});

Deno.test("an active-backup bond is but a route: that of the path in use", () => {
  const scene = new Scene({ bondPolicy: () => bondPolicy(BondMode.ACTIVE_BACKUP) });
  scene.exchange();
  const { vl1, publisher } = scene.alice;
  const bob = vl1.peers.get(BOB.address)!;
  vl1.sockets = [...vl1.sockets, { id: 2, ip: parseIp("44.7.0.3")!, port: 9993 }];
  const path = vl1.paths.get(2, WHERE.get(BOB.address)!);
  vl1.paths.keep(path);
  bob.learn(path, vl1.nowMs);
  bob.bond!.update(vl1.nowMs);
  scene.published();
  equal(bob.bond!.rotate(vl1.nowMs), true);
  publisher.check();
  scene.bench.hand(scene.alice, { kind: "timeout" });
  const [route, ...more] = scene.published();
  ok(route.kind === "route" && route.route.socket === 2);
  equal(more.length, 0);
});
