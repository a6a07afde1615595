/**
 * What is measured between two hosts, one thing at a time.
 * @module
 */
import { percentile } from "../../cli/engine/demo/measure.ts";
import type { Lab, LabHost } from "../../cli/engine/lab.ts";
import { cpuNs, residentMb, threadCpuBetweenNs, threadCpuNs } from "./process.ts";
import { openTraffic, type Traffic } from "./traffic_client.ts";

const PORT = 5_001;
const UDP_SIZE_BYTES = 200;
const WARM_UP_MS = 500;
const SETTLE_MS = 3_000; // after joining, before what is called idle
const IDLE_MS = 10_000;
const DRAIN_PATIENCE_MS = 20_000; // for what is queued when a sender has ended
const MEMORY_SAMPLE_MS = 250;
const PING_INTERVAL_MS = 5;
const PING_HEAD_START_MS = 500; // a stream gets up to speed before anybody pings

/** Figures by name; see `figures.ts` for what they mean. */
export type Values = Record<string, number>;

/** A way through the product, or past it, and the daemons whose cost counts. */
export interface Lane {
  readonly lab: Lab;
  readonly from: LabHost;
  readonly to: LabHost;
  /** Address of `to` that leads this way. */
  readonly ip: string;
  /** Process ids; none on the bare wire. */
  readonly daemons: readonly number[];
}

/** One measurement of `timeMs`. */
export type Step = (lane: Lane, timeMs: number) => Promise<Values>;

/** The measurements by the name the user selects them with, in the order they run: the harshest last. */
export const STEPS = {
  idle: measureIdle,
  rtt: measureRoundTrips,
  tcp1: (lane, timeMs) => measureStreams(lane, 1, timeMs),
  tcp4: (lane, timeMs) => measureStreams(lane, 4, timeMs),
  loaded: measureRoundTripsUnderLoad,
  udp: measureDatagrams,
} as const satisfies Record<string, Step>;

/** Name of a measurement. */
export type StepName = keyof typeof STEPS;

/** Sends a little first: neighbours are found, code is compiled, windows are open. */
export async function warmUp(lane: Lane): Promise<void> {
  await stream(lane, 1, WARM_UP_MS);
}

/** The same lane in the other direction. @param ip Address of `from` */
export function reversed(lane: Lane, ip: string): Lane {
  return { ...lane, from: lane.to, to: lane.from, ip };
}

async function measureIdle({ daemons }: Lane): Promise<Values> {
  if (daemons.length === 0) return {};
  await sleep(SETTLE_MS);
  const before = daemons.map(threadCpuNs);
  const startMs = performance.now();
  await sleep(IDLE_MS);
  const timeNs = (performance.now() - startMs) * 1e6;
  const usedNs = daemons.map((pid, i) => threadCpuBetweenNs(before[i], threadCpuNs(pid)));
  return {
    idleCpuPercent: 100 * sum(usedNs) / timeNs / daemons.length,
    rssIdleMb: Math.max(...daemons.map(residentMb)),
  };
}

async function measureRoundTrips(lane: Lane, timeMs: number): Promise<Values> {
  const pinger = await openPing(lane, timeMs);
  const { p50, p99, lossPercent } = roundTrips(await pinger.run());
  return { rttP50Ms: p50, rttP99Ms: p99, rttLossPercent: lossPercent };
}

async function measureRoundTripsUnderLoad(lane: Lane, timeMs: number): Promise<Values> {
  const pinger = await openPing(lane, timeMs);
  const [pinged, { lengthBytes, timeMs: tookMs }] = await Promise.all([
    sleep(PING_HEAD_START_MS).then(() => pinger.run()),
    stream(lane, 1, timeMs + 2 * PING_HEAD_START_MS),
  ]);
  const { p50, p99, lossPercent } = roundTrips(pinged);
  return {
    loadedP50Ms: p50,
    loadedP99Ms: p99,
    loadedLossPercent: lossPercent,
    loadedMbps: megabits(lengthBytes, tookMs),
  };
}

async function measureStreams(lane: Lane, streams: number, timeMs: number): Promise<Values> {
  const { daemons } = lane;
  const name = `tcp${streams}`;
  const { lengthBytes, timeMs: tookMs, usedNs, rssMb } = await stream(lane, streams, timeMs);
  const values: Values = { [`${name}Mbps`]: megabits(lengthBytes, tookMs) };
  if (daemons.length > 0 && lengthBytes > 0) {
    values[`${name}CpuNsPerByte`] = usedNs / lengthBytes;
    values[`${name}RssMb`] = rssMb;
  }
  return values;
}

async function measureDatagrams(lane: Lane, timeMs: number): Promise<Values> {
  const { lab, from, to, ip, daemons } = lane;
  const patienceMs = timeMs + DRAIN_PATIENCE_MS;
  const sink = await openTraffic(lab, to, "udpReceive", { ip, port: PORT, patienceMs });
  const send = { ip, port: PORT, sizeBytes: UDP_SIZE_BYTES, timeMs };
  const source = await openTraffic(lab, from, "udpSend", send);
  const beforeNs = sum(daemons.map(cpuNs));
  const [received, sent] = await Promise.all([sink.run(), source.run()]);
  const usedNs = sum(daemons.map(cpuNs)) - beforeNs;
  const values: Values = {
    // Over no less than the time sent: a product that stops delivering half way has not delivered faster.
    udpKpps: received.count / Math.max(received.timeMs, timeMs),
    udpOfferedKpps: sent.count / sent.timeMs,
  };
  if (daemons.length > 0 && received.count > 0) values.udpCpuNsPerPacket = usedNs / received.count;
  return values;
}

interface Streamed {
  lengthBytes: number;
  timeMs: number;
  /** Processor time of all daemons. */
  usedNs: number;
  /** The most any daemon held. */
  rssMb: number;
}

/** TCP at full speed, and what it cost. */
async function stream(lane: Lane, streams: number, timeMs: number): Promise<Streamed> {
  const { lab, from, to, ip, daemons } = lane;
  const patienceMs = timeMs + DRAIN_PATIENCE_MS;
  const sink = await openTraffic(lab, to, "tcpReceive", { ip, port: PORT, streams, patienceMs });
  const source = await openTraffic(lab, from, "tcpSend", { ip, port: PORT, streams, timeMs });
  const beforeNs = sum(daemons.map(cpuNs));
  let rssMb = 0;
  const look = () => rssMb = Math.max(rssMb, ...daemons.map(residentMb));
  const timer = setInterval(look, MEMORY_SAMPLE_MS);
  try {
    const [received] = await Promise.all([sink.run(), source.run()]);
    look();
    const usedNs = sum(daemons.map(cpuNs)) - beforeNs;
    return { lengthBytes: received.lengthBytes, timeMs: received.timeMs, usedNs, rssMb };
  } finally {
    clearInterval(timer);
  }
}

function openPing({ lab, from, ip }: Lane, timeMs: number): Promise<Traffic<"ping">> {
  return openTraffic(lab, from, "ping", { ip, intervalMs: PING_INTERVAL_MS, timeMs });
}

function roundTrips({ sent, rttsMs }: { sent: number; rttsMs: number[] }) {
  return {
    p50: percentile(rttsMs, 0.5) ?? NaN,
    p99: percentile(rttsMs, 0.99) ?? NaN,
    lossPercent: 100 * (1 - rttsMs.length / sent),
  };
}

function megabits(lengthBytes: number, timeMs: number): number {
  return timeMs > 0 ? lengthBytes * 8 / 1_000 / timeMs : 0;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function sleep(timeMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, timeMs));
}
