/**
 * How much a path carries, asked of somebody who takes one ECHO by a path in 166 ms, as the
 * reference does, and who is busy at times.
 * @module
 */
import assert from "node:assert/strict";
import type { Address } from "../../lib/base/ids.ts";
import type { Path } from "../../lib/peer/path.ts";
import { Armor } from "../../lib/wire/armor.ts";
import { DEFAULT_PHYSICAL_MTU, sourceOf, Verb, verbOf } from "../../lib/wire/packet.ts";
import type { SimHost } from "./host.ts";
import { connect, goDirect, lab, Pinger } from "./lab.ts";
import { measured, simTest } from "./scenario.ts";
import type { World } from "./world.ts";

const SEEDS = [1, 2, 3];
const REFERENCE_ECHO_GATE_MS = 166;
const TUNNEL_MTU = 1_392; // UDP payload: what WireGuard and its like leave
const SAFE_MTU = 1_232; // what every path carries

/** Gives one host the reference's way with ECHOs, and pauses in which what arrives has to wait. */
class BusyReference {
  readonly #armor: Armor;
  readonly #takenMs = new Map<Address, number>(); // each asks by one path
  #busyUntilMs = -Infinity;

  constructor(readonly world: World, readonly host: SimHost) {
    this.#armor = new Armor(world.kernel);
    world.filter(({ from, bytes }, to) => {
      if (to !== host) return false;
      if (world.nowMs >= this.#busyUntilMs) return this.#isGated(bytes);
      const [{ id: socket }] = host.node.vl1.sockets;
      world.after(this.#busyUntilMs - world.nowMs, () => {
        if (!this.#isGated(bytes)) host.hand({ kind: "datagram", socket, from, bytes });
      });
      return true;
    });
  }

  pause(durationMs: number): void {
    this.#busyUntilMs = this.world.nowMs + durationMs;
  }

  #isGated(bytes: Uint8Array): boolean {
    const opened = bytes.slice();
    const source = sourceOf(opened);
    const peer = this.host.node.vl1.peers.get(source);
    if (!peer || !this.#armor.open(opened, peer.keys) || verbOf(opened) !== Verb.ECHO) return false;
    const takenMs = this.#takenMs.get(source) ?? -Infinity;
    if (this.world.nowMs < takenMs + REFERENCE_ECHO_GATE_MS) return true;
    this.#takenMs.set(source, this.world.nowMs);
    return false;
  }
}

/** Two members that talk directly. */
function pair(world: World): [SimHost, SimHost] {
  const { nodes: [a, b] } = lab(world, [{}, {}]);
  connect(world, a, b);
  goDirect(world, a, b);
  return [a, b];
}

function bestPath(a: SimHost, b: SimHost): Path {
  const path = a.node.vl1.peers.get(b.address)!.best(a.node.vl1.nowMs)?.path;
  assert(path, `${a.name} reaches ${b.name}`);
  return path;
}

/** A way to the Internet that is narrow somewhere: what is longer vanishes. Pings and all else are shorter. */
class NarrowWay {
  questions = 0;

  /** @param mtu UDP payload in bytes */
  constructor(world: World, readonly host: SimHost, public mtu: number) {
    world.filter(({ origin, bytes }) => {
      if (origin !== host) return false;
      if (bytes.length >= SAFE_MTU) this.questions++;
      return bytes.length > this.mtu;
    });
  }
}

/** Asks by ECHO whether a path still works: as whenever something makes a node doubt it. */
function askedOtherwise(a: SimHost, b: SimHost): void {
  a.hand({ kind: "timeout" });
  a.node.contact.probe(a.node.vl1.peers.get(b.address)!, bestPath(a, b));
  a.hand({ kind: "timeout" });
}

simTest(
  "a path is not taken to carry less because other ECHOs take the turns of its questions",
  { seeds: SEEDS },
  (world) => {
    const [a, b] = pair(world);
    const reference = new BusyReference(world, b);
    const pinger = new Pinger(world, a, b);
    const mtus = new Set<number>();
    // Ten questions a minute apart, which fall on any time between two other ECHOs.
    for (const endMs = world.nowMs + 600_000; world.nowMs < endMs;) {
      reference.pause(250);
      askedOtherwise(a, b);
      world.run(500);
      mtus.add(bestPath(a, b).mtu);
    }
    pinger.stop();
    assert.deepEqual([...mtus], [DEFAULT_PHYSICAL_MTU]);
  },
);

simTest("a path that carries no more than IPv6 guarantees is found out at once", {
  seeds: SEEDS,
}, (world) => {
  const { nodes: [a, b] } = lab(world, [{}, {}]);
  new NarrowWay(world, a, SAFE_MTU);
  const pinger = new Pinger(world, a, b);
  goDirect(world, a, b);
  const isFound = () => bestPath(a, b).mtu === SAFE_MTU;
  const foundMs = world.runUntil(isFound, { withinMs: 500, what: "a learns it" });
  measured("a path is known until long datagrams are known to vanish", foundMs, "ms");
  for (const endMs = world.nowMs + 60_000; world.nowMs < endMs; world.run(100)) {
    assert.ok(isFound(), `at ${world.nowMs} ms`);
  }
  pinger.stop();
});

simTest("a path that carries less from now on is found out by the first question", {
  seeds: SEEDS,
}, (world) => {
  const [a, b] = pair(world);
  const pinger = new Pinger(world, a, b);
  world.run(1_000);
  assert.equal(bestPath(a, b).mtu, DEFAULT_PHYSICAL_MTU);
  const way = new NarrowWay(world, a, SAFE_MTU);
  world.runUntil(() => way.questions > 0, { withinMs: 70_000, what: "the question comes" });
  world.runUntil(() => bestPath(a, b).mtu === SAFE_MTU, { withinMs: 210, what: "a learns it" });
  pinger.stop();
});

simTest("a path that carries less is asked for more ever more rarely, and what it asks is little", {
  seeds: SEEDS,
}, (world) => {
  const { nodes: [a, b] } = lab(world, [{}, {}]);
  const way = new NarrowWay(world, a, TUNNEL_MTU);
  const pinger = new Pinger(world, a, b, 1_000);
  goDirect(world, a, b);
  world.run(2_000);
  const inMinutes = (minutes: number) => {
    way.questions = 0;
    for (const endMs = world.nowMs + minutes * 60_000; world.nowMs < endMs; world.run(500)) {
      assert.equal(bestPath(a, b).mtu, TUNNEL_MTU, `at ${world.nowMs} ms`);
    }
    return way.questions;
  };
  const [first, later] = [inMinutes(20), inMinutes(60)];
  // Every widening asks three times for more and once for what there is; so does every minute, once.
  assert.ok(first <= 10 * 4 + 20, `${first}`);
  assert.ok(later <= 7 * 4 + 60, `${later}`);
  way.mtu = DEFAULT_PHYSICAL_MTU;
  world.runUntil(() => bestPath(a, b).mtu === DEFAULT_PHYSICAL_MTU, {
    withinMs: 610_000,
    what: "what the path carries now is found out",
  });
  pinger.stop();
});

simTest("a path whose questions were lost for a moment carries as much as before soon after", {
  seeds: SEEDS,
}, (world) => {
  const [a, b] = pair(world);
  const pinger = new Pinger(world, a, b);
  world.run(1_000);
  const way = new NarrowWay(world, a, TUNNEL_MTU);
  world.runUntil(() => bestPath(a, b).mtu === TUNNEL_MTU, {
    withinMs: 70_000,
    what: "three questions in a row are lost",
  });
  way.mtu = DEFAULT_PHYSICAL_MTU;
  const againMs = world.runUntil(() => bestPath(a, b).mtu === DEFAULT_PHYSICAL_MTU, {
    withinMs: 10_000,
    what: "the path is asked again",
  });
  measured("a path is used with short datagrams for no reason", againMs, "ms");
  pinger.stop();
});
