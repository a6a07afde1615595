import assert from "node:assert/strict";
import { type Endpoint, formatEndpoint, parseIp } from "../../../../lib/base/ip.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import { Contact } from "../../../../lib/node/contact.ts";
import { Greeter } from "../../../../lib/node/hello.ts";
import type { Action, NodeSettings } from "../../../../lib/node/machine.ts";
import { PortProbing } from "../../../../lib/node/port_probing.ts";
import { Surface } from "../../../../lib/node/surface.ts";
import type { Peer } from "../../../../lib/peer/peer.ts";
import { Verb } from "../../../../lib/wire/packet.ts";
import { decodePushDirectPaths, PortNote } from "../../../../lib/wire/push_direct_paths.ts";
import {
  actionsOf,
  ALICE,
  BOB,
  CAROL,
  endpoint,
  packetsOf,
  peerWithPath,
  ROOT,
  vl1Of,
} from "./harness.ts";

const HERE = "44.1.1.1"; // where the root sees us
const THERE = endpoint("44.2.2.2/7000"); // where it sees Bob
const { DIFFERENT, OPEN, SAME, UNKNOWN } = PortNote;

/** What a node sends while it opens and tries ports. */
interface Sent {
  /** Sockets asked for, and closed again. */
  readonly opened: number[];
  readonly closed: number[];
  /** Short-lived packets, as "socket ip/port". */
  readonly openers: string[];
  /** Other packets straight to Bob's NAT, in the same form. */
  readonly probes: string[];
  readonly verbs: Set<number>;
  /** Invitations. */
  readonly invitations: string[];
}

/** @param ports Where others see our first socket; the same twice is a good NAT, one is too few to tell */
function alice(ports: number[], settings: Partial<NodeSettings> = {}) {
  const vl1 = vl1Of(ALICE, { settings });
  vl1.sockets = [1, 2].map((id) => ({ id, ip: parseIp("192.168.1.2")!, port: 9_992 + id }));
  const surface = new Surface();
  const probing = new PortProbing(vl1, new Contact(vl1, new Greeter(vl1, () => {})), surface);
  const root = peerWithPath(vl1, ROOT);
  for (const [i, port] of ports.entries()) {
    const from = vl1.paths.get(1, endpoint(`44.0.0.${i + 1}/9993`));
    surface.report(ROOT.address, from, endpoint(`${HERE}/${port}`), true, vl1.nowMs);
  }
  const meet = (identity = BOB) => {
    const peer = vl1.addPeer(identity.publicOnly())!;
    peer.lastTrustedMs = peer.lastNontrivialMs = vl1.nowMs;
    return peer;
  };
  const bob = meet();
  /** A root introduces a peer, and it says what it knows of its NAT. */
  const introduce = (note: PortNote | undefined, peer: Peer = bob, at = THERE) => {
    probing.introduced(peer, at, root.paths[0].path);
    probing.told(peer, [pushed(at, note)]);
    probing.used(peer);
  };
  const invite = (at: string) => probing.told(bob, [pushed(endpoint(at), OPEN)]);
  /** Lets time pass. @returns what was sent meanwhile */
  const run = (durationMs: number): Sent => {
    const endMs = vl1.nowMs + durationMs;
    while (probing.deadlineMs <= endMs) {
      vl1.time.nowMs = Math.max(vl1.nowMs, probing.deadlineMs);
      root.paths[0].lastInMs = vl1.nowMs;
      probing.handleTimeout();
    }
    vl1.time.nowMs = endMs;
    return sortedOut(actionsOf(vl1.outbox));
  };
  const sortedOut = (actions: Action[]): Sent => {
    const ids = (kind: "open-socket" | "close-socket") =>
      actions.flatMap((action) => action.kind === kind ? [action.socket] : []);
    const sends = actions.filter((action) => action.kind === "send");
    const isProbe = ({ to: { ip }, ttl }: { to: Endpoint; ttl?: number }) =>
      ip.join() === THERE.ip.join() && ttl === undefined;
    const where = ({ socket, to }: { socket: number; to: Endpoint }) =>
      `${socket} ${formatEndpoint(to)}`;
    return {
      opened: ids("open-socket"),
      closed: ids("close-socket"),
      openers: sends.filter(({ ttl }) => ttl === 2).map(where),
      probes: sends.filter(isProbe).map(where),
      verbs: new Set(packetsOf(vl1, sends.filter(isProbe)).map(({ verb }) => verb)),
      invitations: packetsOf(vl1, sends).filter(({ verb }) => verb === Verb.PUSH_DIRECT_PATHS)
        .flatMap(({ payload }) => decodePushDirectPaths(payload).items)
        .map(({ endpoint, note }) => `${formatEndpoint(endpoint)} ${note}`),
    };
  };
  return { vl1, probing, bob, meet, introduce, invite, run };
}

function pushed(at: Endpoint, note: PortNote | undefined) {
  return { endpoint: at, note, forget: false, redirect: false };
}

const isNothing = ({ verbs: _, ...sent }: Sent) =>
  Object.values(sent).every((list) => list.length === 0);

Deno.test("PortProbing.note tells how our NAT chooses ports, as others see it", () => {
  assert.equal(alice([]).probing.note, UNKNOWN);
  assert.equal(alice([5_000]).probing.note, UNKNOWN);
  assert.equal(alice([5_000, 5_000]).probing.note, SAME);
  assert.equal(alice([5_000, 6_000]).probing.note, DIFFERENT);
});

Deno.test("PortProbing opens ports when ours differ and the peer's do not, once ordinary probes had their time", () => {
  const { introduce, run, probing } = alice([5_000, 6_000]);
  introduce(SAME);
  assert.ok(isNothing(run(999)));
  const first = run(951);
  assert.equal(first.opened.length, 100, "in a second");
  assert.equal(new Set(first.opened).size, 100);
  assert.deepEqual(first.openers, first.opened.map((socket) => `${socket} 44.2.2.2/7000`));
  assert.deepEqual(first.invitations, ["44.2.2.2/7000 4"], "Bob is told which address they face");
  assert.deepEqual(probing.stateOf(BOB.address)!.opened, [100, 256]);
  const then = run(6_000);
  assert.equal(then.opened.length, 156);
  assert.equal(then.invitations.length, 2, "said again, should it be lost");
  const far = run(5_000).probes.map((probe) => probe.split(" ")[1]);
  assert.deepEqual(far, Array(256).fill("44.2.2.2/7000"));
  const end = run(5_000);
  assert.equal(end.closed.length, 256);
  assert.ok(isNothing(run(60_000)));
});

Deno.test("PortProbing tries ports when the peer opens some: at most 1024, from the socket they face", () => {
  const { vl1, introduce, invite, run, probing } = alice([5_000, 5_000]);
  introduce(DIFFERENT);
  assert.ok(isNothing(run(5_000)), "not before");
  const second = vl1.paths.get(2, endpoint("44.0.0.1/9993"));
  probing.surface.report(ROOT.address, second, endpoint(`${HERE}/5001`), true, vl1.nowMs);
  invite(`${HERE}/5001`);
  const first = run(950);
  assert.deepEqual(first.probes.slice(0, 2), ["2 44.2.2.2/7001", "2 44.2.2.2/7002"]);
  assert.equal(first.probes.length, 100, "in a second");
  assert.deepEqual(probing.stateOf(BOB.address)!.tried, [100, 1_024]);
  assert.deepEqual([...first.verbs], [Verb.ECHO], "which we know it knows");
  const rest = run(60_000);
  assert.equal(rest.probes.length, 924);
  assert.ok(rest.probes.every((probe) => probe.startsWith("2 44.2.2.2/")));
});

Deno.test("PortProbing opens and tries when neither side knows, within the same limits", () => {
  const { introduce, invite, run } = alice([5_000]);
  introduce(UNKNOWN);
  const first = run(2_000);
  assert.ok(first.opened.length > 0 && first.probes.length === 0);
  invite(`${HERE}/5000`);
  const rest = run(60_000);
  assert.equal(first.openers.length + rest.openers.length, 256);
  assert.equal(rest.probes.length, 1_024 - 256);
});

Deno.test("PortProbing tries only the ports that follow known ones of a peer that says nothing of its NAT", () => {
  const { introduce, run } = alice([5_000, 5_000]);
  introduce(undefined);
  const { probes, verbs } = run(60_000);
  assert.deepEqual([...verbs], [Verb.HELLO], "its version is not known");
  assert.deepEqual(probes, Array.from({ length: 32 }, (_, i) => `1 44.2.2.2/${7_001 + i}`));
});

type Alice = ReturnType<typeof alice>;
const SYMMETRIC = [5_000, 6_000];
/** Why nothing is done, what happened, how we are seen, our settings. */
const USELESS: [string, (alice: Alice) => void, number[], Partial<NodeSettings>?][] = [
  ["both NATs are symmetric", ({ introduce, invite }) => {
    introduce(DIFFERENT);
    invite(`${HERE}/5000`);
  }, SYMMETRIC],
  ["neither is", ({ introduce }) => introduce(SAME), [5_000, 5_000]],
  ["no root has introduced us", ({ probing, bob, invite }) => {
    probing.told(bob, [pushed(THERE, SAME)]);
    invite(`${HERE}/5000`);
  }, [5_000]],
  ["the peer is no fellow member", ({ introduce, bob }) => {
    introduce(SAME);
    bob.lastTrustedMs = -Infinity;
  }, SYMMETRIC],
  ["only broadcasts come from the peer", ({ probing, vl1, bob }) => {
    probing.introduced(bob, THERE, vl1.paths.get(1, endpoint("44.0.0.1/9993")));
    probing.told(bob, [pushed(THERE, SAME)]);
  }, SYMMETRIC],
  ["there was traffic a minute ago", ({ vl1, probing, bob }) => {
    probing.introduced(bob, THERE, vl1.paths.get(1, endpoint("44.0.0.1/9993")));
    probing.used(bob);
    vl1.time.nowMs += 60_000;
    probing.told(bob, [pushed(THERE, SAME)]);
  }, SYMMETRIC],
  ["low bandwidth mode", ({ introduce }) => introduce(SAME), SYMMETRIC, {
    isLowBandwidth: () => true,
  }],
  ["the peer is behind our own NAT", ({ introduce, bob }) => {
    introduce(SAME, bob, endpoint(`${HERE}/7000`));
  }, SYMMETRIC],
  ["a direct path came up", ({ introduce, vl1 }) => {
    introduce(SAME);
    peerWithPath(vl1, BOB);
  }, SYMMETRIC],
  ["the introduction is two minutes old", ({ probing, vl1, bob }) => {
    probing.introduced(bob, THERE, vl1.paths.get(1, endpoint("44.0.0.1/9993")));
    vl1.time.nowMs += 121_000;
    probing.used(bob);
    probing.told(bob, [pushed(THERE, SAME)]);
  }, SYMMETRIC],
  ["the peer has said nothing yet", ({ probing, vl1, bob }) => {
    probing.introduced(bob, THERE, vl1.paths.get(1, endpoint("44.0.0.1/9993")));
    probing.used(bob);
  }, SYMMETRIC],
];

Deno.test("PortProbing does nothing where it is of no use, or not asked for", () => {
  for (const [why, prepare, ports, settings] of USELESS) {
    const made = alice(ports, settings);
    prepare(made);
    assert.ok(isNothing(made.run(30_000)), why);
  }
});

Deno.test("PortProbing tries again with a peer after ten minutes, and not before", () => {
  const { introduce, run, probing, vl1, bob } = alice(SYMMETRIC);
  introduce(SAME);
  const startMs = vl1.nowMs + 1_000;
  run(300_000);
  introduce(SAME);
  assert.ok(isNothing(run(60_000)));
  assert.equal(probing.stateOf(BOB.address)!.nextMs, startMs + 600_000);
  run(startMs + 599_000 - vl1.nowMs);
  const from = vl1.paths.get(1, endpoint("44.0.0.9/9993"));
  probing.surface.report(ROOT.address, from, endpoint(`${HERE}/5000`), true, vl1.nowMs);
  probing.surface.report(CAROL.address, from, endpoint(`${HERE}/6000`), true, vl1.nowMs);
  bob.lastTrustedMs = bob.lastNontrivialMs = vl1.nowMs;
  introduce(SAME);
  assert.ok(isNothing(run(1_000)));
  introduce(SAME);
  assert.ok(!isNothing(run(100)));
});

Deno.test("PortProbing works for one peer at a time, first for whom there is most to say to", () => {
  const { introduce, meet, run, bob } = alice(SYMMETRIC);
  introduce(SAME, meet(CAROL), endpoint("44.3.3.3/7000"));
  introduce(SAME);
  bob.packetsOut = 1_000;
  const first = run(15_000);
  assert.equal(first.opened.length, 256);
  assert.ok(first.openers.every((opener) => opener.endsWith(" 44.2.2.2/7000")));
  const next = run(15_000);
  assert.equal(next.closed.length, 256);
  assert.equal(next.opened.length, 256);
  assert.ok(next.openers.every((opener) => opener.endsWith(" 44.3.3.3/7000")));
});

Deno.test("PortProbing forgets strangers before members when too many are introduced", () => {
  const { vl1, introduce, run } = alice(SYMMETRIC);
  introduce(SAME);
  for (let i = 1; i <= 300; i++) {
    const address = (BOB.address + i) as typeof BOB.address;
    const stranger = new Identity({ address, publicKey: CAROL.publicKey });
    introduce(SAME, vl1.addPeer(stranger)!, endpoint(`44.9.0.${i % 250}/7000`));
  }
  assert.equal(run(15_000).openers.length, 256);
});

Deno.test("PortProbing.learned() ends the attempt and keeps the socket of the path alone", () => {
  const { vl1, introduce, run, probing, bob } = alice(SYMMETRIC);
  introduce(SAME);
  const { opened } = run(2_000);
  const found = vl1.paths.get(opened[7], THERE);
  vl1.paths.keep(found);
  bob.learn(found, vl1.nowMs);
  probing.learned(bob);
  assert.deepEqual(run(0).closed, opened.filter((socket) => socket !== opened[7]));
  assert.ok(vl1.hasSocket(opened[7]) && !vl1.hasSocket(opened[6]));
  assert.equal(probing.stateOf(BOB.address), undefined);
  assert.ok(isNothing(run(20_000)));
  vl1.sockets = vl1.sockets.slice(1);
  probing.closeUnused();
  assert.deepEqual(run(0).closed, [opened[7]], "the address it was opened at is gone");
});
