/**
 * The loop of the data Worker: waits in poll for sockets, TAPs and the control thread, and moves bytes between them.
 * It never awaits, and allocates only when descriptors come and go.
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
import { BATCH_COUNT, ReceiveBatch, SendBatch } from "../../ffi/linux/mmsg.ts";
import { EventFd, POLLIN, POLLNVAL, PollSet } from "../../ffi/linux/system.ts";
import { assert } from "../../lib/base/errors.ts";
import { type Escape, Plane, type Source } from "../../lib/dataplane/plane.ts";
import {
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
} from "../../lib/dataplane/records.ts";
import { Stat } from "../../lib/dataplane/stats.ts";
import { RingReader, RingWriter } from "./ring.ts";

/** What the control thread hands a new Worker. */
export interface DataSetup {
  readonly toWorker: SharedArrayBuffer;
  readonly toControl: SharedArrayBuffer;
  readonly stats: SharedArrayBuffer;
  /** The eventfd that wakes the Worker. */
  readonly wakeFd: number;
}

/** Longest wait: how often an idle Worker shows that it lives. */
export const TURN_MS_MAX = 1_000;
/** Most descriptors of all kinds: addresses times ports, plus one per network; bounds each poll. */
export const DESCRIPTORS_MAX = 1_024;

const RECORDS_PER_TURN = 256; // so that control cannot keep the Worker from reading
const FRAMES_PER_TURN = 32; // so that one TAP cannot keep the others waiting
const ACKNOWLEDGE_SPARE = 16_384; // room packets leave in the ring for answers to control
const TAP_AT = BATCH_COUNT * PACKET_ROOM; // in the arena, behind the slots for datagrams

type AddKind =
  | typeof RecordKind.ADD_SOCKET
  | typeof RecordKind.ADD_TAP
  | typeof RecordKind.ADD_SIGNAL;

interface Descriptor {
  readonly kind: AddKind;
  readonly id: number;
  readonly fd: number;
  readonly batch: SendBatch | undefined; // of a socket
}

/** An answer that found no room in the ring and must not be lost. */
interface Owed {
  readonly kind: RecordKind;
  readonly id: number;
  readonly value: number;
  readonly about: number;
}

/** The Worker's state. One per Worker. */
export class DataLoop implements Escape {
  readonly #commands: RingReader;
  readonly #commandBlock: Block; // the same memory, for the kernel to read from
  readonly #toControl: RingWriter;
  readonly #stats: Float64Array;
  readonly #wake: EventFd;
  readonly #arena = new Block(TAP_AT + PACKET_ROOM);
  readonly #received = new ReceiveBatch(this.#arena, 0, PACKET_ROOM);
  readonly #readVector = new Block(16); // iovec of the TAP slot
  readonly #writeVector = new Block(16); // iovec of the frame being written
  readonly #poll = new PollSet(DESCRIPTORS_MAX + 1);
  readonly #plane: Plane;
  readonly #source: Source;
  readonly #owed: Owed[] = [];
  #descriptors: Descriptor[] = []; // index + 1 is the index in the poll set; 0 is the eventfd
  readonly #sockets = new Map<number, Descriptor>();
  readonly #taps = new Map<number, Descriptor>();
  #stopped = false;

  /** @param wakeControl Called at most once per turn, when control sleeps and has something to read */
  constructor(setup: DataSetup, readonly wakeControl: () => void) {
    this.#commands = new RingReader(setup.toWorker);
    this.#commandBlock = new Block(setup.toWorker);
    this.#toControl = new RingWriter(setup.toControl);
    this.#stats = new Float64Array(setup.stats);
    this.#wake = new EventFd(setup.wakeFd);
    this.#plane = new Plane(this, this.#stats);
    const ip = this.#received.names;
    this.#source = { socketId: 0, ip, ipAt: 0, ipLength: 0, port: 0 };
    this.#arena.putAddress(this.#readVector.view, 0, TAP_AT);
    this.#readVector.view.setUint32(8, PACKET_ROOM, true);
    this.#rebuildPoll();
  }

  /** Runs until control says stop. */
  run(): void {
    while (!this.#stopped) this.#turn();
  }

  #turn(): void {
    this.#stats[Stat.TURNS]++;
    this.#takeCommands();
    this.#payOwed();
    if (this.#toControl.mustWake()) this.wakeControl();
    if (this.#stopped) return;
    const idle = this.#owed.length === 0 && this.#commands.sleep();
    const ready = this.#poll.wait(idle ? TURN_MS_MAX : 0);
    this.#commands.awake();
    if (ready === 0) return;
    if (this.#poll.events(0) !== 0) this.#wake.drain();
    const descriptors = this.#descriptors; // a new array when one is lost: this one stays as it is
    for (let i = 0; i < descriptors.length; i++) {
      const events = this.#poll.events(i + 1);
      if (events !== 0) this.#read(descriptors[i], events);
    }
    if (this.#toControl.mustWake()) this.wakeControl();
  }

  #read(descriptor: Descriptor, events: number): void {
    if (descriptor.kind === RecordKind.ADD_SOCKET) {
      // POLLERR alone is an ICMP answer, which the read takes away.
      this.#readSocket(descriptor);
      if ((events & POLLNVAL) !== 0) this.#lose(descriptor);
    } else if (descriptor.kind === RecordKind.ADD_TAP) {
      this.#readTap(descriptor);
    } else {
      this.#forget(descriptor);
      this.#answer((events & POLLIN) !== 0 ? RecordKind.SIGNAL : RecordKind.LOST, descriptor, 0);
    }
  }

  #readSocket(descriptor: Descriptor): void {
    const received = this.#received;
    const source = this.#source;
    const count = received.receive(descriptor.fd);
    source.socketId = descriptor.id;
    for (let i = 0; i < count; i++) {
      source.ipAt = received.ipAt(i);
      source.ipLength = received.ipLength(i);
      source.port = received.port(i);
      this.#plane.fromUdp(received.payloadAt(i), received.payloadLength(i), source);
    }
  }

  #readTap(descriptor: Descriptor): void {
    const c = libc();
    for (let i = 0; i < FRAMES_PER_TURN; i++) {
      const length = c.readv(descriptor.fd, this.#readVector.address, 1);
      if (length < 0) {
        const number = errno();
        // Anything else (EBADFD: the device was deleted) comes back at once and for ever.
        if (number !== EAGAIN && number !== EINTR) this.#lose(descriptor);
        return;
      }
      this.#plane.fromTap(TAP_AT, length, descriptor.id);
    }
  }

  /** Part of {@linkcode Escape}. */
  sealed(at: number, length: number, source: Source): void {
    const ring = this.#toControl;
    const record = ring.reserve(RECORD_HEADER_LENGTH + length, ACKNOWLEDGE_SPARE);
    if (record < 0) {
      this.#stats[Stat.DROPPED_RING_FULL]++;
      return;
    }
    putRecord(ring.view, record, RecordKind.DATAGRAM, source.socketId);
    const { ip, ipAt, ipLength, port } = source;
    putRecordEndpoint(ring.view, record, ip, ipAt, ipLength, port);
    this.#copyOut(record, at, length);
  }

  /** Part of {@linkcode Escape}. */
  frame(at: number, length: number, port: number): void {
    const ring = this.#toControl;
    const record = ring.reserve(RECORD_HEADER_LENGTH + length, ACKNOWLEDGE_SPARE);
    if (record < 0) {
      this.#stats[Stat.DROPPED_RING_FULL]++;
      return;
    }
    putRecord(ring.view, record, RecordKind.FRAME, port);
    this.#copyOut(record, at, length);
  }

  #copyOut(record: number, at: number, length: number): void {
    // A subarray costs 100 bytes of garbage, a loop over bytes a microsecond per packet: the subarray wins.
    this.#toControl.bytes.set(
      this.#arena.bytes.subarray(at, at + length),
      record + RECORD_HEADER_LENGTH,
    );
    this.#toControl.commit();
  }

  #takeCommands(): void {
    const commands = this.#commands;
    for (let i = 0; i < RECORDS_PER_TURN && !this.#stopped; i++) {
      const at = commands.next();
      if (at < 0) break;
      this.#take(at, commands.length);
    }
    for (const descriptor of this.#sockets.values()) {
      if (descriptor.batch!.count > 0) this.#sendBatch(descriptor.batch!);
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
        return this.#add(kind, id, recordValue(view, at));
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
    if (batch.full) this.#sendBatch(batch);
    const { bytes, view } = this.#commands;
    batch.add(
      this.#commandBlock,
      at + RECORD_HEADER_LENGTH,
      length - RECORD_HEADER_LENGTH,
      bytes,
      at + RECORD_IP_AT,
      recordIpLength(view, at),
      recordPort(view, at),
    );
    this.#stats[Stat.BYTES_OUT] += length - RECORD_HEADER_LENGTH;
  }

  #sendBatch(batch: SendBatch): void {
    const { sent, failed } = batch;
    batch.send();
    this.#stats[Stat.DATAGRAMS_OUT] += batch.sent - sent;
    this.#stats[Stat.DROPPED_SEND] += batch.failed - failed;
  }

  #write(at: number, length: number, id: number): void {
    const descriptor = this.#taps.get(id);
    if (!descriptor) {
      this.#stats[Stat.DROPPED_GONE]++;
      return;
    }
    const vector = this.#writeVector;
    this.#commandBlock.putAddress(vector.view, 0, at + RECORD_HEADER_LENGTH);
    vector.view.setUint32(8, length - RECORD_HEADER_LENGTH, true);
    const taken = libc().writev(descriptor.fd, vector.address, 1);
    this.#stats[taken < 0 ? Stat.DROPPED_WRITE : Stat.FRAMES_OUT]++;
  }

  #add(kind: AddKind, id: number, fd: number): void {
    assert(this.#descriptors.length < DESCRIPTORS_MAX, "control bounds the number of descriptors");
    const batch = kind === RecordKind.ADD_SOCKET ? new SendBatch(fd) : undefined;
    const descriptor = { kind, id, fd, batch };
    this.#descriptors = [...this.#descriptors, descriptor];
    this.#tableOf(kind)?.set(id, descriptor);
    this.#rebuildPoll();
  }

  #remove(kind: AddKind, id: number, ticket: number): void {
    const found = this.#descriptors.find((one) => one.kind === kind && one.id === id);
    if (found) this.#forget(found);
    // Also when it was lost before: whoever asked waits for the answer.
    this.#answer(RecordKind.REMOVED, { kind, id }, ticket);
  }

  #lose(descriptor: Descriptor): void {
    this.#forget(descriptor);
    this.#answer(RecordKind.LOST, descriptor, 0);
  }

  #forget(descriptor: Descriptor): void {
    if (descriptor.batch && descriptor.batch.count > 0) this.#sendBatch(descriptor.batch);
    this.#descriptors = this.#descriptors.filter((one) => one !== descriptor);
    this.#tableOf(descriptor.kind)?.delete(descriptor.id);
    this.#rebuildPoll();
  }

  #tableOf(kind: AddKind): Map<number, Descriptor> | undefined {
    if (kind === RecordKind.ADD_SOCKET) return this.#sockets;
    return kind === RecordKind.ADD_TAP ? this.#taps : undefined;
  }

  #rebuildPoll(): void {
    this.#poll.set([this.#wake.fd, ...this.#descriptors.map((descriptor) => descriptor.fd)]);
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
