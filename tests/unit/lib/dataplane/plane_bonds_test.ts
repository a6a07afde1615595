import { deepEqual, equal, ok } from "node:assert/strict";
import { SESSIONS_MAX } from "../../../../lib/dataplane/arena.ts";
import { Stat } from "../../../../lib/dataplane/stats.ts";
import { FLOW_GROUPS } from "../../../../lib/peer/bond_flows.ts";
import { pathTag } from "../../../../lib/dataplane/path_tag.ts";
import { BondMode } from "../../../../lib/peer/bond_policy.ts";
import { noise } from "../kernel/arena.ts";
import { makeFrame } from "../kernel/frames.ts";
import { addressed, ALICE, Bench, BOB, CAROL, datagrams, pair } from "./rig.ts";

const route = (n: number, mtu = 1_432) => ({
  socket: n,
  ip: Uint8Array.of(10, 0, n, 1),
  port: 9993,
  mtu,
});
const alternating = Uint8Array.from({ length: FLOW_GROUPS }, (_, group) => group % 2);

/** Alice bonded with Bob over sockets 1 and 2. */
function bonded(mode: BondMode, { packetsPerLink = 64, mtus = [1_432, 1_432] } = {}) {
  const [alice, bob] = pair();
  const routes = mtus.map((mtu, i) => route(i + 1, mtu));
  alice.apply({
    kind: "bond",
    session: 0,
    bond: { mode, packetsPerLink, routes, groups: alternating },
  });
  return { alice, bob };
}

/** A UDP frame of that flow's number, or of one with the last bit set. */
function frameOf(flow: number, length = 100, seed = 1): Uint8Array {
  const frame = addressed(makeFrame({ body: noise(length, seed) }), ALICE, BOB);
  const ports = 14 + (frame[14] & 15) * 4;
  const protocol = frame[14 + 9];
  frame.set([0, 0, 0, flow ^ protocol], ports);
  return frame;
}

/** Which socket each run goes by. */
function sockets(alice: Bench, runs = alice.takeRuns()): (number | undefined)[] {
  return runs.map(({ session }) => alice.plane.route(session)?.socket);
}

Deno.test("balance-xor and balance-aware send each flow by the path of its group", () => {
  for (const mode of [BondMode.BALANCE_XOR, BondMode.BALANCE_AWARE]) {
    const { alice } = bonded(mode);
    for (let flow = 0; flow < 6; flow++) {
      deepEqual(sockets(alice.tap(frameOf(flow))), [1 + flow % 2], `flow ${flow}`);
    }
    deepEqual(sockets(alice.tap(frameOf(3), frameOf(3), frameOf(3))), [2], "in one run");
  }
});

Deno.test("what is of no flow goes by each path in turn", () => {
  const { alice } = bonded(BondMode.BALANCE_XOR);
  const frame = frameOf(0);
  frame[12] = 0x08;
  frame[13] = 0x06; // ARP
  deepEqual([1, 2, 3].flatMap(() => sockets(alice.tap(frame))), [2, 1, 2]);
});

Deno.test("balance-rr sends a number of packets by each path in turn", () => {
  const { alice } = bonded(BondMode.BALANCE_RR, { packetsPerLink: 3 });
  const frames = Array.from({ length: 9 }, () => frameOf(1));
  const sent = frames.flatMap((frame) => sockets(alice.tap(frame)));
  deepEqual(sent, [1, 1, 1, 2, 2, 2, 1, 1, 1]);
});

Deno.test("broadcast sends the same datagrams by every path, and the receiver takes them once", () => {
  const { alice, bob } = bonded(BondMode.BROADCAST);
  const frames = [frameOf(1, 100, 1), frameOf(2, 2_700, 2), frameOf(3, 50, 3)];
  const runs = alice.tap(...frames).takeRuns();
  const by = (socket: number) =>
    datagrams(runs.filter(({ session }) => alice.plane.route(session)?.socket === socket));
  deepEqual(by(1), by(2));
  equal(by(1).length, 4, "one of them in two pieces");
  for (const run of runs) bob.udp(run.bytes, run.segment);
  deepEqual(bob.takeWritten().map(({ bytes }) => bytes), frames);
  equal(bob.stat(Stat.DROPPED_DUPLICATE), 3);
});

Deno.test("broadcast copies nothing of other sessions in the same batch", () => {
  const { alice } = bonded(BondMode.BROADCAST);
  alice.meet(1, CAROL).admit(1);
  const toCarol = addressed(makeFrame({ body: noise(80, 5) }), ALICE, CAROL);
  const runs = alice.tap(toCarol, frameOf(1), toCarol).takeRuns();
  const tags = runs.map(({ session }) => session);
  deepEqual(tags, [1, SESSIONS_MAX, 1, SESSIONS_MAX + 1]);
});

Deno.test("broadcast cuts for the path that carries least, others for the one they take", () => {
  const mtus = [1_432, 1_232];
  const longest = (mode: BondMode, flow: number) => {
    const { alice } = bonded(mode, { mtus });
    return Math.max(
      ...datagrams(alice.tap(frameOf(flow, 2_700)).takeRuns()).map(({ length }) => length),
    );
  };
  ok(longest(BondMode.BROADCAST, 1) <= 1_232);
  ok(longest(BondMode.BALANCE_XOR, 1) <= 1_232);
  ok(longest(BondMode.BALANCE_XOR, 0) > 1_232);
});

Deno.test("without its bond a session goes by its route again, and its numbers serve another", () => {
  const { alice } = bonded(BondMode.BROADCAST);
  alice.apply({ kind: "no-bond", session: 0 });
  deepEqual(alice.tap(frameOf(1)).takeRuns().map(({ session }) => session), [0]);
  const bond = {
    mode: BondMode.BALANCE_XOR,
    packetsPerLink: 0,
    routes: [route(5)],
    groups: new Uint8Array(FLOW_GROUPS),
  };
  alice.apply({ kind: "bond", session: 0, bond });
  deepEqual(sockets(alice.tap(frameOf(1))), [5]);
  alice.apply({ kind: "no-route", session: 0 });
  alice.tap(frameOf(1));
  equal(alice.takeRuns().length, 0);
  equal(alice.takeEscaped().length, 1, "control has it");
  equal(alice.plane.route(SESSIONS_MAX), undefined);
});

Deno.test("another route leaves the bond as it is", () => {
  const { alice } = bonded(BondMode.BALANCE_XOR);
  alice.apply({ kind: "route", session: 0, route: route(9) });
  deepEqual(sockets(alice.tap(frameOf(1))), [2]);
});

Deno.test("a frame that comes twice is delivered once, bond or not", () => {
  const [alice, bob] = pair();
  const [run] = alice.tap(frameOf(1)).takeRuns();
  bob.udp(run.bytes).udp(run.bytes);
  equal(bob.takeWritten().length, 1);
  equal(bob.stat(Stat.DROPPED_DUPLICATE), 1);
});

Deno.test("a member cannot have another's frame taken for a copy by sending one under the same id first", () => {
  const alice = new Bench(ALICE, { seed: 1 }).meet(0, BOB).join().admit(0);
  const carol = new Bench(CAROL, { seed: 1 }).meet(0, BOB).join().admit(0);
  const bob = new Bench(BOB).meet(0, ALICE).meet(1, CAROL).join().admit(0).admit(1);
  const [first] = carol.tap(addressed(frameOf(1), CAROL, BOB)).takeRuns();
  const [second] = alice.tap(frameOf(1)).takeRuns();
  deepEqual(first.bytes.subarray(0, 8), second.bytes.subarray(0, 8));
  bob.udp(first.bytes).udp(second.bytes);
  equal(bob.takeWritten().length, 2);
});

Deno.test("a flow the peer begins keeps to the path it came by; one we began does not follow the peer", () => {
  const { alice, bob } = bonded(BondMode.BALANCE_XOR);
  const fromBob = (flow: number) => {
    const frame = addressed(frameOf(flow), BOB, ALICE);
    return bob.tap(frame).takeRuns()[0].bytes;
  };
  const second = route(2);
  const tag = pathTag(second.socket, second.ip, 0, 4, second.port);
  const source = { ...alice.source, socketId: 2, ip: second.ip, tag };
  deepEqual(sockets(alice.tap(frameOf(6))), [1], "ours");
  for (const flow of [4, 6]) alice.udp(fromBob(flow), undefined, source);
  equal(alice.takeWritten().length, 2);
  deepEqual(
    sockets(alice.tap(frameOf(4))),
    [2],
    "the peer's, where the number says the first path",
  );
  deepEqual(sockets(alice.tap(frameOf(6))), [1]);
  alice.udp(fromBob(6), undefined, source, 5_000 + 244_000);
  deepEqual(sockets(alice.tap(frameOf(6))), [2], "after a long rest it is the peer's");
  alice.udp(fromBob(8), undefined, { ...source, tag: 99 });
  deepEqual(sockets(alice.tap(frameOf(8))), [1], "a path that is none of the bond's");
});
