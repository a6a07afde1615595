/**
 * Who lies from a position of trust, or in numbers: a root that relays nothing and misleads, and
 * one attacker with hundreds of genuine identities.
 * @module
 */
import assert from "node:assert/strict";
import { Writer } from "../../lib/base/bytes.ts";
import type { Address } from "../../lib/base/ids.ts";
import { Identity } from "../../lib/identity/identity.ts";
import { encodeOkHello } from "../../lib/wire/hello.ts";
import { encodeInRe } from "../../lib/wire/ok.ts";
import {
  AT_PAYLOAD,
  Cipher,
  destinationOf,
  HEADER_LENGTH,
  packetId,
  sourceOf,
  Verb,
  verbOf,
} from "../../lib/wire/packet.ts";
import { encodePushDirectPaths } from "../../lib/wire/push_direct_paths.ts";
import { encodeRendezvous } from "../../lib/wire/rendezvous.ts";
import { decodeWhois, encodeOkWhois } from "../../lib/wire/whois.ts";
import { Attacker } from "./attacker.ts";
import type { SimHost } from "./host.ts";
import type { Datagram } from "./internet.ts";
import { connect, goDirect, lab, Pinger, reaches } from "./lab.ts";
import { measured, simTest } from "./scenario.ts";
import type { World } from "./world.ts";

/**
 * In the place of a root: near, always there, and false. It answers who asks whether it lives, sees
 * everybody at another address each time, introduces a victim as everybody, says of everybody that
 * it has a key of its own making, and passes nothing on.
 */
class LyingRoot {
  readonly #attacker: Attacker;
  /** False keys it was asked for and gave. */
  falseKeys = 0;

  constructor(readonly world: World, readonly root: SimHost, readonly victim: Attacker) {
    this.#attacker = new Attacker(world, "liar", root.config.identity);
    const link = world.link({ latencyMs: 0 });
    const [{ ip }] = root.endpoints;
    world.internet.attach(ip, { link, receive: (datagram) => this.#receive(datagram) });
  }

  #receive({ bytes, from }: Datagram): void {
    if (bytes.length < HEADER_LENGTH || destinationOf(bytes) !== this.root.address) return;
    const host = this.world.hosts.find(({ address }) => address === sourceOf(bytes));
    const packet = host && this.#attacker.opened(host, bytes);
    if (!host || !packet) return;
    const say = (datagram: Uint8Array) =>
      this.#attacker.send(datagram, from, this.root.endpoints[0]);
    if (verbOf(packet) === Verb.ECHO) say(this.#attacker.echoed(host, packet));
    if (verbOf(packet) === Verb.WHOIS) say(this.#okWhois(host, packet));
    if (verbOf(packet) === Verb.HELLO) {
      say(this.#okHello(host, packetId(packet)));
      for (const other of this.world.hosts) say(this.#rendezvous(host, other));
    }
  }

  #okHello(host: SimHost, inRePacketId: bigint): Uint8Array {
    const w = new Writer();
    const ip = this.#attacker.rng.bytes(4);
    ip[0] = 60;
    encodeInRe({ inReVerb: Verb.HELLO, inRePacketId }, w);
    encodeOkHello({
      timestampMs: this.world.wallMs,
      version: { protocol: 11, major: 1, minor: 14, revision: 1 },
      surface: { ip, port: 1 + this.#attacker.rng.below(60_000) },
      worlds: new Uint8Array(0),
    }, w);
    return this.#attacker.sealed(host, Verb.OK, w.finish(), Cipher.POLY1305_SALSA2012);
  }

  #okWhois(host: SimHost, question: Uint8Array): Uint8Array {
    const [address] = decodeWhois(question.subarray(AT_PAYLOAD));
    const { publicKey } = this.world.makeIdentity(this.#attacker.rng.fork(this.falseKeys++));
    const w = new Writer();
    encodeInRe({ inReVerb: Verb.WHOIS, inRePacketId: packetId(question) }, w);
    encodeOkWhois([new Identity({ address, publicKey })], w);
    return this.#attacker.sealed(host, Verb.OK, w.finish(), Cipher.POLY1305_SALSA2012);
  }

  #rendezvous(host: SimHost, other: SimHost): Uint8Array {
    const w = new Writer();
    encodeRendezvous({ peer: other.address, endpoint: this.victim.endpoint }, w);
    return this.#attacker.sealed(host, Verb.RENDEZVOUS, w.finish(), Cipher.POLY1305_SALSA2012);
  }
}

simTest("a root that lies costs seconds, whatever it says and keeps to itself", {
  seeds: [1, 2],
}, (world) => {
  const roots = [1, 2, 3].map(() => world.addRoot());
  const controller = world.addController();
  const victim = new Attacker(world, "victim");
  const places = ["sym", "sym", "pr", "pub"] as const;
  const nodes = places.map((place) => world.addNode({ place }));
  world.run(500);
  const network = world.addNetwork(controller, { private: false });
  world.joinAll(network, nodes);
  world.run(1_000);
  roots[0].stop();
  const liar = new LyingRoot(world, roots[0], victim);
  world.run(30_000);
  const [a, b, c, d] = nodes;
  let slowestMs = 0;
  for (const [x, y] of [[a, b], [a, c], [c, d], [b, d]]) {
    slowestMs = Math.max(slowestMs, connect(world, x, y, 10_000));
  }
  measured("one root of three lies: slowest first contact", slowestMs, "ms");
  goDirect(world, c, d);
  const pingers = [new Pinger(world, a, b), new Pinger(world, c, d)];
  const sinceMs = world.nowMs;
  world.run(120_000);
  measured("pings lost by relay", pingers[0].lossFraction(sinceMs) * 100, "%");
  assert.ok(pingers[0].lossFraction(sinceMs) < 0.05);
  assert.equal(pingers[1].lossFraction(sinceMs), 0);
  const late = world.addNode({ place: "pr" });
  world.run(1_000);
  world.joinAll(network, [late]);
  connect(world, late, a);
  assert.ok(liar.falseKeys > 0, "it is asked who somebody is");
  for (const host of [...nodes, late, controller]) assert.deepEqual(impostors(world, host), []);
  const perMinute = victim.bytesIn / (world.nowMs / 60_000);
  measured("bytes a minute that a bystander gets for it", perMinute, "");
  assert.ok(perMinute < 60_000);
});

/** Addresses a node takes somebody else for. */
function impostors(world: World, { node }: SimHost): Address[] {
  return [...node.vl1.peers.values()].map((peer) => peer.identity)
    .filter((identity) => !world.isGenuine(identity)).map(({ address }) => address);
}

simTest("an only root that gives false keys keeps people apart, and is nobody else to anyone", {
  seeds: [1, 2],
}, (world) => {
  const { nodes: [a, b, c], network } = lab(world, [{}, {}, { place: "sym" }]);
  connect(world, a, b);
  goDirect(world, a, b);
  const [root] = world.roots;
  root.stop();
  const liar = new LyingRoot(world, root, new Attacker(world, "victim"));
  const pinger = new Pinger(world, a, b);
  const sinceMs = world.nowMs;
  const pings = Array.from({ length: 20 }, () => {
    world.run(1_000);
    return c.ping(a);
  });
  const late = world.addNode();
  late.join(network);
  world.run(20_000);
  assert.ok(liar.falseKeys > 0, "it is asked who somebody is");
  for (const host of [a, b, c, late]) assert.deepEqual(impostors(world, host), []);
  assert.ok(!late.isOn(network), "nobody but the controller can let it in");
  assert.ok(pings.every((ping) => ping.receivedMs === undefined), "nothing is passed on");
  assert.equal(pinger.lossFraction(sinceMs), 0, "who knows each other stays together");
});

simTest("an attacker with 300 genuine identities keeps nobody out", { seeds: [1, 2] }, (world) => {
  const { nodes: [a, b] } = lab(world, [{ place: "sym" }, { place: "sym" }]);
  connect(world, a, b);
  const root = world.roots[0];
  const sybils = Array.from({ length: 300 }, (_, i) => new Attacker(world, `sybil ${i}`));
  for (const sybil of sybils) sybil.answerEchos(root);
  const pinger = new Pinger(world, a, b);
  const sinceMs = world.nowMs;
  let turn = 0;
  const talk = () => {
    const sybil = sybils[turn++ % sybils.length];
    sybil.send(sybil.hello(root), root.endpoints[0]);
    const w = new Writer();
    const paths = Array.from({ length: 8 }, () => ({
      endpoint: { ip: Uint8Array.of(77, 1, 2, 3), port: 1 + sybil.rng.below(60_000) },
      forget: false,
      redirect: true,
    }));
    encodePushDirectPaths(paths, w);
    const push = sybil.sealed(root, Verb.PUSH_DIRECT_PATHS, w.finish(), Cipher.POLY1305_SALSA2012);
    sybil.send(push, root.endpoints[0]);
    if (world.nowMs - sinceMs < 20_000) world.after(5, talk);
  };
  talk();
  world.run(5_000);
  const newcomer = world.addNode();
  const onlineMs = world.runUntil(() => newcomer.node.isOnline, {
    withinMs: 2_000,
    what: "a newcomer comes online among 300 Sybils",
  });
  measured("online among 300 Sybils", onlineMs, "ms");
  world.run(20_000);
  assert.equal(pinger.lossFraction(sinceMs), 0);
  assert.ok(reaches(world, a, b));
  assert.ok(root.node.vl1.peers.size <= 320);
});

simTest("what a single peer says of our address is told to nobody", { seeds: [1] }, (world) => {
  const { nodes: [a, b] } = lab(world, [{}, {}]);
  connect(world, a, b);
  const told = () =>
    a.node.surface.confirmed(a.node.vl1.nowMs).map(({ ip, port }) => `${ip.join(".")}/${port}`);
  const before = told();
  assert.ok(before.length > 0);
  const liar = new Attacker(world);
  for (let i = 0; i < 50; i++) {
    const sentTo = { ip: Uint8Array.of(99, 1, 2, i), port: 9_993 };
    liar.send(liar.hello(a, undefined, sentTo), a.endpoints[0]);
    world.run(200);
  }
  assert.ok(a.node.vl1.peers.has(liar.identity.address), "it is heard");
  assert.ok(a.node.surface.reportsSince(0).some(({ surface }) => surface.ip[0] === 99));
  assert.deepEqual(told(), before);
  assert.ok(reaches(world, a, b));
});
