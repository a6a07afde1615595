/**
 * Ten thousand packets a second of an attacker's choice: honest peers do not feel them, a newcomer
 * gets in, and nothing grows without end (spec 03 section 28 items 21 to 28 together).
 * @module
 */
import assert from "node:assert/strict";
import { machinePrimitives } from "../../cli/engine/primitives.ts";
import { Writer } from "../../lib/base/bytes.ts";
import type { Address } from "../../lib/base/ids.ts";
import type { Endpoint } from "../../lib/base/ip.ts";
import { Identity } from "../../lib/identity/identity.ts";
import { isSuspect } from "../../lib/peer/peer.ts";
import { encodeMulticastLike } from "../../lib/wire/multicast_like.ts";
import { AT_DESTINATION, AT_MAC, AT_SOURCE, Cipher, Verb } from "../../lib/wire/packet.ts";
import { encodePushDirectPaths } from "../../lib/wire/push_direct_paths.ts";
import { encodeWhois } from "../../lib/wire/whois.ts";
import { Attacker } from "./attacker.ts";
import type { SimHost } from "./host.ts";
import { connect, lab, Pinger } from "./lab.ts";
import { measured, simTest } from "./scenario.ts";
import type { World } from "./world.ts";

const PER_SECOND = 10_000;
const FLOOD_MS = 6_000;
const NEWCOMER_AFTER_MS = 2_000;
const POOL = 300; // packets made beforehand and sent again and again

let agreements = 0;
const countingPrimitives = {
  ...machinePrimitives,
  x25519(...args: Parameters<typeof machinePrimitives.x25519>) {
    agreements++;
    return machinePrimitives.x25519(...args);
  },
};

simTest("10,000 packets a second from strangers", {
  seeds: [1, 2],
  primitives: countingPrimitives,
}, (world) => {
  const { a, b } = relayedPair(world);
  const root = world.roots[0];
  const attacker = new Attacker(world);
  const { rng } = attacker;
  const greetings = Array.from({ length: POOL }, () => forged(world, rng).hello(root));
  const before = agreements;
  flood(world, () => {
    const from: Endpoint = { ip: rng.bytes(4), port: 1_024 + rng.below(60_000) };
    from.ip[0] = 60 + rng.below(40);
    attacker.send(strangersPacket(attacker, greetings, root), root.endpoints[0], from);
  });
  endure(world, a, b);
  const perSecond = (agreements - before) / (FLOOD_MS / 1_000);
  measured("key agreements a second while 5,000 forged HELLOs come", perSecond, "");
  assert.ok(perSecond < 1_300);
  assert.ok(root.node.vl1.paths.unprovenSize <= 2_048);
});

simTest("10,000 packets a second from a peer whose identity and address are proved", {
  seeds: [1, 2],
}, (world) => {
  const { a, b } = relayedPair(world);
  const root = world.roots[0];
  const attacker = new Attacker(world);
  attacker.answerEchos(root);
  attacker.send(attacker.hello(root), root.endpoints[0]);
  world.run(500);
  assert.ok(root.node.vl1.paths.knows(attacker.endpoint));
  const pool = Array.from({ length: POOL }, (_, i) => peersPacket(attacker, root, i));
  flood(world, () => attacker.send(attacker.rng.pick(pool), root.endpoints[0]));
  endure(world, a, b);
  assert.ok(root.node.networks.members.size < 10_000);
});

/** Two nodes that reach each other through the root only. */
function relayedPair(world: World): { a: SimHost; b: SimHost } {
  const { nodes: [a, b] } = lab(world, [{ place: "sym" }, { place: "sym" }]);
  connect(world, a, b);
  return { a, b };
}

function flood(world: World, act: () => void): void {
  const endMs = world.nowMs + FLOOD_MS;
  const tick = () => {
    for (let i = 0; i < PER_SECOND / 1_000; i++) act();
    if (world.nowMs < endMs) world.after(1, tick);
  };
  tick();
}

/** While the flood goes on: pings by relay are answered, ECHOs are, a newcomer comes online. */
function endure(world: World, a: SimHost, b: SimHost): void {
  const sinceMs = world.nowMs;
  const pinger = new Pinger(world, a, b);
  world.run(NEWCOMER_AFTER_MS);
  const newcomer = world.addNode();
  const onlineMs = world.runUntil(() => newcomer.node.isOnline, {
    withinMs: 2_000,
    what: "a newcomer comes online in the flood",
  });
  measured("online in a flood of 10,000 packets a second", onlineMs, "ms");
  world.run(FLOOD_MS - (world.nowMs - sinceMs));
  pinger.stop();
  assert.equal(pinger.lossFraction(sinceMs), 0, "every ping through the root is answered");
  const root = world.roots[0];
  for (const node of [a, b]) {
    const known = node.node.vl1.peers.get(root.address)!;
    assert.ok(known.paths.length > 0 && !known.paths.some(isSuspect), "the root answers ECHO");
    assert.ok(known.paths.every(({ path }) => path.latencyMs! < 100));
  }
}

/** Real keys, and an address they do not belong to. */
function forged(world: World, rng: Attacker["rng"]): Attacker {
  const { publicKey, secretKey } = world.makeIdentity(rng);
  const address = (rng.u32() + 1) as Address;
  return new Attacker(world, `forger ${address}`, new Identity({ address, publicKey, secretKey }));
}

function strangersPacket({ rng }: Attacker, greetings: Uint8Array[], root: SimHost): Uint8Array {
  if (rng.chance(0.5)) {
    const greeting = rng.pick(greetings).slice();
    if (rng.chance(0.8)) greeting[AT_MAC]++; // which only a key agreement tells
    return greeting;
  }
  const bytes = rng.bytes(28 + rng.below(200));
  putAddress(bytes, AT_DESTINATION, root.address);
  if (rng.chance(0.3)) bytes.set([0xff, 0x31, 0], AT_SOURCE);
  else if (rng.chance(0.2)) putAddress(bytes, AT_SOURCE, root.address);
  return bytes;
}

function peersPacket(attacker: Attacker, root: SimHost, i: number): Uint8Array {
  const { rng } = attacker;
  const seal = (verb: Verb, w = new Writer()) =>
    attacker.sealed(root, verb, w.finish(), Cipher.POLY1305_SALSA2012);
  const w = new Writer();
  switch (i % 5) {
    case 0:
      return seal(Verb.ECHO);
    case 1:
      encodeWhois(Array.from({ length: 20 }, () => (rng.u32() + 1) as Address), w);
      return seal(Verb.WHOIS, w);
    case 2: {
      const group = () => ({ mac: rng.u32() as never, adi: rng.u32() });
      const likes = Array.from({ length: 30 }, () => ({ networkId: 1n as never, group: group() }));
      encodeMulticastLike(likes, w);
      return seal(Verb.MULTICAST_LIKE, w);
    }
    case 3: {
      const at = () => ({ ip: rng.bytes(4), port: 1 + rng.below(60_000) });
      const paths = Array.from(
        { length: 8 },
        () => ({ endpoint: at(), forget: false, redirect: true }),
      );
      encodePushDirectPaths(paths, w);
      return seal(Verb.PUSH_DIRECT_PATHS, w);
    }
    default:
      return attacker.hello(root);
  }
}

function putAddress(bytes: Uint8Array, at: number, address: Address): void {
  for (let i = 4, rest = address as number; i >= 0; i--, rest = Math.floor(rest / 256)) {
    bytes[at + i] = rest % 256;
  }
}
