import assert from "node:assert/strict";
import { fromHex } from "../../../../lib/base/bytes.ts";
import type { Address } from "../../../../lib/base/ids.ts";
import { formatEndpoint, parseIp } from "../../../../lib/base/ip.ts";
import { Beacons } from "../../../../lib/node/beacons.ts";
import { Contact } from "../../../../lib/node/contact.ts";
import { Greeter } from "../../../../lib/node/hello.ts";
import type { LocalSocket } from "../../../../lib/peer/path.ts";
import { decodeBeacon } from "../../../../lib/wire/beacon.ts";
import { Verb } from "../../../../lib/wire/packet.ts";
import {
  actionsOf,
  ALICE,
  BOB,
  CAROL,
  endpoint,
  peerWithPath,
  planetOf,
  ROOT,
  sentBy,
  vl1Of,
} from "./harness.ts";

const socket = (id: number, ip: string): LocalSocket => ({ id, ip: parseIp(ip)!, port: 9993 });

/** A node on a LAN whose root does not answer. */
function lonely({ identity = ALICE, isWanted = true } = {}) {
  const vl1 = vl1Of(identity, { planet: planetOf([ROOT]) });
  vl1.sockets = [socket(1, "192.168.1.2"), socket(2, "192.168.1.2"), socket(3, "44.0.0.9")];
  const contact = new Contact(vl1, new Greeter(vl1, () => {}));
  const others = {
    isWanted: () => isWanted,
    find: (address: Address) => vl1.peers.get(address),
  };
  return { vl1, others, beacons: new Beacons(vl1, contact, others) };
}

function beaconOf(address: number): Uint8Array {
  return fromHex("0011223344556677" + address.toString(16).padStart(10, "0"));
}

/** Lets it send for so long. @returns when each beacon came, after the start */
function sendFor(durationMs: number, { vl1, beacons }: ReturnType<typeof lonely>): number[] {
  const startMs = vl1.nowMs;
  const atMs: number[] = [];
  while (beacons.deadlineMs <= startMs + durationMs) {
    vl1.time.nowMs = beacons.deadlineMs;
    beacons.handleTimeout();
    for (const _ of actionsOf(vl1.outbox)) atMs.push(vl1.nowMs - startMs);
  }
  return atMs;
}

Deno.test("Beacons call once from each address of a LAN, to all on it", () => {
  const scene = lonely();
  scene.beacons.consider();
  assert.equal(scene.beacons.deadlineMs, scene.vl1.nowMs + 2_000);
  scene.vl1.time.nowMs += 2_000;
  scene.beacons.handleTimeout();
  const [beacon, ...others] = actionsOf(scene.vl1.outbox);
  assert.equal(others.length, 0);
  assert.ok(beacon.kind === "send");
  assert.equal(beacon.socket, 1);
  assert.equal(formatEndpoint(beacon.to), "255.255.255.255/9993");
  assert.equal(decodeBeacon(beacon.bytes), ALICE.address);
});

Deno.test("Beacons come ever more rarely", () => {
  const scene = lonely();
  scene.beacons.consider();
  const first = sendFor(60_000, scene);
  assert.ok(first.length >= 4 && first.length <= 6, first.join(" "));
  const hour = sendFor(3_600_000, scene);
  assert.ok(hour.length >= 80 && hour.length <= 120, "one in 30 to 45 s");
});

Deno.test("Beacons are not sent with a root in reach, without a network, or by a root", () => {
  const rooted = lonely();
  rooted.beacons.consider();
  peerWithPath(rooted.vl1, ROOT);
  for (const scene of [rooted, lonely({ isWanted: false }), lonely({ identity: ROOT })]) {
    assert.deepEqual(sendFor(100_000, scene), []);
    scene.beacons.consider();
    assert.equal(scene.beacons.deadlineMs, Infinity);
  }
});

Deno.test("Beacons.receive() asks a known peer on the LAN whether it is there", () => {
  const { vl1, beacons } = lonely();
  vl1.addPeer(BOB.publicOnly());
  const here = vl1.paths.get(1, endpoint("192.168.1.3/1234"));
  beacons.receive(beaconOf(BOB.address), here);
  const [question] = sentBy(vl1);
  assert.equal(question.verb, Verb.HELLO);
  assert.equal(formatEndpoint(question.to), "192.168.1.3/1234");
});

Deno.test("Beacons.receive() takes up who is known from an earlier run", () => {
  const { vl1, beacons, others } = lonely();
  others.find = (address) => address === BOB.address ? vl1.addPeer(BOB.publicOnly()) : undefined;
  const here = vl1.paths.get(1, endpoint("192.168.1.3/9993"));
  beacons.receive(beaconOf(CAROL.address), here);
  assert.equal(actionsOf(vl1.outbox).length, 0);
  beacons.receive(beaconOf(BOB.address), here);
  assert.equal(actionsOf(vl1.outbox).length, 1);
});

Deno.test("Beacons.receive() answers nobody elsewhere, nor who is reached, nor itself", () => {
  const { vl1, beacons } = lonely();
  peerWithPath(vl1, CAROL);
  vl1.addPeer(BOB.publicOnly());
  const here = vl1.paths.get(1, endpoint("192.168.1.3/9993"));
  beacons.receive(beaconOf(BOB.address), vl1.paths.get(1, endpoint("44.0.0.4/9993")));
  beacons.receive(beaconOf(CAROL.address), here);
  beacons.receive(beaconOf(ALICE.address), here);
  beacons.receive(beaconOf(BOB.address).subarray(1), here);
  assert.equal(actionsOf(vl1.outbox).length, 0);
});

Deno.test("Beacons.receive() answers 16 at once and two a second, whoever forges them", () => {
  const { vl1, beacons } = lonely();
  vl1.addPeer(BOB.publicOnly());
  for (let i = 0; i < 1_000; i++) {
    beacons.receive(beaconOf(BOB.address), vl1.paths.get(1, endpoint(`192.168.1.3/${1 + i}`)));
  }
  assert.equal(actionsOf(vl1.outbox).length, 16);
  vl1.time.nowMs += 1_000;
  for (let i = 0; i < 1_000; i++) {
    beacons.receive(beaconOf(BOB.address), vl1.paths.get(1, endpoint(`192.168.1.3/${1 + i}`)));
  }
  assert.equal(actionsOf(vl1.outbox).length, 2);
});
