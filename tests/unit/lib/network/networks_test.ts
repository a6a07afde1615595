/** Networks of whole nodes on the bench: joining, the gate, groups, credentials. @module */
import assert from "node:assert/strict";
import { Writer } from "../../../../lib/base/bytes.ts";
import { type Mac, macOf, type NetworkId } from "../../../../lib/base/ids.ts";
import { parseIp } from "../../../../lib/base/ip.ts";
import { issueCom } from "../../../../lib/credential/certificate_of_membership.ts";
import { chunkSignedPart, encodeChunk } from "../../../../lib/credential/config_chunk.ts";
import { EMPTY_CONFIG, type NetworkConfig } from "../../../../lib/credential/network_config.ts";
import { CredentialType, signRevocation } from "../../../../lib/credential/revocation.ts";
import { RuleType } from "../../../../lib/credential/rule_codec.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import type { Identity } from "../../../../lib/identity/identity.ts";
import { sign } from "../../../../lib/identity/sign.ts";
import { buildFrame, ETHERTYPE_IPV4 } from "../../../../lib/network/ethernet.ts";
import type { ConfigOrigin } from "../../../../lib/network/network.ts";
import type { Node, Received } from "../../../../lib/node/node.ts";
import { decodeError, encodeErrorNetwork } from "../../../../lib/wire/error.ts";
import { encodeFrame } from "../../../../lib/wire/frame.ts";
import { encodeMulticastLike } from "../../../../lib/wire/multicast_like.ts";
import { encodeInRe } from "../../../../lib/wire/ok.ts";
import { destinationOf, ErrorCode, Verb } from "../../../../lib/wire/packet.ts";
import { ALICE, Bench, BOB, CAROL, packetsOf, ROOT, WHERE } from "../node/harness.ts";

const NETWORK = (BigInt(CAROL.address) << 24n | 7n) as NetworkId;
const ACCEPT = Uint8Array.of(RuleType.ACTION_ACCEPT, 0);

function configFor(member: Identity, changes: Partial<NetworkConfig> = {}): NetworkConfig {
  const timestampMs = changes.timestampMs ?? 1_790_000_000_000;
  return {
    ...EMPTY_CONFIG,
    networkId: NETWORK,
    issuedTo: member.address,
    timestampMs,
    credentialTimeMaxDeltaMs: 1_000_000,
    multicastLimit: 32,
    flags: 2,
    rules: ACCEPT,
    staticIps: [{ ip: parseIp(`10.9.0.${member.address % 200}`)!, bits: 24 }],
    com: issueCom(noblePrimitives, CAROL, {
      networkId: NETWORK,
      timestampMs,
      maxDeltaMs: 1_000_000,
      member,
    }),
    ...changes,
  };
}

/** A root, and Alice and Bob on one private network; its controller has gone. */
function village({ bobIsMember = true } = {}) {
  const bench = new Bench();
  bench.add(ROOT);
  const [alice, bob] = [bench.add(ALICE), bench.add(BOB)];
  for (const node of [alice, bob]) {
    bench.hand(node, { kind: "command", command: { kind: "join", network: NETWORK } });
  }
  bench.run(100);
  alice.networks.find(NETWORK)!.apply(configFor(ALICE));
  bob.networks.find(NETWORK)!.apply(configFor(BOB, bobIsMember ? {} : { com: undefined }));
  for (const node of [alice, bob]) node.vl1.addPeer(CAROL.publicOnly());
  bench.run(100);
  bench.actions.length = 0;
  return { bench, alice, bob };
}

function sendFrame(bench: Bench, from: Node, to: Node, text = "hello"): void {
  const bytes = buildFrame({
    destination: macOf(to.address, NETWORK),
    source: macOf(from.address, NETWORK),
    etherType: ETHERTYPE_IPV4,
    payload: new TextEncoder().encode(text),
  });
  bench.hand(from, { kind: "frame", network: NETWORK, bytes });
}

/** Texts of the frames a node gave to its TAP. */
function heardBy(bench: Bench, node: Node): string[] {
  return bench.actions.flatMap(({ node: whose, action }) =>
    whose === node && action.kind === "deliver"
      ? [new TextDecoder().decode(action.bytes.subarray(14))]
      : []
  );
}

Deno.test("a first frame brings the sender's credentials along, and is delivered", () => {
  const { bench, alice, bob } = village();
  sendFrame(bench, alice, bob);
  bench.run(1_000);
  assert.deepEqual(heardBy(bench, bob), ["hello"]);
  assert.ok(bob.networks.find(NETWORK)!.admits(bob.vl1.peers.get(ALICE.address)!));
});

Deno.test("frames of who is no member are refused once a second, and held for five", () => {
  const { bench, alice, bob } = village({ bobIsMember: false });
  for (let i = 0; i < 5; i++) sendFrame(bench, bob, alice, `frame ${i}`);
  assert.deepEqual(heardBy(bench, alice), []);
  assert.equal(alice.vl1.counters.sent[Verb.ERROR], 1);
  bench.run(10);
  bench.hand(bob, { kind: "timeout" });
  bob.networks.find(NETWORK)!.apply(configFor(BOB));
  sendFrame(bench, bob, alice, "and now");
  bench.run(1_000);
  assert.deepEqual(
    heardBy(bench, alice),
    [0, 1, 2, 3, 4].map((i) => `frame ${i}`).concat("and now"),
  );
});

Deno.test("the refusal names network, verb and packet", () => {
  const { bench, alice, bob } = village({ bobIsMember: false });
  const caught: ReturnType<typeof packetsOf> = [];
  bench.passes = (from, to, bytes) => {
    if (from === alice && destinationOf(bytes) === BOB.address) {
      caught.push(...packetsOf(alice.vl1, [{ kind: "send", socket: 1, to, bytes }]));
    }
    return true;
  };
  sendFrame(bench, bob, alice);
  bench.run(100);
  const errors = caught.filter(({ verb }) => verb === Verb.ERROR);
  assert.ok(errors.length > 0);
  const error = decodeError(errors[0].payload);
  assert.equal(error.code, ErrorCode.NEED_MEMBERSHIP_CERTIFICATE);
  assert.equal(error.inReVerb, Verb.FRAME);
});

Deno.test("a controller that says no leaves the configuration in force and tells the user", () => {
  const { alice } = village();
  const network = alice.networks.find(NETWORK)!;
  network.refuse("ACCESS_DENIED", undefined);
  assert.equal(network.status, "ACCESS_DENIED");
  assert.ok(network.isUsable);
  network.apply(configFor(ALICE));
  assert.equal(network.status, "OK");
});

Deno.test("a controller's error counts as an answer to what we asked lately, or not at all", () => {
  const { alice: { networks, vl1 } } = village();
  const network = networks.find(NETWORK)!;
  const peer = vl1.peers.get(CAROL.address)!;
  const w = new Writer();
  encodeErrorNetwork(NETWORK, w);
  const hear = (code: ErrorCode, inRePacketId: bigint) => {
    const inReVerb = Verb.NETWORK_CONFIG_REQUEST;
    networks.verbs.handleError({ peer } as Received, {
      inReVerb,
      inRePacketId,
      code,
      body: w.finish(),
    });
    return network.status;
  };
  const ask = (id: bigint, verb: Verb, to = CAROL.address) =>
    vl1.expected.add(id, { to, verb, sentMs: vl1.nowMs, path: undefined });
  ask(1n, Verb.NETWORK_CONFIG_REQUEST);
  ask(2n, Verb.ECHO);
  ask(3n, Verb.NETWORK_CONFIG_REQUEST, BOB.address);
  for (const id of [2n, 3n, 4n]) assert.equal(hear(ErrorCode.NETWORK_ACCESS_DENIED, id), "OK");
  assert.equal(hear(ErrorCode.NETWORK_ACCESS_DENIED, 1n), "ACCESS_DENIED");
  assert.equal(hear(ErrorCode.OBJECT_NOT_FOUND, 1n), "NOT_FOUND");
});

Deno.test("a configuration for somebody else, or of another network, is not taken", () => {
  const { alice } = village();
  const network = alice.networks.find(NETWORK)!;
  const other = configFor(BOB, { name: "other" });
  network.takeDictionary(new Uint8Array(3), "push");
  const before = network.config;
  assert.equal(network.takeDictionary(dictionaryOf(other), "push"), false);
  assert.equal(
    network.takeDictionary(
      dictionaryOf({ ...other, issuedTo: ALICE.address, networkId: 9n as NetworkId }),
      "push",
    ),
    false,
  );
  assert.equal(network.config, before);
});

Deno.test("a configuration that was overtaken, or kept and sent again, is not taken", () => {
  const { alice } = village();
  const network = alice.networks.find(NETWORK)!;
  const heldMs = configFor(ALICE).timestampMs;
  const take = (olderMs: number, origin: ConfigOrigin) => {
    network.apply(configFor(ALICE));
    const older = configFor(ALICE, { timestampMs: heldMs - olderMs, name: "older" });
    return network.takeDictionary(dictionaryOf(older), origin) && network.config?.name === "older";
  };
  assert.ok(!take(1, "push") && !take(3_600_000, "push"));
  assert.ok(take(0, "push") && take(-1, "push"));
  assert.ok(!take(1, "answer") && !take(30_000, "answer"), "a push overtook the answer");
  assert.ok(take(30_001, "answer") && take(0, "answer"), "the controller's clock was set back");
  assert.ok(take(1, "own"));
  assert.equal(alice.vl1.counters.drops.get("outdated"), 4);
});

Deno.test("a configuration somebody kept does not come back as the answer to what he was asked", () => {
  const { bench, alice, bob } = village();
  sendFrame(bench, alice, bob);
  bench.run(1_000);
  const network = alice.networks.find(NETWORK)!;
  const kept = dictionaryOf(
    configFor(ALICE, { timestampMs: network.config!.timestampMs - 60_000, name: "kept" }),
  );
  const chunk = {
    networkId: NETWORK,
    piece: kept,
    fastPropagate: false,
    updateId: 7n,
    totalLength: kept.length,
    offset: 0,
  };
  const question = { to: BOB.address, verb: Verb.ECHO, sentMs: bench.nowMs, path: undefined };
  alice.vl1.expected.add(99n, question);
  const w = new Writer(4_096);
  encodeInRe({ inReVerb: Verb.NETWORK_CONFIG_REQUEST, inRePacketId: 99n }, w);
  encodeChunk(chunk, sign(noblePrimitives, CAROL, chunkSignedPart(chunk)), w);
  bob.vl1.send(ALICE.address, Verb.OK, w.finish());
  bench.hand(bob, { kind: "timeout" });
  bench.run(100);
  assert.notEqual(network.config!.name, "kept");
  assert.equal(alice.vl1.counters.drops.get("unexpected-ok"), 1);
});

function dictionaryOf(config: NetworkConfig): Uint8Array {
  const { alice } = village();
  const network = alice.networks.find(NETWORK)!;
  network.config = config;
  return network.dictionary()!;
}

Deno.test("Network.dictionary() is no longer for what frames do not depend on", () => {
  const config = configFor(ALICE);
  const sso = { ...config.sso, enabled: true, authenticationUrl: "\ufffd".repeat(400_000) };
  const members = [{ address: BOB.address, label: "bob", ips: [parseIp("10.9.0.2")!] }];
  const names = { hash: 1n, onDemand: false, members };
  assert.equal(dictionaryOf({ ...config, sso, names }).length, dictionaryOf(config).length);
});

Deno.test("only a configuration that differs in more than times reconfigures the port", () => {
  const { bench, alice } = village();
  const network = alice.networks.find(NETWORK)!;
  const configures = () => {
    bench.hand(alice, { kind: "timeout" });
    const count = bench.actions.filter(({ action }) => action.kind === "configure").length;
    bench.actions.length = 0;
    return count;
  };
  configures();
  network.apply(configFor(ALICE, { timestampMs: 1_790_000_060_000 }));
  assert.equal(configures(), 0);
  network.apply(configFor(ALICE, { mtu: 1_400 }));
  assert.equal(configures(), 1);
});

Deno.test("a network asks its controller at 1.1 s, then ever more rarely until every 5 s", () => {
  const bench = new Bench();
  const alice = bench.add(ALICE);
  bench.hand(alice, { kind: "command", command: { kind: "join", network: NETWORK } });
  const network = alice.networks.find(NETWORK)!;
  const startMs = bench.nowMs;
  const times = [0];
  for (let i = 0; i < 6; i++) {
    const dueMs = network.requestDueMs;
    times.push(dueMs - startMs);
    bench.run(dueMs - bench.nowMs);
  }
  assert.deepEqual(times, [0, 1_100, 2_200, 4_700, 9_700, 14_700, 19_700]);
});

Deno.test("a question to the controller stays open until it is answered, whatever is pushed meanwhile", () => {
  const bench = new Bench();
  const alice = bench.add(ALICE);
  bench.hand(alice, { kind: "command", command: { kind: "join", network: NETWORK } });
  const network = alice.networks.find(NETWORK)!;
  const { timestampMs } = configFor(ALICE);
  const take = (origin: ConfigOrigin, laterMs = 0) => {
    const config = configFor(ALICE, { timestampMs: timestampMs + laterMs });
    assert.ok(network.takeDictionary(dictionaryOf(config), origin));
    return network.requestDueMs - bench.nowMs;
  };
  assert.deepEqual([take("push"), take("answer")], [1_100, 60_000]);
  bench.run(10_000);
  assert.equal(take("push"), 50_000, "somebody may have kept it");
  assert.equal(take("push", 1), 60_000);
});

Deno.test("a configuration is asked for again after a minute, in low bandwidth mode after 64 at most", () => {
  let isLow = false;
  const bench = new Bench();
  const alice = bench.add(ALICE, { settings: { isLowBandwidth: () => isLow } });
  bench.hand(alice, { kind: "command", command: { kind: "join", network: NETWORK } });
  const network = alice.networks.find(NETWORK)!;
  network.apply(configFor(ALICE));
  assert.equal(network.requestDueMs - alice.vl1.nowMs, 60_000);
  isLow = true;
  const dueInMs = (credentialTimeMaxDeltaMs: number) => {
    network.apply(configFor(ALICE, { credentialTimeMaxDeltaMs }));
    return network.requestDueMs - alice.vl1.nowMs;
  };
  assert.equal(dueInMs(10_000_000), 64 * 60_000);
  assert.equal(dueInMs(1_800_000), 900_000, "before others take our certificate no more");
  assert.equal(dueInMs(0), 60_000);
});

Deno.test("joining is kept for the next start, of an ad-hoc network too, and not kept again then", () => {
  const bench = new Bench();
  const alice = bench.add(ALICE);
  const kept = (network: bigint, config?: Uint8Array) => {
    bench.actions.length = 0;
    const join = { kind: "join", network: network as NetworkId, config } as const;
    bench.hand(alice, { kind: "command", command: join });
    return bench.actions.filter(({ action }) => action.kind === "persist").length;
  };
  assert.equal(kept(NETWORK), 1);
  assert.equal(kept(0xff00_1600_1600_0000n), 1);
  assert.equal(kept(0xff00_5000_5000_0000n, new Uint8Array(0)), 0);
});

Deno.test("leaving forgets the network, its port and its file", () => {
  const { bench, alice, bob } = village();
  bench.hand(alice, { kind: "command", command: { kind: "leave", network: NETWORK } });
  const kinds = bench.actions.filter(({ node }) => node === alice).map(({ action }) => action.kind);
  assert.ok(kinds.includes("unconfigure") && kinds.includes("persist"));
  sendFrame(bench, bob, alice);
  bench.run(500);
  assert.deepEqual(heardBy(bench, alice), []);
});

Deno.test("subscriptions count from members, and at a root from everybody", () => {
  const { bench, alice, bob } = village();
  const like = (to: Node) => {
    const w = new Writer();
    const group = { mac: 0x01005e000005 as never, adi: 0 };
    encodeMulticastLike([{ networkId: NETWORK, group }], w);
    const stranger = bench.nodes.get(CAROL.address) ?? bench.add(CAROL);
    const path = stranger.vl1.paths.get(1, WHERE.get(to.address)!);
    to.vl1.addPeer(CAROL.publicOnly());
    const peer = stranger.vl1.addPeer(to.vl1.identity.publicOnly())!;
    stranger.vl1.transmit(peer, path, Verb.MULTICAST_LIKE, w.finish(), {});
    bench.hand(stranger, { kind: "timeout" });
    return to.networks.members.next(NETWORK, group, 9).includes(CAROL.address);
  };
  assert.equal(like(alice), false, "no member");
  assert.equal(like(bob), false);
  assert.equal(like(bench.nodes.get(ROOT.address)!), true);
});

Deno.test("a frame longer than the network's MTU is not sent, nor delivered", () => {
  const { bench, alice, bob } = village();
  sendFrame(bench, alice, bob);
  bench.run(500);
  bench.actions.length = 0;
  const sentBefore = alice.vl1.counters.sent[Verb.FRAME];
  sendFrame(bench, alice, bob, "x".repeat(2_801));
  assert.equal(alice.vl1.counters.sent[Verb.FRAME], sentBefore);
  const w = new Writer();
  const frame = new Uint8Array(2_801).fill(120);
  encodeFrame({ networkId: NETWORK, etherType: ETHERTYPE_IPV4, frame }, w);
  alice.vl1.send(BOB.address, Verb.FRAME, w.finish());
  bench.run(100);
  assert.deepEqual(heardBy(bench, bob), []);
  sendFrame(bench, alice, bob, "y".repeat(2_800));
  assert.equal(heardBy(bench, bob).length, 1);
});

Deno.test("a revocation of our own membership makes us ask the controller at once", () => {
  for (const [target, requests] of [[ALICE, 1], [BOB, 0]] as const) {
    const { bench, alice } = village();
    const revocation = signRevocation(noblePrimitives, CAROL, {
      networkId: NETWORK,
      id: 1,
      credentialId: 0,
      thresholdMs: 1_790_000_000_001,
      flags: 0n,
      target: target.address,
      type: CredentialType.COM,
    });
    const asked = () => alice.vl1.counters.sent[Verb.NETWORK_CONFIG_REQUEST];
    const before = asked();
    const credentials = { coms: [], capabilities: [], tags: [], ownerships: [], complete: true };
    alice.networks.credentials.receive(undefined, { ...credentials, revocations: [revocation] });
    bench.run(500);
    assert.equal(asked() - before, requests);
  }
});

Deno.test("a MAC behind a bridge is forgotten five minutes after it was last heard", () => {
  const { bench, alice } = village();
  const network = alice.networks.find(NETWORK)!;
  const [printer, phone] = [0x02_00_00_00_00_01 as Mac, 0x02_00_00_00_00_02 as Mac];
  for (const mac of [printer, phone]) network.learnBridged(mac, BOB.address);
  bench.run(200_000);
  network.learnBridged(phone, ROOT.address); // it moved
  assert.deepEqual([printer, phone].map((mac) => network.bridgeOf(mac)), [
    BOB.address,
    ROOT.address,
  ]);
  bench.run(200_000);
  assert.deepEqual([printer, phone].map((mac) => network.bridgeOf(mac)), [
    undefined,
    ROOT.address,
  ]);
});
