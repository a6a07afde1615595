/**
 * Runs inside a lab host and does there what a test asks: calls the local API, sends datagrams and streams through
 * the tunnel, answers them. One JSON object a line, in and out.
 *
 * A program of its own because sockets belong to the namespace of the process that opens them.
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { request } from "node:http";

const CHUNK_BYTES = 65_536;
const SOCKET_BUFFER_BYTES = 4_000_000; // a burst of large datagrams must not be lost inside the host

/** What an agent can be asked, with the parameters of each. */
export interface AgentTasks {
  /** One request to the API on this host. */
  http: {
    in: { port: number; token: string; method: string; path: string; body?: string };
    out: { status: number; text: string };
  };
  /** Begins to answer datagrams of both families with themselves, and streams with a summary of what came. */
  serve: { in: { port: number }; out: Record<string, never> };
  /** Sends datagrams one after the other and waits for each to come back. */
  ping: {
    in: {
      ip: string;
      port: number;
      /** UDP payload. */
      sizeBytes: number;
      count: number;
      intervalMs: number;
      /** Ends as soon as one came back. */
      untilFirst?: boolean;
      /** Own address to send from, instead of the one the system chooses. */
      from?: string;
    };
    out: {
      sent: number;
      rttsMs: number[];
      /** When the last came back, since the first was due; 0 when none did. */
      lastMs: number;
      totalMs: number;
    };
  };
  /** Sends a stream; `hash` compares SHA-256 at both ends. */
  stream: {
    in: { ip: string; port: number; lengthBytes: number; hash: boolean };
    out: { received: number; equal: boolean; seconds: number };
  };
}

/** Echo of datagrams of one family as they are. */
function serveDatagrams(type: "udp4" | "udp6", port: number): Promise<void> {
  const socket = createSocket({ type, reuseAddr: true, ipv6Only: type === "udp6" });
  socket.on("message", (bytes, from) => socket.send(bytes, from.port, from.address));
  return new Promise((resolve) =>
    socket.bind(port, () => {
      growBuffers(socket);
      resolve();
    })
  );
}

function growBuffers(socket: Socket): void {
  try {
    socket.setRecvBufferSize(SOCKET_BUFFER_BYTES);
  } catch {
    // Only a help for bursts.
  }
}

/** Of both families. First byte 1: hash what comes. At the end of the stream: one JSON line with what came. */
async function serveStreams(port: number): Promise<void> {
  for await (const connection of Deno.listen({ hostname: "::", port })) void takeStream(connection);
}

async function takeStream(connection: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  const hash = createHash("sha256");
  let received = -1; // the first byte is the mode
  let hashing = false;
  for (;;) {
    const length = await connection.read(buffer);
    if (length === null) break;
    const skip = received < 0 ? 1 : 0;
    if (skip === 1) hashing = buffer[0] === 1;
    if (hashing) hash.update(buffer.subarray(skip, length));
    received += length;
  }
  const summary = JSON.stringify({ received, digest: hash.digest("hex") });
  await connection.write(new TextEncoder().encode(summary));
  connection.close();
}

async function ping(task: AgentTasks["ping"]["in"]): Promise<AgentTasks["ping"]["out"]> {
  const socket = createSocket(task.ip.includes(":") ? "udp6" : "udp4");
  const sentMs = new Map<number, number>();
  const rttsMs: number[] = [];
  const startMs = performance.now();
  let lastMs = 0;
  let done = () => {};
  const finished = new Promise<void>((resolve) => done = resolve);
  socket.on("message", (bytes) => {
    if (bytes.length !== task.sizeBytes) return;
    const at = sentMs.get(bytes.readUInt32BE(0));
    if (at === undefined) return;
    sentMs.delete(bytes.readUInt32BE(0));
    rttsMs.push(performance.now() - at);
    lastMs = performance.now() - startMs;
    if (task.untilFirst || rttsMs.length === task.count) done();
  });
  socket.on("error", () => {});
  await new Promise<void>((resolve) => socket.bind(0, task.from, resolve));
  growBuffers(socket);
  let sent = 0;
  const timer = setInterval(() => {
    if (sent === task.count) return;
    const bytes = Buffer.alloc(task.sizeBytes, sent & 0xff);
    bytes.writeUInt32BE(sent, 0);
    sentMs.set(sent++, performance.now());
    socket.send(bytes, task.port, task.ip, () => {});
  }, task.intervalMs);
  const patience = setTimeout(() => done(), task.count * task.intervalMs + 2_000);
  await finished;
  clearInterval(timer);
  clearTimeout(patience);
  socket.close();
  return { sent, rttsMs, lastMs, totalMs: performance.now() - startMs };
}

async function stream(task: AgentTasks["stream"]["in"]): Promise<AgentTasks["stream"]["out"]> {
  const connection = await Deno.connect({ hostname: task.ip, port: task.port });
  const startMs = performance.now();
  const hash = createHash("sha256");
  const chunk = crypto.getRandomValues(new Uint8Array(CHUNK_BYTES));
  await connection.write(new Uint8Array([task.hash ? 1 : 0]));
  for (let left = task.lengthBytes; left > 0;) {
    const length = Math.min(left, chunk.length);
    chunk[left % CHUNK_BYTES]++;
    const piece = chunk.subarray(0, length);
    if (task.hash) hash.update(piece);
    for (let at = 0; at < length;) at += await connection.write(piece.subarray(at));
    left -= length;
  }
  await connection.closeWrite();
  const text = await new Response(connection.readable).text();
  const { received, digest } = JSON.parse(text);
  const seconds = (performance.now() - startMs) / 1000;
  const equal = received === task.lengthBytes && (!task.hash || digest === hash.digest("hex"));
  return { received, equal, seconds };
}

/**
 * A connection each: the reference closes one after five requests, which races with the next. We
 * close it: the side that does keeps its port busy for a minute, and another program could not take
 * the service's port over.
 */
function http(task: AgentTasks["http"]["in"]): Promise<AgentTasks["http"]["out"]> {
  const { port, method, path, token, body } = task;
  return new Promise((resolve, reject) => {
    const headers = {
      "X-ZT1-Auth": token,
      "Connection": "keep-alive",
      ...(body === undefined ? {} : { "Content-Length": Buffer.byteLength(body) }),
    };
    const options = { host: "127.0.0.1", port, method, path, headers, agent: false };
    const asked = request(options, (response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.on("error", reject);
      response.on("end", () => {
        asked.destroy();
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString() });
      });
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

const serving = new Set<number>();

async function serve({ port }: AgentTasks["serve"]["in"]): Promise<Record<string, never>> {
  if (serving.has(port)) return {};
  serving.add(port);
  await serveDatagrams("udp4", port);
  await serveDatagrams("udp6", port);
  void serveStreams(port);
  return {};
}

const TASKS: {
  [name in keyof AgentTasks]: (task: AgentTasks[name]["in"]) => Promise<AgentTasks[name]["out"]>;
} = { http, serve, ping, stream };

async function perform(line: string): Promise<void> {
  const { id, name, task } = JSON.parse(line);
  let reply: unknown;
  try {
    reply = { id, value: await TASKS[name as keyof AgentTasks](task) };
  } catch (error) {
    reply = { id, error: String(error) };
  }
  console.log(JSON.stringify(reply));
}

if (import.meta.main) {
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) void perform(line);
  }
  Deno.exit(0);
}
