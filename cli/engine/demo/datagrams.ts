/**
 * Numbered UDP datagrams at a steady rate: what share arrives, and whether in order.
 * @module
 */
import { createSocket } from "node:dgram";

const HEADER_LENGTH = 8; // number, then how many there will be
const BURST_MS = 5; // timers are no finer: several datagrams go at once above 200 a second

/** What came in. */
export type DatagramResult = {
  received: number;
  /** Arrived after one with a higher number. */
  late: number;
  duplicates: number;
};

/** What to send. */
export interface DatagramOptions {
  readonly ip: string;
  readonly port: number;
  readonly count: number;
  readonly sizeBytes: number;
  readonly perSecond: number;
}

/**
 * Counts datagrams until the one announced as the last came, or none comes for a while.
 * @param quietMs How long nothing may come
 */
export function receiveDatagrams(
  ip: string,
  port: number,
  quietMs: number,
  onListening: () => void,
): Promise<DatagramResult> {
  const socket = createSocket(ip.includes(":") ? "udp6" : "udp4");
  const seen = new Set<number>();
  const result: DatagramResult = { received: 0, late: 0, duplicates: 0 };
  const done = Promise.withResolvers<DatagramResult>();
  let highest = -1;
  let timer = setTimeout(() => done.resolve(result), quietMs);
  socket.on("error", done.reject);
  socket.on("message", (message: Uint8Array) => {
    const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
    if (view.byteLength < HEADER_LENGTH) return;
    const number = view.getUint32(0);
    if (seen.has(number)) result.duplicates++;
    else if (number < highest) result.late++;
    seen.add(number);
    highest = Math.max(highest, number);
    result.received = seen.size;
    clearTimeout(timer);
    if (seen.size === view.getUint32(4)) return done.resolve(result);
    timer = setTimeout(() => done.resolve(result), quietMs);
  });
  socket.bind(port, ip, onListening);
  return done.promise.finally(() => {
    clearTimeout(timer);
    socket.close();
  });
}

/** Sends them. @returns how many went out */
export async function sendDatagrams(options: DatagramOptions): Promise<number> {
  const { ip, port, count, sizeBytes, perSecond } = options;
  if (sizeBytes < HEADER_LENGTH) {
    throw new RangeError(`a datagram carries ${HEADER_LENGTH} bytes or more`);
  }
  const socket = createSocket(ip.includes(":") ? "udp6" : "udp4");
  const startMs = performance.now();
  let sent = 0;
  try {
    while (sent < count) {
      const due = Math.min(count, Math.floor((performance.now() - startMs) * perSecond / 1000) + 1);
      for (; sent < due; sent++) await sendOne(socket, datagram(sent, count, sizeBytes), port, ip);
      await new Promise((resolve) => setTimeout(resolve, BURST_MS));
    }
  } finally {
    socket.close();
  }
  return sent;
}

function sendOne(
  socket: ReturnType<typeof createSocket>,
  bytes: Uint8Array,
  port: number,
  ip: string,
): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(bytes, port, ip, (error) => error ? reject(error) : resolve());
  });
}

function datagram(number: number, count: number, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, number);
  view.setUint32(4, count);
  return bytes;
}
