import assert from "node:assert/strict";
import { formatAddress } from "../../../../lib/base/ids.ts";
import { formatEndpoint, parseIp } from "../../../../lib/base/ip.ts";
import { Relay } from "../../../../lib/root/relay.ts";
import {
  AT_FLAGS,
  buildPacket,
  FLAG_FRAGMENTED,
  HEADER_LENGTH,
  hopsOf,
  Verb,
} from "../../../../lib/wire/packet.ts";
import { split } from "../../../../lib/wire/fragment.ts";
import { decodeRendezvous } from "../../../../lib/wire/rendezvous.ts";
import type { Identity } from "../../../../lib/identity/identity.ts";
import type { Vl1 } from "../../../../lib/node/vl1.ts";
import {
  actionsOf,
  ALICE,
  BOB,
  CAROL,
  endpoint,
  packetsOf,
  peerWithPath,
  planetOf,
  ROOT,
  ROOT2,
  vl1Of,
  WHERE,
} from "../node/harness.ts";

/** Any packet; a relay reads no more than its header. */
function packet(from: Identity, to: Identity, lengthBytes = 100): Uint8Array {
  const header = {
    id: new Uint8Array(8),
    destination: to.address,
    source: from.address,
    verb: Verb.FRAME,
  };
  return buildPacket(header, new Uint8Array(lengthBytes - HEADER_LENGTH));
}

function root(): { vl1: Vl1; relay: Relay } {
  const vl1 = vl1Of(ROOT, { planet: planetOf([ROOT]) });
  for (const identity of [ALICE, BOB]) peerWithPath(vl1, identity);
  return { vl1, relay: new Relay(vl1) };
}

/** What was relayed, and the introductions, apart. */
function outcome(vl1: Vl1) {
  const sends = actionsOf(vl1.outbox).flatMap((action) => action.kind === "send" ? [action] : []);
  const isOurs = (bytes: Uint8Array) => bytes[13] === ROOT.address / 0x1_0000_0000 >> 0;
  return {
    relayed: sends.filter(({ bytes }) => !isOurs(bytes)),
    letters: packetsOf(vl1, sends.filter(({ bytes }) => isOurs(bytes))),
  };
}

const pathOf = (vl1: Vl1, identity: Identity) => vl1.peers.get(identity.address)!.paths[0].path;

Deno.test("Relay.forward() passes a packet on with one hop more, and changes nothing else", () => {
  const { vl1, relay } = root();
  const bytes = packet(ALICE, BOB);
  relay.forward(bytes, pathOf(vl1, ALICE));
  const { relayed: [copy] } = outcome(vl1);
  assert.equal(formatEndpoint(copy.to), formatEndpoint(WHERE.get(BOB.address)!));
  assert.equal(hopsOf(copy.bytes), 1);
  copy.bytes[AT_FLAGS] = bytes[AT_FLAGS];
  assert.deepEqual(copy.bytes, bytes);
  assert.equal(vl1.counters.relayedPackets, 1);
  assert.equal(vl1.counters.relayedBytes, 100);
});

Deno.test("Relay.forward() drops a packet that made three hops, and a fragment too", () => {
  const { vl1, relay } = root();
  const whole = packet(ALICE, BOB, 3_000);
  whole[AT_FLAGS] |= FLAG_FRAGMENTED;
  const pieces = split(whole, 1_432);
  vl1.peers.get(ALICE.address)!.paths[0].path.lastInMs = vl1.nowMs;
  for (let hops = 0; hops < 5; hops++) {
    const head = pieces[0].slice();
    head[AT_FLAGS] = (head[AT_FLAGS] & ~7) | hops;
    const fragment = pieces[1].slice();
    fragment[15] = hops;
    relay.forward(head, pathOf(vl1, ALICE));
    relay.forward(fragment, pathOf(vl1, ALICE));
    const { relayed } = outcome(vl1);
    assert.equal(relayed.length, hops < 3 ? 2 : 0);
    if (hops < 3) {
      assert.deepEqual([hopsOf(relayed[0].bytes), relayed[1].bytes[15]], [hops + 1, hops + 1]);
    }
  }
  assert.equal(vl1.counters.drops.get("hops"), 4);
});

Deno.test("Relay.forward() carries nothing for strangers", () => {
  const { vl1, relay } = root();
  relay.forward(packet(CAROL, BOB), vl1.paths.get(1, endpoint("44.9.9.9/1")));
  assert.equal(outcome(vl1).relayed.length, 0);
  assert.equal(vl1.counters.drops.get("not-for-us"), 1);
});

Deno.test("Relay.forward() on a leaf carries only what came by a trusted path", () => {
  const vl1 = vl1Of(CAROL);
  for (const identity of [ALICE, BOB]) peerWithPath(vl1, identity);
  const relay = new Relay(vl1);
  relay.forward(packet(ALICE, BOB), pathOf(vl1, ALICE));
  assert.equal(actionsOf(vl1.outbox).length, 0);
  pathOf(vl1, ALICE).lastTrustedMs = vl1.nowMs;
  relay.forward(packet(ALICE, BOB), pathOf(vl1, ALICE));
  assert.ok(actionsOf(vl1.outbox).length > 0);
});

Deno.test("Relay.forward() sends on to another root what it cannot reach, but never back to it", () => {
  const vl1 = vl1Of(ROOT, { planet: planetOf([ROOT, ROOT2]) });
  for (const identity of [ALICE, ROOT2]) peerWithPath(vl1, identity);
  const relay = new Relay(vl1);
  relay.forward(packet(ALICE, BOB), pathOf(vl1, ALICE));
  const { relayed, letters } = outcome(vl1);
  assert.equal(formatEndpoint(relayed[0].to), formatEndpoint(WHERE.get(ROOT2.address)!));
  assert.deepEqual(letters, [], "it is not the other root that Alice wants to meet");
  relay.forward(packet(ROOT2, BOB), pathOf(vl1, ROOT2));
  assert.equal(outcome(vl1).relayed.length, 0);
  assert.equal(vl1.counters.drops.get("no-route"), 1);
});

Deno.test("Relay.forward() leaves a client that went silent for another root", () => {
  const vl1 = vl1Of(ROOT, { planet: planetOf([ROOT, ROOT2]) });
  for (const identity of [ALICE, BOB, ROOT2]) peerWithPath(vl1, identity);
  const relay = new Relay(vl1);
  relay.forward(packet(ALICE, BOB), pathOf(vl1, ALICE));
  const bob = vl1.peers.get(BOB.address)!;
  assert.equal(bob.paths[0].quietSinceMs, vl1.nowMs, "what is relayed asks for a sign of life");
  assert.ok(vl1.timers.dueMs(bob) <= vl1.nowMs + 1_000);
  bob.paths[0].probesLost = 1;
  outcome(vl1);
  relay.forward(packet(ALICE, BOB), pathOf(vl1, ALICE));
  assert.equal(
    formatEndpoint(outcome(vl1).relayed[0].to),
    formatEndpoint(WHERE.get(ROOT2.address)!),
  );
});

Deno.test("Relay introduces the two ends to each other once in 30 s", () => {
  const { vl1, relay } = root();
  const send = () => relay.forward(packet(ALICE, BOB), pathOf(vl1, ALICE));
  send();
  const letters = outcome(vl1).letters.map((letter) => {
    assert.equal(letter.verb, Verb.RENDEZVOUS);
    const { peer, endpoint } = decodeRendezvous(letter.payload)!;
    return `${formatAddress(letter.destination)}: ${formatAddress(peer)} ${
      formatEndpoint(endpoint)
    }`;
  });
  assert.deepEqual(letters.sort(), [
    `${formatAddress(ALICE.address)}: ${formatAddress(BOB.address)} 44.0.0.4/9993`,
    `${formatAddress(BOB.address)}: ${formatAddress(ALICE.address)} 44.0.0.3/9993`,
  ]);
  vl1.time.nowMs += 29_999;
  send();
  relay.forward(packet(BOB, ALICE), pathOf(vl1, BOB));
  assert.equal(outcome(vl1).letters.length, 0, "whichever way it goes");
  vl1.time.nowMs += 1;
  send();
  assert.equal(outcome(vl1).letters.length, 2);
});

Deno.test("Relay introduces by paths of one family and scope, never by suspect ones", () => {
  const { vl1, relay } = root();
  const bob = vl1.peers.get(BOB.address)!;
  bob.paths[0].probesLost = 1;
  relay.introduce(vl1.peers.get(ALICE.address)!, bob);
  assert.equal(outcome(vl1).letters.length, 0);
  vl1.sockets.push({ id: 2, ip: parseIp("::")!, port: 9993 });
  const v6 = vl1.paths.get(2, endpoint("2600::4/9993"));
  bob.learn(v6, vl1.nowMs);
  relay.introduce(vl1.peers.get(ALICE.address)!, bob);
  assert.equal(outcome(vl1).letters.length, 0, "Alice has IPv4 only");
  vl1.peers.get(ALICE.address)!.learn(vl1.paths.get(2, endpoint("2600::3/9993")), vl1.nowMs);
  relay.introduce(vl1.peers.get(ALICE.address)!, bob);
  assert.deepEqual(
    outcome(vl1).letters.map(({ payload }) => formatEndpoint(decodeRendezvous(payload)!.endpoint))
      .sort(),
    ["2600::3/9993", "2600::4/9993"],
  );
});

Deno.test("Relay carries 256 MiB a second for one source at most", () => {
  const { vl1, relay } = root();
  const bytes = packet(ALICE, BOB, 10_000);
  const budget = 256 * 1024 * 1024;
  for (let sent = 0; sent < budget + 100_000; sent += bytes.length) {
    relay.forward(bytes, pathOf(vl1, ALICE));
    actionsOf(vl1.outbox);
  }
  assert.ok(vl1.counters.relayedBytes <= budget);
  assert.ok(vl1.counters.drops.get("rate")! > 0);
  const before = vl1.counters.relayedPackets;
  relay.forward(packet(BOB, ALICE), pathOf(vl1, BOB));
  assert.equal(vl1.counters.relayedPackets, before + 1, "another source has a budget of its own");
});

Deno.test("Relay carries for one source what the setting says, and for an IPv6 /64 as for one source", () => {
  const { vl1, relay } = root();
  vl1.settings.relayBytesPerSecond = 1_000;
  const from = (at: string) => {
    const path = vl1.paths.get(2, endpoint(at));
    relay.forward(packet(ALICE, BOB, 600), path);
    return actionsOf(vl1.outbox).length > 0;
  };
  assert.ok(from("2600::1/1"));
  assert.ok(!from("2600::2/2"), "the same site");
  assert.ok(from("2600:0:0:1::1/1"), "another one");
});
