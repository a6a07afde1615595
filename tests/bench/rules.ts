/**
 * What filtering costs in the whole product: while a pair of nodes carries traffic, its network's
 * rules change again and again between "accept" and rules such as people write. Slices that follow
 * each other are compared, so what else runs on the machine hits both alike.
 * @module
 */
import { compileSource, sourceToJson } from "../../lib/controller/language/compiler.ts";
import type { Station } from "../interop/station.ts";
import type { Pair } from "./pair.ts";
import { threadCpuBetweenNs, threadCpuNs } from "./process.ts";
import { ACCEPT_ALL, ALLOW_LIST } from "./rule_sets.ts";
import { type Lane, STEPS, type Values } from "./steps.ts";

const SLICE_MS = 400;
const SETTLE_MS = 100; // the data Workers have the rules a moment after the nodes say so
const RUN_FACTOR = 6; // traffic runs so much longer than is asked for: half of it goes by while rules change
const ORDER = ["accept", "rules", "rules", "accept"] as const;
type Kind = typeof ORDER[number];

/** What the data Workers of both nodes have done, and what all their threads have cost. */
interface Look {
  readonly atMs: number;
  readonly sealed: number;
  readonly opened: number;
  readonly openedBytes: number;
  readonly threads: readonly Map<string, number>[];
}

/** What was seen over all slices of one kind. */
class Total {
  timeMs = 0;
  opened = 0;
  openedBytes = 0;
  #sealed = 0;
  readonly #cpuNs = [0, 0];

  add(before: Look, after: Look): void {
    this.timeMs += after.atMs - before.atMs;
    this.opened += after.opened - before.opened;
    this.openedBytes += after.openedBytes - before.openedBytes;
    this.#sealed += after.sealed - before.sealed;
    for (const i of [0, 1]) {
      this.#cpuNs[i] += threadCpuBetweenNs(before.threads[i], after.threads[i]);
    }
  }

  /** Of both daemons, for a packet that is sealed by one and opened by the other. */
  get cpuNsPerPacket(): number {
    return this.#cpuNs[0] / this.#sealed + this.#cpuNs[1] / this.opened;
  }
}

/**
 * Measures one stream, then small datagrams.
 * @returns `tcpMbps`, `tcpCpuNs` a packet, `udpKpps` and `udpCpuNs` a packet, each behind "accept." or "rules."
 */
export async function measureRules(pair: Pair, lane: Lane, timeMs: number): Promise<Values> {
  const values: Values = {};
  const runMs = timeMs * RUN_FACTOR;
  const stream = await alternate(pair, lane, STEPS.tcp1(lane, runMs));
  for (const [kind, total] of stream) {
    values[`${kind}.tcpMbps`] = total.openedBytes * 8 / 1_000 / total.timeMs;
    values[`${kind}.tcpCpuNs`] = total.cpuNsPerPacket;
  }
  const datagrams = await alternate(pair, lane, STEPS.udp(lane, runMs));
  for (const [kind, total] of datagrams) {
    values[`${kind}.udpKpps`] = total.opened / total.timeMs;
    values[`${kind}.udpCpuNs`] = total.cpuNsPerPacket;
  }
  return values;
}

/** Changes the rules for as long as the traffic runs; the first turns only warm up. */
async function alternate(
  pair: Pair,
  lane: Lane,
  traffic: Promise<Values>,
): Promise<Map<Kind, Total>> {
  const totals = new Map<Kind, Total>([["accept", new Total()], ["rules", new Total()]]);
  let ended = false;
  const done = traffic.finally(() => ended = true);
  done.catch(() => {}); // thrown below
  for (let turn = 0; !ended; turn++) {
    const kind = ORDER[turn % ORDER.length];
    await setRules(pair, kind === "accept" ? ACCEPT_ALL : ALLOW_LIST);
    await sleep(SETTLE_MS);
    const before = await look(pair, lane);
    await sleep(SLICE_MS);
    const after = await look(pair, lane);
    if (!ended && turn >= ORDER.length) totals.get(kind)!.add(before, after);
  }
  await done;
  return totals;
}

async function look({ a, b }: Pair, { daemons }: Lane): Promise<Look> {
  const [sent, received] = await Promise.all([statistics(a), statistics(b)]);
  return {
    atMs: performance.now(),
    sealed: sent.packets_sealed,
    opened: received.packets_opened,
    openedBytes: received.bytes_in,
    threads: daemons.map(threadCpuNs),
  };
}

/** Counts of a node's data Worker. */
async function statistics(node: Station): Promise<Record<string, number>> {
  const status = await node.api<{ data: { statistics: Record<string, number> } }>(
    "GET",
    "/zt/status",
  );
  return status.data.statistics;
}

/** Gives the network other rules and waits until both nodes have them. */
async function setRules({ root, a, b, network }: Pair, source: string): Promise<void> {
  const nodes = [a, b];
  const revisions = await Promise.all(nodes.map((node) => node.network(network)));
  const path = `/controller/network/${network}`;
  // The name changes too: a network set to what it is already is not sent out again.
  const name = `rules-${Date.now() % 1_000_000}`;
  await root.api("POST", path, { name, ...sourceToJson(compileSource(source)).config as object });
  await Promise.all(nodes.map((node, i) =>
    node.until("the rules changed", async () => {
      const { netconfRevision } = await node.network(network);
      return netconfRevision > revisions[i].netconfRevision;
    })
  ));
}

function sleep(timeMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, timeMs));
}
