/**
 * Numbers for pairs of programs: join to first datagram back, and TCP both ways. Prints one line of JSON a pair.
 *
 *     ZT_REFERENCE=<path> deno run -A tests/interop/measure.ts
 *
 * @module
 */
import { Scene } from "./scene.ts";
import type { Kind } from "./station.ts";

const STREAM_BYTES = 100_000_000;
const ROUNDS = 3;

interface Pair {
  root: Kind;
  nodes: readonly [Kind, Kind];
  cipher: "salsa" | "aes";
}

const PAIRS: Pair[] = [
  { root: "zt", nodes: ["zt", "zt"], cipher: "salsa" },
  { root: "zt", nodes: ["zt", "reference"], cipher: "salsa" },
  { root: "zt", nodes: ["zt", "reference"], cipher: "aes" },
  { root: "zt", nodes: ["reference", "reference"], cipher: "salsa" },
  { root: "reference", nodes: ["zt", "zt"], cipher: "salsa" },
  { root: "reference", nodes: ["zt", "reference"], cipher: "salsa" },
  { root: "reference", nodes: ["zt", "reference"], cipher: "aes" },
  { root: "reference", nodes: ["reference", "reference"], cipher: "salsa" },
];

async function measure(pair: Pair) {
  const { root, nodes, cipher } = pair;
  await using scene = await Scene.start({ root, nodes, settings: { cipher } });
  const network = await scene.network();
  const [a, b] = scene.nodes;
  const ipB = await b.join(network);
  const joinMs = performance.now();
  const ipA = await a.join(network);
  const joinedMs = performance.now() - joinMs;
  await a.untilReaches(ipB);
  const pingMs = performance.now() - joinMs;
  await b.untilReaches(ipA);
  const thereAndBackMs = performance.now() - joinMs;
  const toB: number[] = [];
  const toA: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    toB.push(Math.round(await a.streams(ipB, STREAM_BYTES, false)));
    toA.push(Math.round(await b.streams(ipA, STREAM_BYTES, false)));
  }
  const rttsMs = await a.pings(ipB, 84, 50);
  return {
    ...pair,
    joinedMs: Math.round(joinedMs),
    joinToFirstPingMs: Math.round(pingMs),
    bothWaysMs: Math.round(thereAndBackMs),
    mbpsTo: { second: toB, first: toA },
    rttMs: { p50: rttsMs[25].toFixed(2), p95: rttsMs[47].toFixed(2) },
  };
}

if (import.meta.main) {
  for (const pair of PAIRS) {
    console.log(JSON.stringify(await measure(pair)));
  }
}
