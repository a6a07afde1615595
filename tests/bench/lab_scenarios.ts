/**
 * What users of a node wait for, one thing at a time, with both products in the same places. Each
 * scenario starts everything afresh and leaves nothing.
 * @module
 */
import assert from "node:assert/strict";
import { AgentClient } from "../../cli/engine/demo/agent_client.ts";
import type { LabHost } from "../../cli/engine/lab.ts";
import { readTextFile } from "../../ffi/linux/system.ts";
import { type Place, PLACES } from "../e2e/nat_lab.ts";
import { addTable } from "../e2e/nftables.ts";
import { directPeersOf, NatScene, type NatSceneOptions } from "../interop/nat_scene.ts";
import { publicNetwork } from "../interop/scene.ts";
import { type Kind, type Station, ztProgram } from "../interop/station.ts";
import type { Values } from "./steps.ts";

const SETTLE_MS = 2_000; // after joining, so that what follows finds a network at rest
const PING_MS = 100;
const HEAD_START_MS = 2_000; // of pings before what is measured
const BREAK_MS = 300; // replies still on their way when it happens do not count as recovery
const PATIENCE_MS = 300_000; // the reference takes 243 s to give a dead path up
const ONLINE_PATIENCE_MS = 150_000; // the reference takes 80 s without UDP
const ASLEEP_MS = 60_000;
const IDLE_MS = 120_000; // as long as our own slowest keepalive takes
const NAT_MS = 30_000; // as long as guessing of ports takes, and a little more
const RELAY = "44.1.1.1/443"; // our root's, for a reference without UDP

/**
 * Whose programs: one product in all places, or `mixed`, where the first node and the roots are
 * ours and the second is the reference.
 */
export type LabCast = Kind | "mixed";

/** Measures one cast. @returns nothing where there is nothing to mix */
export type LabScenario = (cast: LabCast) => Promise<Values>;

/** By the name the user selects them with. */
export const LAB_SCENARIOS = {
  online,
  first,
  roam,
  rebind,
  filter,
  root: rootDies,
  wake,
  blocked,
  idle,
  nat,
} as const satisfies Record<string, LabScenario>;

/** Name of a scenario. */
export type LabScenarioName = keyof typeof LAB_SCENARIOS;

/** What the roots and the first node run, and what the second. */
function kindsOf(cast: LabCast): [Kind, Kind] {
  return cast === "mixed" ? ["zt", "reference"] : [cast, cast];
}

/** Two nodes, the first at a place of its own. */
function pairOf(cast: LabCast, place: Place = "pub"): NatSceneOptions {
  const [ours, theirs] = kindsOf(cast);
  const members = [{ kind: ours, place }, { kind: theirs, place: "pub" }] as const;
  return { roots: [ours], members };
}

async function online(cast: LabCast): Promise<Values> {
  if (cast === "mixed") return {};
  const members = [{ kind: cast, place: "pub" }] as const;
  await using scene = await NatScene.prepare({ roots: [cast], members });
  const [node] = scene.nodes;
  await scene.startRoots();
  await node.agent.ask("serve", { port: 1 }); // it runs before it has to look
  const startMs = performance.now();
  await node.start();
  await node.online();
  return { onlineMs: performance.now() - startMs };
}

/** By addresses that need no multicast, so that the very first frame is for somebody never heard of. */
async function first(cast: LabCast): Promise<Values> {
  const network = publicNetwork({ v6AssignMode: { "6plane": true } });
  await using scene = await NatScene.start({ ...pairOf(cast), network });
  const id = await scene.join();
  const [a, b] = scene.nodes;
  const { assignedAddresses } = await b.network(id);
  const ip = assignedAddresses.find((one) => one.includes(":"))!.split("/")[0];
  await sleep(SETTLE_MS);
  const isKnown = (await a.peers()).some(({ address }) => address === scene.addresses[1]);
  if (isKnown && cast === "mixed") return {}; // the reference tells members of its multicast groups by itself
  assert(!isKnown, "they do not know each other yet");
  const startMs = performance.now();
  const firstMs = await a.untilReaches(ip);
  await untilDirect(scene);
  return { firstMs, directMs: performance.now() - startMs };
}

async function roam(cast: LabCast): Promise<Values> {
  await using scene = await readyPair(pairOf(cast));
  const { host } = scene.nodes[0];
  const gapMs = await gap(scene, 0, 1, () => moveOut(host, scene.nats.internet.ipv4(host)));
  return { roamMs: gapMs };
}

/** The ping comes from outside: who is behind the NAT notices nothing and says nothing by itself. */
async function rebind(cast: LabCast): Promise<Values> {
  await using scene = await readyPair(pairOf(cast, "pr"));
  const router = scene.nats.routers.get(scene.nodes[0].host)!;
  const gapMs = await gap(scene, 1, 0, () => moveOut(router, scene.nats.internet.ipv4(router)));
  return { rebindMs: gapMs };
}

async function filter(cast: LabCast): Promise<Values> {
  await using scene = await readyPair(pairOf(cast));
  return { filterMs: await gap(scene, 0, 1, () => separate(scene)) };
}

async function rootDies(cast: LabCast): Promise<Values> {
  const [ours] = kindsOf(cast);
  await using scene = await NatScene.prepare({ ...pairOf(cast), roots: [ours, ours] });
  separate(scene);
  await startAndJoin(scene);
  await scene.nodes[0].untilReaches(scene.ips[1]);
  await sleep(SETTLE_MS);
  const pinger = await pingBetween(scene, 0, 1);
  const before = scene.roots.map(({ host }) => bytesOf(host));
  await sleep(HEAD_START_MS);
  const carried = scene.roots.map(({ host }, i) => bytesOf(host) - before[i]);
  const relay = scene.roots[carried.indexOf(Math.max(...carried))];
  return { rootMs: await pinger.gapAfter(() => relay.kill()) };
}

/** A laptop that is closed in one place and opened in another. */
async function wake(cast: LabCast): Promise<Values> {
  await using scene = await readyPair(pairOf(cast));
  const [sleeper] = scene.nodes;
  const { host } = sleeper;
  sleeper.suspend();
  moveOut(host, scene.nats.internet.ipv4(host));
  await sleep(ASLEEP_MS);
  const startMs = performance.now();
  sleeper.resume();
  await sleeper.untilReaches(scene.ips[1]);
  return { wakeMs: performance.now() - startMs };
}

async function blocked(cast: LabCast): Promise<Values> {
  const settings = cast === "reference" ? { tcpFallbackRelay: RELAY } : {};
  const options: NatSceneOptions = { ...pairOf(cast, "udpb"), roots: ["zt"], settings };
  await using scene = await NatScene.prepare(options);
  await scene.startRoots();
  const [inside, outside] = scene.nodes;
  await outside.start();
  await outside.online();
  const id = await scene.network();
  const to = await outside.join(id);
  const startMs = performance.now();
  await inside.start();
  await inside.online(ONLINE_PATIENCE_MS);
  const onlineMs = performance.now() - startMs;
  await inside.join(id);
  await inside.untilReaches(to);
  return { blockedOnlineMs: onlineMs, blockedMs: performance.now() - startMs };
}

/** A node that is in no network. */
async function idle(cast: LabCast): Promise<Values> {
  if (cast === "mixed") return {};
  return {
    idleBytesPerSecond: await idleBytesPerSecond([cast, cast]) / 2,
    idleOneRootBytesPerSecond: await idleBytesPerSecond([cast]),
  };
}

async function idleBytesPerSecond(roots: readonly Kind[]): Promise<number> {
  await using scene = await NatScene.start({ roots, members: [{ kind: roots[0], place: "pub" }] });
  const [{ host }] = scene.nodes;
  await sleep(5 * SETTLE_MS);
  const before = bytesOf(host);
  await sleep(IDLE_MS);
  return (bytesOf(host) - before) / IDLE_MS * 1_000;
}

async function nat(cast: LabCast): Promise<Values> {
  const kinds = kindsOf(cast);
  const places = PLACES.flatMap((place) => [place, place]);
  const pairs = PLACES.flatMap((_, one) =>
    PLACES.map((_, other) => [2 * one, 2 * other + 1] as const).slice(one)
  );
  await using scene = await NatScene.start({
    roots: ["zt"],
    members: places.map((place, i) => ({ kind: kinds[i % 2], place })),
    settings: cast === "zt" ? {} : { tcpFallbackRelay: RELAY },
    patienceMs: ONLINE_PATIENCE_MS,
  });
  await scene.join();
  const startMs = performance.now();
  const isEnough = () => performance.now() - startMs > NAT_MS;
  const meetings = await scene.meet(pairs, isEnough, PATIENCE_MS);
  const times = (value: "contactMs" | "directMs") =>
    meetings.map((meeting) => meeting[value]).filter((one) => one !== undefined);
  const [contacts, directs] = [times("contactMs"), times("directMs")];
  return {
    natDirect: directs.length,
    natRelayed: contacts.length - directs.length,
    natNone: meetings.length - contacts.length,
    natContactMs: Math.max(...contacts),
    natDirectMs: Math.max(...directs),
  };
}

async function readyPair(options: NatSceneOptions): Promise<NatScene> {
  const scene = await NatScene.prepare(options);
  try {
    await startAndJoin(scene);
    await scene.nodes[0].untilReaches(scene.ips[1]);
    await untilDirect(scene);
    await sleep(SETTLE_MS);
    return scene;
  } catch (error) {
    await scene[Symbol.asyncDispose]();
    throw error;
  }
}

async function startAndJoin(scene: NatScene): Promise<void> {
  await scene.startRoots();
  await scene.startNodes();
  await scene.join();
}

async function untilDirect({ nodes: [a, b], addresses }: NatScene): Promise<void> {
  const knows = async (from: Station, to: string) => (await directPeersOf(from)).has(to);
  await a.until(
    "direct",
    async () => await knows(a, addresses[1]) && await knows(b, addresses[0]),
    PATIENCE_MS,
  );
}

/** Another address of the same network in place of the one there is. */
function moveOut(host: LabHost, ip: string): void {
  const last = Number(ip.split(".").at(-1));
  const [from, to] = [last, last + 100].map((one) => ip.replace(/\d+$/, `${one}/24`));
  host.removeAddress("eth0", from);
  host.addAddress("eth0", to);
}

/** Swallows what the two nodes send each other, without a word. */
function separate({ nodes, nats }: NatScene): void {
  const hosts = nodes.map(({ host }) => host);
  for (const [i, host] of hosts.entries()) {
    const from = nats.internet.ipv4(hosts[1 - i]);
    addTable(host, "separate", { input: [[{ from }, "drop"]] });
  }
}

/**
 * IPv4 of a host so far, both ways, with headers: what its kernel asks of its neighbours by itself
 * is something else.
 */
function bytesOf(host: LabHost): number {
  // proc(5), /proc/net/netstat: for each prefix a line of names and one of values
  const text = host.run(() => readTextFile("/proc/thread-self/net/netstat"));
  const [names, values] = text.split("\n").filter((line) => line.startsWith("IpExt:"))
    .map((line) => line.split(" "));
  const count = (name: string) => Number(values[names.indexOf(name)]);
  return count("InOctets") + count("OutOctets");
}

/** The longest silence in a ping from one node to the other while something happens. */
async function gap(
  scene: NatScene,
  from: number,
  to: number,
  happen: () => void | Promise<void>,
): Promise<number> {
  const pinger = await pingBetween(scene, from, to);
  await sleep(HEAD_START_MS);
  return await pinger.gapAfter(happen);
}

async function pingBetween({ lab, nodes, ips }: NatScene, from: number, to: number) {
  const [path, ...args] = ztProgram();
  const agent = await AgentClient.start(lab, nodes[from].host, { path, args });
  const count = 2 * PATIENCE_MS / PING_MS;
  const running = agent.ping({ target: ips[to], count, intervalMs: PING_MS });
  const gapAfter = async (happen: () => void | Promise<void>): Promise<number> => {
    await happen();
    const startMs = performance.now();
    await sleep(BREAK_MS);
    while (!(await nodes[from].reaches(ips[to]))) {
      assert(performance.now() - startMs < PATIENCE_MS, "it recovers");
    }
    await sleep(SETTLE_MS);
    running.cancel();
    return (await running.result).longestGapMs;
  };
  return { gapAfter };
}

function sleep(timeMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, timeMs));
}
