/**
 * A TCP sender and a receiver: how fast a stream goes through, and whether it arrives as it left.
 * @module
 */
import { createHash, type Hash } from "node:crypto";

const CHUNK_LENGTH = 262_144; // large enough that our own calls cost little
const REPORT_MS = 250; // between two progress reports
const NUMBER_AT = 0; // of a chunk: where its number stands

/** How a stream went, as seen from one end. */
export type StreamResult = {
  lengthBytes: number;
  /** From the first byte to the last. */
  timeMs: number;
  /** Hexadecimal, when asked for. */
  sha256?: string;
};

/** What the receiver expects. */
export interface ReceiveOptions {
  /** Address and TCP port to listen at. */
  readonly ip: string;
  readonly port: number;
  readonly hash: boolean;
  readonly signal: AbortSignal;
  /** Called once, when a sender may connect. */
  readonly onListening: () => void;
  /** Called now and then while bytes come in. */
  readonly onProgress: (lengthBytes: number, timeMs: number) => void;
}

/** Takes one stream to its end. @throws when nobody comes before the signal aborts */
export async function receiveStream(options: ReceiveOptions): Promise<StreamResult> {
  const listener = Deno.listen({ hostname: options.ip, port: options.port });
  const hangUp = () => listener.close();
  options.signal.addEventListener("abort", hangUp, { once: true });
  try {
    options.onListening();
    const connection = await listener.accept();
    const abort = () => connection.close();
    options.signal.addEventListener("abort", abort, { once: true });
    try {
      return await readAll(connection, options);
    } finally {
      options.signal.removeEventListener("abort", abort);
      if (!options.signal.aborted) connection.close();
    }
  } finally {
    options.signal.removeEventListener("abort", hangUp);
    if (!options.signal.aborted) listener.close();
  }
}

async function readAll(connection: Deno.Conn, options: ReceiveOptions): Promise<StreamResult> {
  const hash: Hash | undefined = options.hash ? createHash("sha256") : undefined;
  const buffer = new Uint8Array(CHUNK_LENGTH);
  let lengthBytes = 0;
  let firstMs = 0;
  let lastMs = 0;
  let reportMs = 0;
  for (;;) {
    const got = await connection.read(buffer);
    if (got === null) break;
    lastMs = performance.now();
    if (lengthBytes === 0) firstMs = reportMs = lastMs;
    lengthBytes += got;
    hash?.update(buffer.subarray(0, got));
    if (lastMs - reportMs >= REPORT_MS) {
      options.onProgress(lengthBytes, lastMs - firstMs);
      reportMs = lastMs;
    }
  }
  return { lengthBytes, timeMs: lastMs - firstMs, sha256: hash?.digest("hex") };
}

/** What the sender does. */
export interface SendOptions {
  readonly ip: string;
  readonly port: number;
  /** Ends after so many bytes, */
  readonly lengthBytes?: number;
  /** or after so long. */
  readonly timeMs?: number;
  readonly hash: boolean;
  readonly signal: AbortSignal;
}

/** Sends chunks that all differ until the length or the time is reached, then closes and waits for the other end to. */
export async function sendStream(options: SendOptions): Promise<StreamResult> {
  const connection = await Deno.connect({ hostname: options.ip, port: options.port });
  const abort = () => connection.close();
  options.signal.addEventListener("abort", abort, { once: true });
  try {
    const hash: Hash | undefined = options.hash ? createHash("sha256") : undefined;
    const chunk = new Uint8Array(CHUNK_LENGTH);
    for (let at = 0; at < CHUNK_LENGTH; at += 65_536) {
      crypto.getRandomValues(chunk.subarray(at, at + 65_536));
    }
    const lengthMax = options.lengthBytes ?? Infinity;
    const startMs = performance.now();
    const untilMs = startMs + (options.timeMs ?? Infinity);
    let lengthBytes = 0;
    for (let number = 0; lengthBytes < lengthMax && performance.now() < untilMs; number++) {
      new DataView(chunk.buffer).setUint32(NUMBER_AT, number);
      const piece = chunk.subarray(0, Math.min(CHUNK_LENGTH, lengthMax - lengthBytes));
      hash?.update(piece);
      for (let at = 0; at < piece.length;) at += await connection.write(piece.subarray(at));
      lengthBytes += piece.length;
    }
    await connection.closeWrite();
    await connection.read(new Uint8Array(1)); // the other end closes once it has read everything
    return { lengthBytes, timeMs: performance.now() - startMs, sha256: hash?.digest("hex") };
  } finally {
    options.signal.removeEventListener("abort", abort);
    if (!options.signal.aborted) connection.close();
  }
}
