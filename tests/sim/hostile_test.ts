/**
 * Hostile hosts: floods, forgeries, replays and lies. Honest peers must not feel them, and no table
 * may grow without end.
 * @module
 */
import assert from "node:assert/strict";
import { Writer } from "../../lib/base/bytes.ts";
import type { Address } from "../../lib/base/ids.ts";
import type { Endpoint } from "../../lib/base/ip.ts";
import { Identity } from "../../lib/identity/identity.ts";
import { Cipher, HEADER_LENGTH, Verb } from "../../lib/wire/packet.ts";
import { encodeMulticastLike } from "../../lib/wire/multicast_like.ts";
import { encodePushDirectPaths } from "../../lib/wire/push_direct_paths.ts";
import { encodeRendezvous } from "../../lib/wire/rendezvous.ts";
import { encodeWhois } from "../../lib/wire/whois.ts";
import { Attacker } from "./attacker.ts";
import type { SimHost } from "./host.ts";
import type { Datagram } from "./internet.ts";
import { connect, goDirect, lab, Pinger, reaches } from "./lab.ts";
import { measured, simTest } from "./scenario.ts";
import type { World } from "./world.ts";

const SEEDS = [1, 2];

/** Does something at a steady rate for a while; the rest of the world goes on. */
function keepDoing(world: World, perSecond: number, durationMs: number, act: () => void): void {
  const endMs = world.nowMs + durationMs;
  const tick = () => {
    act();
    if (world.nowMs < endMs) world.after(1_000 / perSecond, tick);
  };
  tick();
}

/** The attacker has said HELLO and been found genuine. */
function introduce(world: World, attacker: Attacker, to: SimHost): void {
  attacker.send(attacker.hello(to), to.endpoints[0]);
  world.run(200);
  assert.ok(to.node.vl1.peers.has(attacker.identity.address), "the attacker is known");
}

simTest("random bytes bother nobody", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b] } = lab(world, [{}, {}]);
  connect(world, a, b);
  const attacker = new Attacker(world);
  const targets = [a, b, world.roots[0]];
  const pinger = new Pinger(world, a, b);
  const sinceMs = world.nowMs;
  keepDoing(world, 1_000, 10_000, () => {
    const { rng } = attacker;
    const bytes = rng.bytes(1 + rng.below(1_500));
    const to = rng.pick(targets);
    if (rng.chance(0.5) && bytes.length > HEADER_LENGTH) putAddress(bytes, 8, to.address);
    if (rng.chance(0.3) && bytes.length > HEADER_LENGTH) putAddress(bytes, 13, a.address);
    attacker.send(bytes, to.endpoints[0]);
  });
  world.run(12_000);
  assert.ok(pinger.gapMs(sinceMs) <= 150);
  assert.ok(attacker.bytesIn < attacker.bytesOut / 100);
});

simTest("self-addressed packets are refused", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b] } = lab(world, [{}, {}]);
  connect(world, a, b);
  const attacker = new Attacker(world);
  for (const target of [a, world.roots[0]]) {
    for (const address of [a.address, b.address, target.address, world.roots[0].address]) {
      const bytes = new Uint8Array(HEADER_LENGTH);
      putAddress(bytes, 8, address);
      putAddress(bytes, 13, address);
      attacker.send(bytes, target.endpoints[0]);
    }
  }
  world.run(1_000);
  for (const target of [a, world.roots[0]]) {
    assert.equal(target.node.vl1.counters.drops.get("self-addressed"), 4);
  }
  assert.equal(attacker.bytesIn, 0);
});

simTest("replays from elsewhere move no path and cut nobody off", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b] } = lab(world, [{}, {}]);
  const attacker = new Attacker(world);
  const captured: { datagram: Datagram; to: SimHost }[] = [];
  world.filter((datagram, to) => {
    if (datagram.origin && (to === a || to === b)) {
      captured.push({ datagram, to: to === a ? a : b });
    }
    return false;
  });
  connect(world, a, b);
  goDirect(world, a, b);
  world.run(5_000);
  const pinger = new Pinger(world, a, b);
  const sinceMs = world.nowMs;
  const replayed = [...captured];
  keepDoing(world, 200, 10_000, () => {
    const { datagram, to } = attacker.rng.pick(replayed);
    attacker.send(datagram.bytes, to.endpoints[0]);
  });
  world.run(15_000);
  for (const [node, other] of [[a, b], [b, a]]) {
    const paths = node.node.vl1.peers.get(other.address)!.paths;
    assert.ok(paths.every((path) => path.path.endpoint.ip.join() !== attacker.endpoint.ip.join()));
  }
  assert.ok(pinger.gapMs(sinceMs) <= 200);
  measured("bytes returned per byte replayed", attacker.bytesIn / attacker.bytesOut, "");
});

simTest("a flood of forged identities does not keep a newcomer out", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b], network } = lab(world, [{}, {}], { isPrivate: false });
  connect(world, a, b);
  const root = world.roots[0];
  const forger = world.rng.fork("forger");
  const floods = Array.from({ length: 40 }, (_, i) => forgedAttacker(world, forger, i));
  keepDoing(world, 500, 20_000, () => {
    const attacker = forger.pick(floods);
    attacker.send(attacker.hello(root), root.endpoints[0]);
  });
  world.run(2_000);
  const newcomer = world.addNode();
  const onlineMs = world.runUntil(() => newcomer.node.isOnline, {
    withinMs: 2_000,
    what: "a newcomer comes online in a flood of forged identities",
  });
  measured("online in a flood of 500 forged HELLOs a second", onlineMs, "ms");
  world.joinAll(network, [newcomer], 5_000);
  connect(world, newcomer, a);
  const forged = floods.filter(({ identity }) => root.node.vl1.peers.has(identity.address));
  assert.equal(forged.length, 0, "no forged identity was let in");
});

/** Has real keys and an address they do not belong to. */
function forgedAttacker(world: World, rng: World["rng"], index: number): Attacker {
  const real = world.makeIdentity(rng.fork(index));
  const { publicKey, secretKey } = real;
  const address = real.address % 0xfe_0000_0000 + 1 as Address;
  return new Attacker(world, `forger ${index}`, new Identity({ address, publicKey, secretKey }));
}

simTest("a peer that floods a root with subscriptions and questions stays within bounds", {
  seeds: SEEDS,
}, (world) => {
  const { nodes: [a, b], network } = lab(world, [{ place: "sym" }, { place: "sym" }]);
  connect(world, a, b);
  const root = world.roots[0];
  const attacker = new Attacker(world);
  introduce(world, attacker, root);
  const pinger = new Pinger(world, a, b);
  const sinceMs = world.nowMs;
  const { rng } = attacker;
  const cipher = Cipher.POLY1305_SALSA2012;
  keepDoing(world, 200, 20_000, () => {
    const likes = new Writer();
    const groups = Array.from({ length: 50 }, () => ({
      networkId: network,
      group: { mac: rng.u32() as never, adi: rng.u32() },
    }));
    encodeMulticastLike(groups, likes);
    attacker.send(
      attacker.sealed(root, Verb.MULTICAST_LIKE, likes.finish(), cipher),
      root.endpoints[0],
    );
    const whois = new Writer();
    encodeWhois(Array.from({ length: 30 }, () => (rng.u32() + 1) as Address), whois);
    attacker.send(attacker.sealed(root, Verb.WHOIS, whois.finish(), cipher), root.endpoints[0]);
  });
  world.run(21_000);
  assert.ok(root.node.networks.members.size < 10_000);
  assert.ok(pinger.gapMs(sinceMs) <= 200, "a relayed pair does not feel it");
});

simTest("nobody is made to flood a third party", { seeds: SEEDS }, (world) => {
  const { nodes: [a] } = lab(world, [{}]);
  const attacker = new Attacker(world);
  introduce(world, attacker, a);
  const victim = new Attacker(world, "victim");
  const cipher = Cipher.POLY1305_SALSA2012;
  keepDoing(world, 50, 20_000, () => {
    const push = new Writer();
    const records = Array.from({ length: 8 }, (_, i) => ({
      endpoint: { ip: victim.endpoint.ip, port: 1_000 + i },
      forget: false,
      redirect: true,
    }));
    encodePushDirectPaths(records, push);
    attacker.send(
      attacker.sealed(a, Verb.PUSH_DIRECT_PATHS, push.finish(), cipher),
      a.endpoints[0],
    );
    const meeting = new Writer();
    encodeRendezvous({ peer: attacker.identity.address, endpoint: victim.endpoint }, meeting);
    attacker.send(attacker.sealed(a, Verb.RENDEZVOUS, meeting.finish(), cipher), a.endpoints[0]);
  });
  world.run(25_000);
  measured("datagrams sent to a third party in 20 s", victim.received.length, "");
  assert.ok(victim.received.length <= 200);
  const peer = a.node.vl1.peers.get(attacker.identity.address)!;
  assert.ok(peer.paths.every((path) => path.path.endpoint.ip.join() !== victim.endpoint.ip.join()));
});

simTest("what an address that proved nothing gets back", { seeds: [1] }, (world) => {
  const { nodes: [a, b] } = lab(world, [{}, {}]);
  connect(world, a, b);
  const root = world.roots[0];
  const attacker = new Attacker(world);
  introduce(world, attacker, root);
  const victim = new Attacker(world, "victim");
  const cipher = Cipher.POLY1305_SALSA2012;
  let spoofedBytes = 0;
  const spoof = (bytes: Uint8Array) => {
    spoofedBytes += bytes.length;
    attacker.send(bytes, root.endpoints[0], victim.endpoint);
  };
  const everyone = world.hosts.map((host) => host.address);
  const planet = { id: world.planet().id, timestampMs: 0 };
  for (let i = 0; i < 50; i++) {
    const whois = new Writer();
    encodeWhois(everyone, whois);
    spoof(attacker.sealed(root, Verb.WHOIS, whois.finish(), cipher));
    spoof(attacker.hello(root, planet));
    world.run(200);
  }
  measured("bytes to a spoofed address per byte spoofed", victim.bytesIn / spoofedBytes, "");
  assert.ok(victim.bytesIn <= spoofedBytes);
});

simTest(
  "ECHOs are answered six times a second a path and six at once, whether or not it proved itself",
  {
    seeds: SEEDS,
  },
  (world) => {
    lab(world, []);
    const root = world.roots[0];
    const attacker = new Attacker(world);
    introduce(world, attacker, root);
    attacker.send(attacker.hello(root), root.endpoints[0]); // so that bytes are not what limits the answers
    world.run(1_000);
    const before = root.node.vl1.counters.sent[Verb.OK];
    const echo = () =>
      attacker.sealed(root, Verb.ECHO, new Uint8Array(0), Cipher.POLY1305_SALSA2012);
    keepDoing(world, 1_000, 1_000, () => attacker.send(echo(), root.endpoints[0]));
    world.run(1_500);
    const answers = root.node.vl1.counters.sent[Verb.OK] - before;
    measured("answers to 1,000 ECHOs in a second", answers, "");
    assert.ok(answers > 0 && answers <= 13);
  },
);

simTest(
  "a node whose planet is old has the new one a round trip later",
  { seeds: [1] },
  (world) => {
    lab(world, []);
    const root = world.roots[0];
    const attacker = new Attacker(world);
    const planet = { id: world.planet().id, timestampMs: 0 };
    attacker.send(attacker.hello(root, planet), root.endpoints[0]);
    world.run(1_000);
    assert.ok(attacker.bytesIn <= attacker.bytesOut, "nothing of it before the address is proved");
    attacker.answerEchos(root);
    attacker.send(attacker.hello(root, planet), root.endpoints[0]);
    world.run(1_000);
    assert.ok(root.node.vl1.paths.knows(attacker.endpoint));
    assert.ok(attacker.received.some(({ bytes }) => bytes.length > 300), "the planet");
  },
);

simTest("strangers cannot make a leaf ask the roots", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b] } = lab(world, [{}, {}]);
  connect(world, a, b);
  const attacker = new Attacker(world);
  introduce(world, attacker, a);
  attacker.answerEchos(a);
  attacker.send(attacker.hello(a), a.endpoints[0]);
  world.run(500);
  assert.ok(a.node.vl1.paths.knows(attacker.endpoint), "not even from an address that is proved");
  const { rng } = attacker;
  const before = a.node.vl1.counters.sent[Verb.WHOIS];
  keepDoing(world, 1_000, 10_000, () => {
    const bytes = rng.bytes(100);
    putAddress(bytes, 8, a.address);
    putAddress(bytes, 13, rng.u32() + 1 as Address);
    bytes[18] = 0x08; // one whole packet, sealed
    attacker.send(bytes, a.endpoints[0], rng.chance(0.5) ? attacker.endpoint : anywhere(rng));
  });
  world.run(10_000);
  const questions = a.node.vl1.counters.sent[Verb.WHOIS] - before;
  measured("WHOIS a leaf sends in 10 s, for 10,000 made-up senders", questions, "");
  assert.ok(questions <= (128 + 16 * 10) * 10, "288 addresses, asked for ten times each");
  assert.ok(reaches(world, a, b));
});

simTest("a flood of fragments lets the packets of peers through", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b] } = lab(world, [{ link: { jitterMs: 150 } }, {}]); // pieces come apart
  connect(world, a, b);
  goDirect(world, a, b);
  world.run(5_000);
  const attacker = new Attacker(world);
  const { rng } = attacker;
  const pinger = new Pinger(world, a, b, 100, 2_600);
  const sinceMs = world.nowMs;
  keepDoing(world, 10_000, 5_000, () => {
    const bytes = rng.bytes(60);
    const to = rng.pick([a, b]);
    putAddress(bytes, 8, to.address);
    bytes.set([0xff, 0x31, 0], 13); // the second of three pieces
    attacker.send(bytes, to.endpoints[0], anywhere(rng));
  });
  world.run(5_000);
  assert.equal(pinger.lossFraction(sinceMs), 0);
});

/** Some public address, forged. */
function anywhere(rng: Attacker["rng"]): Endpoint {
  const ip = rng.bytes(4);
  ip[0] = 60 + rng.below(40);
  return { ip, port: 1_024 + rng.below(60_000) };
}

function putAddress(bytes: Uint8Array, at: number, address: Address): void {
  for (let i = 4, rest = address as number; i >= 0; i--, rest = Math.floor(rest / 256)) {
    bytes[at + i] = rest % 256;
  }
}
