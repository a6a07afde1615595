import { equal, ok } from "node:assert/strict";
import type { SwitchOptions } from "../../cli/engine/lab.ts";
import { createNetwork, endToEndTest, joinNetwork, Stage, startPlanet, until } from "./stage.ts";

const MEBIBYTE = 1_048_576;
const STREAM_BYTES_THERE = 200 * MEBIBYTE;
const STREAM_BYTES_BACK = 50 * MEBIBYTE;
const STREAM_PATIENCE_MS = 90_000; // at 20 Mbit/s, far below what a busy machine does
const PING_SIZES_BYTES = [64, 128, 512, 1024, 1372, 1373, 1472, 1473, 2000, 2772, 2773, 2800];

/** Two members of one network, and what they are called on it. */
interface Pair {
  readonly stage: Stage;
  readonly ofA: string;
  readonly ofB: string;
}

let made: Promise<Pair> | undefined;

function pair(): Promise<Pair> {
  return made ??= makePair("traffic");
}

async function makePair(name: string, options?: SwitchOptions): Promise<Pair> {
  const stage = new Stage(name, ["root", "a", "b"], options);
  const { root, members: [a, b] } = await startPlanet(stage, ["root", "a", "b"]);
  const id = await createNetwork(root, "--public", "--ipv4", "10.9.8.0/24");
  return { stage, ofA: await joinNetwork(a, id), ofB: await joinNetwork(b, id) };
}

/** Pings of every size both ways. */
async function pingAllSizes({ stage, ofA, ofB }: Pair): Promise<void> {
  const [a, b] = [await stage.agent("a"), await stage.agent("b")];
  for (const sizeBytes of PING_SIZES_BYTES) {
    const order = { count: 10, intervalMs: 20, timeoutMs: 2000, sizeBytes };
    for (const [agent, target] of [[a, ofB], [b, ofA]] as const) {
      const { received, corrupt } = await agent.ping({ target, ...order }).result;
      equal(received, 10, `${sizeBytes} bytes to ${target}`);
      equal(corrupt, 0);
    }
  }
}

endToEndTest("pings of 64 to 2800 bytes come back unchanged", async () => {
  await pingAllSizes(await pair());
});

for (const [family, options] of [["IPv4", { ipv6: null }], ["IPv6", { ipv4: null }]] as const) {
  endToEndTest(`a network works where there is only ${family}`, async () => {
    const only = await makePair(family, options);
    await pingAllSizes(only);
    await only.stage.lab.end();
  });
}

endToEndTest("200 MiB over TCP arrive as they left, and 50 MiB the other way", async () => {
  const { stage, ofA, ofB } = await pair();
  const [a, b] = [await stage.agent("a"), await stage.agent("b")];
  for (
    const [from, to, ip, lengthBytes] of [
      [a, b, ofB, STREAM_BYTES_THERE],
      [b, a, ofA, STREAM_BYTES_BACK],
    ] as const
  ) {
    const where = { ip, port: 5002, hash: true };
    const receiving = to.receiveStream(where, STREAM_PATIENCE_MS);
    await receiving.listening;
    const sending = from.sendStream({ ...where, lengthBytes }, STREAM_PATIENCE_MS);
    const [sent, received] = await Promise.all([sending.result, receiving.result]);
    equal(received.lengthBytes, lengthBytes);
    ok(received.sha256);
    equal(received.sha256, sent.sha256);
  }
});

endToEndTest("UDP datagrams at a steady rate arrive, each once", async () => {
  const { stage, ofB } = await pair();
  const [a, b] = [await stage.agent("a"), await stage.agent("b")];
  for (const sizeBytes of [100, 1400, 2700]) {
    const count = 1000;
    const receiving = b.receiveDatagrams({ ip: ofB, port: 5003, quietMs: 3000 }, 10_000);
    await receiving.listening;
    const order = { ip: ofB, port: 5003, count, sizeBytes, perSecond: 1000 };
    const { sent } = await a.sendDatagrams(order, 10_000).result;
    const { received, duplicates } = await receiving.result;
    equal(sent, count);
    equal(duplicates, 0);
    ok(received >= count * 0.99, `${received} of ${count} datagrams of ${sizeBytes} bytes`);
  }
});

endToEndTest("a member whose cable is pulled and plugged in again is reached again", async () => {
  const { stage, ofB } = await pair();
  const a = await stage.agent("a");
  const { device, host } = stage.lan.ports.find((port) => port.host === stage.host("b"))!;
  host.setUp(device, false);
  const order = { target: ofB, count: 5, intervalMs: 100, timeoutMs: 500 };
  equal((await a.ping(order).result).received, 0);
  host.setUp(device, true);
  // Taking a device down takes its IPv6 addresses with it; IPv4 stays.
  await until("pings get through again", 20_000, async () => {
    return (await a.ping(order).result).received > 0;
  });
});
