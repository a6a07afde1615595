import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { runAgent } from "../../../../../cli/engine/demo/agent.ts";
import { ping } from "../../../../../cli/engine/demo/ping.ts";
import { namespaceTest } from "../../../ffi/privileged.ts";

type Answer = { id: number; event?: Record<string, unknown>; result?: never; error?: string };

/** An agent in this process: what it is told and what it says. */
function startAgent() {
  const pipe = new TransformStream<Uint8Array, Uint8Array>();
  const writer = pipe.writable.getWriter();
  const answers: Answer[] = [];
  let wake = () => {};
  const ended = runAgent(pipe.readable, {
    out: (text) => {
      answers.push(JSON.parse(text));
      wake();
    },
    err: () => {},
  });
  const tell = (order: unknown) =>
    writer.write(new TextEncoder().encode(JSON.stringify(order) + "\n"));
  const until = async (wanted: (answer: Answer) => boolean): Promise<Answer> => {
    for (;;) {
      const found = answers.find(wanted);
      if (found) return found;
      await new Promise<void>((resolve) => wake = resolve);
    }
  };
  return { tell, until, end: () => writer.close().then(() => ended) };
}

Deno.test("runAgent() moves a stream from one order to another, with one hash", async () => {
  const { tell, until, end } = startAgent();
  const where = { ip: "127.0.0.1", port: 46_001, hash: true };
  await tell({ id: 1, kind: "tcp-receive", ...where });
  await until(({ id, event }) => id === 1 && event?.listening === true);
  await tell({ id: 2, kind: "tcp-send", ...where, lengthBytes: 1_000_001 });
  type Result = { lengthBytes: number; sha256: string };
  const sent = (await until(({ id, result }) => id === 2 && result !== undefined))
    .result as unknown;
  const received = (await until(({ id, result }) => id === 1 && result !== undefined))
    .result as unknown;
  equal((received as Result).lengthBytes, 1_000_001);
  equal((received as Result).sha256, (sent as Result).sha256);
  await end();
});

Deno.test("runAgent() counts datagrams until the last announced one came", async () => {
  const { tell, until, end } = startAgent();
  const where = { ip: "127.0.0.1", port: 46_002 };
  await tell({ id: 1, kind: "udp-receive", ...where, quietMs: 5000 });
  await until(({ id, event }) => id === 1 && event?.listening === true);
  await tell({ id: 2, kind: "udp-send", ...where, count: 50, sizeBytes: 100, perSecond: 5000 });
  const { result } = await until(({ id, result }) => id === 1 && result !== undefined);
  deepEqual(result, { received: 50, late: 0, duplicates: 0 });
  await until(({ id, result }) => id === 2 && result !== undefined);
  await end();
});

Deno.test("runAgent() says what went wrong with an order and takes the next", async () => {
  const { tell, until, end } = startAgent();
  await tell({ id: 1, kind: "ping", target: "nowhere", count: 1, intervalMs: 1, timeoutMs: 1 });
  equal((await until(({ id }) => id === 1)).error, '"nowhere" is no IP address');
  await tell({ id: 2, kind: "udp-send", ip: "127.0.0.1", port: 46_003, count: 1, sizeBytes: 1 });
  ok((await until(({ id }) => id === 2)).error?.includes("8 bytes"));
  await end();
});

namespaceTest("ping() counts replies of both families on the loopback device", async () => {
  for (const target of [Uint8Array.of(127, 0, 0, 1), new Uint8Array(16).fill(1, 15)]) {
    const order = { target, count: 5, intervalMs: 1, timeoutMs: 1000 };
    for (const sizeBytes of [8, 56, 9000]) {
      const result = await ping({ ...order, sizeBytes });
      equal(result.received, 5);
      equal(result.corrupt + result.refused, 0);
      equal(result.rttsMs.length, 5);
    }
    const first = await ping({ ...order, count: 1000, sizeBytes: 56, untilFirst: true });
    ok(first.received >= 1 && first.sent < 1000);
  }
});

Deno.test("ping() refuses sizes and counts out of bounds", async () => {
  const order = { target: Uint8Array.of(127, 0, 0, 1), intervalMs: 1, timeoutMs: 1 };
  await rejects(ping({ ...order, count: 1, sizeBytes: 7 }), RangeError);
  await rejects(ping({ ...order, count: 1, sizeBytes: 65_508 }), RangeError);
  await rejects(ping({ ...order, count: 0, sizeBytes: 56 }), RangeError);
});
