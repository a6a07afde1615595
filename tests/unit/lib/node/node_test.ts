/** Whole nodes on the bench: what happens between an input and what comes of it. @module */
import assert from "node:assert/strict";
import type { Address } from "../../../../lib/base/ids.ts";
import { formatEndpoint, sameEndpoint } from "../../../../lib/base/ip.ts";
import type { Identity } from "../../../../lib/identity/identity.ts";
import type { NodeEvent } from "../../../../lib/node/machine.ts";
import { Node } from "../../../../lib/node/node.ts";
import { decodeCachedPeer } from "../../../../lib/node/peer_cache.ts";
import type { Path } from "../../../../lib/peer/path.ts";
import { lossFraction } from "../../../../lib/peer/peer.ts";
import {
  AT_FLAGS,
  buildPacket,
  Cipher,
  HEADER_LENGTH,
  setCipher,
  Verb,
} from "../../../../lib/wire/packet.ts";
import {
  ALICE,
  Bench,
  BOB,
  CAROL,
  configOf,
  endpoint,
  planetOf,
  ROOT,
  ROOT2,
  WHERE,
} from "./harness.ts";

const ROOT_AT = WHERE.get(ROOT.address)!;

/** A root and two nodes that are online. */
function town(roots = [ROOT]) {
  const bench = new Bench();
  const planet = planetOf(roots);
  const started = roots.map((root) => bench.add(root, { planet }));
  const [alice, bob] = [bench.add(ALICE, { planet }), bench.add(BOB, { planet })];
  bench.run(1_000);
  return { bench, roots: started, alice, bob };
}

const eventsOf = (bench: Bench, node: Node): NodeEvent["name"][] =>
  bench.actions.flatMap(({ node: whose, action }) =>
    whose === node && action.kind === "event" ? [action.event.name] : []
  );

const drops = (node: Node, reason: Parameters<Node["vl1"]["counters"]["drop"]>[0]) =>
  node.vl1.counters.drops.get(reason) ?? 0;

/** The path to a peer, proved before. */
function proved(node: Node, { address }: Identity): Path {
  const path = node.vl1.paths.get(1, WHERE.get(address)!);
  node.vl1.paths.keep(path);
  return path;
}

Deno.test("Node is online once a root answered its HELLO, and offline a minute after the last word", () => {
  const { bench, roots, alice } = town();
  assert.ok(alice.isOnline);
  assert.deepEqual(eventsOf(bench, alice).filter((name) => name.endsWith("line")), ["online"]);
  assert.ok(roots[0].isOnline, "a root always is");
  bench.nodes.delete(ROOT.address);
  bench.run(120_000);
  assert.ok(!alice.isOnline);
  assert.ok(eventsOf(bench, alice).includes("offline"));
});

Deno.test("Node.handle() refuses packets from and to one address before anything else", () => {
  const { bench, alice } = town();
  for (const [source, destination] of [[BOB, BOB], [ALICE, ALICE], [ALICE, BOB], [CAROL, CAROL]]) {
    const bytes = new Uint8Array(HEADER_LENGTH);
    for (let i = 0; i < 5; i++) {
      bytes[8 + i] = Math.floor(destination.address / 256 ** (4 - i)) % 256;
      bytes[13 + i] = Math.floor(source.address / 256 ** (4 - i)) % 256;
    }
    bench.hand(alice, { kind: "datagram", socket: 1, from: endpoint("44.9.9.9/9"), bytes });
  }
  assert.equal(drops(alice, "self-addressed"), 4);
});

Deno.test("Node asks who an unknown sender is, and takes its packets up when told", () => {
  const { bench, alice, bob } = town();
  const peer = alice.vl1.addPeer(BOB.publicOnly())!;
  assert.ok(!bob.vl1.peers.has(ALICE.address));
  peer.version = bob.vl1.announced; // asks by ECHO
  alice.contact.probeFrom(peer, WHERE.get(BOB.address)!, 1);
  bench.hand(alice, { kind: "timeout" });
  assert.ok(bob.vl1.peers.has(ALICE.address), "by WHOIS at the root");
  assert.ok(bob.vl1.counters.received[Verb.ECHO] > 0);
  assert.ok(peer.best(bench.nowMs), "its answer proved the path");
});

Deno.test("Node finds whom it wants to reach, whatever comes in its root's name", () => {
  const { bench, alice } = town();
  for (let i = 1; i <= 2_000; i++) {
    const header = { id: new Uint8Array(8), destination: ALICE.address, source: i as Address };
    const bytes = buildPacket({ ...header, verb: Verb.NOP }, new Uint8Array(40));
    setCipher(bytes, Cipher.POLY1305_SALSA2012);
    bench.hand(alice, { kind: "datagram", socket: 1, from: ROOT_AT, bytes });
  }
  alice.vl1.send(BOB.address, Verb.NOP, new Uint8Array(0));
  bench.run(1_000);
  assert.ok(alice.vl1.peers.has(BOB.address));
});

Deno.test("Node.handle() counts what is not authentic, and tells nobody", () => {
  const { bench, alice } = town();
  const before = bench.datagrams;
  const bytes = new Uint8Array(HEADER_LENGTH + 10);
  bytes.set([0x23, 0x33, 0x33, 0x33, 0x33, 0x11, 0x11, 0x11, 0x11, 0x11], 8);
  for (const cipher of Object.values(Cipher)) {
    setCipher(bytes, cipher);
    bytes[27] = Verb.ECHO;
    bench.hand(alice, { kind: "datagram", socket: 1, from: endpoint("44.9.9.9/9"), bytes });
  }
  assert.equal(drops(alice, "unauthentic"), 4);
  assert.equal(bench.datagrams, before);
});

Deno.test("Node trusts no path by id 0, and others only where they are configured", () => {
  const bench = new Bench();
  const configured = new Map([["44.0.0.4/9993", 7n], ["44.0.0.5/9993", 0n]]);
  const settings = {
    trustedPathId: (at: { ip: Uint8Array; port: number }) => configured.get(formatEndpoint(at)),
  };
  const alice = bench.add(ALICE, { settings });
  alice.vl1.addPeer(BOB.publicOnly());
  const echo = (from: string, id: bigint) => {
    const bytes = new Uint8Array(HEADER_LENGTH + 1);
    bytes.set([0x23, 0x33, 0x33, 0x33, 0x33, 0x34, 0x44, 0x44, 0x44, 0x44], 8);
    setCipher(bytes, Cipher.TRUSTED_PATH);
    new DataView(bytes.buffer).setBigUint64(19, id);
    bytes[27] = Verb.ECHO;
    bench.hand(alice, { kind: "datagram", socket: 1, from: endpoint(from), bytes });
  };
  echo("44.0.0.5/9993", 0n);
  echo("44.0.0.4/9993", 8n);
  echo("44.0.0.9/9993", 7n);
  assert.equal(alice.vl1.counters.received[Verb.ECHO], 0);
  echo("44.0.0.4/9993", 7n);
  assert.equal(alice.vl1.counters.received[Verb.ECHO], 1);
});

Deno.test("Node never changes the bytes it is lent", () => {
  const { bench, alice, bob } = town();
  const lent: [Uint8Array, Uint8Array][] = [];
  bench.passes = (_from, _to, bytes) => {
    lent.push([bytes, bytes.slice()]);
    return true;
  };
  const peer = alice.vl1.addPeer(BOB.publicOnly())!;
  bob.vl1.addPeer(ALICE.publicOnly());
  const path = proved(alice, BOB);
  alice.greeter.hello(peer, path);
  alice.vl1.transmit(peer, path, Verb.ECHO, new Uint8Array(3_000), {});
  bench.hand(alice, { kind: "timeout" });
  assert.ok(lent.length > 5);
  for (const [bytes, before] of lent) assert.deepEqual(bytes, before);
});

Deno.test("Node answers six ECHOs a path in a second, with the bytes it was sent", () => {
  const { bench, alice, bob } = town();
  const peer = alice.vl1.addPeer(BOB.publicOnly())!;
  bob.vl1.addPeer(ALICE.publicOnly());
  const path = proved(alice, BOB);
  alice.vl1.transmit(peer, path, Verb.ECHO, Uint8Array.of(1, 2, 3), { probe: true });
  bench.hand(alice, { kind: "timeout" });
  assert.equal(peer.paths.length, 1);
  const before = bob.vl1.counters.sent[Verb.OK];
  const rate = drops(bob, "rate");
  const flood = () => {
    for (let i = 0; i < 10; i++) alice.vl1.transmit(peer, path, Verb.ECHO, new Uint8Array(0), {});
    bench.hand(alice, { kind: "timeout" });
    return bob.vl1.counters.sent[Verb.OK] - before;
  };
  assert.equal(flood(), 5, "one was asked before");
  assert.equal(drops(bob, "rate") - rate, 5);
  bench.run(500);
  const answered = flood();
  assert.ok(answered >= 8 && answered <= 9, `three more in half a second, not ${answered}`);
});

Deno.test("Node answers its root's ECHO, whoever else asks by way of the root or in its place", () => {
  for (const isForged of [false, true]) {
    const { bench, roots: [root], alice, bob } = town();
    bench.passes = (from, to) => from === root || sameEndpoint(to, ROOT_AT);
    const peer = bob.vl1.addPeer(ALICE.publicOnly())!;
    alice.vl1.addPeer(BOB.publicOnly());
    const toRoot = bob.vl1.paths.get(1, ROOT_AT);
    const toAlice = root.vl1.peers.get(ALICE.address)!;
    bench.run(1_000);
    for (let i = 0; i < 100; i++) {
      bob.vl1.transmit(peer, toRoot, Verb.ECHO, new Uint8Array(0), {});
      const asked = bob.poll();
      assert.ok(asked?.kind === "send");
      const { bytes } = asked;
      if (isForged) bench.hand(alice, { kind: "datagram", socket: 1, from: ROOT_AT, bytes });
      else bench.hand(root, { kind: "datagram", socket: 1, from: WHERE.get(BOB.address)!, bytes });
    }
    assert.ok(drops(alice, "rate") > 50, "the flood has its own limit");
    const [known] = toAlice.paths;
    root.contact.probe(toAlice, known.path);
    bench.hand(root, { kind: "timeout" });
    assert.equal(known.probeSentMs, undefined, "the root was answered");
  }
});

Deno.test("Node drops an OK nobody waits for", () => {
  const { bench, alice, bob } = town();
  const peer = alice.vl1.addPeer(BOB.publicOnly())!;
  bob.vl1.addPeer(ALICE.publicOnly());
  const path = proved(alice, BOB);
  alice.vl1.transmit(peer, path, Verb.OK, new Uint8Array(9), {});
  bench.hand(alice, { kind: "timeout" });
  assert.equal(drops(bob, "unexpected-ok"), 1);
});

Deno.test("Node takes malformed payloads of authenticated peers for what they are", () => {
  const { bench, alice, bob } = town();
  const peer = alice.vl1.addPeer(BOB.publicOnly())!;
  bob.vl1.addPeer(ALICE.publicOnly());
  const path = proved(alice, BOB);
  alice.vl1.transmit(peer, path, Verb.RENDEZVOUS, new Uint8Array(3), {});
  bench.hand(alice, { kind: "timeout" });
  assert.equal(drops(bob, "malformed"), 1);
});

Deno.test("Node, when a root, remembers each of its peers once, as soon as it is proved", () => {
  const { bench, roots: [root] } = town();
  const remembered = () =>
    bench.actions.flatMap(({ node, action }) =>
      node === root && action.kind === "persist" && action.record.what === "peer"
        ? [action.record.address]
        : []
    ).sort();
  assert.deepEqual(remembered(), [ALICE.address, BOB.address]);
  root.shutdown();
  for (let action = root.poll(); action; action = root.poll()) {
    assert.notEqual(action.kind, "persist", "it is written down already");
  }
});

Deno.test("Node, when a root that started anew, answers whom it remembers at the first packet", () => {
  const { bench, alice, bob } = town();
  const version = alice.vl1.announced;
  let checks = 0;
  const root = new Node(configOf(ROOT, {
    planet: planetOf([ROOT]),
    recall: (address) => {
      const identity = [ALICE, BOB].find((one) => one.address === address)?.publicOnly();
      return identity && { identity, version, endpoints: [] };
    },
  }));
  bench.nodes.set(ROOT.address, root);
  bench.validate = () => ++checks > 0;
  const { ip, port } = WHERE.get(ROOT.address)!;
  bench.hand(root, { kind: "links", sockets: [{ id: 1, ip, port }], own: [] });
  bench.run(25_000);
  assert.equal(checks, 0);
  for (const node of [alice, bob]) {
    assert.ok(root.vl1.peers.get(node.address)?.best(bench.nowMs));
    const [path] = node.vl1.peers.get(ROOT.address)!.paths;
    assert.equal(lossFraction(path), 0, "nobody noticed");
  }
});

Deno.test("Node shutdown() hands out whom it knows and where", () => {
  const { bench, alice } = town();
  alice.shutdown();
  bench.hand(alice, { kind: "timeout" });
  const records = bench.actions.flatMap(({ action }) =>
    action.kind === "persist" && action.record.what === "peer" ? [action.record] : []
  );
  const root = decodeCachedPeer(records.find((record) => record.address === ROOT.address)!.bytes)!;
  assert.ok(root.identity.equals(ROOT));
  assert.deepEqual(root.endpoints.map(formatEndpoint), ["44.0.0.1/9993"]);
  assert.equal(root.version.protocol, 11);
});

Deno.test("Node forgets a peer it has not heard for long, never a root", () => {
  const { bench, roots } = town();
  assert.ok(roots[0].vl1.peers.has(BOB.address));
  bench.nodes.delete(BOB.address);
  bench.run(700_000);
  assert.ok(!roots[0].vl1.peers.has(BOB.address));
  assert.ok(roots[0].vl1.peers.has(ALICE.address));
  bench.nodes.delete(ROOT.address);
  bench.run(700_000);
  assert.ok(bench.nodes.get(ALICE.address)!.vl1.peers.has(ROOT.address));
});

Deno.test("Node reaches a peer through a second root when the first is gone", () => {
  const { bench, alice, bob } = town([ROOT, ROOT2]);
  bench.nodes.delete(ROOT.address);
  bench.run(60_000);
  assert.ok(alice.isOnline);
  bench.passes = (from, to) =>
    !(from === alice && to.ip[3] === 4) && !(from === bob && to.ip[3] === 3);
  alice.vl1.send(BOB.address, Verb.ECHO, new Uint8Array(1));
  bench.run(2_000);
  assert.ok(bob.vl1.counters.received[Verb.ECHO] > 0);
  assert.ok(bob.vl1.peers.get(ALICE.address)!.paths.length === 0, "by relay");
});

Deno.test("Node tries the addresses the configuration names, those named later too, until the peer is reached", () => {
  const { bench, alice } = town();
  const peer = alice.vl1.addPeer(BOB.publicOnly())!;
  const asked: string[] = [];
  bench.passes = (from, to) => {
    if (from === alice && to.port === 7) asked.push(formatEndpoint(to));
    return from === alice;
  };
  const name = (...texts: string[]) => {
    const addresses = new Map([[BOB.address, texts.map(endpoint)]]);
    bench.hand(alice, { kind: "command", command: { kind: "try", addresses } });
    bench.run(100);
  };
  name("44.0.7.7/7");
  assert.deepEqual(asked, [], "there is nothing to say to it");
  peer.lastNontrivialMs = alice.vl1.nowMs;
  const learned = peer.learn(proved(alice, BOB), alice.vl1.nowMs)!;
  name("44.0.7.7/7");
  assert.deepEqual(asked, [], "it is reached");
  alice.contact.hints.forget(peer.address);
  alice.contact.lose(peer, learned);
  alice.vl1.timers.set(peer, alice.vl1.nowMs);
  bench.run(100);
  assert.deepEqual(asked.splice(0), ["44.0.7.7/7"]);
  name("44.0.7.7/7", "44.0.7.8/7");
  assert.deepEqual(asked, ["44.0.7.7/7", "44.0.7.8/7"]);
});

Deno.test("Node doubts every path when an address appears or it wakes, asks at once, and goes on by what answers", () => {
  const { bench, alice } = town();
  const root = alice.vl1.peers.get(ROOT.address)!;
  const { ip } = WHERE.get(ALICE.address)!;
  const other = endpoint("44.0.9.9/9993").ip;
  const sockets = [{ id: 1, ip, port: 9_993 }, { id: 2, ip: other, port: 9_993 }];
  for (const input of [{ sockets }, { sockets, woke: true }]) {
    bench.run(10_000);
    bench.passes = () => false;
    bench.hand(alice, { kind: "links", own: [], ...input });
    assert.equal(root.best(bench.nowMs), undefined);
    assert.ok(root.paths.length > 0, "kept until another is proved");
    bench.passes = () => true;
    bench.run(600);
    assert.ok(root.best(bench.nowMs));
  }
  sockets.push({ id: 3, ip, port: 9_994 });
  bench.hand(alice, { kind: "links", own: [], sockets });
  assert.ok(root.best(bench.nowMs), "another port of an address there was says nothing");
});

Deno.test("Node asks by every path of the scope when a root sees it at another address", () => {
  const { bench, alice } = town();
  const peer = alice.vl1.addPeer(BOB.publicOnly())!;
  peer.learn(proved(alice, BOB), bench.nowMs);
  const before = WHERE.get(ALICE.address)!;
  let asked = 0;
  bench.passes = (from, to) => {
    if (from === alice && formatEndpoint(to) === formatEndpoint(WHERE.get(BOB.address)!)) asked++;
    return true;
  };
  const greet = () => {
    bench.hand(alice, { kind: "command", command: { kind: "greet-upstreams" } });
    return asked;
  };
  assert.equal(greet(), 0);
  WHERE.set(ALICE.address, endpoint("44.9.9.9/9993"));
  try {
    const atOnce = greet();
    assert.ok(atOnce > 0);
    assert.equal(greet(), atOnce, "once");
  } finally {
    WHERE.set(ALICE.address, before);
  }
});

Deno.test("Node measures how long a datagram to its roots may be when it is asked to", () => {
  const { bench, alice } = town();
  const { path } = alice.vl1.peers.get(ROOT.address)!.best(bench.nowMs)!;
  bench.passes = (from, _, bytes) => from !== alice || bytes.length <= 1_392;
  bench.hand(alice, { kind: "command", command: { kind: "measure-upstreams" } });
  bench.run(4_500);
  assert.deepEqual([path.mtu, path.mtuCheckedMs > 0], [1_392, true]);
});

Deno.test("Node drops a packet at hop 4, whoever sent it", () => {
  const { bench, roots, alice } = town();
  const bytes = new Uint8Array(HEADER_LENGTH);
  bytes.set([0x34, 0x44, 0x44, 0x44, 0x44, 0x23, 0x33, 0x33, 0x33, 0x33], 8);
  bytes[AT_FLAGS] = 3;
  bench.hand(roots[0], { kind: "datagram", socket: 1, from: WHERE.get(alice.address)!, bytes });
  assert.equal(drops(roots[0], "hops"), 1);
});
