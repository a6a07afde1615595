/**
 * The simulator itself: one seed gives one run, and what it promises of links and NATs holds.
 * @module
 */
import assert from "node:assert/strict";
import { Rng } from "./rng.ts";
import { EventQueue } from "./event_queue.ts";
import { IdSet } from "./id_set.ts";
import { connect, lab } from "./lab.ts";
import { NATS } from "./nat.ts";
import { datagramOf } from "./internet.ts";
import { World } from "./world.ts";

/** A world with some of everything. @returns the fingerprint of what happened */
function eventful(seed: number): string {
  const link = { lossFraction: 0.05, jitterMs: 20, reorderFraction: 0.1, duplicateFraction: 0.05 };
  const world = new World({ seed, link });
  const places = ["pub", "pr", "sym", "dbl"] as const;
  const { nodes } = lab(world, places.map((place) => ({ place })), { roots: 2 });
  connect(world, nodes[0], nodes[1], 30_000);
  connect(world, nodes[2], nodes[3], 30_000);
  world.roots[0].stop();
  nodes[1].connect(world.interfacesFor({ place: "eim" }), 100);
  world.run(20_000);
  assert.ok(world.trace.events > 500);
  return world.trace.hash;
}

Deno.test("one seed gives one run, byte for byte", () => {
  assert.equal(eventful(1), eventful(1));
});

Deno.test("another seed gives another run", () => {
  assert.notEqual(eventful(1), eventful(2));
});

Deno.test("Rng streams are even, and independent of each other's draws", () => {
  const counts = new Float64Array(16);
  const rng = new Rng("even");
  for (let i = 0; i < 160_000; i++) counts[rng.below(16)]++;
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 500);
  const fork = new Rng("x").fork("child");
  const parent = new Rng("x");
  parent.u32();
  assert.equal(parent.fork("child").u32(), fork.u32());
});

Deno.test("EventQueue.pop() gives events by time, then in the order they came", () => {
  const queue = new EventQueue();
  const rng = new Rng("queue");
  const seen: [number, number][] = [];
  for (let i = 0; i < 2_000; i++) {
    const atMs = rng.below(50);
    queue.push(atMs, () => seen.push([atMs, i]));
  }
  while (queue.size > 0) queue.pop()();
  const sorted = [...seen].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  assert.equal(seen.length, 2_000);
  assert.deepEqual(seen, sorted);
});

/** Two public endpoints, one host behind a NAT: which of three probes get in? */
function probe(kind: keyof typeof NATS): { ports: Set<number>; gotIn: string[] } {
  const world = new World({ seed: kind });
  const lan = world.addLan(NATS[kind]);
  const link = world.link();
  const inner = { ip: lan.next(), port: 5_000 };
  const gotIn: string[] = [];
  const ports = new Set<number>();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  lan.realm.attach(inner.ip, { link, receive: ({ bytes }) => gotIn.push(text(bytes)) });
  const remotes = [world.publicIp(), world.publicIp()];
  for (const ip of remotes) {
    world.internet.attach(ip, { link, receive: ({ from }) => ports.add(from.port) });
  }
  const send = (ip: Uint8Array, port: number) => {
    const datagram = datagramOf({ from: inner, to: { ip, port }, bytes: new Uint8Array(4) });
    lan.realm.send(datagram, { link, receive: () => {} });
    world.run(100);
  };
  send(remotes[0], 1);
  const outer = { ip: lan.nat.parts.outerIp, port: [...ports][0] };
  const reply = (ip: Uint8Array, port: number, name: string) => {
    world.inject({ from: { ip, port }, to: outer, bytes: new TextEncoder().encode(name) });
    world.run(100);
  };
  reply(remotes[0], 1, "same endpoint");
  reply(remotes[0], 2, "same address");
  reply(remotes[1], 1, "stranger");
  send(remotes[1], 1);
  world.run(NATS[kind].timeoutMs + 1);
  reply(remotes[0], 1, "too late");
  return { ports, gotIn };
}

Deno.test("Nat filters and maps as its kind says", () => {
  const everyone = ["same endpoint", "same address", "stranger"];
  assert.deepEqual(probe("eim"), { ports: new Set([5_000]), gotIn: everyone });
  assert.deepEqual(probe("ar"), { ports: new Set([5_000]), gotIn: everyone.slice(0, 2) });
  assert.deepEqual(probe("pr"), { ports: new Set([5_000]), gotIn: everyone.slice(0, 1) });
  assert.equal(probe("cgn").ports.size, 1);
  assert.equal(probe("sym").ports.size, 2);
  const [first, second] = probe("seq").ports;
  assert.equal(second, first + 1);
  assert.deepEqual(probe("sym").gotIn, everyone.slice(0, 1));
});

Deno.test("a short-lived packet opens our own NAT and dies before the other side's", () => {
  const world = new World({ seed: 1 });
  const lan = world.addLan(NATS.pr);
  const far = world.publicIp();
  const link = world.link();
  let arrived = 0;
  world.internet.attach(far, { link, receive: () => arrived++ });
  const from = { ip: lan.next(), port: 5_000 };
  for (const ttl of [2, 64]) {
    const datagram = datagramOf({ from, to: { ip: far, port: 1 }, bytes: new Uint8Array(4), ttl });
    lan.realm.send(datagram, { link, receive: () => {} });
    world.run(100);
    assert.equal(lan.nat.mappingCount, 1);
    assert.equal(arrived, ttl === 2 ? 0 : 1);
  }
});

Deno.test("IdSet.add() says whether an id is new, 0 and thousands of others", () => {
  const ids = new IdSet();
  const known = new Set<bigint>();
  const rng = new Rng("ids");
  for (let i = 0; i < 5_000; i++) {
    const id = BigInt(rng.below(100)) << 32n | BigInt(rng.below(100));
    assert.equal(ids.add(id), !known.has(id));
    known.add(id);
  }
  assert.equal(ids.size, known.size);
});
