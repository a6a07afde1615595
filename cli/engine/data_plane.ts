/**
 * The control thread's side of the data Worker: what it is to read, what it is to send, what came in; and its life.
 *
 * The Worker wakes this thread by a message, once per sleep. `Atomics.waitAsync` would be faster
 * (round trip p50 42-59 against 64-101 us on a quiet machine, 57-78 against 102-128 on a busy one),
 * but does not wake an idle Deno 2.4 at all. Waking the Worker takes an eventfd, for it sleeps in
 * poll.
 *
 * Each time it is woken this thread takes a bounded number of records, then lets timers and the API have their turn.
 *
 * If the Worker dies, another is started from what is remembered here. Packets in flight are lost, as in any network.
 *
 * Source: DESIGN.md section 3, spec 07 section 3 "Workers, wake-up and messages".
 * @module
 */
import { clearImmediate, setImmediate } from "node:timers";
import type { Endpoint } from "../../lib/base/ip.ts";
import { enableGro, supportsGso } from "../../ffi/linux/mmsg.ts";
import { EventFd } from "../../ffi/linux/system.ts";
import type { Address } from "../../lib/base/ids.ts";
import { encodeTableRecord, type TableRecord } from "../../lib/dataplane/table_records.ts";
import { type IdBlock, IDS_PER_BLOCK, packetIdState } from "../../lib/node/packet_ids.ts";
import {
  NO_SOCKET,
  PACKET_ROOM,
  putRecord,
  putRecordEndpoint,
  RECORD_HEADER_LENGTH,
  RECORD_IP_AT,
  recordId,
  recordIpLength,
  RecordKind,
  recordKind,
  recordPort,
  recordValue,
  SOCKET_CUTS,
  TAP_HEADERS,
  TAP_JOINS_UDP,
  TRAFFIC_DIRECT,
  TRAFFIC_RECEIVED_AT,
  TRAFFIC_RELAYED,
} from "../../lib/dataplane/records.ts";
import { Stat, statsMemory } from "../../lib/dataplane/stats.ts";
import { assert } from "../../lib/base/errors.ts";
import { DESCRIPTORS_MAX } from "./data_descriptors.ts";
import type { DataSetup } from "./data_loop.ts";
import type { WorkerWord } from "./data_worker.ts";
import {
  type PacketEvents,
  type PacketMover,
  PLAIN_FRAMES,
  type TapFrames,
} from "./packet_mover.ts";
import { ringMemory, RingReader, RingWriter } from "./ring.ts";

const RING_BYTES = 2_097_152; // each way; near 1,500 full datagrams, for when this thread is busy a while
const COMMAND_SPARE = 65_536; // room packets leave for commands, over 2,000 of them, which must not be lost
const RECORDS_PER_DRAIN = 256; // then the event loop gets its turn: about 1 ms
const CHECK_MS = 5_000; // how often we look whether the Worker still turns, which it does every 4 s at least
const STUCK_CHECKS = 2; // in a row without a turn; checks, not time, so that our own sleep does not count
const DEATHS_MAX = 5; // within the window; more means that restarting does not help
const DEATHS_WINDOW_MS = 60_000;
const RESTART_STEP_MS = 100; // wait before the second restart, twice that before the third
const STOP_MS = 3_000; // longest we wait for the Worker to leave its loop

type AddKind =
  | typeof RecordKind.ADD_SOCKET
  | typeof RecordKind.ADD_TAP
  | typeof RecordKind.ADD_SIGNAL;

const KIND_NAMES = {
  [RecordKind.ADD_SOCKET]: "socket",
  [RecordKind.ADD_TAP]: "tap",
  [RecordKind.ADD_SIGNAL]: "signal",
} as const;

/** A descriptor the Worker reads, and flags of its ADD record. */
interface Added {
  readonly fd: number;
  readonly flags: number;
}

/** What the data plane needs to know from the start. */
export interface DataPlaneOptions {
  readonly self: Address;
  /** Blocks of packet ids that nobody else uses. */
  readonly takeIds: () => IdBlock;
  /** Whether to use what the kernel offers; all on unless given. */
  readonly gso?: boolean;
  readonly gro?: boolean;
  /** Whether AES-GMAC-SIV is the system's library's to do, see {@linkcode hasFastAes}; not unless given. */
  readonly fastAes?: boolean;
}

function commandOf(kind: RecordKind, bytes: Uint8Array): Uint8Array {
  const command = new Uint8Array(RECORD_HEADER_LENGTH + bytes.length);
  putRecord(new DataView(command.buffer), 0, kind, 0);
  command.set(bytes, RECORD_HEADER_LENGTH);
  return command;
}

/** One Worker and what we share with it. Never reused: a Worker that is given up cannot touch the next one's rings. */
interface Incarnation {
  readonly worker: Worker;
  readonly wake: EventFd;
  readonly commands: RingWriter;
  readonly events: RingReader;
  stopped?: () => void;
}

/** {@linkcode PacketMover} by a Worker that blocks in poll. */
export class DataPlane implements PacketMover {
  /** Counts by `Stat`; shared memory, current at any time, kept when the Worker is replaced. */
  readonly stats: Float64Array;
  readonly #events: PacketEvents;
  readonly #statsMemory = statsMemory();
  readonly #options: DataPlaneOptions;
  readonly #added = new Map<AddKind, Map<number, Added>>([
    [RecordKind.ADD_SOCKET, new Map()],
    [RecordKind.ADD_TAP, new Map()],
    [RecordKind.ADD_SIGNAL, new Map()],
  ]);
  readonly #cutting = new Set<number>(); // sockets on which the system cuts, and joins, super-datagrams
  readonly #joining = new Set<number>();
  readonly #removals = new Map<number, () => void>(); // ticket to who waits
  readonly #backlog: Uint8Array[] = []; // commands that found no room; bounded by the number of descriptors
  readonly #packet = new Uint8Array(PACKET_ROOM); // what is lent to events: shared memory is refused by many APIs
  readonly #deathsMs: number[] = [];
  #current: Incarnation | undefined;
  #nextTicket = 1;
  #check: ReturnType<typeof setInterval> | undefined;
  #restart: ReturnType<typeof setTimeout> | undefined;
  #immediate: ReturnType<typeof setImmediate> | undefined;
  #lastTurns = -1;
  #idsFrom = 0; // packets sealed when the Worker got its ids
  #unchanged = 0;
  #running = false;

  constructor(events: PacketEvents, options: DataPlaneOptions) {
    this.#events = events;
    this.#options = options;
    this.stats = new Float64Array(this.#statsMemory);
  }

  start(): void {
    assert(!this.#running, "a data plane is started once");
    this.#running = true;
    this.#spawn(true);
    this.#check = setInterval(() => this.#checkTurns(), CHECK_MS);
  }

  addSocket(id: number, fd: number): void {
    const { gso = true, gro = true } = this.#options;
    if (gro && enableGro(fd)) this.#joining.add(id);
    if (gso && supportsGso(fd)) this.#cutting.add(id);
    this.#add(RecordKind.ADD_SOCKET, id, fd, this.#cutting.has(id) ? SOCKET_CUTS : 0);
  }

  removeSocket(id: number): Promise<void> {
    this.#joining.delete(id);
    this.#cutting.delete(id);
    return this.#remove(RecordKind.ADD_SOCKET, id);
  }

  /** Whether the system cuts super-datagrams for us, on any socket. */
  get cuts(): boolean {
    return this.#cutting.size > 0;
  }

  /** Whether it joins what one sender sends. */
  get joins(): boolean {
    return this.#joining.size > 0;
  }

  addTap(id: number, fd: number, frames: TapFrames = PLAIN_FRAMES): void {
    const flags = (frames.headers ? TAP_HEADERS : 0) | (frames.joinsUdp ? TAP_JOINS_UDP : 0);
    this.#add(RecordKind.ADD_TAP, id, fd, flags);
  }

  removeTap(id: number): Promise<void> {
    return this.#remove(RecordKind.ADD_TAP, id);
  }

  addSignal(id: number, fd: number): void {
    this.#add(RecordKind.ADD_SIGNAL, id, fd, 0);
  }

  removeSignal(id: number): Promise<void> {
    return this.#remove(RecordKind.ADD_SIGNAL, id);
  }

  #add(kind: AddKind, id: number, fd: number, flags: number): void {
    const table = this.#added.get(kind)!;
    assert(!table.has(id), `${KIND_NAMES[kind]} ${id} is added once`);
    let count = 0;
    for (const { size } of this.#added.values()) count += size;
    if (count >= DESCRIPTORS_MAX) throw new RangeError(`more than ${DESCRIPTORS_MAX} descriptors`);
    table.set(id, { fd, flags });
    this.#command(kind, id, fd, flags);
  }

  /** A table record is a command: it must arrive, and in order. */
  apply(record: TableRecord): void {
    if (!this.#current) return; // the next Worker is told everything anyway
    const bytes = encodeTableRecord(record);
    this.#backlog.push(commandOf(RecordKind.TABLE, bytes));
  }

  #remove(kind: AddKind, id: number): Promise<void> {
    this.#added.get(kind)!.delete(id);
    if (!this.#current) return Promise.resolve(); // nobody reads it
    const ticket = this.#nextTicket++;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#removals.set(ticket, resolve);
    this.#command(RecordKind.REMOVE, id, ticket, kind);
    return promise;
  }

  send(socketId: number, to: Endpoint, bytes: Uint8Array): boolean {
    const ring = this.#current?.commands;
    const at = ring ? this.#reserve(ring, bytes) : -1;
    if (!ring || at < 0) return false;
    putRecord(ring.view, at, RecordKind.SEND, socketId);
    putRecordEndpoint(ring.view, at, to.ip, 0, to.ip.length, to.port);
    ring.bytes.set(bytes, at + RECORD_HEADER_LENGTH);
    ring.commit();
    return true;
  }

  writeFrame(tapId: number, bytes: Uint8Array): boolean {
    const ring = this.#current?.commands;
    const at = ring ? this.#reserve(ring, bytes) : -1;
    if (!ring || at < 0) return false;
    putRecord(ring.view, at, RecordKind.WRITE, tapId);
    ring.bytes.set(bytes, at + RECORD_HEADER_LENGTH);
    ring.commit();
    return true;
  }

  #reserve(ring: RingWriter, bytes: Uint8Array): number {
    if (bytes.length > PACKET_ROOM) {
      throw new RangeError(`packet of ${bytes.length} bytes is over ${PACKET_ROOM}`);
    }
    return ring.reserve(RECORD_HEADER_LENGTH + bytes.length, COMMAND_SPARE);
  }

  flush(): void {
    const current = this.#current;
    if (!current) return;
    while (this.#backlog.length > 0 && current.commands.push(this.#backlog[0])) {
      this.#backlog.shift();
    }
    if (current.commands.mustWake()) current.wake.signal();
  }

  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    clearInterval(this.#check);
    clearTimeout(this.#restart);
    const current = this.#current;
    if (current) {
      await this.#leaveLoop(current);
      if (this.#current !== current) return; // it died instead, and is buried
      this.#end(current);
      current.wake.close();
    }
  }

  /** Sends the Worker a record it cannot know, so that it dies: for tests of the restart. */
  breakWorker(): void {
    this.#command(0, 0, 0);
  }

  /** Waits until the Worker says it has left its loop: one that is terminated while in poll may never end. */
  #leaveLoop(current: Incarnation): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, STOP_MS);
    current.stopped = () => {
      clearTimeout(timer);
      resolve();
    };
    this.#command(RecordKind.STOP, 0, 0);
    return promise;
  }

  /** Commands are few and must arrive: one that finds no room waits for the next flush. */
  #command(kind: number, id: number, value: number, about = 0): void {
    if (!this.#current) return; // the next Worker is told everything anyway
    const record = new Uint8Array(RECORD_HEADER_LENGTH);
    putRecord(new DataView(record.buffer), 0, kind as RecordKind, id, value, about);
    this.#backlog.push(record);
    this.flush();
  }

  /** @param first Whether it is the first Worker; later ones have to be told the tables again */
  #spawn(first: boolean): void {
    const toWorker = ringMemory(RING_BYTES);
    const toControl = ringMemory(RING_BYTES);
    const wake = new EventFd();
    const worker = new Worker(new URL("./data_worker.ts", import.meta.url), { type: "module" });
    const current: Incarnation = {
      worker,
      wake,
      commands: new RingWriter(toWorker),
      events: new RingReader(toControl),
    };
    worker.onmessage = (event: MessageEvent<WorkerWord>) => this.#hear(current, event.data);
    worker.onerror = (event) => {
      event.preventDefault(); // its death is ours to handle, not the end of the process
      this.#bury(current, event.message, true);
    };
    this.#current = current;
    this.#backlog.length = 0;
    this.#unchanged = 0;
    current.events.sleep(); // empty: from here on the Worker's first record wakes us
    const { self, takeIds, fastAes = false } = this.#options;
    this.#idsFrom = this.stats[Stat.PACKETS_SEALED];
    const setup: DataSetup = {
      toWorker,
      toControl,
      stats: this.#statsMemory,
      wakeFd: wake.fd,
      self,
      ids: packetIdState(takeIds()),
      fastAes,
    };
    worker.postMessage(setup);
    for (const [kind, table] of this.#added) {
      for (const [id, { fd, flags }] of table) this.#command(kind, id, fd, flags);
    }
    if (!first) this.#events.onReset?.();
  }

  #hear(current: Incarnation, word: WorkerWord): void {
    if (word === "wake") this.#drain(current);
    else if (word === "stopped") current.stopped?.();
    else this.#bury(current, word.died, true);
  }

  #drain(current: Incarnation): void {
    this.#immediate = undefined;
    const { events } = current;
    for (let i = 0; i < RECORDS_PER_DRAIN && this.#current === current; i++) {
      const at = events.next();
      if (at < 0) break;
      this.#deliver(events, at);
    }
    events.release();
    this.flush();
    if (this.#current !== current || events.sleep()) return;
    // More is there. As an immediate, so that timers and the API come between.
    this.#immediate = setImmediate(() => this.#drain(current));
  }

  #deliver(ring: RingReader, at: number): void {
    const { view } = ring;
    const id = recordId(view, at);
    switch (recordKind(view, at)) {
      case RecordKind.DATAGRAM: {
        const from = this.#endpointOf(ring, at, recordPort(view, at));
        return this.#events.onDatagram(id, from, this.#lend(ring, at));
      }
      case RecordKind.OPENED: {
        const from = this.#endpointOf(ring, at, recordPort(view, at));
        return this.#events.onOpened?.(id, from, this.#lend(ring, at));
      }
      case RecordKind.TRAFFIC:
        return this.#traffic(ring, at);
      case RecordKind.RELAYED: {
        const bytes = view.getFloat64(at + RECORD_HEADER_LENGTH, true);
        const packets = recordValue(view, at);
        return this.#events.onRelayed?.({ flow: id, packets, bytes });
      }
      case RecordKind.FRAME:
        return this.#events.onFrame(id, this.#lend(ring, at));
      case RecordKind.SIGNAL:
        this.#added.get(RecordKind.ADD_SIGNAL)!.delete(id);
        return this.#events.onSignal?.(id);
      case RecordKind.LOST: {
        const kind = recordPort(view, at) as AddKind;
        this.#added.get(kind)!.delete(id);
        return this.#events.onLost?.(KIND_NAMES[kind], id);
      }
      case RecordKind.UNCUT:
        this.#cutting.delete(id);
        return this.#events.onNote?.(`socket ${id}: the system does not cut super-datagrams (GSO)`);
      case RecordKind.REMOVED:
        return this.#settle(recordValue(view, at));
      default:
        assert(false, "the data Worker sends only records control knows");
    }
  }

  #endpointOf(ring: RingReader, at: number, port: number): Endpoint {
    const ipAt = at + RECORD_IP_AT;
    return { ip: ring.bytes.slice(ipAt, ipAt + recordIpLength(ring.view, at)), port };
  }

  #traffic(ring: RingReader, at: number): void {
    const { view } = ring;
    const flags = recordPort(view, at);
    const socket = view.getUint32(at + RECORD_HEADER_LENGTH, true);
    const port = view.getUint16(at + RECORD_HEADER_LENGTH + 4, true);
    const isRelayed = (flags & TRAFFIC_RELAYED) !== 0;
    const isKnown = (isRelayed || (flags & TRAFFIC_DIRECT) !== 0) && socket !== NO_SOCKET;
    this.#events.onTraffic?.({
      session: recordId(view, at),
      heard: isKnown ? { socket, from: this.#endpointOf(ring, at, port), isRelayed } : undefined,
      packetsOut: recordValue(view, at),
      packetsIn: view.getUint32(at + TRAFFIC_RECEIVED_AT, true),
    });
  }

  #lend(ring: RingReader, at: number): Uint8Array {
    const length = ring.length - RECORD_HEADER_LENGTH;
    const from = at + RECORD_HEADER_LENGTH;
    this.#packet.set(ring.bytes.subarray(from, from + length));
    return this.#packet.subarray(0, length);
  }

  #settle(ticket: number): void {
    this.#removals.get(ticket)?.();
    this.#removals.delete(ticket);
  }

  /** Long before they are used up: until the next look the Worker seals no more than a fraction of what is left. */
  #renewIds(): void {
    const sealed = this.stats[Stat.PACKETS_SEALED];
    if (!this.#current || sealed - this.#idsFrom < IDS_PER_BLOCK / 2) return;
    this.#idsFrom = sealed;
    this.#backlog.push(commandOf(RecordKind.IDS, packetIdState(this.#options.takeIds())));
    this.flush();
  }

  #checkTurns(): void {
    this.#renewIds();
    const turns = this.stats[Stat.TURNS];
    this.#unchanged = turns === this.#lastTurns ? this.#unchanged + 1 : 0;
    this.#lastTurns = turns;
    const current = this.#current;
    if (this.#unchanged < STUCK_CHECKS || !current) return;
    this.#command(RecordKind.STOP, 0, 0); // should it ever come back
    current.wake.signal();
    this.#bury(current, "stuck", false);
  }

  /** @param certain The thread has ended; otherwise its eventfd stays open, for it may still poll it */
  #bury(current: Incarnation, reason: string, certain: boolean): void {
    if (this.#current !== current) return;
    this.#end(current);
    if (certain) current.wake.close();
    if (!this.#running) return current.stopped?.();
    const nowMs = performance.now();
    while (this.#deathsMs.length > 0 && this.#deathsMs[0] < nowMs - DEATHS_WINDOW_MS) {
      this.#deathsMs.shift();
    }
    const deaths = this.#deathsMs.push(nowMs);
    if (deaths > DEATHS_MAX) {
      const error = new Error(`the data Worker died ${deaths} times in a minute: ${reason}`);
      this.#events.onFailed?.(error);
      return;
    }
    this.#events.onRestart?.(reason);
    this.#restart = setTimeout(() => this.#spawn(false), (deaths - 1) * RESTART_STEP_MS);
  }

  #end(current: Incarnation): void {
    current.worker.terminate();
    clearImmediate(this.#immediate);
    this.#immediate = undefined;
    this.#current = undefined;
    this.#backlog.length = 0;
    // Nobody reads anything now: whoever waits for a removal has it.
    for (const ticket of [...this.#removals.keys()]) this.#settle(ticket);
  }
}
