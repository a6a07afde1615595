/**
 * Traffic of a benchmark, at one end: a program of its own, because sockets belong to the namespace of the process that
 * opens them and because it blocks.
 *
 *     traffic.ts <task> <its parameters as JSON>
 *
 * It gets ready, prints a line, waits for a line, works, prints its result as JSON and ends. Thus
 * its own start is never within what is measured.
 * @module
 */
import { ping } from "../../cli/engine/demo/ping.ts";
import { type Ip, parseIp } from "../../lib/base/ip.ts";
import { type TcpResult, TcpSink, TcpSource } from "./traffic_tcp.ts";
import { type UdpResult, UdpSink, UdpSource } from "./traffic_udp.ts";

const PING_SIZE_BYTES = 56;
const PING_TIMEOUT_MS = 1_000;

/** What can be asked, with the parameters of each. */
export interface TrafficTasks {
  tcpReceive: {
    in: { ip: string; port: number; streams: number; patienceMs: number };
    out: TcpResult;
  };
  tcpSend: { in: { ip: string; port: number; streams: number; timeMs: number }; out: TcpResult };
  udpReceive: { in: { ip: string; port: number; patienceMs: number }; out: UdpResult };
  udpSend: { in: { ip: string; port: number; sizeBytes: number; timeMs: number }; out: UdpResult };
  ping: {
    in: { ip: string; intervalMs: number; timeMs: number };
    out: { sent: number; rttsMs: number[] };
  };
}

type Tasks = {
  [Name in keyof TrafficTasks]: (
    task: TrafficTasks[Name]["in"],
  ) => () => TrafficTasks[Name]["out"] | Promise<TrafficTasks[Name]["out"]>;
};

const TASKS: Tasks = {
  tcpReceive({ ip, port, streams, patienceMs }) {
    const sink = new TcpSink(ipOf(ip), port, streams);
    return () => sink.run(patienceMs);
  },
  tcpSend({ ip, port, streams, timeMs }) {
    const source = new TcpSource(ipOf(ip), port, streams);
    return () => source.run(timeMs);
  },
  udpReceive({ ip, port, patienceMs }) {
    const sink = new UdpSink(ipOf(ip), port);
    return () => sink.run(patienceMs);
  },
  udpSend({ ip, port, sizeBytes, timeMs }) {
    const source = new UdpSource(ipOf(ip), port, sizeBytes);
    return () => source.run(timeMs);
  },
  ping({ ip, intervalMs, timeMs }) {
    return async () => {
      const { sent, rttsMs } = await ping({
        target: ipOf(ip),
        count: Math.max(1, Math.floor(timeMs / intervalMs)),
        intervalMs,
        sizeBytes: PING_SIZE_BYTES,
        timeoutMs: PING_TIMEOUT_MS,
      });
      return { sent, rttsMs };
    };
  },
};

function ipOf(text: string): Ip {
  const ip = parseIp(text);
  if (!ip) throw new TypeError(`"${text}" is not an IP address`);
  return ip;
}

if (import.meta.main) {
  const [name, json] = Deno.args;
  const prepare = TASKS[name as keyof TrafficTasks] as (task: unknown) => () => unknown;
  const run = prepare(JSON.parse(json));
  console.log("ready");
  const go = await Deno.stdin.read(new Uint8Array(16));
  if (go !== null) console.log(JSON.stringify(await run()));
  Deno.exit(0);
}
