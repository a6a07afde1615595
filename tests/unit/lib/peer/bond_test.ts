import assert from "node:assert/strict";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { Bond, type LinkPlace } from "../../../../lib/peer/bond.ts";
import { NO_FLOW } from "../../../../lib/peer/bond_flows.ts";
import {
  type BondLinkSettings,
  BondMode,
  type BondPolicy,
  bondPolicy,
  DEFAULT_LINK,
} from "../../../../lib/peer/bond_policy.ts";
import { Path } from "../../../../lib/peer/path.ts";
import { heard, markSuspect, Peer, type PeerPath } from "../../../../lib/peer/peer.ts";
import { ALICE, BOB, endpoint } from "../node/harness.ts";

/**
 * A bond over sockets 1, 2, ... on eth1, eth2, ..., each with one path; socket 0 is on eth1 too,
 * and leads the same way as 1.
 */
class Rig {
  readonly peer = Peer.meet(noblePrimitives, ALICE, BOB, 0)!;
  readonly paths: PeerPath[] = [];
  readonly bond: Bond;
  nowMs = 0;

  constructor(mode: BondMode, readonly count = 2, policy: Partial<BondPolicy> = {}) {
    for (let i = 1; i <= count; i++) this.add(i);
    const place = (path: Path) => this.place(path);
    this.bond = new Bond(bondPolicy(mode, policy), this.peer.paths, place, 0);
  }

  place({ socket, endpoint: { ip } }: Path): LinkPlace {
    return { device: `eth${socket || 1}`, way: `${socket || 1}|${ip}`, mtu: undefined };
  }

  add(socket: number, at = `44.0.0.${socket}/9993`): PeerPath {
    const path = new Path(socket, endpoint(at));
    path.addLatency(10);
    const learned = this.peer.learn(path, this.nowMs)!;
    this.paths.push(learned);
    return learned;
  }

  /** Time passes; all but the silent are heard. */
  pass(ms: number, ...silent: PeerPath[]): this {
    const endMs = this.nowMs + ms;
    while (this.nowMs < endMs) {
      this.nowMs = Math.min(endMs, this.nowMs + 500);
      for (const path of this.peer.paths) if (!silent.includes(path)) heard(path, this.nowMs);
      this.bond.update(this.nowMs);
    }
    return this;
  }

  fail(path: PeerPath): void {
    markSuspect(path);
  }

  pick(flow: number | undefined = NO_FLOW): PeerPath | undefined {
    return this.bond.pick(flow, this.nowMs);
  }

  /** How often each path is picked. */
  picks(count: number, flow: (i: number) => number): number[] {
    const picked = Array.from({ length: count }, (_, i) => this.pick(flow(i)));
    return this.paths.map((path) => picked.filter((one) => one === path).length);
  }

  get bonded(): PeerPath[] {
    return this.bond.inUse.map(({ path }) => path);
  }
}

const link = (changes: Partial<BondLinkSettings>): BondLinkSettings => ({
  ...DEFAULT_LINK,
  ...changes,
});
const links = (all: Record<string, Partial<BondLinkSettings>>) =>
  new Map(Object.entries(all).map(([name, changes]) => [name, link(changes)]));

Deno.test("active-backup stays with the first path until it fails, and goes on with the next at once", () => {
  const rig = new Rig(BondMode.ACTIVE_BACKUP, 3);
  const [a, b, c] = rig.paths;
  assert.deepEqual(rig.picks(4, () => 7), [4, 0, 0]);
  rig.fail(a);
  assert.equal(rig.pick(), b, "without waiting for anything");
  rig.fail(b);
  assert.equal(rig.pick(), c);
  rig.fail(c);
  assert.equal(rig.pick(), undefined, "then as without a bond");
  heard(a, 1);
  rig.bond.update(1);
  assert.equal(rig.pick(), a);
});

Deno.test("a path silent for the failover interval is dead, suspect or not", () => {
  const rig = new Rig(BondMode.ACTIVE_BACKUP, 2, { failoverIntervalMs: 2_000 });
  const [a, b] = rig.paths;
  rig.pass(1_999, a);
  assert.equal(rig.pick(), a);
  rig.pass(1, a);
  assert.equal(rig.pick(), b);
});

Deno.test("active-backup returns to a primary link when it is told to, and no sooner than 15 s after a change", () => {
  for (
    const [reselect, returns] of [
      ["always", true],
      ["better", true],
      ["optimize", true],
      ["failure", false],
    ] as const
  ) {
    const named = links({ eth1: { mode: "spare" }, eth2: { mode: "primary" } });
    const rig = new Rig(BondMode.ACTIVE_BACKUP, 2, { reselect, links: named });
    const [a, b] = rig.paths;
    assert.equal(rig.pick(), b, "the primary link first");
    rig.fail(b);
    assert.equal(rig.pick(), a);
    rig.pass(14_500);
    assert.equal(rig.pick(), a);
    rig.pass(1_000);
    assert.equal(rig.pick(), returns ? b : a, reselect);
  }
});

Deno.test("active-backup optimizes: a path that is better by a tenth of all quality takes over", () => {
  const rig = new Rig(BondMode.ACTIVE_BACKUP, 2);
  const [a, b] = rig.paths;
  const [slow, fast] = rig.bond.links;
  for (let i = 0; i < 8; i++) {
    slow.window.add(200);
    fast.window.add(10);
  }
  rig.pass(9_500);
  assert.equal(rig.pick(), a, "not estimated yet");
  rig.pass(10_000);
  assert.ok(fast.quality > slow.quality + 0.1, `${fast.quality} over ${slow.quality}`);
  assert.equal(rig.pick(), b);
  const alike = new Rig(BondMode.ACTIVE_BACKUP, 2);
  for (let i = 0; i < 8; i++) alike.bond.links[0].window.add(60);
  alike.pass(60_000);
  assert.equal(alike.pick(), alike.paths[0], "50 ms are not worth it");
});

Deno.test("active-backup hands over to the interface a link names", () => {
  const named = links({ eth1: { failoverTo: "eth3", mode: "primary" }, eth2: {}, eth3: {} });
  const rig = new Rig(BondMode.ACTIVE_BACKUP, 3, { links: named });
  assert.equal(rig.pick(), rig.paths[0]);
  rig.fail(rig.paths[0]);
  assert.equal(rig.pick(), rig.paths[2]);
});

Deno.test("Bond.rotate() goes on to the next path of an active-backup bond, of others to none", () => {
  const rig = new Rig(BondMode.ACTIVE_BACKUP, 2);
  assert.equal(rig.bond.rotate(0), true);
  assert.equal(rig.pick(), rig.paths[1]);
  rig.pass(5_000);
  assert.equal(rig.pick(), rig.paths[1], "and stays there");
  assert.equal(new Rig(BondMode.ACTIVE_BACKUP, 1).bond.rotate(0), false);
  assert.equal(new Rig(BondMode.BALANCE_RR, 2).bond.rotate(0), false);
});

Deno.test("broadcast uses all paths that are alive", () => {
  const rig = new Rig(BondMode.BROADCAST, 3);
  assert.deepEqual(rig.bonded, rig.paths);
  rig.fail(rig.paths[0]);
  assert.notEqual(rig.pick(), rig.paths[0]);
  assert.deepEqual(rig.bonded, rig.paths.slice(1));
});

Deno.test("balance-rr sends 64 packets by each path in turn, or as many as it is told", () => {
  const rig = new Rig(BondMode.BALANCE_RR, 2);
  assert.deepEqual(rig.picks(64, (i) => i), [64, 0]);
  assert.deepEqual(rig.picks(64, (i) => i), [0, 64]);
  const each = new Rig(BondMode.BALANCE_RR, 3, { packetsPerLink: 0 });
  assert.deepEqual(each.picks(300, (i) => i), [100, 100, 100]);
});

Deno.test("balance-xor keeps each flow on the path its number gives, and spreads what is of no flow", () => {
  const rig = new Rig(BondMode.BALANCE_XOR, 2);
  assert.deepEqual(rig.picks(100, () => 0x1235), [0, 100]);
  assert.deepEqual(rig.picks(1_000, (i) => i), [500, 500]);
  assert.deepEqual(rig.picks(100, () => NO_FLOW), [50, 50]);
});

Deno.test("balance-xor moves the flows of a path that fails, and no others", () => {
  const rig = new Rig(BondMode.BALANCE_XOR, 3);
  const before = Array.from({ length: 256 }, (_, flow) => rig.pick(flow));
  rig.fail(rig.paths[1]);
  for (const [flow, path] of before.entries()) {
    const now = rig.pick(flow);
    if (path === rig.paths[1]) assert.notEqual(now, path);
    else assert.equal(now, path);
  }
});

Deno.test("balance-aware gives paths flows as they have capacity, all the same where one has none named", () => {
  const capacities = { eth1: { capacity: 300 }, eth2: { capacity: 100 } };
  const rig = new Rig(BondMode.BALANCE_AWARE, 2, { links: links(capacities) });
  assert.deepEqual(rig.picks(256, (i) => i), [192, 64]);
  const unknown = links({ eth1: { capacity: 300 }, eth2: {} });
  assert.deepEqual(
    new Rig(BondMode.BALANCE_AWARE, 2, { links: unknown }).picks(256, (i) => i),
    [128, 128],
  );
});

Deno.test("balance-aware takes a few flows at a time off a path that is worse than it may be", () => {
  const rig = new Rig(BondMode.BALANCE_AWARE, 2);
  for (let i = 0; i < 8; i++) rig.bond.links[0].window.add(600);
  rig.pass(10_000);
  assert.deepEqual(rig.picks(256, (i) => i), [112, 144]);
  rig.pass(10_000);
  assert.deepEqual(rig.picks(256, (i) => i), [96, 160]);
  for (let i = 0; i < 64; i++) rig.bond.links[0].window.add(10);
  rig.pass(10_000);
  assert.deepEqual(rig.picks(256, (i) => i), [128, 128], "and gives them back");
});

Deno.test("a policy with links uses those interfaces only, and their families", () => {
  const rig = new Rig(BondMode.BROADCAST, 3, {
    links: links({ eth1: {}, eth2: { enabled: false }, eth3: { ipPreference: 6 } }),
  });
  assert.deepEqual(rig.bonded, [rig.paths[0]]);
  const [, second, third] = rig.bond.links;
  assert.deepEqual([second.isAllowed, third.isAllowed], [false, false]);
});

Deno.test("several ports between two addresses are one way, and stand in for each other", () => {
  const rig = new Rig(BondMode.BALANCE_RR, 2);
  const [a, b] = rig.paths;
  const spare = rig.add(0, "44.0.0.1/22402");
  rig.bond.update(0);
  assert.deepEqual(rig.bonded, [a, b]);
  rig.fail(a);
  rig.pick();
  assert.deepEqual(rig.bonded, [b, spare]);
});

Deno.test("an interface balances over one family, IPv4 unless it prefers IPv6", () => {
  for (const [ipPreference, family] of [[0, 4], [46, 4], [64, 16]] as const) {
    const named = links({ eth1: { ipPreference }, eth2: {} });
    const rig = new Rig(BondMode.BALANCE_XOR, 2, { links: named });
    rig.add(1, "2600::1/9993");
    rig.bond.update(0);
    const lengths = rig.bond.inUse.map(({ path: { path } }) => path.endpoint.ip.length);
    assert.deepEqual(lengths.sort(), [4, family].sort());
  }
});

Deno.test("a path that came back waits for upDelay, unless it is new; one that fails is used for downDelay", () => {
  const rig = new Rig(BondMode.BROADCAST, 2, { upDelayMs: 3_000, downDelayMs: 1_000 });
  const [a, b] = rig.paths;
  assert.deepEqual(rig.bonded, [a, b], "on trial");
  rig.pass(20_000);
  rig.fail(a);
  rig.bond.update(rig.nowMs);
  assert.deepEqual(rig.bonded, [a, b]);
  const failedMs = rig.nowMs;
  rig.nowMs += 1_000;
  rig.bond.update(rig.nowMs);
  assert.deepEqual(rig.bonded, [b]);
  rig.pass(2_500);
  assert.deepEqual(rig.bonded, [b], "alive, and waiting");
  rig.pass(1_500);
  assert.ok(rig.nowMs >= failedMs + 4_000);
  assert.deepEqual(rig.bonded, [a, b]);
});

Deno.test("what is no frame goes by one path, whatever the policy", () => {
  for (const mode of [BondMode.BALANCE_RR, BondMode.BALANCE_XOR, BondMode.BALANCE_AWARE]) {
    const rig = new Rig(mode, 3);
    const picked = new Set(Array.from({ length: 200 }, () => rig.bond.pick(undefined, 0)));
    assert.equal(picked.size, 1);
  }
});

Deno.test("Bond.revision grows when links or flows change, and not otherwise", () => {
  const rig = new Rig(BondMode.BALANCE_XOR, 2);
  const { revision } = rig.bond;
  rig.pass(5_000).picks(100, (i) => i);
  assert.equal(rig.bond.revision, revision);
  rig.fail(rig.paths[0]);
  rig.pick();
  assert.ok(rig.bond.revision > revision);
  const plan = rig.bond.plan();
  assert.deepEqual(plan.links.map(({ path }) => path), [rig.paths[1]]);
  assert.ok(plan.groups.every((index) => index === 0));
});

Deno.test("Bond.negotiate() heeds the peer where links are optimized and its word is greater", () => {
  const rig = new Rig(BondMode.ACTIVE_BACKUP, 2);
  const [a, b] = rig.paths;
  rig.bond.negotiate(b.path, -1, false, 0);
  assert.equal(rig.pick(), a, "less than ours");
  rig.bond.negotiate(b.path, 0, false, 0);
  assert.equal(rig.pick(), a, "equal, and our address is greater");
  rig.bond.negotiate(b.path, 0, true, 0);
  assert.equal(rig.pick(), b);
  const stubborn = new Rig(BondMode.ACTIVE_BACKUP, 2, { reselect: "failure" });
  stubborn.bond.negotiate(stubborn.paths[1].path, 100, true, 0);
  assert.equal(stubborn.pick(), stubborn.paths[0]);
});

Deno.test("Bond.takesQos() refuses more than 128 reports in quick succession", () => {
  const { bond } = new Rig(BondMode.BALANCE_RR, 2);
  let taken = 0;
  for (let i = 0; i < 300; i++) if (bond.takesQos(i)) taken++;
  assert.equal(taken, 128);
  assert.equal(bond.takesQos(10_000), true);
});
