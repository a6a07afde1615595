/**
 * Orders from a pipe, one JSON object a line: `zt lab-agent`, which the demo and the end-to-end
 * tests start inside a host of their lab and talk to through {@linkcode AgentOrder} and {@linkcode
 * AgentAnswer}. It ends with its input.
 * @module
 */
import { messageOf } from "../../../lib/base/errors.ts";
import { parseIp } from "../../../lib/base/ip.ts";
import type { Io } from "../../command.ts";
import { formatJson, type JsonObject } from "../json.ts";
import { receiveDatagrams, sendDatagrams } from "./datagrams.ts";
import { linesOf } from "./lines.ts";
import { ping } from "./ping.ts";
import { receiveStream, sendStream } from "./streams.ts";

/** One order; `id` names it in the answers. */
export type AgentOrder =
  & { readonly id: number }
  & (
    | {
      readonly kind: "ping";
      readonly target: string;
      readonly count: number;
      readonly intervalMs: number;
      readonly sizeBytes: number;
      readonly timeoutMs: number;
      readonly untilFirst?: boolean;
    }
    | {
      readonly kind: "tcp-receive";
      readonly ip: string;
      readonly port: number;
      readonly hash: boolean;
    }
    | {
      readonly kind: "tcp-send";
      readonly ip: string;
      readonly port: number;
      readonly hash: boolean;
      readonly lengthBytes?: number;
      readonly timeMs?: number;
    }
    | {
      readonly kind: "udp-receive";
      readonly ip: string;
      readonly port: number;
      readonly quietMs: number;
    }
    | {
      readonly kind: "udp-send";
      readonly ip: string;
      readonly port: number;
      readonly count: number;
      readonly sizeBytes: number;
      readonly perSecond: number;
    }
    /** Ends an order that runs. */
    | { readonly kind: "cancel"; readonly order: number }
  );

/** An order without its number. */
export type AgentWork = AgentOrder extends infer One ? One extends unknown ? Omit<One, "id"> : never
  : never;

/** A line of the agent. The first, with id 0, says that it listens. */
export type AgentAnswer = {
  readonly id: number;
  /** Something on the way: "listening", or bytes that came in. */
  readonly event?: JsonObject;
  /** The order is done. */
  readonly result?: JsonObject;
  /** It failed. */
  readonly error?: string;
};

/** Works until the input ends. */
export async function runAgent(input: ReadableStream<Uint8Array>, io: Io): Promise<void> {
  const running = new Map<number, AbortController>();
  const say = (answer: AgentAnswer) => io.out(`${formatJson(answer as JsonObject)}\n`);
  say({ id: 0, event: { ready: true } });
  for await (const line of linesOf(input)) {
    const order = JSON.parse(line) as AgentOrder;
    if (order.kind === "cancel") {
      running.get(order.order)?.abort();
      continue;
    }
    const abort = new AbortController();
    running.set(order.id, abort);
    perform(order, abort.signal, (event) => say({ id: order.id, event }))
      .then((result) => say({ id: order.id, result }))
      .catch((error) => say({ id: order.id, error: messageOf(error) }))
      .finally(() => running.delete(order.id));
  }
  for (const abort of running.values()) abort.abort();
}

async function perform(
  order: AgentOrder,
  signal: AbortSignal,
  event: (event: JsonObject) => void,
): Promise<JsonObject> {
  switch (order.kind) {
    case "ping": {
      const target = parseIp(order.target);
      if (!target) throw new TypeError(`"${order.target}" is no IP address`);
      return await ping({ ...order, target, signal });
    }
    case "tcp-receive": {
      return await receiveStream({
        ...order,
        signal,
        onListening: () => event({ listening: true }),
        onProgress: (lengthBytes, timeMs) => event({ lengthBytes, timeMs }),
      });
    }
    case "tcp-send":
      return await sendStream({ ...order, signal });
    case "udp-receive": {
      const { ip, port, quietMs } = order;
      return await receiveDatagrams(ip, port, quietMs, () => event({ listening: true }));
    }
    case "udp-send":
      return { sent: await sendDatagrams(order) };
    case "cancel":
      throw new TypeError("an order to cancel is no work");
  }
}
