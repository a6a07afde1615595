/**
 * Two thousand nodes in one run, with the crypto that ships: nothing they do at once may cost more
 * than in proportion, and nobody is left out. Prints what a node and a root send and receive in
 * each phase, and what the run took on this machine.
 *
 * `deno task sim -- --filter 2000 --nodes 5000` runs more of them.
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import { parseArgs } from "node:util";
import type { SimHost } from "./host.ts";
import { measured, simTest } from "./scenario.ts";
import type { Ping } from "./stack.ts";
import type { Place, World } from "./world.ts";

const { nodes } = parseArgs({
  args: Deno.args,
  options: { nodes: { type: "string" } },
  strict: false,
}).values;
const COUNT = Number(nodes ?? 2_000);
const ROOTS = 4;
const PLACES: Place[] = ["pub", "eim", "pr", "pr", "pr", "sym", "dbl"];
const SPREAD_MS = 10_000; // what everybody does, they do within this time
const SETTLE_MS = 2_000;
const IDLE_MS = 30_000;
const CONTACTS = 1; // whom each turns to, beside the one server all turn to

simTest(`2000 nodes come, join, talk and idle`, { seeds: [1], seedsMax: 1 }, (world) => {
  const cpuBefore = process.cpuUsage();
  const startMs = performance.now();
  for (let i = 0; i < ROOTS; i++) world.addRoot();
  const controller = world.addController();
  world.run(500);
  const network = world.addNetwork(controller, { private: false });
  const nodes = Array.from(
    { length: COUNT },
    (_, i) => world.addNode({ place: PLACES[i % PLACES.length], off: true }),
  );
  const phase = reporter(world, nodes);
  each(world, nodes, (node) => node.boot(world.planet()));
  assert.ok(nodes.every(({ node }) => node.isOnline), "everybody is online");
  phase("start, 200 a second");
  each(world, nodes, (node) => node.join(network));
  assert.ok(nodes.every((node) => node.isOn(network)), "everybody has its configuration");
  phase("join of one network");
  const pings: Ping[] = [];
  const [server, ...clients] = nodes;
  each(world, clients, (node) => {
    pings.push(node.ping(server));
    for (let i = 0; i < CONTACTS; i++) {
      const other = world.rng.pick(clients);
      if (other !== node) pings.push(node.ping(other));
    }
  });
  const lost = pings.filter(({ receivedMs }) => receivedMs === undefined).length;
  assert.equal(lost, 0, `all ${pings.length} first pings are answered`);
  const slowest = Math.max(...pings.map(({ sentMs, receivedMs }) => receivedMs! - sentMs));
  phase("first contact: each with a server and one other");
  world.roots[0].stop();
  world.run(IDLE_MS);
  phase("nothing to say, and one root of four dies");
  measured(`${pings.length} first pings: the slowest answer`, slowest, "ms");
  const { user, system } = process.cpuUsage(cpuBefore);
  const wallSeconds = (performance.now() - startMs) / 1_000;
  measured(`${COUNT} nodes: simulated`, world.nowMs / 1_000, "s");
  measured(`${COUNT} nodes: on the clock, whatever else the machine did`, wallSeconds, "s");
  measured(`${COUNT} nodes: of processors`, (user + system) / 1e6, "s");
});

/** Lets everybody do something at a moment of its own, and waits until all is done. */
function each(world: World, hosts: readonly SimHost[], act: (host: SimHost) => void): void {
  for (const host of hosts) world.after(world.rng.below(SPREAD_MS), () => act(host));
  world.run(SPREAD_MS + SETTLE_MS);
}

/** Prints what a phase cost, per second: of nodes and of roots the mean, and the one with most. */
function reporter(world: World, nodes: readonly SimHost[]): (name: string) => void {
  const totals = (host: SimHost) => {
    const { bytesIn, bytesOut, packetsIn, packetsOut } = host.traffic;
    return [bytesIn + bytesOut, packetsIn + packetsOut];
  };
  let beforeMs = world.nowMs;
  let before = new Map<SimHost, number[]>();
  const rates = (hosts: readonly SimHost[], which: number) => {
    const seconds = (world.nowMs - beforeMs) / 1_000;
    const each = hosts.map((host) => totals(host)[which] - (before.get(host)?.[which] ?? 0));
    const mean = each.reduce((sum, value) => sum + value, 0) / each.length;
    const show = (value: number) => (value / seconds).toFixed(value / seconds < 100 ? 1 : 0);
    return `${show(mean)} (most ${show(Math.max(...each))})`;
  };
  return (name) => {
    for (const [who, hosts] of [["node", nodes], ["root", world.roots]] as const) {
      console.log(`${name}: per ${who} ${rates(hosts, 0)} B/s, ${rates(hosts, 1)} packets/s`);
    }
    beforeMs = world.nowMs;
    before = new Map([...nodes, ...world.roots].map((host) => [host, totals(host)]));
  };
}
