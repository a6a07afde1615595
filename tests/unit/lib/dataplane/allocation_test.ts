import { ok } from "node:assert/strict";
import { type Address, macOf } from "../../../../lib/base/ids.ts";
import { RuleType } from "../../../../lib/credential/rule_codec.ts";
import type { Rule } from "../../../../lib/credential/rule_codec.ts";
import { ARENA_PAGES, RUNS_AT, TAP_IN_AT, UDP_IN_AT } from "../../../../lib/dataplane/arena.ts";
import { pathTag } from "../../../../lib/dataplane/path_tag.ts";
import { Plane } from "../../../../lib/dataplane/plane.ts";
import { statsMemory } from "../../../../lib/dataplane/stats.ts";
import { FLOW_GROUPS } from "../../../../lib/peer/bond_flows.ts";
import { BondMode } from "../../../../lib/peer/bond_policy.ts";
import { packetIdState, randomIdBlock } from "../../../../lib/node/packet_ids.ts";
import { noise } from "../kernel/arena.ts";
import { makeFrame, NO_VNET, withVnet } from "../kernel/frames.ts";
import {
  ACCEPT,
  addressed,
  ALICE,
  BOB,
  CAROL,
  dictionary,
  DROP,
  keyOf,
  NETWORK,
  noCredentials,
  PORT,
} from "./rig.ts";

const PACKETS = 100_000;
const BATCH = 8;
const STRETCH = 4_000;
/** The smallest thing V8 allocates has 16 bytes: a packet that made one would show as 16 or more. */
const BYTES_MAX = 2;

/** A plane whose output is only counted. */
function quietPlane(
  self: Address,
  other: Address,
  vnet: number,
  rules: readonly Rule[],
  aesFrom = 0,
) {
  const memory = new WebAssembly.Memory({ initial: ARENA_PAGES, maximum: ARENA_PAGES });
  const counts = { runs: 0, frames: 0, relayed: 0 };
  const escaped = () => {
    throw new Error("nothing of this may escape");
  };
  const plane = new Plane({
    memory,
    self,
    ids: packetIdState(randomIdBlock((bytes) => bytes.set(noise(24, 1)))),
    random: () => 0,
    escape: { sealed: escaped, opened: escaped, frame: escaped },
    output: {
      datagrams: (count) => counts.runs += count,
      frames: (count) => counts.frames += count,
      relayed: () => counts.relayed++,
    },
    stats: new Float64Array(statsMemory()),
  });
  plane.setPort(PORT, vnet);
  const key = keyOf(self, other);
  const aes = aesFrom > 0 ? { k0: key, k1: key, from: aesFrom } : undefined;
  plane.apply({ kind: "session", slot: 0, address: other, key, aes });
  const route = { socket: 3, ip: Uint8Array.of(10, 0, 0, 1), port: 9993, mtu: 1_432 };
  plane.apply({ kind: "route", session: 0, route });
  const mac = macOf(self, NETWORK);
  const config = dictionary(rules);
  plane.apply({ kind: "network", slot: 0, id: NETWORK, port: PORT, mac, config });
  const member = { slot: 0, network: 0, session: 0, admitted: true, credentials: noCredentials() };
  plane.apply({ kind: "member", ...member });
  return { plane, counts, bytes: new Uint8Array(memory.buffer), memory };
}

/**
 * Bytes of heap a packet costs: measured over short stretches, each of which ends before the
 * garbage of one object a packet would fill the young generation; the median leaves out those in
 * which something was collected.
 */
function bytesPerPacket(run: (packets: number) => void): number {
  run(PACKETS); // warm
  const costs: number[] = [];
  for (let done = 0; done < PACKETS; done += STRETCH) {
    const before = Deno.memoryUsage().heapUsed;
    run(STRETCH);
    costs.push((Deno.memoryUsage().heapUsed - before) / STRETCH);
  }
  return costs.sort((a, b) => a - b)[costs.length >> 1];
}

const portRule = (port: number) =>
  ({
    type: RuleType.MATCH_IP_DEST_PORT_RANGE,
    kind: "range",
    not: false,
    or: false,
    start: port,
    end: port,
  }) as unknown as Rule;

for (
  const [name, rules, aesFrom] of [
    ["rules that let all pass", [ACCEPT], 0],
    ["AES-GMAC-SIV", [ACCEPT], 1],
    ["rules that look at ports", [portRule(1), DROP, portRule(2), DROP, ACCEPT], 0],
  ] as const
) {
  for (const vnet of [0, 10]) {
    const what = `with ${name} and ${vnet} bytes of virtio header`;
    const alice = quietPlane(ALICE, BOB, vnet, rules, aesFrom);
    const bob = quietPlane(BOB, ALICE, vnet, rules, aesFrom);
    const plain = addressed(makeFrame({ body: noise(100, 1) }), ALICE, BOB);
    const frame = vnet > 0 ? withVnet(plain, NO_VNET) : plain;
    alice.bytes.set(frame, TAP_IN_AT);

    Deno.test(`Plane.fromTap() allocates nothing over ${PACKETS} frames, ${what}`, () => {
      const cost = bytesPerPacket((packets) => {
        for (let i = 0; i < packets; i += BATCH) {
          alice.plane.beginTap(i);
          for (let k = 0; k < BATCH; k++) alice.plane.fromTap(TAP_IN_AT, frame.length, PORT);
          alice.plane.endTap();
        }
      });
      ok(alice.counts.runs >= PACKETS / BATCH);
      ok(cost < BYTES_MAX, `${cost} bytes a frame`);
    });

    Deno.test(`Plane.fromUdp() allocates nothing over ${PACKETS} datagrams, ${what}`, () => {
      const view = new DataView(alice.memory.buffer);
      /** Puts one more packet where Bob receives, as no packet comes twice. @returns its length */
      const next = () => {
        alice.plane.beginTap(1);
        alice.plane.fromTap(TAP_IN_AT, frame.length, PORT);
        alice.plane.endTap();
        const from = view.getUint32(RUNS_AT, true);
        const length = view.getUint32(RUNS_AT + 8, true);
        for (let i = 0; i < length; i++) bob.bytes[UDP_IN_AT + i] = alice.bytes[from + i];
        return length;
      };
      const ip = Uint8Array.of(10, 0, 0, 1);
      const tag = pathTag(3, ip, 0, 4, 9993);
      const source = { socketId: 3, ip, ipAt: 0, ipLength: 4, port: 9993, tag };
      const cost = bytesPerPacket((packets) => {
        for (let i = 0; i < packets; i += BATCH) {
          bob.plane.beginUdp(i);
          for (let k = 0; k < BATCH; k++) {
            const length = next();
            bob.plane.fromUdp(UDP_IN_AT, length, length, source);
          }
          bob.plane.endUdp();
        }
      });
      ok(bob.counts.frames >= PACKETS / BATCH);
      ok(cost < BYTES_MAX, `${cost} bytes a datagram`);
    });
  }
}

for (const mode of Object.values(BondMode)) {
  Deno.test(`Plane.fromTap() allocates nothing over ${PACKETS} frames of a bond of mode ${mode}`, () => {
    const alice = quietPlane(ALICE, BOB, 0, [ACCEPT]);
    const ip = Uint8Array.of(10, 0, 0, 1);
    const routes = [3, 4].map((socket) => ({ socket, ip, port: 9993, mtu: 1_432 }));
    const groups = new Uint8Array(FLOW_GROUPS).map((_, group) => group % 2);
    const bond = { mode, packetsPerLink: 64, routes, groups };
    alice.plane.apply({ kind: "bond", session: 0, bond });
    const frame = addressed(makeFrame({ body: noise(100, 1) }), ALICE, BOB);
    alice.bytes.set(frame, TAP_IN_AT);
    const cost = bytesPerPacket((packets) => {
      for (let i = 0; i < packets; i += BATCH) {
        alice.plane.beginTap(i);
        for (let k = 0; k < BATCH; k++) alice.plane.fromTap(TAP_IN_AT, frame.length, PORT);
        alice.plane.endTap();
      }
    });
    ok(alice.counts.runs >= PACKETS / BATCH);
    ok(cost < BYTES_MAX, `${cost} bytes a frame`);
  });
}

Deno.test(`Plane.fromUdp() allocates nothing over ${PACKETS} datagrams of others it passes on`, () => {
  const root = quietPlane(CAROL, BOB, 0, [ACCEPT]);
  const ip = Uint8Array.of(10, 0, 0, 1);
  const route = { socket: 3, ip, port: 9993, mtu: 1_432 };
  const from = { socket: 3, ip, port: 9993 };
  const ends = { source: ALICE, destination: BOB, budget: 0, bytesPerSecond: 1e12 };
  root.plane.apply({ kind: "relay", flow: { slot: 0, from, route, ...ends } });
  const alice = quietPlane(ALICE, BOB, 0, [ACCEPT]);
  const frame = addressed(makeFrame({ body: noise(100, 1) }), ALICE, BOB);
  alice.bytes.set(frame, TAP_IN_AT);
  alice.plane.beginTap(1);
  alice.plane.fromTap(TAP_IN_AT, frame.length, PORT);
  alice.plane.endTap();
  const view = new DataView(alice.memory.buffer);
  const at = view.getUint32(RUNS_AT, true);
  const sealed = alice.bytes.slice(at, at + view.getUint32(RUNS_AT + 8, true));
  const tag = pathTag(3, ip, 0, 4, 9993);
  const source = { socketId: 3, ip, ipAt: 0, ipLength: 4, port: 9993, tag };
  const cost = bytesPerPacket((packets) => {
    for (let i = 0; i < packets; i += BATCH) {
      root.plane.beginUdp(i);
      for (let k = 0; k < BATCH; k++) {
        root.bytes.set(sealed, UDP_IN_AT); // its hops are counted in place
        root.plane.fromUdp(UDP_IN_AT, sealed.length, sealed.length, source);
      }
      root.plane.endUdp();
    }
  });
  ok(root.counts.relayed >= PACKETS);
  ok(cost < BYTES_MAX, `${cost} bytes a datagram`);
});
