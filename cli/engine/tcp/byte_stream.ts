/**
 * A connection as tunnels use it: bytes in by a callback, bytes out into a bounded queue. Two
 * kinds, because Deno serves TLS and Node's interface is the one that does not insist on a
 * certificate.
 * @module
 */
import type { Socket } from "node:net";
import { WireError } from "../../../lib/base/errors.ts";
import type { FairTurns } from "./fair_turns.ts";

/** Most bytes that wait to be sent; what comes when there are more is dropped, as UDP may. Reference: 65,536. */
const QUEUE_MAX_BYTES = 65_536;
/** Handled in one go: two hundred of the shortest datagrams there are, about a millisecond. */
const READ_BYTES = 8_192;

/** One end of a connection. */
export interface ByteStream {
  /** Copies nothing: the bytes are given away. @returns false when there was no room and nothing was queued */
  write(bytes: Uint8Array): boolean;
  /** Ends it at once, whatever waits. Later calls do nothing. */
  close(): void;
}

/** What a connection has to tell. */
export interface StreamEvents {
  /** Bytes are lent. @throws {WireError} when they break the protocol: the connection is closed then */
  onData(bytes: Uint8Array): void;
  /** It is over: closed by either end or broken. Called once. */
  onClosed(): void;
}

/** A connection Deno made or accepted, TLS or not. */
export class ConnStream implements ByteStream {
  readonly #conn: Deno.Conn;
  readonly #events: StreamEvents;
  readonly #turns: FairTurns;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #writing = false;
  #closed = false;

  /** @param turns Those of all connections that are read alike */
  constructor(conn: Deno.Conn, events: StreamEvents, turns: FairTurns) {
    this.#conn = conn;
    this.#events = events;
    this.#turns = turns;
  }

  /** Begins to read. @param first Bytes that were read before */
  start(first: Uint8Array): void {
    if (first.length > 0) this.#take(first);
    void this.#read();
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    while (!this.#closed) {
      const length = await this.#conn.read(buffer).catch(() => null); // broken is as good as ended
      if (length === null) break;
      await this.#turns.do(() => this.#take(buffer.subarray(0, length)));
    }
    this.close();
  }

  #take(bytes: Uint8Array): void {
    if (!this.#closed && !deliver(this.#events, bytes)) this.close();
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closed || this.#queuedBytes + bytes.length > QUEUE_MAX_BYTES) return false;
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    if (!this.#writing) void this.#drain();
    return true;
  }

  async #drain(): Promise<void> {
    this.#writing = true;
    try {
      while (this.#queue.length > 0 && !this.#closed) {
        const bytes = joined(this.#queue);
        this.#queue = [];
        for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
        this.#queuedBytes -= bytes.length;
      }
    } catch {
      this.close(); // broken
    }
    this.#writing = false;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeConn(this.#conn);
    this.#events.onClosed();
  }
}

/** A connection of Node's, TLS or not, made already. */
export class SocketStream implements ByteStream {
  readonly #socket: Socket;
  #closed = false;

  constructor(socket: Socket, readonly events: StreamEvents) {
    this.#socket = socket;
    socket.on("data", (bytes: Uint8Array) => {
      if (!this.#closed && !deliver(events, bytes)) this.close();
    });
    socket.on("end", () => this.close());
    socket.on("error", () => this.close());
    socket.on("close", () => this.close());
  }

  write(bytes: Uint8Array): boolean {
    const queuedBytes = this.#socket.writableLength;
    if (this.#closed || queuedBytes + bytes.length > QUEUE_MAX_BYTES) return false;
    this.#socket.write(bytes);
    return true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    this.events.onClosed();
  }
}

/** @returns false when the bytes broke the protocol */
function deliver(events: StreamEvents, bytes: Uint8Array): boolean {
  try {
    events.onData(bytes);
    return true;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return false;
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0];
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** Closes what may have been closed, or broken, before. */
export function closeConn(conn: { close(): void }): void {
  try {
    conn.close();
  } catch {
    // It was.
  }
}
