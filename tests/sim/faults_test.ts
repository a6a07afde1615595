/**
 * What users feel when the network misbehaves: loss, dead paths, dead roots, roaming, sleep. The
 * bounds asserted here are generous; the numbers printed are compared with DESIGN.md section 2.
 * @module
 */
import assert from "node:assert/strict";
import { connect, goDirect, lab, Pinger, reaches } from "./lab.ts";
import { NATS } from "./nat.ts";
import { measured, simTest } from "./scenario.ts";
import type { NodeOptions } from "./world.ts";

const SEEDS = [1, 2];
const BAD_LINK = {
  lossFraction: 0.025, // of each of the two links crossed: 5 % in all
  duplicateFraction: 0.02,
  reorderFraction: 0.1,
  jitterMs: 10,
};

simTest("everything works over links that lose 5 %, reorder and duplicate", {
  seeds: [1, 2, 6, 24], // with 6 and 24 a root's only probe of the controller was lost

  link: BAD_LINK,
}, (world) => {
  const { nodes: [a, b, c] } = lab(world, [{ place: "pr" }, { place: "eim" }, { place: "sym" }]);
  measured("first ping at 5 % loss", connect(world, a, b, 20_000), "ms");
  connect(world, a, c, 20_000);
  connect(world, b, c, 20_000);
  const pinger = new Pinger(world, a, b);
  const sinceMs = world.nowMs;
  world.run(60_000);
  measured("pings lost at 5 % loss each way", pinger.lossFraction(sinceMs) * 100, "%");
  measured("longest gap at 5 % loss", pinger.gapMs(sinceMs), "ms");
  assert.ok(pinger.lossFraction(sinceMs) < 0.15);
  assert.ok(pinger.gapMs(sinceMs) < 2_000);
});

simTest("frames of 2800 bytes pass in fragments over lossy links", {
  // With 155 a root never proved the controller's address: one question and one answer were lost
  seeds: [...SEEDS, 155],
  link: { ...BAD_LINK, lossFraction: 0.01 },
}, (world) => {
  const { nodes: [a, b, c, d] } = lab(world, [{}, { place: "pr" }, { place: "sym" }, {
    place: "sym",
  }]);
  connect(world, a, b, 20_000);
  connect(world, c, d, 20_000);
  const direct = new Pinger(world, a, b, 100, 2_800);
  const relayed = new Pinger(world, c, d, 100, 2_800);
  const sinceMs = world.nowMs;
  world.run(30_000);
  measured("2800-byte pings lost, direct", direct.lossFraction(sinceMs) * 100, "%");
  measured("2800-byte pings lost, relayed", relayed.lossFraction(sinceMs) * 100, "%");
  // Two fragments over two links each way: 8 chances of 1 % to be lost; relayed twice as many.
  assert.ok(direct.lossFraction(sinceMs) < 0.16);
  assert.ok(relayed.lossFraction(sinceMs) < 0.3);
});

simTest("a root that restarts with nothing relearns everybody", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b, c, d] } = lab(world, [
    { place: "pr" },
    { place: "sym" },
    { place: "sym" },
    {},
  ]);
  connect(world, b, c);
  const relayed = new Pinger(world, b, c);
  const root = world.roots[0];
  root.stop();
  root.wipe();
  world.run(2_000);
  root.boot(world.planet());
  const restartedMs = world.nowMs;
  const everyone = [a, b, c, d];
  const backMs = world.runUntil(
    () => everyone.every((node) => root.isDirectTo(node)),
    { withinMs: 60_000, what: "the root knows everybody again" },
  );
  measured("restarted root knows every node again", backMs, "ms");
  world.runUntil(() => relayed.pings.some((ping) => (ping.receivedMs ?? 0) > restartedMs), {
    withinMs: 10_000,
    what: "the relayed pair talks again",
  });
  measured("relayed pair talks again", world.nowMs - restartedMs, "ms");
  measured("two strangers meet after it", connect(world, a, d, 20_000), "ms");
});

simTest("a direct path that dies silently is replaced by the relay", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b] } = lab(world, [{ place: "pr" }, {}]);
  connect(world, a, b);
  goDirect(world, a, b);
  const pinger = new Pinger(world, a, b);
  world.run(5_000);
  const heal = world.partition([a], [b]);
  const sinceMs = world.nowMs;
  world.run(30_000);
  measured("direct path silently filtered: gap", pinger.gapMs(sinceMs), "ms");
  assert.ok(pinger.gapMs(sinceMs) < 5_000);
  heal();
  const healedMs = world.nowMs;
  measured("direct again after it healed", goDirect(world, a, b, 60_000), "ms");
  world.run(5_000);
  assert.ok(pinger.gapMs(healedMs) < 5_000, "taking the path up again costs nothing");
});

simTest("a path that dies in one direction only is replaced too", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b] } = lab(world, [{}, {}]);
  connect(world, a, b);
  goDirect(world, a, b);
  const pinger = new Pinger(world, a, b);
  world.run(5_000);
  world.filter(({ origin }, to) => origin === a && to === b);
  const sinceMs = world.nowMs;
  world.run(30_000);
  measured("direct path dead one way: gap", pinger.gapMs(sinceMs), "ms");
  assert.ok(pinger.gapMs(sinceMs) < 5_000);
});

simTest("a relayed pair survives the death of its root", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b] } = lab(world, [{ place: "sym" }, { place: "sym" }], { roots: 2 });
  connect(world, a, b);
  const pinger = new Pinger(world, a, b);
  world.run(5_000);
  let worstMs = 0;
  for (const root of world.roots) {
    const sinceMs = world.nowMs;
    root.stop();
    world.run(60_000);
    worstMs = Math.max(worstMs, pinger.gapMs(sinceMs));
    root.boot(world.planet());
    world.run(30_000);
  }
  measured("relay root killed: gap", worstMs, "ms");
  assert.ok(worstMs < 5_000);
});

simTest("an idle node notices soon that no root hears it any more", { seeds: SEEDS }, (world) => {
  for (let i = 0; i < 4; i++) world.addRoot();
  const node = world.addNode({ place: "pr" });
  let worstMs = 0;
  // At moments spread over what is between two keepalives.
  for (let trial = 0; trial < 8; trial++) {
    world.run(60_000 + 2_700 * trial);
    const heal = world.partition([node], world.roots);
    const cutMs = world.nowMs;
    world.runUntil(() => !node.node.vl1.upstreams.isReachedBy(() => true), {
      withinMs: 60_000,
      what: "it notices",
    });
    worstMs = Math.max(worstMs, world.nowMs - cutMs);
    heal();
  }
  measured("UDP lost while idle, four roots: noticed", worstMs, "ms");
  assert.ok(worstMs < 8_000);
});

simTest("UDP is stopped around an idle node with one root: others reach it by TCP within 10 s", {
  seeds: SEEDS,
  hasTcp: true,
}, (world) => {
  world.addRoot();
  world.planet();
  const lan = world.addLan(NATS.pr);
  const controller = world.addController();
  world.run(500);
  const network = world.addNetwork(controller, { private: false });
  const [inside, outside] = [world.addNode({ lan }), world.addNode()];
  world.run(100);
  world.joinAll(network, [inside, outside]);
  connect(world, inside, outside);
  let worstMs = 0;
  // At moments spread over what is between two questions to the root.
  for (let trial = 0; trial < 12; trial++) {
    world.run(600_000 + 650 * trial);
    lan.nat.become(NATS.udpb);
    const pinger = new Pinger(world, outside, inside, 250);
    const isReached = () => pinger.pings.some((ping) => ping.receivedMs !== undefined);
    const reachedMs = world.runUntil(isReached, { withinMs: 30_000, what: "it is reached" });
    worstMs = Math.max(worstMs, reachedMs);
    pinger.stop();
    lan.nat.become(NATS.pr);
  }
  measured("UDP stopped while idle, one root: reached by TCP after", worstMs, "ms");
  assert.ok(worstMs < 10_000);
});

simTest("direct pairs do not notice that all roots die", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b] } = lab(world, [{ place: "pr" }, { place: "pr" }], { roots: 2 });
  connect(world, a, b);
  goDirect(world, a, b);
  for (const root of world.roots) root.stop();
  const pinger = new Pinger(world, a, b);
  const sinceMs = world.nowMs;
  world.run(600_000);
  assert.ok(pinger.gapMs(sinceMs) < 1_000);
});

simTest("a machine that roams is back at once", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b] } = lab(world, [{ place: "pr" }, { place: "pr" }]);
  connect(world, a, b);
  goDirect(world, a, b);
  const pinger = new Pinger(world, a, b);
  const back = new Pinger(world, b, a);
  world.run(5_000);
  let worstMs = 0;
  for (const place of ["pub", "pr", "sym", "eim"] as const) {
    const sinceMs = world.nowMs;
    a.connect(world.interfacesFor({ place }), 100);
    world.run(20_000);
    worstMs = Math.max(worstMs, pinger.gapMs(sinceMs), back.gapMs(sinceMs));
  }
  measured("roaming, told by the machine after 100 ms: gap", worstMs, "ms");
  assert.ok(worstMs < 1_500);
});

simTest("both ends roam at once and find each other", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b] } = lab(world, [{ place: "pr" }, { place: "pr" }]);
  connect(world, a, b);
  goDirect(world, a, b);
  const pinger = new Pinger(world, a, b);
  world.run(5_000);
  const sinceMs = world.nowMs;
  a.connect(world.interfacesFor({ place: "pr" }), 100);
  b.connect(world.interfacesFor({ place: "pub" }), 150);
  world.run(20_000);
  measured("both roam at once: gap", pinger.gapMs(sinceMs), "ms");
  assert.ok(pinger.gapMs(sinceMs) < 5_000);
  goDirect(world, a, b);
});

simTest("a NAT that forgets its mappings costs seconds at most", { seeds: SEEDS }, (world) => {
  world.addRoot();
  world.planet();
  const lan = world.addLan(NATS.sym);
  const controller = world.addController();
  world.run(500);
  const network = world.addNetwork(controller, { private: false });
  const [a, b] = [world.addNode({ lan }), world.addNode()];
  world.run(500);
  world.joinAll(network, [a, b]);
  connect(world, a, b);
  goDirect(world, a, b);
  const pinger = new Pinger(world, b, a);
  world.run(5_000);
  let worstMs = 0;
  for (const change of [() => lan.nat.reset(), () => lan.nat.readdress(world.publicIp())]) {
    const sinceMs = world.nowMs;
    change();
    world.run(30_000);
    worstMs = Math.max(worstMs, pinger.gapMs(sinceMs));
  }
  measured("NAT rebinding outside, pinged from outside: gap", worstMs, "ms");
  assert.ok(worstMs < 5_000);
});

simTest("a machine that wakes from sleep is back at once", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b] } = lab(world, [{ place: "pr" }, { place: "pr" }]);
  connect(world, a, b);
  goDirect(world, a, b);
  for (const sleepMs of [60_000, 8 * 3_600_000]) {
    a.sleep();
    world.run(sleepMs);
    a.wake();
    const sinceMs = world.nowMs;
    const pinger = new Pinger(world, a, b);
    world.run(10_000);
    pinger.stop();
    measured(`wake after ${sleepMs / 1000} s: gap`, pinger.gapMs(sinceMs), "ms");
    assert.ok(pinger.gapMs(sinceMs) < 5_000);
  }
});

simTest("a wall clock that jumps cuts nobody off", { seeds: SEEDS }, (world) => {
  const { nodes: [a, b], controller } = lab(world, [{}, {}]);
  connect(world, a, b);
  const pinger = new Pinger(world, a, b);
  const sinceMs = world.nowMs;
  for (const skewMs of [3_600_000, -3_600_000, 0]) {
    a.wallSkewMs = skewMs;
    world.run(70_000);
    assert.ok(reaches(world, a, b));
  }
  controller.wallSkewMs = 60_000;
  world.run(130_000);
  assert.ok(pinger.gapMs(sinceMs) < 1_000);
});

simTest("two halves of the world meet again after a partition", { seeds: SEEDS }, (world) => {
  const { nodes } = lab(world, [{}, { place: "pr" }, {}, { place: "sym" }], { roots: 2 });
  const [a, b, c, d] = nodes;
  for (const [x, y] of [[a, b], [c, d], [a, c], [b, d]]) connect(world, x, y);
  const heal = world.partition([a, b, world.roots[0]], [c, d, world.roots[1]]);
  world.run(120_000);
  assert.ok(reaches(world, a, b) && reaches(world, c, d), "each half goes on");
  heal();
  const pings = () => [a.ping(c), b.ping(d), a.ping(d)];
  let sent = pings();
  const healedMs = world.nowMs;
  for (let tries = 0; sent.some((ping) => ping.receivedMs === undefined); tries++) {
    assert.ok(tries < 20, "the halves do not meet again within 20 s");
    world.run(1_000);
    if (sent.some((ping) => ping.receivedMs === undefined)) sent = pings();
  }
  measured("halves meet again after a partition of 120 s", world.nowMs - healedMs, "ms at most");
});

simTest("roots that lose sight of each other go on, and relay between them again once healed", {
  seeds: SEEDS,
}, (world) => {
  const roots = [world.addRoot(), world.addRoot()];
  const controller = world.addController();
  const sym = { place: "sym" } as const;
  const [a, b, c, d] = Array.from({ length: 4 }, () => world.addNode(sym));
  world.partition([c], [roots[1]]); // c has the first root alone, d the second
  world.partition([d], [roots[0]]);
  world.run(1_000);
  const network = world.addNetwork(controller, { private: false });
  world.joinAll(network, [a, b, c, d]);
  for (const [x, y] of [[a, b], [a, c], [b, d], [c, d]]) connect(world, x, y);
  const pinger = new Pinger(world, a, b);
  const heal = world.partition([roots[0]], [roots[1]]);
  const sinceMs = world.nowMs;
  world.run(300_000);
  assert.ok(pinger.gapMs(sinceMs) < 2_000, "who sees both roots notices nothing");
  for (const other of [c, d]) {
    const pings = new Pinger(world, a, other);
    const reachedMs = world.runUntil(
      () => pings.pings.some(({ receivedMs }) => receivedMs !== undefined),
      { withinMs: 5_000, what: "who sees both roots reaches who sees one" },
    );
    measured("roots cut off: first ping to who sees one of them", reachedMs, "ms");
    pings.stop();
  }
  const late = world.addNode(sym);
  world.run(500);
  world.joinAll(network, [late]);
  for (const other of [c, d]) connect(world, late, other);
  assert.ok(!reaches(world, c, d), "who sees one root each has nobody to relay");
  heal();
  const healedMs = connect(world, c, d, 60_000);
  measured("roots see each other again: pings between their clients pass after", healedMs, "ms");
  assert.ok(healedMs < 10_000);
});

simTest("a NAT that turns symmetric costs seconds at most", { seeds: SEEDS }, (world) => {
  world.addRoot();
  world.planet();
  const lan = world.addLan(NATS.pr);
  const controller = world.addController();
  world.run(500);
  const network = world.addNetwork(controller, { private: false });
  const [a, ...others] = [{ lan }, { place: "pr" }, { place: "sym" }, {}].map((options) =>
    world.addNode(options as NodeOptions)
  );
  world.run(500);
  world.joinAll(network, [a, ...others]);
  for (const other of others) connect(world, a, other);
  goDirect(world, a, others[0]);
  const pingers = others.flatMap((other) => [
    new Pinger(world, a, other),
    new Pinger(world, other, a),
  ]);
  world.run(5_000);
  for (const kind of [NATS.sym, NATS.pr, NATS.seq]) {
    const sinceMs = world.nowMs;
    lan.nat.become(kind);
    world.run(60_000);
    const worstMs = Math.max(...pingers.map((pinger) => pinger.gapMs(sinceMs)));
    measured(`NAT becomes ${kind.mapping}, ports ${kind.ports}: gap`, worstMs, "ms");
    assert.ok(worstMs < 5_000);
  }
  goDirect(world, a, others[2]);
});

simTest("half the roots die for a minute, then the other half: no outage", {
  seeds: SEEDS,
}, (world) => {
  const places = ["pr", "pr", "sym", "sym", "pub", "sym"] as const;
  const { nodes, network, controller } = lab(world, places.map((place) => ({ place })), {
    roots: 4,
  });
  const pairs = [[0, 1], [2, 3], [0, 4], [3, 5]].map(([i, j]) => [nodes[i], nodes[j]]);
  for (const [x, y] of pairs) connect(world, x, y);
  const pingers = pairs.map(([x, y]) => new Pinger(world, x, y));
  world.run(5_000);
  const sinceMs = world.nowMs;
  const halves = [world.roots.slice(0, 2), world.roots.slice(2)];
  let newcomersMs = 0;
  for (const half of halves) {
    for (const root of half) root.stop();
    world.run(30_000);
    const newcomer = world.addNode({ place: "pr" });
    world.run(1_000);
    newcomer.join(network);
    world.run(1_000);
    world.authorize(controller, network, newcomer);
    world.runUntil(() => newcomer.isOn(network), { withinMs: 5_000, what: "a newcomer joins" });
    newcomersMs = Math.max(newcomersMs, connect(world, newcomer, nodes[2]));
    world.run(28_000);
    for (const root of half) root.boot(world.planet());
    world.run(60_000);
  }
  const gaps = pingers.map((pinger) => pinger.gapMs(sinceMs));
  measured("half the roots gone, then the others: longest gap", Math.max(...gaps), "ms");
  measured("and of direct pairs", Math.max(gaps[0], gaps[2]), "ms");
  measured("newcomers meanwhile: first ping", newcomersMs, "ms");
  // A second and a half until who asks goes by another root, and half a second for who answers, whose root may have died too.
  assert.ok(Math.max(...gaps) < 2_500);
  assert.ok(gaps[0] < 500 && gaps[2] < 500, "direct pairs do not notice");
});

simTest("a firewall that stops UDP, lets it through and stops it again costs seconds", {
  seeds: SEEDS,
  hasTcp: true,
}, (world) => {
  world.addRoot();
  world.planet();
  const lan = world.addLan(NATS.udpb);
  const controller = world.addController();
  world.run(500);
  const network = world.addNetwork(controller, { private: false });
  const b = world.addNode({ place: "pr" });
  const startMs = world.nowMs;
  const a = world.addNode({ lan });
  world.run(100);
  world.joinAll(network, [a, b]);
  connect(world, a, b);
  measured("UDP blocked: start to first ping, joining included", world.nowMs - startMs, "ms");
  assert.ok(world.nowMs - startMs < 10_000);
  const pinger = new Pinger(world, a, b);
  world.run(30_000);
  for (const kind of [NATS.pr, NATS.udpb]) {
    const sinceMs = world.nowMs;
    lan.nat.become(kind);
    if (kind === NATS.pr) {
      measured("UDP works again: direct after", goDirect(world, a, b, 15_000), "ms");
    }
    world.run(30_000);
    measured(
      `UDP ${kind === NATS.pr ? "let through" : "stopped"}: gap`,
      pinger.gapMs(sinceMs),
      "ms",
    );
    assert.ok(pinger.gapMs(sinceMs) < 5_000);
  }
  assert.ok(!a.isDirectTo(b));
});

simTest("a controller's clock that jumps back cuts nobody off, nor keeps newcomers out", {
  seeds: SEEDS,
}, (world) => {
  const { nodes: [a, b], controller, network } = lab(world, [{}, { place: "pr" }]);
  connect(world, a, b);
  const pinger = new Pinger(world, a, b);
  for (const skewMs of [600_000, -600_000, 0]) {
    const sinceMs = world.nowMs;
    controller.wallSkewMs = skewMs;
    world.run(130_000);
    const late = world.addNode({ place: "pr" });
    world.run(500);
    late.join(network);
    world.run(1_500);
    world.authorize(controller, network, late);
    world.runUntil(() => late.isOn(network), { withinMs: 5_000, what: "a newcomer joins" });
    connect(world, late, a);
    assert.ok(pinger.gapMs(sinceMs) < 1_000, `clock off by ${skewMs} ms`);
  }
});
