import assert from "node:assert/strict";
import type { Address } from "../../../../lib/base/ids.ts";
import type { TableRecord } from "../../../../lib/dataplane/table_records.ts";
import type { Identity } from "../../../../lib/identity/identity.ts";
import type { Vl1 } from "../../../../lib/node/vl1.ts";
import { Relay } from "../../../../lib/root/relay.ts";
import { buildPacket, Verb } from "../../../../lib/wire/packet.ts";
import {
  actionsOf,
  ALICE,
  BOB,
  endpoint,
  peerWithPath,
  planetOf,
  ROOT,
  ROOT2,
  vl1Of,
  WHERE,
} from "../node/harness.ts";

/** A root that knows Alice and Bob. */
class Scene {
  readonly vl1: Vl1;
  readonly relay: Relay;

  constructor(roots = [ROOT]) {
    this.vl1 = vl1Of(ROOT, { planet: planetOf(roots) });
    for (const identity of [ALICE, BOB]) peerWithPath(this.vl1, identity);
    this.relay = new Relay(this.vl1);
  }

  pathOf(identity: Identity) {
    return this.vl1.peers.get(identity.address)!.paths[0].path;
  }

  forward(count: number, from = ALICE, to = BOB, path = this.pathOf(from)): void {
    const header = {
      id: new Uint8Array(8),
      destination: to.address,
      source: from.address,
      verb: Verb.FRAME,
    };
    for (let i = 0; i < count; i++) {
      this.relay.forward(buildPacket(header, new Uint8Array(50)), path);
    }
  }

  /** As many as make a flow, from Alice to Bob, by a path of hers that was proved. */
  forwardFrom(where: string): void {
    const path = this.vl1.paths.get(1, endpoint(where));
    this.vl1.paths.keep(path);
    this.forward(8, ALICE, BOB, path);
    actionsOf(this.vl1.outbox);
  }

  /** What the data plane was told since last asked. */
  published(): TableRecord[] {
    return actionsOf(this.vl1.outbox).flatMap((action) =>
      action.kind === "publish" ? [action.record] : []
    );
  }

  kinds(): string[] {
    return this.published().map(({ kind }) => kind);
  }
}

/** A scene in which the flow from Alice to Bob is published, in slot 0. */
function published(): Scene {
  const scene = new Scene();
  scene.forward(8);
  scene.published();
  return scene;
}

Deno.test("a flow is published with its eighth datagram within a second, once", () => {
  const scene = new Scene();
  scene.forward(7);
  assert.deepEqual(scene.kinds(), []);
  scene.vl1.time.nowMs += 1_000;
  scene.forward(7);
  assert.deepEqual(scene.kinds(), []);
  scene.forward(2);
  const [record, ...more] = scene.published();
  assert.ok(record.kind === "relay" && more.length === 0);
  const { from, source, destination, route, budget, bytesPerSecond } = record.flow;
  assert.deepEqual({ ip: from.ip, port: from.port }, WHERE.get(ALICE.address));
  assert.deepEqual([source, destination], [ALICE.address, BOB.address]);
  assert.deepEqual({ ip: route.ip, port: route.port }, WHERE.get(BOB.address));
  assert.deepEqual([budget, bytesPerSecond], [0, scene.vl1.settings.relayBytesPerSecond]);
});

Deno.test("the flows of one physical source share a budget, others have their own", () => {
  const scene = published();
  peerWithPath(scene.vl1, ROOT2);
  scene.forward(8, ALICE, ROOT2);
  scene.forward(8, BOB, ALICE);
  const budgets = scene.published().map((record) =>
    record.kind === "relay" ? [record.flow.slot, record.flow.budget] : []
  );
  assert.deepEqual(budgets, [[1, 0], [2, 1]]);
});

Deno.test("only what the data plane can carry, of sources that proved their address, is published", () => {
  const scene = new Scene();
  scene.forward(20, ALICE, BOB, scene.vl1.paths.get(1, endpoint("44.9.9.9/1"))); // claims to be Alice
  assert.deepEqual(scene.kinds(), []);
  const leaf = new Scene([ROOT2]);
  leaf.pathOf(ALICE).lastTrustedMs = leaf.vl1.nowMs;
  leaf.forward(20);
  assert.deepEqual(leaf.kinds(), []);
});

Deno.test("reports count as relaying, start the wait for a sign of life, and introduce the two again after 30 s", () => {
  const scene = published();
  const bob = scene.vl1.peers.get(BOB.address)!;
  bob.paths[0].quietSinceMs = undefined;
  const before = scene.vl1.counters.relayedPackets;
  scene.vl1.time.nowMs += 29_999;
  const report = { flow: 0, packets: 1_000, bytes: 1_400_000 };
  scene.relay.reported(report);
  assert.equal(scene.vl1.counters.relayedPackets, before + 1_000);
  assert.ok(scene.vl1.counters.relayedBytes > 1_400_000);
  assert.equal(bob.paths[0].quietSinceMs, scene.vl1.nowMs);
  const letters = () => actionsOf(scene.vl1.outbox).filter(({ kind }) => kind === "send").length;
  assert.equal(letters(), 0);
  scene.vl1.time.nowMs += 1;
  scene.relay.reported(report);
  assert.equal(letters(), 2);
});

Deno.test("a flow goes where its receiver is now: another path, another root, or nowhere", () => {
  const scene = new Scene([ROOT, ROOT2]);
  peerWithPath(scene.vl1, ROOT2);
  scene.forward(8);
  scene.published();
  const bob = scene.vl1.peers.get(BOB.address)!;
  const moved = scene.vl1.paths.get(1, endpoint("44.0.7.7/9993"));
  bob.paths[0].probesLost = 1;
  bob.learn(moved, scene.vl1.nowMs);
  const ports = () =>
    scene.published().map((record) =>
      record.kind === "relay" ? record.flow.route.ip.join(".") : record.kind
    );
  scene.relay.reported({ flow: 0, packets: 1, bytes: 1 });
  assert.deepEqual(ports(), ["44.0.7.7"]);
  scene.vl1.peers.delete(BOB.address);
  scene.relay.flows.compare();
  assert.deepEqual(ports(), ["44.0.0.2"]);
  scene.vl1.peers.delete(ALICE.address); // forgotten: nobody we know sends this
  scene.relay.flows.compare();
  assert.deepEqual(ports(), ["no-relay"]);
  assert.equal(scene.relay.flows.size, 0);
});

Deno.test("RelayFlows.compareTo() looks at the flows to that address and at no others", () => {
  const scene = new Scene();
  scene.forward(8);
  scene.forward(8, BOB, ALICE);
  scene.published();
  for (const identity of [ALICE, BOB]) {
    const peer = scene.vl1.peers.get(identity.address)!;
    peer.paths[0].probesLost = 1;
    const moved = endpoint(`44.0.7.${peer.address % 250}/9993`);
    peer.learn(scene.vl1.paths.get(1, moved), scene.vl1.nowMs);
  }
  const { flows } = scene.relay;
  assert.ok(flows.leadTo(BOB.address) && !flows.leadTo(ROOT.address));
  flows.compareTo(ROOT.address);
  assert.deepEqual(scene.published(), []);
  flows.compareTo(BOB.address);
  const [record, ...others] = scene.published();
  assert.equal(others.length, 0);
  assert.ok(record.kind === "relay" && record.flow.destination === BOB.address);
  scene.vl1.peers.delete(BOB.address);
  flows.compareTo(BOB.address);
  assert.deepEqual(scene.kinds(), ["no-relay"]);
  assert.ok(!flows.leadTo(BOB.address));
});

Deno.test("a flow without a report for ten seconds is taken back; its slot rests before another has it", () => {
  const scene = published();
  scene.vl1.time.nowMs += 9_999;
  scene.relay.flows.compare();
  assert.deepEqual(scene.kinds(), []);
  scene.vl1.time.nowMs += 1;
  scene.relay.flows.compare();
  assert.deepEqual(scene.kinds(), ["no-relay"]);
  scene.relay.reported({ flow: 0, packets: 5, bytes: 5 }); // late
  const slots = () =>
    scene.published().flatMap((record) => record.kind === "relay" ? [record.flow.slot] : []);
  scene.forward(8, BOB, ALICE);
  assert.deepEqual(slots(), [1]);
  scene.vl1.time.nowMs += 15_000;
  scene.forward(8);
  assert.deepEqual(slots(), [0]);
});

Deno.test("there is an end to flows, and the rest is relayed here as before", () => {
  const scene = new Scene();
  for (let port = 1; port <= 4_200; port++) {
    scene.forwardFrom(`44.0.${port % 8}.3/${port}`);
  }
  assert.equal(scene.relay.flows.size, 4_096);
  assert.equal(scene.vl1.counters.relayedPackets, 4_200 * 8);
});

Deno.test("one site's flows leave places for others", () => {
  const scene = new Scene();
  for (let port = 1; port <= 4_200; port++) scene.forwardFrom(`44.0.0.3/${port}`);
  assert.equal(scene.relay.flows.size, 1_024);
  scene.forwardFrom("44.0.0.5/1");
  assert.equal(scene.relay.flows.size, 1_025);
  assert.equal(scene.vl1.counters.relayedPackets, 4_201 * 8);
});

Deno.test("a data plane that lost its tables is told of every flow again", () => {
  const scene = published();
  scene.forward(8, BOB, ALICE);
  scene.published();
  scene.relay.flows.republish();
  const flows = scene.published().map((record) => record.kind === "relay" && record.flow.source);
  assert.deepEqual(flows, [ALICE.address, BOB.address] as Address[]);
});
