/**
 * The loop of the data Worker: waits in poll for sockets, TAPs and the control thread, lets the data plane work on what
 * came, and hands its results to the kernel. It never awaits, and allocates only when descriptors and tables change.
 *
 * Each turn: take a bounded number of records from control, wait until something is ready, read a bounded number of
 * packets from each descriptor that is, wake control once if it sleeps.
 *
 * Source: spec 07 sections 2 and 3, DESIGN.md section 3.
 * @module
 */
import { Block } from "../../ffi/linux/block.ts";
import { EAGAIN, EINTR, errno } from "../../ffi/linux/errno.ts";
import { libc } from "../../ffi/linux/libc.ts";
import { LibcryptoAes } from "../../ffi/linux/libcrypto.ts";
import { BATCH_COUNT, ReceiveBatch } from "../../ffi/linux/mmsg.ts";
import {
  bootTimeMs,
  EventFd,
  POLLIN,
  POLLNVAL,
  type PollSet,
  sleepUs,
} from "../../ffi/linux/system.ts";
import { assert } from "../../lib/base/errors.ts";
import {
  ARENA_PAGES,
  RUNS_AT,
  TAP_IN_AT,
  TAP_IN_BYTES,
  UDP_IN_AT,
  UDP_IN_BYTES,
  WRITES_AT,
} from "../../lib/dataplane/arena.ts";
import { RUN_BYTES, WRITE_BYTES } from "../../lib/kernel/data_kernel.ts";
import { type Output, Plane, type Source } from "../../lib/dataplane/plane.ts";
import { decodeTableRecord } from "../../lib/dataplane/table_records.ts";
import {
  putRecord,
  RECORD_HEADER_LENGTH,
  RECORD_IP_AT,
  recordId,
  recordIpLength,
  RecordKind,
  recordKind,
  recordPort,
  recordValue,
  TAP_JOINS_UDP,
} from "../../lib/dataplane/records.ts";
import { Stat } from "../../lib/dataplane/stats.ts";
import type { Address } from "../../lib/base/ids.ts";
import {
  type AddKind,
  type Descriptor,
  Descriptors,
  VNET_HEADER_LENGTH,
} from "./data_descriptors.ts";
import { Endpoints } from "./data_endpoints.ts";
import { RingEscape } from "./data_escape.ts";
import { DataReports } from "./data_reports.ts";
import { RingReader, RingWriter } from "./ring.ts";
import { isTrickle, TRICKLE_WAIT_US } from "./trickle.ts";
import { Urgency } from "./urgency.ts";

/** What the control thread hands a new Worker. */
export interface DataSetup {
  readonly toWorker: SharedArrayBuffer;
  readonly toControl: SharedArrayBuffer;
  readonly stats: SharedArrayBuffer;
  /** The eventfd that wakes the Worker. */
  readonly wakeFd: number;
  /** Our own address. */
  readonly self: number;
  /** Key and counter of the packet ids, see the kernel: 116 bytes. */
  readonly ids: Uint8Array;
  /** Whether AES-GMAC-SIV is the system's library's to do. */
  readonly fastAes: boolean;
}

/** Longest wait: how often an idle Worker shows that it lives. */
export const TURN_MS_MAX = 4_000;

const RECORDS_PER_TURN = 256; // so that control cannot keep the Worker from reading
/**
 * So that one busy descriptor does not keep the others waiting: 0.2 ms of work, be it few long
 * packets or many short ones.
 */
const FRAMES_PER_TURN = 64;
const TURN_BYTES = 262_144;
const LONG_MESSAGES_PER_TURN = 4; // super-datagrams of 64 KB; of shorter ones BATCH_COUNT
const LONG_BYTES = 8_192;
/**
 * What is ready goes on at once rather than at the end of the turn: whoever waits for it can begin,
 * on another processor.
 */
const PIECE_BYTES = 32_768;
const BUSY_MS = 2; // a TAP read within this time has more than single frames
const ACKNOWLEDGE_SPARE = 16_384; // room packets leave in the ring for answers to control

/** An answer that found no room in the ring and must not be lost. */
interface Owed {
  readonly kind: RecordKind;
  readonly id: number;
  readonly value: number;
  readonly about: number;
}

/** Milliseconds as the data plane stamps them: 32 bits, never 0. */
function tickOf(nowMs: number): number {
  return (Math.floor(nowMs) >>> 0) || 1;
}

const randomWords = new Uint32Array(1);
function randomWord(): number {
  return crypto.getRandomValues(randomWords)[0];
}

/** The Worker's state. One per Worker. */
export class DataLoop implements Output {
  readonly #commands: RingReader;
  readonly #commandBlock: Block; // the same memory, for the kernel to read from
  readonly #toControl: RingWriter;
  readonly #stats: Float64Array;
  readonly #wake: EventFd;
  readonly #memory = new WebAssembly.Memory({ initial: ARENA_PAGES, maximum: ARENA_PAGES });
  readonly #arena = new Block(this.#memory.buffer);
  readonly #received = new ReceiveBatch(this.#arena, UDP_IN_AT, UDP_IN_BYTES);
  readonly #readVector = new Block(16); // iovec of the TAP slot
  readonly #writeVector = new Block(16); // iovec of the frame being written
  readonly #controlVector = new Block(32); // iovecs of a frame from control: empty virtio header, frame
  readonly #frameVectorAddress = this.#controlVector.addressAt(16); // of the frame alone
  readonly #emptyHeader = new Block(VNET_HEADER_LENGTH);
  readonly #endpoints = new Endpoints();
  readonly #reports: DataReports;
  readonly #relaying: Descriptor[] = []; // sockets with datagrams of others to send before the next receive
  readonly #answering: Descriptor[] = []; // TAPs to look at once more before the turn ends
  readonly #descriptors: Descriptors;
  readonly #plane: Plane;
  readonly #source: Source;
  readonly #urgency = new Urgency();
  readonly #owed: Owed[] = [];
  readonly #poll: PollSet; // of the descriptors, as the next two are
  readonly #sockets: ReadonlyMap<number, Descriptor>;
  readonly #taps: ReadonlyMap<number, Descriptor>;
  readonly #clock = new Float64Array([bootTimeMs()]); // a field would get a new number object each turn
  #messagesMax = BATCH_COUNT; // to receive in a turn
  #trickles = false; // what came in this turn makes it worth waiting for more
  #moreWaits = false; // not all was read in this turn
  #stopped = false;

  /** @param wakeControl Called at most once per turn, when control sleeps and has something to read */
  constructor(setup: DataSetup, readonly wakeControl: () => void) {
    this.#commands = new RingReader(setup.toWorker);
    this.#commandBlock = new Block(setup.toWorker);
    this.#toControl = new RingWriter(setup.toControl);
    this.#stats = new Float64Array(setup.stats);
    this.#wake = new EventFd(setup.wakeFd);
    this.#descriptors = new Descriptors(setup.wakeFd);
    const { poll, sockets, taps } = this.#descriptors;
    this.#poll = poll;
    this.#sockets = sockets;
    this.#taps = taps;
    this.#plane = new Plane({
      memory: this.#memory,
      self: setup.self as Address,
      ids: setup.ids,
      random: randomWord,
      aes: setup.fastAes ? LibcryptoAes.open(this.#arena) : undefined,
      escape: new RingEscape({
        arena: this.#arena,
        ring: this.#toControl,
        spareBytes: ACKNOWLEDGE_SPARE,
        stats: this.#stats,
      }),
      output: this,
      stats: this.#stats,
    });
    this.#reports = new DataReports({
      plane: this.#plane,
      endpoints: this.#endpoints,
      ring: this.#toControl,
      spareBytes: ACKNOWLEDGE_SPARE,
    });
    const ip = this.#received.names;
    this.#source = { socketId: 0, ip, ipAt: 0, ipLength: 0, port: 0, tag: 0 };
    this.#arena.putVector(this.#readVector.words, 0, TAP_IN_AT, TAP_IN_BYTES);
    this.#emptyHeader.putVector(this.#controlVector.words, 0, 0, VNET_HEADER_LENGTH);
  }

  /** When the last wait ended. */
  get #nowMs(): number {
    return this.#clock[0];
  }

  /** Runs until control says stop. */
  run(): void {
    while (!this.#stopped) this.#turn();
  }

  #turn(): void {
    this.#stats[Stat.TURNS]++;
    this.#takeCommands();
    if (this.#owed.length > 0) this.#payOwed();
    if (this.#toControl.mustWake()) this.wakeControl();
    if (this.#stopped) return;
    const idle = this.#owed.length === 0 && this.#commands.sleep();
    // The clock was read before this turn's work: a report a moment late matters less than another call.
    const waitMs = Math.min(TURN_MS_MAX, Math.max(0, this.#reports.dueMs - this.#nowMs));
    if (this.#trickles && !this.#moreWaits) sleepUs(TRICKLE_WAIT_US);
    this.#trickles = false;
    this.#moreWaits = false;
    const ready = this.#poll.wait(idle ? Math.ceil(waitMs) : 0);
    // After a sleep all this thread touches is slow: a packet that waits comes before anything else.
    this.#clock[0] = bootTimeMs();
    if (ready > 0) this.#readAll();
    if (this.#nowMs >= this.#reports.dueMs) this.#reports.send();
    if (this.#toControl.mustWake()) this.wakeControl();
  }

  #readAll(): void {
    const { list } = this.#descriptors; // a new array when one is lost: this one stays as it is
    for (let i = 0; i < list.length; i++) {
      const events = this.#poll.events(i + 1);
      if (events !== 0) this.#read(list[i], events);
    }
    if (this.#poll.events(0) !== 0) this.#wake.drain();
    this.#readAnswers();
  }

  #readAnswers(): void {
    // Emptied by pop(): setting a length takes the runtime 8 us after a sleep.
    for (let tap = this.#answering.pop(); tap; tap = this.#answering.pop()) {
      tap.answers.looked(this.#taps.has(tap.id) ? this.#readTap(tap) : 0);
    }
  }

  #read(descriptor: Descriptor, events: number): void {
    if (descriptor.kind === RecordKind.ADD_SOCKET) {
      // POLLERR alone is an ICMP answer, which the read takes away.
      this.#readSocket(descriptor);
      if ((events & POLLNVAL) !== 0) this.#lose(descriptor);
    } else if (descriptor.kind === RecordKind.ADD_TAP) {
      if (!descriptor.answers.isDue) this.#readTap(descriptor);
    } else {
      this.#forget(descriptor);
      this.#answer((events & POLLIN) !== 0 ? RecordKind.SIGNAL : RecordKind.LOST, descriptor, 0);
    }
  }

  #readSocket(descriptor: Descriptor): void {
    const received = this.#received;
    const source = this.#source;
    const max = this.#messagesMax;
    const count = received.receive(descriptor.fd, max);
    if (count === 0) return;
    source.socketId = descriptor.id;
    const tick = tickOf(this.#nowMs);
    let turnBytes = 0;
    let pieceBytes = 0;
    this.#plane.beginUdp(tick);
    for (let i = 0; i < count; i++) {
      const length = received.payloadLength(i);
      source.ipAt = received.ipAt(i);
      source.ipLength = received.ipLength(i);
      source.port = received.port(i);
      source.tag = this.#endpoints.tag(source);
      this.#plane.fromUdp(received.payloadAt(i), length, received.segment(i), source);
      turnBytes += length;
      pieceBytes += length;
      if (pieceBytes < PIECE_BYTES || i === count - 1) continue;
      this.#endUdp();
      this.#plane.beginUdp(tick);
      pieceBytes = 0;
    }
    this.#endUdp();
    this.#messagesMax = turnBytes > count * LONG_BYTES ? LONG_MESSAGES_PER_TURN : BATCH_COUNT;
    this.#urgency.moved(turnBytes, count, this.#nowMs);
    if (count === max) this.#moreWaits = true;
    else if (!this.#urgency.isUrgent && isTrickle(count, turnBytes)) this.#trickles = true;
    this.#reports.expect(this.#nowMs);
  }

  #endUdp(): void {
    this.#plane.endUdp();
    for (let one = this.#relaying.pop(); one; one = this.#relaying.pop()) this.#sendBatch(one);
  }

  /** @returns how many frames there were */
  #readTap(descriptor: Descriptor): number {
    const c = libc();
    const tick = tickOf(this.#nowMs);
    // After silence one frame comes alone: better send it than look in vain for another. Poll would tell of one.
    const framesMax = this.#nowMs - descriptor.lastReadMs < BUSY_MS ? FRAMES_PER_TURN : 1;
    let turnBytes = 0;
    let pieceBytes = 0;
    let frames = 0;
    this.#plane.beginTap(tick);
    for (; frames < framesMax && turnBytes < TURN_BYTES; frames++) {
      const length = c.readv(descriptor.fd, this.#readVector.address, 1);
      if (length < 0) {
        const number = errno();
        // Anything else (EBADFD: the device was deleted) comes back at once and for ever.
        if (number !== EAGAIN && number !== EINTR) this.#lose(descriptor);
        break;
      }
      this.#plane.fromTap(TAP_IN_AT, length, descriptor.id);
      descriptor.lastReadMs = this.#nowMs;
      turnBytes += length;
      pieceBytes += length;
      if (pieceBytes < PIECE_BYTES) continue;
      this.#plane.endTap();
      this.#plane.beginTap(tick);
      pieceBytes = 0;
    }
    this.#plane.endTap();
    if (frames >= framesMax || turnBytes >= TURN_BYTES) this.#moreWaits = true;
    this.#reports.expect(this.#nowMs);
    this.#urgency.moved(turnBytes, frames, this.#nowMs);
    return frames;
  }

  /** Part of {@linkcode Output}. */
  datagrams(count: number): void {
    const { view } = this.#arena;
    let last: Descriptor | undefined; // runs of one batch mostly go to one socket
    for (let i = 0; i < count; i++) {
      const run = RUNS_AT + i * RUN_BYTES;
      const route = this.#plane.route(view.getUint32(run + 12, true));
      const descriptor = route && this.#sockets.get(route.socket);
      if (!descriptor) {
        this.#stats[Stat.DROPPED_GONE]++;
        continue;
      }
      if (last && last !== descriptor) this.#sendBatch(last);
      last = descriptor;
      const length = view.getUint32(run + 8, true);
      this.#stats[Stat.BYTES_OUT] += length;
      descriptor.batch!.add(
        this.#arena,
        view.getUint32(run, true),
        length,
        view.getUint32(run + 4, true),
        route.ip,
        0,
        route.ip.length,
        route.port,
      );
    }
    if (last) this.#sendBatch(last);
  }

  /** Part of {@linkcode Output}. */
  frames(count: number): void {
    const { view } = this.#arena;
    const vector = this.#writeVector;
    for (let i = 0; i < count; i++) {
      const entry = WRITES_AT + i * WRITE_BYTES;
      const descriptor = this.#taps.get(view.getUint32(entry + 8, true));
      if (!descriptor) {
        this.#stats[Stat.DROPPED_GONE]++;
        continue;
      }
      const length = view.getUint32(entry + 4, true);
      this.#arena.putVector(vector.words, 0, view.getUint32(entry, true), length);
      const taken = libc().writev(descriptor.fd, vector.address, 1);
      this.#stats[taken < 0 ? Stat.DROPPED_WRITE : Stat.FRAMES_OUT]++;
      // Not in a stream, where looking costs a tenth of the processor time.
      if (this.#urgency.isUrgent && descriptor.answers.wrote()) this.#answering.push(descriptor);
    }
  }

  /** Part of {@linkcode Output}. */
  relayed(at: number, length: number, segment: number, flow: number): void {
    const route = this.#plane.relays.route(flow);
    const descriptor = route && this.#sockets.get(route.socket);
    if (!descriptor) {
      this.#stats[Stat.DROPPED_GONE]++;
      return;
    }
    const { ip, port } = route;
    const batch = descriptor.batch!;
    if (batch.count === 0) this.#relaying.push(descriptor);
    this.#stats[Stat.BYTES_OUT] += length;
    batch.add(this.#arena, at, length, segment, ip, 0, ip.length, port);
  }

  #takeCommands(): void {
    const commands = this.#commands;
    let at = commands.next();
    if (at < 0) return;
    for (let i = 0; at >= 0; i++) {
      this.#take(at, commands.length);
      at = i < RECORDS_PER_TURN && !this.#stopped ? commands.next() : -1;
    }
    for (const descriptor of this.#sockets.values()) {
      if (descriptor.batch!.count > 0) this.#sendBatch(descriptor);
    }
    commands.release(); // only now: the kernel read the datagrams from the ring itself
  }

  #take(at: number, length: number): void {
    const view = this.#commands.view;
    const id = recordId(view, at);
    const kind = recordKind(view, at);
    switch (kind) {
      case RecordKind.SEND:
        return this.#send(at, length, id);
      case RecordKind.WRITE:
        return this.#write(at, length, id);
      case RecordKind.ADD_SOCKET:
      case RecordKind.ADD_TAP:
      case RecordKind.ADD_SIGNAL:
        return this.#add(kind, id, recordValue(view, at), recordPort(view, at));
      case RecordKind.TABLE:
        return this.#apply(at + RECORD_HEADER_LENGTH, length - RECORD_HEADER_LENGTH);
      case RecordKind.IDS: {
        const from = at + RECORD_HEADER_LENGTH;
        return this.#plane.setIds(this.#commands.bytes.subarray(from, at + length));
      }
      case RecordKind.REMOVE:
        return this.#remove(recordPort(view, at) as AddKind, id, recordValue(view, at));
      case RecordKind.STOP:
        this.#stopped = true;
        return;
      default:
        assert(false, `control sends only records the data Worker knows, not kind ${kind}`);
    }
  }

  #send(at: number, length: number, id: number): void {
    const batch = this.#sockets.get(id)?.batch;
    if (!batch) {
      this.#stats[Stat.DROPPED_GONE]++;
      return;
    }
    const { bytes, view } = this.#commands;
    batch.add(
      this.#commandBlock,
      at + RECORD_HEADER_LENGTH,
      length - RECORD_HEADER_LENGTH,
      length - RECORD_HEADER_LENGTH,
      bytes,
      at + RECORD_IP_AT,
      recordIpLength(view, at),
      recordPort(view, at),
    );
    this.#stats[Stat.BYTES_OUT] += length - RECORD_HEADER_LENGTH;
  }

  #apply(at: number, length: number): void {
    const record = decodeTableRecord(this.#commands.bytes.slice(at, at + length));
    this.#plane.apply(record);
    if (record.kind === "session") this.#reports.addSession(record.slot);
    else if (record.kind === "no-session") this.#reports.removeSession(record.slot);
    else if (record.kind === "relay") this.#reports.addFlow(record.flow.slot);
    else if (record.kind === "no-relay") this.#reports.removeFlow(record.slot);
  }

  #sendBatch(descriptor: Descriptor): void {
    const batch = descriptor.batch!;
    const couldCut = batch.gso;
    batch.send();
    if (couldCut && !batch.gso) this.#answer(RecordKind.UNCUT, descriptor, 0);
    this.#stats[Stat.DATAGRAMS_OUT] += batch.sent; // also what went when the batch was full
    this.#stats[Stat.DROPPED_SEND] += batch.failed;
    batch.sent = 0;
    batch.failed = 0;
  }

  #write(at: number, length: number, id: number): void {
    const descriptor = this.#taps.get(id);
    if (!descriptor) {
      this.#stats[Stat.DROPPED_GONE]++;
      return;
    }
    const vector = this.#controlVector;
    const frame = at + RECORD_HEADER_LENGTH;
    this.#commandBlock.putVector(vector.words, 16, frame, length - RECORD_HEADER_LENGTH);
    const taken = descriptor.vnet > 0
      ? libc().writev(descriptor.fd, vector.address, 2)
      : libc().writev(descriptor.fd, this.#frameVectorAddress, 1);
    this.#stats[taken < 0 ? Stat.DROPPED_WRITE : Stat.FRAMES_OUT]++;
  }

  #add(kind: AddKind, id: number, fd: number, flags: number): void {
    const { vnet } = this.#descriptors.add(kind, id, fd, flags);
    if (kind === RecordKind.ADD_TAP) this.#plane.setPort(id, vnet, (flags & TAP_JOINS_UDP) !== 0);
  }

  #remove(kind: AddKind, id: number, ticket: number): void {
    const found = this.#descriptors.find(kind, id);
    if (found) this.#forget(found);
    // Also when it was lost before: whoever asked waits for the answer.
    this.#answer(RecordKind.REMOVED, { kind, id }, ticket);
  }

  #lose(descriptor: Descriptor): void {
    this.#forget(descriptor);
    this.#answer(RecordKind.LOST, descriptor, 0);
  }

  #forget(descriptor: Descriptor): void {
    if (descriptor.batch && descriptor.batch.count > 0) this.#sendBatch(descriptor);
    this.#descriptors.remove(descriptor);
  }

  #answer(kind: RecordKind, about: { kind: AddKind; id: number }, value: number): void {
    this.#owed.push({ kind, id: about.id, value, about: about.kind });
    this.#payOwed();
  }

  #payOwed(): void {
    while (this.#owed.length > 0) {
      const at = this.#toControl.reserve(RECORD_HEADER_LENGTH);
      if (at < 0) return; // control is behind: again at the next turn
      const { kind, id, value, about } = this.#owed.shift()!;
      putRecord(this.#toControl.view, at, kind, id, value, about);
      this.#toControl.commit();
    }
  }
}
