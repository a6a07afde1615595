/**
 * What `zt demo` does: a root that is controller too, a node, and a second node that starts, joins
 * and pings the first, all by the commands a user would type; then round trips and throughput
 * between the two.
 * @module
 */
import { ApiError } from "../../../lib/base/errors.ts";
import type { Lab } from "../lab.ts";
import type { ProgramCommand } from "../self_command.ts";
import { AgentClient } from "./agent_client.ts";
import { LabNode, type LabService } from "./lab_node.ts";
import { megabitsPerSecond } from "./measure.ts";

const NETWORK = "10.147.17.0/24";
const FRESH_NETWORK = "10.147.18.0/24";
const FIRST_PING_INTERVAL_MS = 10; // how late the first reply is noticed at most
const FIRST_PING_PATIENCE_MS = 20_000;
const DIRECT_PATIENCE_MS = 3_000; // nodes that can reach each other have found each other by then
const DIRECT_POLL_MS = 100;
const RTT_PINGS = 200;
const RTT_INTERVAL_MS = 10;
const STREAM_PORT = 5001;
const RELAYED_FRACTION = 0.5; // of the bytes moved, from which on we call the path relayed

/** How far it is. */
export interface DemoProgress {
  /** A new step begins. */
  step(text: string): void;
  /** The same step, with news. */
  news(text: string): void;
}

/** How it is done. */
export interface DemoOptions {
  readonly program: ProgramCommand;
  /** An empty folder for the homes. */
  readonly folder: string;
  /** How long each direction sends. */
  readonly sendMs: number;
  /** How often the second node starts afresh. */
  readonly rounds: number;
  /** Put the nodes where only the root reaches both. */
  readonly relayed: boolean;
  readonly progress: DemoProgress;
}

/** One start of the second node; times in milliseconds. */
export interface DemoRound {
  /** `zt service` started on a home that knows the planet and the network but has no identity, to the first reply. */
  readonly freshStartToPingMs: number;
  /** `zt service` started on a home with an identity the root knows, to the first answer of the root. */
  readonly onlineMs: number;
  /** The part of it after the sockets were bound. */
  readonly boundToOnlineMs: number;
  /** `zt join` started on a running node, to the first reply. */
  readonly joinToPingMs: number;
}

/** What was measured. */
export interface DemoResult {
  readonly rounds: readonly DemoRound[];
  /** Round trips between the two nodes, one after the other. */
  readonly rttsMs: readonly number[];
  readonly pingsSent: number;
  readonly throughputMbps: { readonly aToB: number; readonly bToA: number };
  readonly path: "direct" | "relayed";
}

/** Runs it. @throws when anything does not work; the lab is the caller's to end */
export async function runDemo(lab: Lab, options: DemoOptions): Promise<DemoResult> {
  const stage = await setUp(lab, options);
  const rounds: DemoRound[] = [];
  let service: LabService | undefined;
  let address = "";
  for (let number = 1; number <= options.rounds; number++) {
    await service?.stop();
    const last = await playRound(stage, options, number);
    ({ service, address } = last);
    rounds.push(last.round);
  }
  return { rounds, ...await compareNodes(stage, options, address) };
}

/** A network the first node is a member of. */
interface JoinedNetwork {
  readonly id: string;
  readonly addressOfA: string;
}

interface Stage {
  readonly root: LabNode;
  readonly a: LabNode;
  /** The second node with a home folder of that name. */
  readonly makeB: (home: string) => LabNode;
  readonly agentA: AgentClient;
  readonly agentB: AgentClient;
  /** What the second node joins as it runs, and where everything else happens. */
  readonly network: JoinedNetwork;
  /** What it knows as it starts: a controller answers one node only once a second about a network. */
  readonly freshNetwork: JoinedNetwork;
  /** What `zt planet use` takes. */
  readonly planet: string;
}

async function setUp(lab: Lab, options: DemoOptions): Promise<Stage> {
  const { program, folder, progress } = options;
  progress.step("making three machines");
  const [rootHost, hostA, hostB] = ["root", "a", "b"].map((name) => lab.host(name));
  const switches = options.relayed
    ? [lab.switch([rootHost, hostA]), lab.switch([rootHost, hostB])]
    : [lab.switch([rootHost, hostA, hostB])];
  const agents = Promise.all([
    AgentClient.start(lab, hostA, program),
    AgentClient.start(lab, hostB, program),
  ]);
  agents.catch(() => {}); // heard of below, or what came before says why
  const root = new LabNode(lab, rootHost, `${folder}/root`, program);
  const a = new LabNode(lab, hostA, `${folder}/a`, program);
  progress.step("making a planet, its root and a controller");
  const endpoints = switches.flatMap((one) => ["--endpoint", `${one.ipv4(rootHost)}/9993`]);
  const { world } = await root.ask<{ world: string }>("planet", "create", ...endpoints);
  await root.start().ready();
  progress.step("starting the first node");
  await a.do("planet", "use", world);
  await a.start().online();
  const network = await makeNetwork(root, a, "demo", NETWORK);
  const freshNetwork = await makeNetwork(root, a, "fresh", FRESH_NETWORK);
  const [agentA, agentB] = await agents;
  const makeB = (home: string) => new LabNode(lab, hostB, `${folder}/${home}`, program);
  return { root, a, makeB, agentA, agentB, network, freshNetwork, planet: world };
}

async function makeNetwork(
  root: LabNode,
  a: LabNode,
  name: string,
  ipv4: string,
): Promise<JoinedNetwork> {
  const create = ["controller", "network", "create", "--name", name, "--public", "--ipv4", ipv4];
  const { id } = await root.ask<{ id: string }>(...create);
  return { id, addressOfA: await join(a, id) };
}

async function join(node: LabNode, network: string): Promise<string> {
  type Joined = { assignedAddresses: string[] };
  const { assignedAddresses } = await node.ask<Joined>("join", network, "--wait");
  return assignedAddresses[0].split("/")[0];
}

interface Played {
  readonly round: DemoRound;
  readonly service: LabService;
  readonly address: string;
}

async function playRound(stage: Stage, options: DemoOptions, number: number): Promise<Played> {
  const { progress, rounds } = options;
  const of = rounds > 1 ? ` (${number} of ${rounds})` : "";
  const b = stage.makeB(`b${number}`);
  await b.do("planet", "use", stage.planet);
  const folder = `${b.home}/networks.d`;
  Deno.mkdirSync(folder, { recursive: true });
  const joined = `${folder}/${stage.freshNetwork.id}.conf`;
  Deno.writeFileSync(joined, new Uint8Array()); // empty: no config yet

  progress.step(`the second node starts with no identity and pings the first${of}`);
  const fresh = b.start();
  const freshStartToPingMs = await firstReply(stage, stage.freshNetwork, fresh) -
    fresh.startedMs;
  progress.news(`${Math.round(freshStartToPingMs)} ms`);
  await b.do("leave", stage.freshNetwork.id);
  await fresh.stop();

  progress.step(`the second node starts again${of}`);
  const service = b.start();
  const onlineMs = await service.online();
  const status = await b.ask<{ onlineMs: number }>("/zt/status");
  progress.news(`online after ${Math.round(onlineMs)} ms`);

  progress.step(`the second node joins and pings the first${of}`);
  const joinedMs = performance.now();
  const reply = firstReply(stage, stage.network, service);
  const [address, repliedMs] = await Promise.all([join(b, stage.network.id), reply]);
  const joinToPingMs = repliedMs - joinedMs;
  progress.news(`${Math.round(joinToPingMs)} ms`);
  const round = {
    freshStartToPingMs,
    onlineMs,
    boundToOnlineMs: status.onlineMs,
    joinToPingMs,
  };
  return { round, service, address };
}

/** @returns when the first node first answered the second, on the clock of `performance.now()` */
async function firstReply(
  stage: Stage,
  network: JoinedNetwork,
  service: LabService,
): Promise<number> {
  const { received, refusal } = await stage.agentB.ping({
    target: network.addressOfA,
    count: FIRST_PING_PATIENCE_MS / FIRST_PING_INTERVAL_MS,
    intervalMs: FIRST_PING_INTERVAL_MS,
    timeoutMs: 0,
    untilFirst: true,
  }).result;
  if (received > 0) return performance.now();
  const why = refusal ? `, the last of them refused with ${refusal}` : "";
  const log = service.log.at(-1) ?? "nothing";
  throw new ApiError(
    0,
    `no ping came through in ${FIRST_PING_PATIENCE_MS / 1000} s${why}; the service said: ${log}`,
  );
}

type Compared = Omit<DemoResult, "rounds">;

/** Round trips and throughput between the two nodes, with the root's count of what it had to relay. */
async function compareNodes(
  stage: Stage,
  options: DemoOptions,
  addressOfB: string,
): Promise<Compared> {
  const { progress } = options;
  const { agentA, agentB } = stage;
  const { addressOfA } = stage.network;
  progress.step(options.relayed ? "looking at the path" : "waiting for a direct path");
  if (!options.relayed) await waitForDirectPath(stage);
  const relayedBefore = await relayedBytes(stage.root);

  progress.step(`measuring ${RTT_PINGS} round trips`);
  const pings = await agentA.ping({
    target: addressOfB,
    count: RTT_PINGS,
    intervalMs: RTT_INTERVAL_MS,
  }).result;
  progress.news(`${pings.received} replies`);

  const send = async (from: AgentClient, to: AgentClient, ip: string, name: string) => {
    progress.step(`sending ${name}`);
    const { sendMs } = options;
    const receiving = to.receiveStream({ ip, port: STREAM_PORT, hash: false }, sendMs, {
      onProgress: (bytes, timeMs) =>
        progress.news(`${Math.round(megabitsPerSecond(bytes, timeMs))} Mbit/s`),
    });
    await receiving.listening;
    const sending = from.sendStream({ ip, port: STREAM_PORT, hash: false, timeMs: sendMs }, sendMs);
    const [received] = await Promise.all([receiving.result, sending.result]);
    return received;
  };
  const aToB = await send(agentA, agentB, addressOfB, "from the first node to the second");
  const bToA = await send(agentB, agentA, addressOfA, "from the second node to the first");

  const relayed = await relayedBytes(stage.root) - relayedBefore;
  const moved = aToB.lengthBytes + bToA.lengthBytes;
  return {
    rttsMs: pings.rttsMs,
    pingsSent: pings.sent,
    throughputMbps: {
      aToB: megabitsPerSecond(aToB.lengthBytes, aToB.timeMs),
      bToA: megabitsPerSecond(bToA.lengthBytes, bToA.timeMs),
    },
    path: relayed > RELAYED_FRACTION * moved ? "relayed" : "direct",
  };
}

/** Returns also when there is none in time: what was relayed is counted and told. */
async function waitForDirectPath(stage: Stage): Promise<void> {
  const untilMs = performance.now() + DIRECT_PATIENCE_MS;
  while (performance.now() < untilMs) {
    const peers = await stage.a.ask<{ role: string; paths: unknown[] }[]>("peers");
    if (peers.some(({ role, paths }) => role === "LEAF" && paths.length > 0)) return;
    await new Promise((resolve) => setTimeout(resolve, DIRECT_POLL_MS));
  }
}

async function relayedBytes(root: LabNode): Promise<number> {
  return (await root.ask<{ relayedBytes: number }>("/zt/status")).relayedBytes;
}
