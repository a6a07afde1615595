/**
 * What the engine asks of whatever moves its packets: the data Worker in production, memory in tests.
 * @module
 */
import type { Endpoint } from "../../lib/base/ip.ts";
import type { TableRecord } from "../../lib/dataplane/table_records.ts";
import type { RelayReport } from "../../lib/root/relay_flows.ts";

/** Traffic of one session. */
export interface Traffic {
  readonly session: number;
  /** The path of the last frame that came straight from the peer, or else through a relay, if any did. */
  readonly heard?: {
    readonly socket: number;
    readonly from: Endpoint;
    readonly isRelayed: boolean;
  };
  readonly packetsOut: number;
  /** Frames delivered. */
  readonly packetsIn: number;
}

/** What a packet mover has to tell. Byte arrays are lent: read during the call, copy what must stay. */
export interface PacketEvents {
  /** A datagram came in on a socket. */
  onDatagram(socketId: number, from: Endpoint, bytes: Uint8Array): void;
  /** A packet the data plane opened, and leaves to control. */
  onOpened?(socketId: number, from: Endpoint, bytes: Uint8Array): void;
  /** What the data plane did for a session since its last word. */
  onTraffic?(traffic: Traffic): void;
  /** What the data plane passed on of one flow since its last word. */
  onRelayed?(report: RelayReport): void;
  /** The data plane was started anew, and its tables are empty. */
  onReset?(): void;
  /** This machine's network stack sent a frame into a TAP. */
  onFrame(tapId: number, bytes: Uint8Array): void;
  /** The descriptor of a signal is readable. It is watched again after the next {@linkcode PacketMover.addSignal}. */
  onSignal?(signalId: number): void;
  /** A descriptor broke, e.g. its device was deleted by someone else: it is no longer read. */
  onLost?(what: "socket" | "tap" | "signal", id: number): void;
  /** Whatever moves packets died and is being replaced. @param reason For the log; may have lines */
  onRestart?(reason: string): void;
  /** Something works less well than it could. @param what For the log */
  onNote?(what: string): void;
  /** Packets cannot be moved any more: the data Worker died too often. */
  onFailed?(error: Error): void;
}

/** How a TAP gives and takes frames. */
export interface TapFrames {
  /** Each has a virtio header of 10 bytes in front. */
  readonly headers: boolean;
  /** It takes several UDP frames as one. */
  readonly joinsUdp: boolean;
}

/** Plain frames, one at a time. */
export const PLAIN_FRAMES: TapFrames = { headers: false, joinsUdp: false };

/** Moves packets between this thread and sockets and TAPs. Ids are the caller's, unique per kind. */
export interface PacketMover {
  /** Starts reading. */
  start(): void;
  /** Starts reading a socket, and allows sending on it. */
  addSocket(id: number, fd: number): void;
  /** @returns when nothing of it follows and its descriptor may be closed */
  removeSocket(id: number): Promise<void>;
  addTap(id: number, fd: number, frames: TapFrames): void;
  /** @returns when nothing of it follows and its descriptor may be closed */
  removeTap(id: number): Promise<void>;
  /** Watches a descriptor until it is readable, once. */
  addSignal(id: number, fd: number): void;
  /** @returns when its descriptor may be closed */
  removeSignal(id: number): Promise<void>;
  /** Queues a datagram; the bytes are copied. @returns false when there was no room: it is lost, as UDP may */
  send(socketId: number, to: Endpoint, bytes: Uint8Array): boolean;
  /** Queues a frame for this machine's network stack; the bytes are copied. @returns false when there was no room */
  writeFrame(tapId: number, bytes: Uint8Array): boolean;
  /** Changes the data plane's tables. */
  apply?(record: TableRecord): void;
  /** Sees to it that what is queued gets moved: once at the end of each turn. Events end with one of their own. */
  flush(): void;
  /** Stops reading. @returns when all descriptors may be closed */
  stop(): Promise<void>;
}
