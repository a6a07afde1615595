/**
 * Direct paths through symmetric NATs: how often, how soon, and within which limits.
 * @module
 */
import assert from "node:assert/strict";
import { formatIp } from "../../lib/base/ip.ts";
import { DOOR_SOCKET_MIN } from "../../lib/peer/path.ts";
import type { SimHost } from "./host.ts";
import { goDirect, lab, Pinger, reaches } from "./lab.ts";
import { measured, rateTest, simTest } from "./scenario.ts";
import type { Place, World } from "./world.ts";

const SEEDS = [1, 2];
const TRIES = 50;
const ATTEMPT_MS = 15_000; // all probes are sent within 10.3 s of the first second
const ATTEMPT_EVERY_MS = 600_000;
const ATTEMPTS = 4; // one in 25 finds nothing: all of these in less than one run of 100,000
const ORDINARY_MAX = 64; // probes introductions and pushed addresses bring about in a minute

/** Two members that talk all the time. */
function pair(world: World, one: Place, other: Place): [SimHost, SimHost] {
  const { nodes: [a, b] } = lab(world, [{ place: one }, { place: other }], { isPrivate: false });
  new Pinger(world, a, b, 500);
  return [a, b];
}

/** How soon a pair goes direct; undefined when it does not in one attempt. */
function tryOnce(world: World, a: SimHost, b: SimHost): number | undefined {
  const sinceMs = world.nowMs;
  while (world.nowMs - sinceMs < ATTEMPT_MS) {
    world.run(50);
    if (a.isDirectTo(b) && b.isDirectTo(a)) return world.nowMs - sinceMs;
  }
  return undefined;
}

const RATES = [["sym", "pr", 0.9], ["seq", "pr", 0.95], ["sym", "dbl", 0.9]] as const;
for (const [one, other, wantedFraction] of RATES) {
  rateTest(
    `${one} and ${other} go direct in nearly every one of the first attempts`,
    { tries: TRIES, wantedFraction },
    (world) => tryOnce(world, ...pair(world, one, other)),
  );
}

rateTest("where only the root says how they look, both sides open ports and try them", {
  tries: TRIES,
  wantedFraction: 0.9,
}, (world) => {
  const root = world.addRoot({ controller: true });
  world.planet();
  world.run(100);
  const network = world.addNetwork(root, { private: false });
  const [a, b] = [world.addNode({ place: "sym" }), world.addNode({ place: "pr" })];
  world.run(500);
  world.joinAll(network, [a, b]);
  new Pinger(world, a, b, 500);
  return tryOnce(world, a, b);
});

simTest("one socket of those that opened ports stays, and serves as any", {
  seeds: SEEDS,
}, (world) => {
  const [a, b] = pair(world, "sym", "pr");
  goDirect(world, a, b, (ATTEMPTS - 1) * ATTEMPT_EVERY_MS + ATTEMPT_MS);
  world.run(1_000);
  // In one run of 70 what is found is a port that the ordinary socket had opened to b: then none stays.
  const isDoor = a.node.vl1.peers.get(b.address)!.paths[0].path.socket >= DOOR_SOCKET_MIN;
  assert.deepEqual(
    [a.socketsBeside, b.socketsBeside],
    [isDoor ? 1 : 0, 0],
    "the others are closed",
  );
  const pinger = new Pinger(world, b, a);
  const sinceMs = world.nowMs;
  world.run(200_000);
  assert.ok(a.isDirectTo(b) && b.isDirectTo(a), "it is kept alive");
  assert.equal(pinger.lossFraction(sinceMs), 0);
  a.connect(world.interfacesFor({ place: "pub" }));
  assert.equal(a.socketsBeside, 0, "its address is gone");
  goDirect(world, a, b);
});

for (const other of ["sym", "seq"] as const) {
  simTest(`sym and ${other} stay relayed, and nothing is tried`, { seeds: SEEDS }, (world) => {
    const [a, b] = pair(world, "sym", other);
    const probes = [probesOf(world, a), probesOf(world, b)];
    let socketsMax = 0;
    for (let i = 0; i < 60; i++) {
      world.run(1_000);
      socketsMax = Math.max(socketsMax, a.socketsBeside, b.socketsBeside);
    }
    assert.ok(!a.isDirectTo(b) && reaches(world, a, b));
    assert.equal(socketsMax, 0);
    for (const { length } of probes) assert.ok(length < 4 * ORDINARY_MAX, `${length} probes`);
  });
}

simTest("an attempt stays within the limits, and comes once in ten minutes", {
  seeds: SEEDS,
}, (world) => {
  const [a, b] = pair(world, "sym", "pr");
  const probes = [probesOf(world, a), probesOf(world, b)];
  // Nothing gets through: the two must not find each other.
  world.filter(({ origin }, to) => (origin === a && to === b) || (origin === b && to === a));
  let attempts = 0;
  let socketsMax = 0;
  for (const endMs = world.nowMs + 25 * 60_000; world.nowMs < endMs;) {
    const before = a.socketsBeside;
    world.run(250);
    if (before === 0 && a.socketsBeside > 0) attempts++;
    socketsMax = Math.max(socketsMax, a.socketsBeside);
  }
  assert.equal(attempts, 3, "at once, after ten minutes and after twenty");
  assert.equal(socketsMax, 256);
  assert.equal(a.socketsBeside, 0, "all are closed again");
  for (const [i, times] of probes.entries()) {
    const within = (fromMs: number, forMs: number) =>
      times.filter((atMs) => atMs >= fromMs && atMs < fromMs + forMs).length;
    const busiest = Math.max(...times.map((atMs) => within(atMs, 1_000)));
    const first = within(times[0], 60_000);
    measured(`${["opens", "tries"][i]}: probes in the first minute`, first, "");
    measured(`${["opens", "tries"][i]}: most in a second`, busiest, "");
    assert.ok(first <= 1_024 + ORDINARY_MAX && busiest <= 105 + ORDINARY_MAX);
  }
});

/** Times of what a node sends to addresses that are no root's or controller's, from now on. */
function probesOf(world: World, { node: { vl1 } }: SimHost): number[] {
  const times: number[] = [];
  const [root, controller] = world.hosts.map(({ interfaces: [card] }) => formatIp(card.ip));
  const send = vl1.datagram.bind(vl1);
  vl1.datagram = (path, bytes, how) => {
    const ip = formatIp(path.endpoint.ip);
    if (ip !== root && ip !== controller) times.push(world.nowMs);
    send(path, bytes, how);
  };
  return times;
}
