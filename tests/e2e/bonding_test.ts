/**
 * Two machines joined by two cables, and what the data Worker makes of a bond.
 * @module
 */
import { equal, ok } from "node:assert/strict";
import type { LabNode } from "../../cli/engine/demo/lab_node.ts";
import type { PeerInfo } from "../../cli/api/view.ts";
import type { LabSwitch } from "../../cli/engine/lab.ts";
import {
  addressOf,
  createNetwork,
  createPlanet,
  endToEndTest,
  joinNetwork,
  Stage,
  until,
} from "./stage.ts";

const DEVICES = ["eth0", "eth1"];
const STREAM_BYTES = 20 * 1_048_576;
const STREAM_PATIENCE_MS = 60_000;

/** Two bonded members of one network, and what they are called on it. */
interface Pair {
  readonly stage: Stage;
  readonly nodes: readonly [LabNode, LabNode];
  readonly ofA: string;
  readonly ofB: string;
  /** The second cable; the first is the stage's. */
  readonly second: LabSwitch;
}

async function bondedPair(policy: string): Promise<Pair> {
  const stage = new Stage(`bond-${policy}`, ["root", "a", "b"], { ipv6: null });
  const second = stage.lab.switch([stage.host("a"), stage.host("b")], { ipv6: null });
  const root = stage.node("root");
  const world = await createPlanet(stage, root);
  await root.start().ready();
  const nodes = [stage.node("a"), stage.node("b")] as const;
  await Promise.all(nodes.map(async (node) => {
    await node.do("planet", "use", world);
    const settings = { defaultBondingPolicy: policy };
    Deno.writeTextFileSync(`${node.home}/local.conf`, JSON.stringify({ settings }));
    await node.start().online();
  }));
  const id = await createNetwork(root, "--public", "--ipv4", "10.9.8.0/24");
  const [ofA, ofB] = [await joinNetwork(nodes[0], id), await joinNetwork(nodes[1], id)];
  const made = { stage, nodes, ofA, ofB, second };
  await until("both cables are in use", 60_000, async () => {
    await (await stage.agent("a")).ping({ target: ofB, count: 2, intervalMs: 100 }).result;
    return await uses(made, 0, 2) && await uses(made, 1, 2);
  });
  return made;
}

/** Whether a node's bond uses that many cables. */
async function uses({ nodes }: Pair, index: number, count: number): Promise<boolean> {
  const peer = await addressOf(nodes[1 - index]);
  const { code, out } = await nodes[index].say("--json", "bond", "show", peer);
  if (code !== 0) return false;
  const { paths } = JSON.parse(out) as PeerInfo;
  return new Set(paths.filter(({ bonded }) => bonded).map(({ ifname }) => ifname)).size === count;
}

/** Bytes each cable of a host has carried away. */
async function bytesOut({ stage }: Pair, name: string): Promise<number[]> {
  const process = stage.lab.spawn(stage.host(name), "cat", ["/proc/net/dev"], { stdout: "piped" });
  const lines = new TextDecoder().decode((await process.output()).stdout).split("\n");
  return DEVICES.map((device) => {
    const line = lines.find((one) => one.trim().startsWith(`${device}:`))!;
    return Number(line.split(":")[1].trim().split(/\s+/)[8]);
  });
}

/** A stream from one member to the other, whose hash must match. */
async function stream({ stage, ofB }: Pair, port: number): Promise<void> {
  const where = { ip: ofB, port, hash: true };
  const receiving = (await stage.agent("b")).receiveStream(where, STREAM_PATIENCE_MS);
  await receiving.listening;
  const order = { ...where, lengthBytes: STREAM_BYTES };
  const sending = (await stage.agent("a")).sendStream(order, STREAM_PATIENCE_MS);
  const [sent, received] = await Promise.all([sending.result, receiving.result]);
  equal(received.lengthBytes, STREAM_BYTES);
  equal(received.sha256, sent.sha256);
}

/** Pulls a cable at the far end: the near one does not notice. */
function pull({ stage, second }: Pair, index: number): void {
  const { ports } = index === 0 ? stage.lan : second;
  const { host, device } = ports.find((port) => port.host === stage.host("b"))!;
  host.setUp(device, false);
}

/** Pings while a cable is pulled. @returns how long none came back, about */
async function gapMs(pair: Pair, index: number): Promise<number> {
  const intervalMs = 20;
  const count = 300;
  const order = { target: pair.ofB, count, intervalMs, timeoutMs: 3_000 };
  const pinging = (await pair.stage.agent("a")).ping(order).result;
  await new Promise((resolve) => setTimeout(resolve, count * intervalMs / 4));
  pull(pair, index);
  return (count - (await pinging).received) * intervalMs;
}

endToEndTest("balance-rr: one stream goes by both cables, and arrives whole", async () => {
  const pair = await bondedPair("balance-rr");
  const before = await bytesOut(pair, "a");
  await stream(pair, 5010);
  const carried = (await bytesOut(pair, "a")).map((bytes, i) => bytes - before[i]);
  ok(Math.min(...carried) > 0.3 * STREAM_BYTES, `${carried} bytes by cable`);
  console.log(`measured: balance-rr, a cable dies: ${await gapMs(pair, 1)} ms`);
  await until("the other cable is left", 20_000, () => uses(pair, 0, 1));
  await stream(pair, 5011);
  await pair.stage.lab.end();
});

endToEndTest("balance-xor: streams keep to one cable each, and together use both", async () => {
  const pair = await bondedPair("balance-xor");
  const used = new Set<number>();
  for (let port = 5020; port < 5040 && used.size < 2; port++) {
    const before = await bytesOut(pair, "a");
    await stream(pair, port);
    const carried = (await bytesOut(pair, "a")).map((bytes, i) => bytes - before[i]);
    const [less, more] = carried.toSorted((a, b) => a - b);
    ok(less < 0.02 * more, `${carried} bytes by cable`);
    used.add(carried.indexOf(more));
  }
  equal(used.size, 2);
  await pair.stage.lab.end();
});

endToEndTest("broadcast: each datagram once, and none lost with a cable", async () => {
  const pair = await bondedPair("broadcast");
  const { stage, ofB } = pair;
  const count = 2_000;
  const receiving = (await stage.agent("b")).receiveDatagrams(
    { ip: ofB, port: 5003, quietMs: 3_000 },
    20_000,
  );
  await receiving.listening;
  const before = await bytesOut(pair, "a");
  const order = { ip: ofB, port: 5003, count, sizeBytes: 1_000, perSecond: 500 };
  const sending = (await stage.agent("a")).sendDatagrams(order, 20_000).result;
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const carried = (await bytesOut(pair, "a")).map((bytes, i) => bytes - before[i]);
  pull(pair, 0);
  equal((await sending).sent, count);
  const { received, duplicates } = await receiving.result;
  equal(duplicates, 0);
  // Half a second without them would be 12 %; a busy machine may lose one.
  ok(received >= 0.99 * count, `${received} of ${count}`);
  ok(Math.min(...carried) > 0.9 * Math.max(...carried), `${carried} bytes by cable`);
  await pair.stage.lab.end();
});

endToEndTest("active-backup: another cable takes over, and zt bond rotate changes it", async () => {
  const pair = await bondedPair("active-backup");
  const { nodes: [a, b] } = pair;
  const peer = await addressOf(b);
  const active = async () => {
    const { paths } = await a.ask<PeerInfo>("bond", "show", peer);
    return DEVICES.indexOf(paths.find(({ preferred }) => preferred)?.ifname ?? "");
  };
  const first = await active();
  await a.do("bond", "rotate", peer);
  equal(await active(), 1 - first);
  console.log(`measured: active-backup, the cable in use dies: ${await gapMs(pair, 1 - first)} ms`);
  equal(await active(), first);
  await stream(pair, 5012);
  const ip = [pair.stage.lan, pair.second][first].ipv4(a.host);
  await a.do("bond", "setmtu", "1400", DEVICES[first], ip);
  await stream(pair, 5013);
  await pair.stage.lab.end();
});
