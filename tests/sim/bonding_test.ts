/**
 * Bonds: two machines with two uplinks each, the policies, and what users feel when an uplink dies.
 * @module
 */
import assert from "node:assert/strict";
import { BondMode, type BondPolicy, bondPolicy } from "../../lib/peer/bond_policy.ts";
import { formatIp } from "../../lib/base/ip.ts";
import { Verb } from "../../lib/wire/packet.ts";
import type { Interface, SimHost } from "./host.ts";
import type { Datagram } from "./internet.ts";
import { connect, goDirect, lab, Pinger } from "./lab.ts";
import { measured, simTest } from "./scenario.ts";
import type { World } from "./world.ts";

const SEEDS = [1, 2];
const PING_BYTES = 900; // told apart from everything else by its size

interface Pair {
  readonly a: SimHost;
  readonly b: SimHost;
  /** Uplinks of each. */
  readonly uplinks: readonly [Interface[], Interface[]];
}

/** Two members with two uplinks each that talk directly. @param policies Of each; undefined for no bond */
function pair(world: World, policies: readonly (BondPolicy | undefined)[]): Pair {
  const { nodes: [a, b] } = lab(
    world,
    policies.map((policy) => ({
      settings: { bondPolicy: () => policy },
    })),
  );
  const uplinks = [a, b].map((host) => {
    const cards = [0, 1].map((i) => ({ ...world.interfacesFor()[0], device: `eth${i}` }));
    host.connect(cards);
    return cards;
  }) as [Interface[], Interface[]];
  world.run(2_000);
  connect(world, a, b);
  goDirect(world, a, b);
  return { a, b, uplinks };
}

const policy = (mode: BondMode, changes: Partial<BondPolicy> = {}) => bondPolicy(mode, changes);

const bondOf = (host: SimHost, to: SimHost) => host.node.vl1.peers.get(to.address)?.bond;

/** Waits until a bond uses that many paths. */
function bonded(world: World, host: SimHost, to: SimHost, links: number): void {
  world.runUntil(() => (bondOf(host, to)?.inUse.length ?? 0) >= links, {
    withinMs: 30_000,
    what: `${host.name} has ${links} bonded links to ${to.name}`,
  });
}

/** The uplink, of the sender, that carries what a host sends by its bond now. */
function activeUplink(host: SimHost, to: SimHost, uplinks: readonly Interface[]): Interface {
  const { path } = bondOf(host, to)!.inUse[0].path;
  const socket = host.node.vl1.sockets.find(({ id }) => id === path.socket)!;
  return uplinks.find(({ ip }) => formatIp(ip) === formatIp(socket.ip))!;
}

/** Counts the datagrams as long as pings that leave a host, by the address they leave from. */
function countBySource(world: World, host: SimHost): Map<string, number> {
  const counts = new Map<string, number>();
  world.filter(({ origin, from, bytes }: Datagram) => {
    if (origin === host && bytes.length > PING_BYTES && bytes.length < PING_BYTES + 64) {
      const key = formatIp(from.ip);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return false;
  });
  return counts;
}

simTest("active-backup: an uplink that dies silently costs less than a second", {
  seeds: [1, 2, 3, 4],
}, (world) => {
  const both = policy(BondMode.ACTIVE_BACKUP);
  const { a, b, uplinks } = pair(world, [both, both]);
  bonded(world, a, b, 2);
  bonded(world, b, a, 2);
  const pinger = new Pinger(world, a, b, 50);
  world.run(5_000);
  const active = activeUplink(a, b, uplinks[0]);
  active.link.lossFraction = 1;
  const sinceMs = world.nowMs;
  world.run(20_000);
  measured("active-backup: gap when the active uplink dies", pinger.gapMs(sinceMs), "ms");
  assert.ok(pinger.gapMs(sinceMs) < 1_000, `${pinger.gapMs(sinceMs)} ms`);
  assert.notEqual(activeUplink(a, b, uplinks[0]), active);
  active.link.lossFraction = 0;
  const healedMs = world.nowMs;
  world.runUntil(
    () =>
      bondOf(a, b)!.links.some(({ isEligible, device }) => isEligible && device === active.device),
    {
      withinMs: 20_000,
      what: "the uplink is in line again",
    },
  );
  world.run(20_000);
  assert.ok(pinger.gapMs(healedMs) < 1_000, "coming back costs nothing");
});

simTest(
  "active-backup: an uplink that is unplugged costs less than a second",
  { seeds: SEEDS },
  (world) => {
    const both = policy(BondMode.ACTIVE_BACKUP);
    const { a, b, uplinks } = pair(world, [both, both]);
    bonded(world, a, b, 2);
    const pinger = new Pinger(world, a, b, 50);
    world.run(5_000);
    const active = activeUplink(a, b, uplinks[0]);
    const sinceMs = world.nowMs;
    a.connect(uplinks[0].filter((card) => card !== active), 50);
    world.run(10_000);
    measured("active-backup: gap when the active uplink is unplugged", pinger.gapMs(sinceMs), "ms");
    assert.ok(pinger.gapMs(sinceMs) < 1_000, `${pinger.gapMs(sinceMs)} ms`);
  },
);

simTest("active-backup: a bond with a peer that has none works", { seeds: SEEDS }, (world) => {
  const { a, b, uplinks } = pair(world, [policy(BondMode.ACTIVE_BACKUP), undefined]);
  bonded(world, a, b, 2);
  assert.equal(bondOf(b, a), undefined);
  const pinger = new Pinger(world, a, b, 50);
  world.run(5_000);
  activeUplink(a, b, uplinks[0]).link.lossFraction = 1;
  const sinceMs = world.nowMs;
  world.run(20_000);
  measured("active-backup on one side: gap", pinger.gapMs(sinceMs), "ms");
  assert.ok(pinger.gapMs(sinceMs) < 1_000, "the other side sees where frames come from");
});

for (const mode of [BondMode.BALANCE_RR, BondMode.BALANCE_XOR, BondMode.BALANCE_AWARE]) {
  const name = policy(mode).name;
  simTest(
    `${name}: all uplinks carry their share, and one that dies is left`,
    { seeds: SEEDS },
    (world) => {
      const both = policy(mode, { packetsPerLink: 8 });
      const { a, b, uplinks } = pair(world, [both, both]);
      bonded(world, a, b, 2);
      bonded(world, b, a, 2);
      world.run(5_000);
      const counts = countBySource(world, a);
      const pinger = new Pinger(world, a, b, 20, PING_BYTES);
      world.run(20_000);
      const shares = uplinks[0].map(({ ip }) => counts.get(formatIp(ip)) ?? 0);
      const all = shares[0] + shares[1];
      assert.ok(all > 900, `${all} in all`);
      for (const share of shares) assert.ok(share > all * 0.4, `${shares} by uplink`);
      assert.equal(pinger.lossFraction(0), 0);
      uplinks[0][0].link.lossFraction = 1;
      const sinceMs = world.nowMs;
      world.run(20_000);
      measured(
        `${name}: pings lost while one of two uplinks dies`,
        pinger.lossFraction(sinceMs) * 100,
        "%",
      );
      assert.ok(pinger.lossFraction(sinceMs) < 0.05);
      assert.equal(pinger.lossFraction(sinceMs + 1_000), 0, "nothing is lost after a second");
    },
  );
}

simTest("broadcast: nothing is lost when an uplink dies, and nothing comes twice", {
  seeds: [1, 2, 3, 4],
}, (world) => {
  const both = policy(BondMode.BROADCAST);
  const { a, b, uplinks } = pair(world, [both, both]);
  bonded(world, a, b, 2);
  bonded(world, b, a, 2);
  world.run(5_000);
  const counts = countBySource(world, a);
  const stack = b.stack()!;
  const pinger = new Pinger(world, a, b, 20, PING_BYTES);
  const before = stack.answered;
  world.run(5_000);
  const sent = pinger.pings.length;
  assert.ok(stack.answered - before <= sent, "each frame once");
  assert.ok(
    (b.node.vl1.counters.drops.get("duplicate") ?? 0) >= sent * 0.9,
    "though each came twice",
  );
  for (const { ip } of uplinks[0]) assert.ok((counts.get(formatIp(ip)) ?? 0) >= sent * 0.9);
  const sinceMs = world.nowMs;
  uplinks[0][0].link.lossFraction = 1;
  world.run(20_000);
  assert.equal(pinger.lossFraction(sinceMs), 0);
});

simTest(
  "measurements are exchanged, and say what the links are like",
  { seeds: SEEDS },
  (world) => {
    const both = policy(BondMode.BALANCE_AWARE, { failoverIntervalMs: 1_500 });
    const { a, b, uplinks } = pair(world, [both, both]);
    uplinks[0][1].link.latencyMs = 45;
    bonded(world, a, b, 2);
    bonded(world, b, a, 2);
    new Pinger(world, a, b, 200);
    world.run(60_000);
    assert.ok(b.node.vl1.counters.received[Verb.QOS_MEASUREMENT] > 10);
    const latencyMs = (device: string) =>
      bondOf(a, b)!.inUse.find((link) => link.device === device)!.window.meanMs;
    measured("one-way latency measured over the near uplink", latencyMs("eth0"), "ms");
    measured("one-way latency measured over the far uplink", latencyMs("eth1"), "ms");
    assert.ok(Math.abs(latencyMs("eth0") - 10) < 4, `${latencyMs("eth0")} ms`);
    assert.ok(Math.abs(latencyMs("eth1") - 50) < 8, `${latencyMs("eth1")} ms`);
    const quality = (device: string) =>
      bondOf(a, b)!.inUse.find((link) => link.device === device)!.quality;
    assert.ok(quality("eth0") > quality("eth1"));
  },
);

simTest("roots are not bonded with, nor peers no policy is for", { seeds: SEEDS }, (world) => {
  const { a, b } = pair(world, [policy(BondMode.BROADCAST), undefined]);
  bonded(world, a, b, 2);
  for (const root of world.roots) assert.equal(bondOf(a, root), undefined);
  assert.equal(b.node.bonds.size, 0);
});

for (const mode of [BondMode.ACTIVE_BACKUP, BondMode.BALANCE_RR, BondMode.BROADCAST]) {
  simTest(`${policy(mode).name}: over links that lose 5 % nothing gets worse`, {
    seeds: SEEDS,
    link: { lossFraction: 0.025, jitterMs: 10 }, // of each of the two links crossed
  }, (world) => {
    const both = policy(mode);
    const { a, b } = pair(world, [both, both]);
    bonded(world, a, b, 2);
    bonded(world, b, a, 2);
    const pinger = new Pinger(world, a, b, 50);
    const sinceMs = world.nowMs;
    world.run(60_000);
    measured(`${both.name}: pings lost at 5 % loss`, pinger.lossFraction(sinceMs) * 100, "%");
    measured(`${both.name}: longest gap at 5 % loss`, pinger.gapMs(sinceMs), "ms");
    assert.ok(pinger.lossFraction(sinceMs) < (mode === BondMode.BROADCAST ? 0.03 : 0.15));
    assert.ok(pinger.gapMs(sinceMs) < 1_000);
  });
}
