import assert from "node:assert/strict";
import { Bonds } from "../../../../lib/node/bonds.ts";
import { Contact } from "../../../../lib/node/contact.ts";
import { Greeter } from "../../../../lib/node/hello.ts";
import { Liveness } from "../../../../lib/node/liveness.ts";
import type { NodeSettings } from "../../../../lib/node/machine.ts";
import type { Peer, PeerPath } from "../../../../lib/peer/peer.ts";
import { heard, isSuspect, lossFraction, sent } from "../../../../lib/peer/peer.ts";
import { Verb } from "../../../../lib/wire/packet.ts";
import {
  ALICE,
  BOB,
  endpoint,
  identityOf,
  peerWithPath,
  planetOf,
  ROOT,
  ROOT2,
  sentBy,
  vl1Of,
  WHERE,
} from "./harness.ts";

function alice(settings: Partial<NodeSettings> = {}) {
  const vl1 = vl1Of(ALICE, { settings });
  const contact = new Contact(vl1, new Greeter(vl1, () => {}));
  const liveness = new Liveness(vl1, contact, new Bonds(vl1, contact));
  const bob = peerWithPath(vl1, BOB);
  bob.version = { protocol: 11, major: 1, minor: 14, revision: 1 };
  bob.paths[0].path.addLatency(20);
  return { vl1, liveness, bob, path: bob.paths[0] };
}

/** Runs due timers for a while. @returns what was sent, with the time since the beginning */
function runFor(
  { vl1, liveness }: ReturnType<typeof alice>,
  durationMs: number,
  answer: (verb: number) => void = () => {},
): { atMs: number; verb: number; destination: number }[] {
  const startMs = vl1.nowMs;
  const log = [];
  while (vl1.timers.nextMs <= startMs + durationMs) {
    vl1.time.nowMs = Math.max(vl1.nowMs, vl1.timers.nextMs);
    liveness.handleTimeout();
    for (const { verb, destination } of sentBy(vl1)) {
      log.push({ atMs: vl1.nowMs - startMs, verb, destination });
      answer(verb);
    }
  }
  vl1.time.nowMs = startMs + durationMs;
  return log;
}

/** Something went to the peer, as `Vl1.send` notes it. */
function talk({ vl1, bob, path }: ReturnType<typeof alice>): void {
  bob.lastNontrivialMs = vl1.nowMs;
  sent(path, vl1.nowMs);
  vl1.timers.setEarlier(bob, vl1.nowMs + bob.quietMs);
}

Deno.test("Liveness asks a path that stays quiet for 700 ms, and suspects it half a second later", () => {
  const scene = alice();
  talk(scene);
  const log = runFor(scene, 1_199);
  assert.deepEqual(log.map(({ atMs, verb }) => [atMs, verb]), [[700, Verb.ECHO]]);
  assert.ok(!isSuspect(scene.path));
  let suspected: Peer | undefined;
  scene.vl1.onSuspect = (peer) => suspected = peer;
  runFor(scene, 1);
  assert.ok(isSuspect(scene.path));
  assert.equal(suspected, scene.bob);
  assert.equal(scene.bob.best(scene.vl1.nowMs), undefined);
});

Deno.test("Liveness gives up a path after four unanswered probes, and tries its address again", () => {
  const scene = alice();
  talk(scene);
  const log = runFor(scene, 2_699);
  assert.deepEqual(log.map(({ atMs }) => atMs), [700, 1_200, 1_700, 2_200]);
  assert.equal(scene.bob.paths.length, 1);
  const later = runFor(scene, 10_000);
  assert.equal(scene.bob.paths.length, 0);
  assert.ok(later.length > 0, "the address is a hint now");
  assert.ok(later.every(({ verb }) => verb === Verb.HELLO));
});

Deno.test("Liveness uses a suspect path again as soon as it answers", () => {
  const scene = alice();
  talk(scene);
  runFor(scene, 1_600);
  assert.ok(isSuspect(scene.path));
  heard(scene.path, scene.vl1.nowMs);
  assert.equal(scene.bob.best(scene.vl1.nowMs), scene.path);
});

Deno.test("Liveness keeps the path of a peer in use alive every 15 s, with a HELLO once a minute", () => {
  const scene = alice();
  const { vl1, bob, path } = scene;
  bob.lastNontrivialMs = vl1.nowMs;
  bob.lastHelloSentMs = vl1.nowMs;
  vl1.timers.set(bob, vl1.nowMs);
  const log = runFor(scene, 130_000, () => {
    heard(path, vl1.nowMs);
    bob.lastNontrivialMs = vl1.nowMs;
  });
  const echoes = log.filter(({ verb }) => verb === Verb.ECHO).map(({ atMs }) => atMs);
  const hellos = log.filter(({ verb }) => verb === Verb.HELLO).map(({ atMs }) => atMs);
  assert.equal(hellos.length, 2);
  const all = [0, ...echoes, ...hellos].sort((a, b) => a - b);
  for (let i = 1; i < all.length; i++) assert.ok(all[i] - all[i - 1] <= 15_000, `${all}`);
  assert.ok(log.length <= 10);
});

Deno.test("Liveness keeps a path alive not sooner than 170 ms after another ECHO left by it", () => {
  const scene = alice();
  const { vl1, bob, path: { path } } = scene;
  bob.lastNontrivialMs = vl1.nowMs;
  bob.lastHelloSentMs = vl1.nowMs;
  vl1.timers.set(bob, vl1.nowMs + 1);
  vl1.time.nowMs += 14_900;
  vl1.transmit(bob, path, Verb.ECHO, new Uint8Array(0), { probe: true });
  sentBy(vl1);
  const [first] = runFor(scene, 1_000);
  assert.deepEqual([first.verb, first.atMs], [Verb.ECHO, 170]);
});

Deno.test("Liveness says HELLO and ECHO from the socket of the path alone", () => {
  const scene = alice();
  const { vl1, bob, path } = scene;
  vl1.sockets = [...vl1.sockets, { ...vl1.sockets[0], id: 2, port: 20_000 }];
  bob.lastNontrivialMs = vl1.nowMs;
  vl1.timers.set(bob, vl1.nowMs);
  const sockets = new Set<number>();
  for (let i = 0; i < 200; i++) {
    vl1.time.nowMs += 1_000;
    scene.liveness.handleTimeout();
    for (const { socket } of sentBy(vl1)) sockets.add(socket);
    heard(path, vl1.nowMs);
  }
  assert.deepEqual([...sockets], [1]);
});

Deno.test("Liveness leaves peers alone that are not in use", () => {
  const scene = alice();
  scene.vl1.timers.set(scene.bob, scene.vl1.nowMs);
  assert.deepEqual(runFor(scene, 100_000), []);
});

Deno.test("Liveness keeps the best path and one spare of each family alive, not more", () => {
  const scene = alice();
  const { vl1, bob } = scene;
  const spares: PeerPath[] = [];
  for (let port = 1; port <= 5; port++) {
    const path = vl1.paths.get(1, endpoint(`44.0.0.4/${port}`));
    path.addLatency(100 + port);
    spares.push(bob.learn(path, vl1.nowMs)!);
  }
  bob.lastNontrivialMs = bob.lastHelloSentMs = vl1.nowMs;
  vl1.timers.set(bob, vl1.nowMs);
  runFor(scene, 40_000, () => {
    for (const path of bob.paths) if (path.probeSentMs !== undefined) heard(path, vl1.nowMs);
  });
  const asked = [scene.path, ...spares].filter((path) => path.path.lastOutMs > -Infinity);
  assert.deepEqual(asked, [scene.path, spares[0]]);
});

Deno.test("Liveness greets a silent root again and again, ever more rarely, and not in step with others", () => {
  const scene = alice();
  scene.liveness.contactUpstreams();
  const times = runFor(scene, 30_000).map(({ atMs, verb, destination }) => {
    assert.deepEqual([verb, destination], [Verb.HELLO, ROOT.address]);
    return atMs;
  });
  assert.equal(times[0], 0);
  const delays = times.slice(1).map((atMs, i) => atMs - times[i]);
  for (const [i, expected] of [250, 500, 1_000, 2_000, 5_000, 5_000].entries()) {
    assert.ok(delays[i] >= expected * 0.75 && delays[i] <= expected * 1.25, `${delays}`);
  }
  assert.ok(delays.some((delay) => delay !== Math.round(delay)), "scattered");
});

Deno.test("Liveness forgets paths of sockets that are gone", () => {
  const scene = alice();
  scene.vl1.sockets = [];
  scene.vl1.timers.set(scene.bob, scene.vl1.nowMs);
  runFor(scene, 1);
  assert.equal(scene.bob.paths.length, 0);
});

Deno.test("Liveness counts unanswered probes of a path", () => {
  const here = alice();
  sent(here.path, here.vl1.nowMs);
  here.vl1.timers.set(here.bob, here.vl1.nowMs);
  runFor(here, 2_000);
  assert.ok(here.path.probeCount > 1);
  assert.equal(lossFraction(here.path), (here.path.probeCount - 1) / here.path.probeCount);
});

Deno.test("Liveness.greetUpstreams() says HELLO to every root from every socket", () => {
  const { vl1, liveness } = alice();
  vl1.sockets.push({ id: 2, ip: vl1.sockets[0].ip, port: 20_000 });
  liveness.greetUpstreams();
  const hellos = sentBy(vl1).map(({ destination, verb, socket }) => [destination, verb, socket]);
  assert.deepEqual(hellos, [[ROOT.address, Verb.HELLO, 1], [ROOT.address, Verb.HELLO, 2]]);
});

Deno.test("Liveness.greetingDueMs() tells when a root that does not answer is greeted again", () => {
  const here = alice();
  const root = here.vl1.peers.get(ROOT.address)!;
  assert.equal(here.liveness.greetingDueMs(root), Infinity);
  here.liveness.contactUpstreams();
  here.liveness.handleTimeout();
  const dueMs = here.liveness.greetingDueMs(root);
  assert.ok(dueMs > here.vl1.nowMs && dueMs <= here.vl1.nowMs + 400, String(dueMs));
});

Deno.test("Liveness keeps the way to who is to be kept, though nothing goes there", () => {
  for (const keeps of [true, false]) {
    const scene = alice();
    scene.liveness.keeps = (address) => keeps && address === BOB.address;
    scene.vl1.timers.set(scene.bob, scene.vl1.nowMs);
    const log = runFor(scene, 120_000, () => heard(scene.path, scene.vl1.nowMs));
    assert.ok(keeps ? log.length >= 7 : log.length === 0, `${log.length} packets`);
  }
});

Deno.test("Liveness asks some way to a root every 6.5 s, in turn, and each every 20 s", () => {
  const roots = [ROOT, ROOT2, identityOf(0x1333333333), identityOf(0x1444444444)];
  for (const [i, { address }] of roots.entries()) WHERE.set(address, endpoint(`44.0.1.${i}/9993`));
  for (const [count, everyMs] of [[1, 6_500], [2, 6_500], [3, 6_500], [4, 5_000]]) {
    const vl1 = vl1Of(ALICE, { planet: planetOf(roots.slice(0, count)) });
    const contact = new Contact(vl1, new Greeter(vl1, () => {}));
    const liveness = new Liveness(vl1, contact, new Bonds(vl1, contact));
    const peers = roots.slice(0, count).map((root) => peerWithPath(vl1, root));
    for (const peer of peers) {
      peer.version = { protocol: 11, major: 1, minor: 14, revision: 1 };
      peer.lastHelloSentMs = vl1.nowMs + 1_000_000; // ECHOs alone
      peer.paths[0].isSettled = true;
      vl1.timers.set(peer, vl1.nowMs);
    }
    const scene = { vl1, liveness, bob: peers[0], path: peers[0].paths[0] };
    const log = runFor(scene, 130_000, () => {
      for (const { paths: [path] } of peers) {
        if (path.probeSentMs !== undefined) heard(path, vl1.nowMs);
      }
    }).slice(2 * count);
    for (let i = count; i < log.length; i++) {
      assert.equal(Math.round(log[i].atMs - log[i - 1].atMs), everyMs, `${count} roots`);
      assert.equal(log[i].destination, log[i - count].destination, "in turn");
    }
    assert.ok(log.length >= 70_000 / everyMs, `${log.length} questions`);
  }
});

Deno.test("Liveness lets ways be idle for 25 s in low bandwidth mode", () => {
  const scene = alice({ isLowBandwidth: () => true });
  const { vl1, bob, path } = scene;
  const root = peerWithPath(vl1, ROOT);
  root.version = bob.version;
  root.paths[0].isSettled = true;
  bob.lastNontrivialMs = vl1.nowMs;
  for (const peer of [root, bob]) {
    peer.lastHelloSentMs = vl1.nowMs + 1_000_000; // ECHOs alone
    vl1.timers.set(peer, vl1.nowMs);
  }
  const log = runFor(scene, 200_000, () => {
    heard(path, vl1.nowMs);
    heard(root.paths[0], vl1.nowMs);
    bob.lastNontrivialMs = vl1.nowMs;
  });
  for (const { address } of [BOB, ROOT]) {
    const times = log.filter(({ destination }) => destination === address).map(({ atMs }) => atMs);
    assert.ok(times.length >= 7 && times.length <= 9, `${times}`);
    for (let i = 2; i < times.length; i++) assert.ok(times[i] - times[i - 1] >= 24_900, `${times}`);
  }
});
