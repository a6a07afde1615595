/** The Prometheus text of a service: complete against the reference's, and right about what happened. @module */
import assert from "node:assert/strict";
import { type Address, macOf, type NetworkId } from "../../../../lib/base/ids.ts";
import { issueCom } from "../../../../lib/credential/certificate_of_membership.ts";
import { EMPTY_CONFIG } from "../../../../lib/credential/network_config.ts";
import { RuleType } from "../../../../lib/credential/rule_codec.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { Stat } from "../../../../lib/dataplane/stats.ts";
import type { Identity } from "../../../../lib/identity/identity.ts";
import { buildFrame, ETHERTYPE_IPV4 } from "../../../../lib/network/ethernet.ts";
import type { Node } from "../../../../lib/node/node.ts";
import { type MetricsSources, renderMetrics } from "../../../../cli/engine/metrics.ts";
import { countVectors } from "../../../vectors/count.ts";
import { loadVectors } from "../../../vectors/load.ts";
import {
  ALICE as MEMBER,
  memberPath,
  NETWORK as SERVED,
  withNetwork,
} from "../../lib/controller/cast.ts";
import { ALICE, Bench, BOB, CAROL, ROOT } from "../../lib/node/harness.ts";

const NETWORK = (BigInt(CAROL.address) << 24n | 7n) as NetworkId;
const NETWORK_LABEL = NETWORK.toString(16).padStart(16, "0");
const NODE_LABEL = BOB.address.toString(16).padStart(10, "0");

function sourcesOf(node: Node, changes: Partial<MetricsSources> = {}): MetricsSources {
  return {
    node,
    controller: undefined,
    data: new Float64Array(32),
    udpPastWorkerBytes: 0,
    tcpReceivedBytes: 0,
    tcpSentBytes: 0,
    ...changes,
  };
}

/** Samples by name and labels. */
function samplesOf(text: string): Map<string, number> {
  const lines = text.trimEnd().split("\n").filter((line) => !line.startsWith("#"));
  return new Map(lines.map((line) => {
    const at = line.lastIndexOf(" ");
    return [line.slice(0, at), Number(line.slice(at + 1))];
  }));
}

function configFor(member: Identity) {
  const timestampMs = 1_790_000_000_000;
  const com = { networkId: NETWORK, timestampMs, maxDeltaMs: 1_000_000, member };
  return {
    ...EMPTY_CONFIG,
    networkId: NETWORK,
    issuedTo: member.address,
    timestampMs,
    credentialTimeMaxDeltaMs: 1_000_000,
    rules: Uint8Array.of(RuleType.ACTION_ACCEPT, 0),
    com: issueCom(noblePrimitives, CAROL, com),
  };
}

/** A root, Alice and Bob on one network. */
function village({ bobIsMember = true } = {}) {
  const bench = new Bench();
  bench.add(ROOT);
  const [alice, bob] = [bench.add(ALICE), bench.add(BOB)];
  for (const [node, identity] of [[alice, ALICE], [bob, BOB]] as const) {
    bench.hand(node, { kind: "command", command: { kind: "join", network: NETWORK } });
    node.vl1.addPeer(CAROL.publicOnly());
    if (node === alice || bobIsMember) {
      node.networks.find(NETWORK)!.apply(configFor(identity));
    } else {
      node.networks.find(NETWORK)!.apply({ ...configFor(identity), com: undefined });
    }
  }
  bench.run(2_000);
  return { bench, alice, bob };
}

function sendFrame(bench: Bench, from: Node, to: Node): void {
  const bytes = buildFrame({
    destination: macOf(to.address, NETWORK),
    source: macOf(from.address, NETWORK),
    etherType: ETHERTYPE_IPV4,
    payload: new Uint8Array(40),
  });
  bench.hand(from, { kind: "frame", network: NETWORK, bytes });
  bench.run(500);
}

/** A text without values, ids made alike: what a dashboard relies on. */
function shapeOf(text: string): { types: Set<string>; samples: Set<string> } {
  const lines = text.trimEnd().split("\n");
  const types = lines.filter((line) => line.startsWith("# TYPE "));
  const samples = lines.filter((line) => !line.startsWith("#")).map((line) =>
    line.slice(0, line.lastIndexOf(" ")).replace(/(node_id|network_id)="\w+"/, '$1="x"')
  );
  return { types: new Set(types), samples: new Set(samples) };
}

Deno.test("renderMetrics() has every family, type and label combination of the reference", () => {
  const { entries } = loadVectors<
    { entries: { name: string; response: { text?: string } }[] }
  >("service-api.json");
  const recorded = entries.find(({ name }) => name === "metrics populated")!.response.text!;
  const theirs = shapeOf(recorded);
  const text = renderMetrics(sourcesOf(village().alice));
  const ours = shapeOf(text);
  for (const type of theirs.types) assert.ok(ours.types.has(type), type);
  for (const sample of theirs.samples) assert.ok(ours.samples.has(sample), sample);
  assert.equal(theirs.types.size, 28);
  countVectors("service-api.json: metrics, label combinations", theirs.samples.size);
  // Ours alone: nothing else may differ.
  const extra = [...ours.samples].filter((sample) => !theirs.samples.has(sample));
  assert.ok(extra.every((name) => /^zt_(dropped_packets|relayed_bytes)/.test(name)), extra.join());
});

Deno.test("renderMetrics() says HELP and TYPE once a family, and no sample twice", () => {
  const lines = renderMetrics(sourcesOf(village().alice)).trimEnd().split("\n");
  const keys = lines.map((line) => line.startsWith("#") ? line : line.replace(/ \S+$/, ""));
  assert.equal(new Set(keys).size, keys.length);
  for (const line of lines) {
    assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]+",?)+\})? \d+)$/);
  }
});

Deno.test("renderMetrics() counts packets, frames and round trips of a peer", () => {
  const { bench, alice, bob } = village();
  for (let i = 0; i < 3; i++) sendFrame(bench, alice, bob);
  sendFrame(bench, bob, alice);
  const samples = samplesOf(renderMetrics(sourcesOf(alice)));
  const peer = alice.vl1.peers.get(BOB.address)!;
  assert.ok(peer.packetsIn > 0 && peer.packetsOut >= 3);
  assert.equal(
    samples.get(`zt_peer_packets{direction="rx",node_id="${NODE_LABEL}"}`),
    peer.packetsIn,
  );
  assert.equal(
    samples.get(`zt_peer_packets{direction="tx",node_id="${NODE_LABEL}"}`),
    peer.packetsOut,
  );
  assert.equal(samples.get('zt_packet{direction="tx",packet_type="frame"}'), 3);
  assert.equal(samples.get('zt_packet{direction="rx",packet_type="frame"}'), 1);
  const ofNetwork = (accepted: string, direction: string) =>
    samples.get(
      `zt_network_packets{accepted="${accepted}",direction="${direction}",network_id="${NETWORK_LABEL}"}`,
    );
  assert.equal(ofNetwork("yes", "tx"), 3);
  assert.equal(ofNetwork("yes", "rx"), 1);
  assert.equal(ofNetwork("no", "tx"), 0);
  assert.equal(ofNetwork("no", "rx"), 0);
  const count = samples.get(`zt_peer_latency_count{node_id="${NODE_LABEL}"}`)!;
  assert.ok(count > 0);
  assert.equal(samples.get(`zt_peer_latency_bucket{node_id="${NODE_LABEL}",le="+Inf"}`), count);
});

Deno.test("renderMetrics() counts frames and ERRORs of who is no member", () => {
  const { bench, alice, bob } = village({ bobIsMember: false });
  sendFrame(bench, bob, alice);
  const atAlice = samplesOf(renderMetrics(sourcesOf(alice)));
  const atBob = samplesOf(renderMetrics(sourcesOf(bob)));
  const error = (direction: string) =>
    `zt_packet_error{direction="${direction}",error_type="need_membership_certificate"}`;
  assert.equal(atAlice.get(error("tx")), 1);
  assert.equal(atAlice.get(error("rx")), 0);
  assert.equal(atBob.get(error("rx")), 1);
  const refused = `zt_network_packets{accepted="no",direction="rx",network_id="${NETWORK_LABEL}"}`;
  assert.equal(atAlice.get(refused), 1);
});

Deno.test("renderMetrics() counts a packet that is not authentic against the peer it names", () => {
  const { bench, alice, bob } = village();
  sendFrame(bench, alice, bob);
  const before = alice.vl1.peers.get(BOB.address)!.packetErrors;
  bob.vl1.transmit(
    bob.vl1.peers.get(ALICE.address)!,
    bob.vl1.peers.get(ALICE.address)!.paths[0].path,
    8,
    new Uint8Array(8),
    {},
  );
  const sent = bob.poll();
  assert.ok(sent?.kind === "send");
  sent.bytes[20] ^= 1; // in the seal
  const from = { ip: Uint8Array.of(10, 9, 9, 9), port: 9 };
  bench.hand(alice, { kind: "datagram", socket: 1, from, bytes: sent.bytes });
  const samples = samplesOf(renderMetrics(sourcesOf(alice)));
  assert.equal(samples.get(`zt_peer_packet_errors{node_id="${NODE_LABEL}"}`), before + 1);
});

Deno.test("renderMetrics() adds what the data Worker and TCP carried", () => {
  const { alice } = village();
  const data = new Float64Array(32);
  data[Stat.BYTES_IN] = 5_000;
  data[Stat.BYTES_OUT] = 7_000;
  data[Stat.PACKETS_OPENED] = 50;
  data[Stat.PACKETS_SEALED] = 70;
  alice.vl1.counters.openedElsewhere = 10; // those come through the node and are counted there
  const samples = samplesOf(renderMetrics(sourcesOf(alice, {
    data,
    udpPastWorkerBytes: 11,
    tcpReceivedBytes: 3,
    tcpSentBytes: 4,
  })));
  assert.equal(samples.get('zt_data{direction="rx",protocol="udp"}'), 5_000);
  assert.equal(samples.get('zt_data{direction="tx",protocol="udp"}'), 7_011);
  assert.equal(samples.get('zt_data{direction="rx",protocol="tcp"}'), 3);
  assert.equal(samples.get('zt_data{direction="tx",protocol="tcp"}'), 4);
  assert.equal(samples.get('zt_packet{direction="rx",packet_type="frame"}'), 40);
  assert.equal(samples.get('zt_packet{direction="tx",packet_type="frame"}'), 70);
});

Deno.test("renderMetrics() counts what the data Worker reports of a peer on one network", () => {
  const { bench, alice, bob } = village();
  for (let i = 0; i < 3; i++) {
    sendFrame(bench, alice, bob);
    sendFrame(bench, bob, alice);
  }
  const before = alice.vl1.peers.get(BOB.address)!.packetsOut;
  const { packetsIn } = alice.vl1.peers.get(BOB.address)!;
  const { sentAccepted, receivedAccepted } = alice.networks.find(NETWORK)!.counts;
  bench.hand(alice, {
    kind: "traffic",
    session: 0,
    packetsOut: 9,
    packetsIn: 5,
  });
  assert.equal(alice.vl1.peers.get(BOB.address)!.packetsOut, before + 9);
  assert.equal(alice.vl1.peers.get(BOB.address)!.packetsIn, packetsIn + 5);
  assert.equal(alice.networks.find(NETWORK)!.counts.sentAccepted, sentAccepted + 9);
  assert.equal(alice.networks.find(NETWORK)!.counts.receivedAccepted, receivedAccepted + 5);
});

Deno.test("renderMetrics() counts a controller's networks, members, requests, changes and reads", () => {
  const { alice } = village();
  const harness = withNetwork();
  harness.request(SERVED, MEMBER);
  harness.post(memberPath(MEMBER), { authorized: true });
  harness.post(memberPath(MEMBER), { authorized: false });
  harness.api("GET", "/controller/network");
  harness.get(memberPath(MEMBER));
  const samples = samplesOf(renderMetrics(sourcesOf(alice, { controller: harness.controller })));
  assert.equal(harness.controller.counters.memberChanges, 4); // one by the push, which assigns
  const expected = {
    network_count: 1,
    member_count: 1,
    network_change_count: 1,
    member_change_count: harness.writes.filter(({ key }) => key.member !== undefined).length,
    member_auth_count: 1,
    member_deauth_count: 1,
    network_config_request: 1,
    network_config_request_queue: 0,
    network_config_request_threads: 1,
    db_get_networK_and_member_summary: 2, // asked for once, pushed once
    db_get_network_list: 1,
    db_get_network_and_member: 3,
  };
  for (const [name, value] of Object.entries(expected)) {
    assert.equal(samples.get(`controller_${name}`), value, name);
  }
});

Deno.test("renderMetrics() gives lines of their own to 1024 peers at most: a root knows many more", () => {
  const { alice } = village();
  const peer = alice.vl1.peers.get(ROOT.address)!;
  for (let i = 1; i <= 2_000; i++) alice.vl1.peers.set(i as Address, peer);
  const lines = renderMetrics(sourcesOf(alice)).split("\n");
  assert.equal(lines.filter((line) => line.startsWith("zt_peer_packet_errors{")).length, 1_024);
});
