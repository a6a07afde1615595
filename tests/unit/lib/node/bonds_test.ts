import assert from "node:assert/strict";
import { Writer } from "../../../../lib/base/bytes.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { formatEndpoint, parseIp } from "../../../../lib/base/ip.ts";
import { Bonds } from "../../../../lib/node/bonds.ts";
import { Contact } from "../../../../lib/node/contact.ts";
import { Greeter } from "../../../../lib/node/hello.ts";
import type { Received } from "../../../../lib/node/node.ts";
import {
  BondMode,
  type BondPolicy,
  bondPolicy,
  DEFAULT_LINK,
} from "../../../../lib/peer/bond_policy.ts";
import { heard, Peer } from "../../../../lib/peer/peer.ts";
import { encodePathNegotiation } from "../../../../lib/wire/path_negotiation.ts";
import { Cipher, cipherOf, Verb } from "../../../../lib/wire/packet.ts";
import {
  decodeQosMeasurement,
  encodeQosMeasurement,
  type QosRecord,
} from "../../../../lib/wire/qos_measurement.ts";
import {
  actionsOf,
  ALICE,
  BOB,
  CAROL,
  endpoint,
  packetsOf,
  peerWithPath,
  ROOT,
  sentBy,
  vl1Of,
} from "./harness.ts";

/** Alice with sockets 1 on eth0 and 2 on eth1, bonded with Bob as that policy says. */
function alice(policy: BondPolicy | undefined = bondPolicy(BondMode.ACTIVE_BACKUP)) {
  const vl1 = vl1Of(ALICE, { settings: { bondPolicy: () => policy } });
  vl1.sockets = [
    { id: 1, ip: parseIp("44.0.0.3")!, port: 9993, device: "eth0" },
    { id: 2, ip: parseIp("44.1.0.3")!, port: 9993, device: "eth1" },
    { id: 3, ip: parseIp("44.1.0.3")!, port: 22_402, device: "eth1" },
  ];
  const contact = new Contact(vl1, new Greeter(vl1, () => {}));
  const bonds = new Bonds(vl1, contact);
  const bob = peerWithPath(vl1, BOB);
  bob.version = { protocol: 11, major: 1, minor: 14, revision: 1 };
  return { vl1, bonds, bob };
}

type Scene = ReturnType<typeof alice>;

const ECHO_TO_BOB = { to: BOB.address, verb: Verb.ECHO, path: undefined };

/** Bob's second path is proved. */
function addPath({ vl1, bob }: Scene, socket: number, at: string): void {
  const path = vl1.paths.get(socket, endpoint(at));
  vl1.paths.keep(path);
  bob.learn(path, vl1.nowMs);
}

/** Time passes and Bob is heard on all paths. @returns what was asked meanwhile, as "socket to endpoint" */
function pass({ vl1, bonds, bob }: Scene, durationMs: number, stepMs = 500): string[] {
  const asked = [];
  for (const endMs = vl1.nowMs + durationMs; vl1.nowMs < endMs;) {
    vl1.time.nowMs = Math.min(endMs, vl1.nowMs + stepMs);
    for (const path of bob.paths) heard(path, vl1.nowMs);
    bonds.tend(bob);
    for (const { socket, to, verb } of sentBy(vl1)) {
      if (verb === Verb.ECHO) asked.push(`${socket} to ${formatEndpoint(to)}`);
    }
  }
  return asked;
}

function received({ bob }: Scene, verb: number, payload: Uint8Array, index = 0): Received {
  return { peer: bob, path: bob.paths[index].path, hops: 0, verb, id: 1n, payload };
}

function report(records: QosRecord[]): Uint8Array {
  const w = new Writer(64);
  encodeQosMeasurement(records, w);
  return w.finish();
}

Deno.test("Bonds.tend() makes a bond where a policy says so, and ends it with the last path", () => {
  const scene = alice();
  scene.bonds.tend(scene.bob);
  assert.equal(scene.bob.bond?.mode, BondMode.ACTIVE_BACKUP);
  assert.equal(scene.bonds.find(BOB.address), scene.bob.bond);
  assert.equal(scene.bonds.size, 1);
  scene.bob.forget(scene.bob.paths[0]);
  assert.equal(scene.bonds.tend(scene.bob), Infinity);
  assert.equal(scene.bob.bond, undefined);
  assert.equal(scene.bonds.size, 0);
});

Deno.test("Bonds.tend() bonds neither with upstreams nor without a policy", () => {
  const scene = alice();
  const root = peerWithPath(scene.vl1, ROOT);
  assert.equal(scene.bonds.tend(root), Infinity);
  assert.equal(root.bond, undefined);
  const plain = alice(undefined);
  plain.vl1.settings.bondPolicy = undefined;
  plain.bonds.tend(plain.bob);
  assert.equal(plain.bob.bond, undefined);
});

Deno.test("a bond is looked for by one socket of each address, until there is a way", () => {
  const scene = alice();
  const asked = pass(scene, 31_000);
  const other = asked.filter((one) => one.startsWith("2 "));
  assert.deepEqual(new Set(other), new Set(["2 to 44.0.0.4/9993"]));
  assert.equal(other.length, 6, "at 0, 1, 3, 7, 15 and 30 s");
  assert.ok(!asked.some((one) => one.startsWith("3 ")), "another port leads the same way");
  addPath(scene, 2, "44.0.0.4/9993");
  assert.deepEqual(pass(scene, 40_000).filter((one) => one.startsWith("3 ")), []);
});

Deno.test("an address Bob only names is looked for a few times; one he was reached at for good", () => {
  const scene = alice();
  addPath(scene, 2, "44.0.0.4/9993");
  scene.bonds.tend(scene.bob);
  scene.bonds.offered(scene.bob, endpoint("44.9.0.4/9993"));
  const asked = pass(scene, 300_000).filter((one) => one.includes("44.9.0.4"));
  assert.equal(asked.length, 2 * 5, "by either socket");
});

Deno.test("a policy with links looks by their interfaces only", () => {
  const links = new Map([["eth0", DEFAULT_LINK]]);
  const scene = alice(bondPolicy(BondMode.BROADCAST, { links }));
  assert.deepEqual(pass(scene, 30_000).filter((one) => !one.startsWith("1 ")), []);
});

Deno.test("packets of odd id are reported on the path they came by, unencrypted, twice the failover interval apart", () => {
  const scene = alice(bondPolicy(BondMode.BALANCE_RR, { failoverIntervalMs: 1_000 }));
  const { vl1, bonds, bob } = scene;
  addPath(scene, 2, "44.1.0.4/9993");
  bonds.tend(bob);
  sentBy(vl1);
  for (const id of [4n, 5n, 7n]) {
    bonds.sampled({ ...received(scene, Verb.FRAME, new Uint8Array(0), 1), id });
  }
  bonds.sampled({ ...received(scene, Verb.ACK, new Uint8Array(0), 1), id: 9n });
  bonds.sampled({ ...received(scene, Verb.QOS_MEASUREMENT, new Uint8Array(0), 1), id: 11n });
  bonds.sampled({ ...received(scene, Verb.FRAME, new Uint8Array(0), 1), id: 13n, hops: 1 });
  vl1.time.nowMs += 1_999;
  for (const path of bob.paths) heard(path, vl1.nowMs);
  bonds.tend(bob);
  assert.ok(!sentBy(vl1).some(({ verb }) => verb === Verb.QOS_MEASUREMENT), "not yet");
  vl1.time.nowMs += 1;
  bonds.tend(bob);
  const actions = actionsOf(vl1.outbox);
  const sealed = actions.filter((action) => action.kind === "send" && action.socket === 2)
    .map((action) => action.kind === "send" ? cipherOf(action.bytes) : undefined);
  const [{ to, payload }] = packetsOf(vl1, actions)
    .filter(({ verb }) => verb === Verb.QOS_MEASUREMENT);
  assert.equal(formatEndpoint(to), "44.1.0.4/9993");
  assert.ok(sealed.includes(Cipher.POLY1305_NONE));
  assert.deepEqual(decodeQosMeasurement(payload), [
    { packetId: 5n, holdingTimeMs: 2_000 },
    { packetId: 7n, holdingTimeMs: 2_000 },
  ]);
});

Deno.test("a bonded path is not asked for something to report within 170 ms of another ECHO", () => {
  const scene = alice();
  const { vl1, bonds, bob } = scene;
  bonds.tend(bob);
  const { path } = bob.paths[0];
  vl1.time.nowMs += 10_000;
  path.echoMs = vl1.nowMs - 169;
  const asked = () => sentBy(vl1).filter(({ verb, socket }) => verb === Verb.ECHO && socket === 1);
  heard(bob.paths[0], vl1.nowMs);
  bonds.tend(bob);
  assert.equal(asked().length, 0);
  vl1.time.nowMs += 1;
  bonds.tend(bob);
  assert.equal(asked().length, 1);
});

/**
 * Frames pass by both paths in the data Worker, which notes none of them to be sampled; what is
 * asked is answered, by the first path after so long.
 * @returns how often it was asked
 */
function stream(scene: Scene, durationMs: number, roundTripMs: number): number {
  const { vl1, bonds, bob } = scene;
  let asked = 0;
  for (const endMs = vl1.nowMs + durationMs; vl1.nowMs < endMs;) {
    vl1.time.nowMs += 100;
    for (const path of bob.paths) {
      vl1.noteSent(bob, path);
      heard(path, vl1.nowMs);
    }
    bonds.tend(bob);
    for (const { id, socket, verb } of sentBy(vl1)) {
      const [{ path }, other] = bob.paths;
      if (verb !== Verb.ECHO || socket !== path.socket) continue;
      asked++;
      bonds.contact.learn(bob, path, { ...ECHO_TO_BOB, path, sentMs: vl1.nowMs - roundTripMs });
      bonds.sampled({ ...received(scene, Verb.OK, new Uint8Array(0)), id: id | 1n });
      bonds.sampled({ ...received(scene, Verb.OK, new Uint8Array(0), 1), id: id | 1n });
      bonds.contact.learn(bob, other.path, { ...ECHO_TO_BOB, sentMs: vl1.nowMs - 20 });
    }
  }
  return asked;
}

Deno.test("a bonded path whose frames the data Worker carries is measured as often as an idle one", () => {
  const scene = alice(bondPolicy(BondMode.BALANCE_AWARE));
  addPath(scene, 2, "44.1.0.4/9993");
  const { bob, bonds } = scene;
  bonds.tend(bob);
  const asked = stream(scene, 60_000, 20);
  assert.ok(asked >= 30 && asked <= 40, `${asked}`);
  const [link] = bob.bond!.links;
  assert.ok(!link.isAvoided);
  stream(scene, 45_000, 3_000);
  assert.ok(link.isAvoided, "it became slow");
});

Deno.test("Bonds.measured() makes samples of what Bob held, once he has a bond with us", () => {
  const scene = alice();
  const { vl1, bonds, bob } = scene;
  const path = bob.paths[0].path;
  bonds.measured(received(scene, Verb.QOS_MEASUREMENT, report([])));
  bonds.tend(bob);
  sentBy(vl1);
  const sent: bigint[] = [];
  while (sent.length < 4) {
    const id = vl1.transmit(bob, path, Verb.ECHO, new Uint8Array(0), {});
    if ((id & 1n) === 1n) sent.push(id);
  }
  vl1.time.nowMs += 100;
  const records = sent.map((packetId) => ({ packetId, holdingTimeMs: 60 }));
  bonds.measured(received(scene, Verb.QOS_MEASUREMENT, report(records)));
  assert.equal(bob.bond!.find(path)!.window.meanMs, 20);
});

Deno.test("Bonds.negotiated() heeds the peer's wish, of two bytes, from a direct path", () => {
  const scene = alice();
  addPath(scene, 2, "44.1.0.4/9993");
  scene.bonds.tend(scene.bob);
  const w = new Writer(2);
  encodePathNegotiation(500, w);
  const wish = received(scene, Verb.PATH_NEGOTIATION_REQUEST, w.finish(), 1);
  scene.bonds.negotiated({ ...wish, hops: 1 });
  scene.bonds.negotiated({ ...wish, payload: new Uint8Array(3) });
  assert.equal(scene.bob.preferred(scene.vl1.nowMs), scene.bob.paths[0]);
  scene.bonds.negotiated(wish);
  assert.equal(scene.bob.preferred(scene.vl1.nowMs), scene.bob.paths[1]);
});

Deno.test("Bonds.setMtu() gives a link's paths an MTU, those to come as well", () => {
  const scene = alice();
  const { bonds, bob } = scene;
  bonds.tend(bob);
  assert.equal(bonds.setMtu(1_300, "eth0", "44.0.0.3"), true);
  assert.equal(bonds.setMtu(1_300, "eth1", "44.1.0.3"), false, "no path by it yet");
  assert.equal(bonds.setMtu(1_300, "eth0", "44.1.0.3"), false);
  assert.equal(bob.bond!.mtuOf(bob.paths[0].path), 1_300);
  addPath(scene, 1, "44.2.0.4/9993");
  bonds.tend(bob);
  assert.equal(bob.bond!.mtuOf(bob.paths[1].path), 1_300);
});

Deno.test("no more than 256 peers are bonded with", () => {
  const scene = alice();
  const { bonds, bob, vl1 } = scene;
  bonds.tend(bob);
  const { path } = bob.paths[0];
  const others = Array.from({ length: 256 }, () => {
    const other = Peer.meet(noblePrimitives, ALICE, CAROL, 0)!;
    other.learn(path, vl1.nowMs);
    return other;
  });
  for (const other of others) bonds.tend(other);
  assert.equal(bonds.size, 256);
  assert.equal(others[255].bond, undefined);
  bonds.end(bob);
  bonds.tend(others[255]);
  assert.ok(others[255].bond);
});
