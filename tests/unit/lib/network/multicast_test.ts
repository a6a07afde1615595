/** Multicast among whole nodes on the bench: who gets copies, and who is asked to make them. @module */
import assert from "node:assert/strict";
import {
  type Address,
  BROADCAST_MAC,
  type Mac,
  macOf,
  type NetworkId,
} from "../../../../lib/base/ids.ts";
import { EMPTY_CONFIG } from "../../../../lib/credential/network_config.ts";
import { Role, type Specialist } from "../../../../lib/credential/network_config_binary.ts";
import { RuleType } from "../../../../lib/credential/rule_codec.ts";
import { buildFrame, ETHERTYPE_IPV4, parseFrame } from "../../../../lib/network/ethernet.ts";
import type { Node } from "../../../../lib/node/node.ts";
import { encodeMulticastFrame } from "../../../../lib/wire/multicast_frame.ts";
import { Verb } from "../../../../lib/wire/packet.ts";
import { Writer } from "../../../../lib/base/bytes.ts";
import { ALICE, Bench, BOB, CAROL, ROOT, ROOT2 } from "../node/harness.ts";

const NETWORK = (BigInt(CAROL.address) << 24n | 7n) as NetworkId;
const PRINTER = 0x02_00_00_00_00_01 as Mac;
const COPIER = Role.MULTICAST_REPLICATOR | Role.ACTIVE_BRIDGE; // receivers heed a foreign source from bridges only

/** A root, and three members of one public network that know each other and its broadcast group. */
function village(specialists: readonly Specialist[], multicastLimit = 32) {
  const bench = new Bench();
  bench.add(ROOT);
  const members = [ALICE, BOB, ROOT2].map((identity) => bench.add(identity));
  for (const node of members) {
    bench.hand(node, { kind: "command", command: { kind: "join", network: NETWORK } });
    node.networks.find(NETWORK)!.apply({
      ...EMPTY_CONFIG,
      networkId: NETWORK,
      issuedTo: node.address,
      timestampMs: 1_790_000_000_000,
      type: "public",
      multicastLimit,
      flags: 2,
      rules: Uint8Array.of(RuleType.ACTION_ACCEPT, 0),
      specialists: [...specialists],
    });
  }
  bench.run(3_000);
  for (const node of members) {
    for (const other of members) if (other !== node) unicast(bench, node, other);
  }
  bench.run(3_000);
  bench.actions.length = 0;
  const [alice, bob, dave] = members;
  return { bench, alice, bob, dave };
}

function unicast(bench: Bench, from: Node, to: Node): void {
  const bytes = buildFrame({
    destination: macOf(to.address, NETWORK),
    source: macOf(from.address, NETWORK),
    etherType: ETHERTYPE_IPV4,
    payload: new Uint8Array(20),
  });
  bench.hand(from, { kind: "frame", network: NETWORK, bytes });
}

/** Sends a frame to everybody. @returns how many MULTICAST_FRAMEs the sender needed */
function shout(bench: Bench, from: Node, source = macOf(from.address, NETWORK)): number {
  const sent = () => from.vl1.counters.sent[Verb.MULTICAST_FRAME];
  const before = sent();
  const payload = new TextEncoder().encode("all");
  const bytes = buildFrame({
    destination: BROADCAST_MAC,
    source,
    etherType: ETHERTYPE_IPV4,
    payload,
  });
  bench.hand(from, { kind: "frame", network: NETWORK, bytes });
  bench.run(100);
  return sent() - before;
}

/** Sources of the broadcast frames a node gave to its TAP. */
function heardBy(bench: Bench, node: Node): Mac[] {
  return bench.actions.flatMap(({ node: whose, action }) => {
    if (whose !== node || action.kind !== "deliver") return [];
    const frame = parseFrame(action.bytes)!;
    return frame.destination === BROADCAST_MAC ? [frame.source] : [];
  });
}

const copier = (address: Address): Specialist => ({ address, roles: COPIER });

Deno.test("what is new is announced to the root at once and six times more, then every minute", () => {
  const { bench, alice } = village([]);
  const root = bench.nodes.get(ROOT.address)!;
  const heard = () => root.vl1.counters.received[Verb.MULTICAST_LIKE];
  bench.run(60_000 - bench.nowMs % 60_000 + 45_000); // nobody's minute is over now
  const startMs = bench.nowMs;
  const times: number[] = [];
  const before = heard();
  const groups = [{ mac: 0x01005e000005 as Mac, adi: 0 }];
  bench.hand(alice, { kind: "groups", network: NETWORK, groups });
  assert.equal(heard() - before, 1, "at once");
  while (bench.nowMs < startMs + 35_000) {
    const sofar = heard();
    bench.run(100);
    if (heard() > sofar) times.push(bench.nowMs - startMs);
  }
  assert.deepEqual(times, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000]);
});

Deno.test("in low bandwidth mode groups are announced in time for who remembers them ten minutes", () => {
  const heardInAnHour = (isLow: boolean) => {
    const { bench, alice, bob, dave } = village([]);
    for (const { vl1 } of [alice, bob, dave]) vl1.settings.isLowBandwidth = () => isLow;
    const { received } = bench.nodes.get(ROOT.address)!.vl1.counters;
    bench.run(600_000);
    const before = received[Verb.MULTICAST_LIKE];
    bench.run(3_600_000);
    return (received[Verb.MULTICAST_LIKE] - before) / 3;
  };
  assert.equal(Math.round(heardInAnHour(false)), 60);
  const rarely = heardInAnHour(true);
  assert.ok(rarely >= 13 && rarely <= 14, `${rarely}`);
});

Deno.test("a sender makes the copies itself where there is no replicator", () => {
  const { bench, alice, bob, dave } = village([]);
  assert.equal(shout(bench, alice), 2);
  for (const node of [bob, dave]) {
    assert.deepEqual(heardBy(bench, node), [alice.networks.find(NETWORK)!.mac]);
  }
});

Deno.test("a sender leaves the copies to the replicator, who does not send its own back", () => {
  const { bench, alice, bob, dave } = village([copier(BOB.address)]);
  assert.equal(shout(bench, alice), 1);
  const { mac } = alice.networks.find(NETWORK)!;
  for (const node of [bob, dave]) assert.deepEqual(heardBy(bench, node), [mac]);
  assert.deepEqual(heardBy(bench, alice), []);
  assert.equal(shout(bench, bob), 2, "a replicator makes its own copies");
});

Deno.test("of two replicators the nearer one is asked, and none that is not reached", () => {
  const { bench, alice, bob, dave } = village([copier(BOB.address), copier(ROOT2.address)]);
  const pathTo = (node: Node) => alice.vl1.peers.get(node.address)!.best(alice.vl1.nowMs)!.path;
  const copiesOf = (node: Node) => {
    const { sent } = node.vl1.counters;
    const before = sent[Verb.MULTICAST_FRAME];
    shout(bench, alice);
    return sent[Verb.MULTICAST_FRAME] - before;
  };
  pathTo(bob).latencyMs = 50;
  pathTo(dave).latencyMs = 5;
  assert.equal(copiesOf(dave), 1);
  pathTo(dave).latencyMs = 500;
  assert.equal(copiesOf(bob), 1);
  for (const node of [bob, dave]) {
    const peer = alice.vl1.peers.get(node.address)!;
    for (const path of [...peer.paths]) peer.forget(path);
  }
  assert.equal(shout(bench, alice), 2, "nobody is asked who is only reached through a root");
});

Deno.test("a replicator counts neither itself nor the sender against the limit", () => {
  const { bench, alice, dave } = village([copier(BOB.address)], 1);
  shout(bench, alice);
  assert.equal(heardBy(bench, dave).length, 1);
});

Deno.test("a replicator does not spread what its sender may not say", () => {
  const { bench, alice, bob, dave } = village([copier(BOB.address)]);
  const ask = (source: Mac | undefined) => {
    const w = new Writer();
    encodeMulticastFrame({
      networkId: NETWORK,
      com: undefined,
      gatherLimit: undefined,
      source,
      replicate: true,
      group: { mac: BROADCAST_MAC, adi: 0 },
      etherType: ETHERTYPE_IPV4,
      frame: new Uint8Array(4),
    }, w);
    alice.vl1.send(BOB.address, Verb.MULTICAST_FRAME, w.finish());
    bench.hand(alice, { kind: "timeout" });
    return heardBy(bench, dave).length;
  };
  assert.equal(ask(PRINTER), 0, "of a host behind it: it is no bridge");
  assert.equal(ask(bob.networks.find(NETWORK)!.mac), 0, "of the replicator itself");
  assert.equal(ask(undefined), 1, "its own");
  assert.deepEqual(heardBy(bench, dave), [alice.networks.find(NETWORK)!.mac]);
});

Deno.test("the way to a replicator is kept open, and to nobody else who is silent", () => {
  const { bench, alice, bob, dave } = village([copier(BOB.address)]);
  bench.run(935_000); // groups are announced once a minute: not just now
  const lastMs = ({ address }: Node) => alice.vl1.peers.get(address)?.lastReceiveMs ?? -Infinity;
  assert.ok(bench.nowMs - lastMs(bob) <= 15_100);
  assert.ok(bench.nowMs - lastMs(dave) > 60_000);
});
