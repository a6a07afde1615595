/**
 * Many datagrams per system call: tables for `recvmmsg` and `sendmmsg`, laid out once and reused.
 * And super-datagrams: many datagrams of one peer in one buffer, cut by the kernel on the way out
 * (UDP GSO) and joined by it on the way in (UDP GRO). What makes a tunnel fast: the network stack
 * is paid per buffer, not per datagram. Nothing here allocates after construction.
 *
 *     iovec (16)      base u64 @0, length u64 @8
 *     msghdr (56)     name @0, namelen u32 @8, iov @16, iovlen u64 @24, control @32, controllen u64 @40, flags i32 @48
 *     mmsghdr (64)    msghdr @0, msg_len u32 @56
 *     cmsghdr         length u64 @0, level i32 @8, type i32 @12, data @16
 *     UDP_SEGMENT     out: length 18, u16
 *     UDP_GRO         in: length 20, i32
 *
 * Source: spec 07 sections 2.1 and 5.
 * @module
 */
import { Block } from "./block.ts";
import { EAGAIN, ECONNREFUSED, EINTR, EINVAL, EIO, EMSGSIZE, EOPNOTSUPP, errno } from "./errno.ts";
import { libc } from "./libc.ts";
import {
  putSockaddr,
  SOCKADDR_ROOM,
  sockaddrIpAt,
  sockaddrIpLength,
  sockaddrPort,
} from "./sockaddr.ts";

/** Super-datagrams, or datagrams, taken in one call. */
export const BATCH_COUNT = 16;
/** Messages sent in one call. */
export const SEND_COUNT = 128;
/** Most datagrams one message may be cut into: what older kernels allow. */
export const SEGMENTS_MAX = 64;

const MESSAGE_LENGTH = 64;
const NAME_LENGTH_AT = 8;
const IOVEC_AT = 16;
const IOVEC_COUNT_AT = 24;
const CONTROL_AT = 32;
const CONTROL_LENGTH_AT = 40;
const FLAGS_AT = 48;
const RECEIVED_AT = 56;
const IOVEC_LENGTH = 16;
const CONTROL_ROOM = 24;
const CMSG_DATA_AT = 16;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;
const SEGMENT_CMSG_LENGTH = 18;

/** One block with the tables of `count` messages: headers, iovecs, names, control data, in this order. */
class Tables {
  readonly address: bigint;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly addresses: readonly bigint[]; // of each message
  readonly iovecsAt: number;
  readonly namesAt: number;
  readonly controlsAt: number;

  constructor(count: number) {
    this.iovecsAt = count * MESSAGE_LENGTH;
    this.namesAt = this.iovecsAt + count * IOVEC_LENGTH;
    this.controlsAt = this.namesAt + count * SOCKADDR_ROOM;
    const block = new Block(this.controlsAt + count * CONTROL_ROOM);
    this.address = block.address;
    this.bytes = block.bytes;
    this.words = block.words;
    for (let i = 0; i < count; i++) {
      const message = i * MESSAGE_LENGTH;
      block.putAddress(this.words, message, this.nameAt(i));
      block.putAddress(this.words, message + IOVEC_AT, this.iovecAt(i));
      this.setWord(message + IOVEC_COUNT_AT, 1);
      block.putAddress(this.words, message + CONTROL_AT, this.controlAt(i));
    }
    this.addresses = Array.from({ length: count }, (_, i) => block.addressAt(i * MESSAGE_LENGTH));
  }

  /** @param at A multiple of 4, as of every field */
  word(at: number): number {
    return this.words[at >> 2];
  }

  setWord(at: number, value: number): void {
    this.words[at >> 2] = value;
  }

  iovecAt(i: number): number {
    return this.iovecsAt + i * IOVEC_LENGTH;
  }

  nameAt(i: number): number {
    return this.namesAt + i * SOCKADDR_ROOM;
  }

  controlAt(i: number): number {
    return this.controlsAt + i * CONTROL_ROOM;
  }
}

/** Lets the kernel join datagrams of one sender. @returns whether it will */
export function enableGro(fd: number): boolean {
  return libc().setsockopt(fd, SOL_UDP, UDP_GRO, new Int32Array([1]), 4) === 0;
}

/** Whether the kernel would cut super-datagrams on this socket; asks without changing anything. */
export function supportsGso(fd: number): boolean {
  return libc().setsockopt(fd, SOL_UDP, UDP_SEGMENT, new Int32Array([0]), 4) === 0;
}

/** Room for one batch of received super-datagrams, shared by all sockets of a thread. */
export class ReceiveBatch {
  readonly #tables = new Tables(BATCH_COUNT);
  #filled = BATCH_COUNT; // messages whose lengths are no longer what there is room for

  /**
   * @param arena Where payloads land, {@linkcode BATCH_COUNT} slots from `at`
   * @param slotLength Bytes a slot; with GRO a sender's datagrams fill up to 65,535
   */
  constructor(arena: Block, readonly at: number, readonly slotLength: number) {
    const tables = this.#tables;
    for (let i = 0; i < BATCH_COUNT; i++) {
      arena.putVector(tables.words, tables.iovecAt(i), this.payloadAt(i), slotLength);
    }
  }

  /**
   * Takes what a socket has, without waiting.
   * @param countMax At most {@linkcode BATCH_COUNT}
   * @returns number of messages, 0 when there was none
   */
  receive(fd: number, countMax: number = BATCH_COUNT): number {
    const tables = this.#tables;
    // The kernel overwrote both lengths with what it wrote.
    for (let i = 0; i < this.#filled; i++) {
      tables.setWord(i * MESSAGE_LENGTH + NAME_LENGTH_AT, SOCKADDR_ROOM);
      tables.setWord(i * MESSAGE_LENGTH + CONTROL_LENGTH_AT, CONTROL_ROOM);
    }
    this.#filled = Math.max(0, libc().recvmmsg(fd, tables.address, countMax, MSG_DONTWAIT, 0n));
    return this.#filled;
  }

  payloadAt(i: number): number {
    return this.at + i * this.slotLength;
  }

  /** Bytes of message `i`, or -1 when they did not fit its slot. */
  payloadLength(i: number): number {
    const cut = this.#tables.word(i * MESSAGE_LENGTH + FLAGS_AT) & MSG_TRUNC;
    return cut ? -1 : this.#tables.word(i * MESSAGE_LENGTH + RECEIVED_AT);
  }

  /** Bytes of each datagram of message `i` but possibly the last. */
  segment(i: number): number {
    const tables = this.#tables;
    const control = tables.controlAt(i);
    const present = tables.word(i * MESSAGE_LENGTH + CONTROL_LENGTH_AT) > CMSG_DATA_AT &&
      tables.word(control + 8) === SOL_UDP && tables.word(control + 12) === UDP_GRO;
    const size = present ? tables.word(control + CMSG_DATA_AT) : 0;
    return size > 0 ? size : Math.max(1, this.payloadLength(i));
  }

  /** Where the sender's IP of message `i` is, as an offset into {@linkcode ReceiveBatch.names}. */
  ipAt(i: number): number {
    return this.#tables.nameAt(i) + sockaddrIpAt(this.ipLength(i));
  }

  /** 4, 16, or 0 for neither. */
  ipLength(i: number): number {
    return sockaddrIpLength(this.#tables.bytes, this.#tables.nameAt(i));
  }

  port(i: number): number {
    return sockaddrPort(this.#tables.bytes, this.#tables.nameAt(i));
  }

  /** The bytes {@linkcode ReceiveBatch.ipAt} points into. */
  get names(): Uint8Array {
    return this.#tables.bytes;
  }
}

/** Messages gathered for one socket, sent together. Payloads are not copied: they stay put until sent. */
export class SendBatch {
  readonly #tables = new Tables(SEND_COUNT);
  #count = 0;
  readonly #segments = new Uint8Array(SEND_COUNT); // datagrams of each message
  /** Whether the kernel cuts super-datagrams here; turned off when it turns out not to. */
  gso: boolean;
  /** Datagrams handed over, and not taken; whoever counts them may set them back. */
  sent = 0;
  failed = 0;

  /** @param fd Socket it sends on */
  constructor(readonly fd: number, gso = false) {
    this.gso = gso;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Adds datagrams that lie side by side.
   * @param memory Holds them from `at` on, unchanged until sent
   * @param length Bytes in all
   * @param segment Bytes of each but possibly the last; at most {@linkcode SEGMENTS_MAX} of them
   * @param ip Holds the destination's IP; copied
   */
  add(
    memory: Block,
    at: number,
    length: number,
    segment: number,
    ip: Uint8Array,
    ipAt: number,
    ipLength: number,
    port: number,
  ): void {
    if (segment >= length) return this.#put(memory, at, length, 0, ip, ipAt, ipLength, port);
    if (this.gso) return this.#put(memory, at, length, segment, ip, ipAt, ipLength, port);
    for (let done = 0; done < length; done += segment) {
      const piece = Math.min(segment, length - done);
      this.#put(memory, at + done, piece, 0, ip, ipAt, ipLength, port);
    }
  }

  #put(
    memory: Block,
    at: number,
    length: number,
    segment: number,
    ip: Uint8Array,
    ipAt: number,
    ipLength: number,
    port: number,
  ): void {
    if (this.#count === SEND_COUNT) this.send();
    const tables = this.#tables;
    const i = this.#count++;
    const message = i * MESSAGE_LENGTH;
    const nameLength = putSockaddr(tables.bytes, tables.nameAt(i), ip, ipAt, ipLength, port);
    tables.setWord(message + NAME_LENGTH_AT, nameLength);
    memory.putVector(tables.words, tables.iovecAt(i), at, length);
    const control = tables.controlAt(i);
    this.#segments[i] = segment === 0 ? 1 : Math.ceil(length / segment);
    if (segment === 0) {
      tables.setWord(message + CONTROL_LENGTH_AT, 0);
      return;
    }
    tables.setWord(message + CONTROL_LENGTH_AT, CONTROL_ROOM);
    tables.setWord(control, SEGMENT_CMSG_LENGTH);
    tables.setWord(control + 4, 0);
    tables.setWord(control + 8, SOL_UDP);
    tables.setWord(control + 12, UDP_SEGMENT);
    tables.setWord(control + CMSG_DATA_AT, segment);
  }

  /** Sends everything gathered. What the system does not take is lost and counted, as UDP may. */
  send(): void {
    let next = 0;
    let retried = false;
    const count = this.#count;
    this.#count = 0;
    while (next < count) {
      const taken = libc().sendmmsg(
        this.fd,
        this.#tables.addresses[next],
        count - next,
        MSG_DONTWAIT,
      );
      if (taken > 0) {
        this.sent += this.#datagrams(next, next + taken);
        next += taken;
        retried = false;
        continue;
      }
      const number = errno();
      // An ICMP answer to an earlier datagram, or a signal, is not about this one: once more, but not for ever.
      if ((number === ECONNREFUSED || number === EINTR) && !retried) {
        retried = true;
        continue;
      }
      if (this.#refusesGso(next, number)) {
        this.#sendApart(next);
        // A size is too large for one path only, until its MTU is found; anything else is true of the device.
        if (number !== EINVAL && number !== EMSGSIZE) this.gso = false;
        next++;
        continue;
      }
      // A full queue will not take the rest either; anything else is about this message alone.
      const end = number === EAGAIN ? count : next + 1;
      this.failed += this.#datagrams(next, end);
      next = end;
      retried = false;
    }
  }

  #datagrams(from: number, end: number): number {
    let datagrams = 0;
    for (let i = from; i < end; i++) datagrams += this.#segments[i];
    return datagrams;
  }

  #refusesGso(i: number, number: number): boolean {
    const control = i * MESSAGE_LENGTH + CONTROL_LENGTH_AT;
    const cut = this.#tables.word(control) !== 0;
    return cut &&
      (number === EIO || number === EINVAL || number === EOPNOTSUPP || number === EMSGSIZE);
  }

  /** Sends the datagrams of message `i` one by one. */
  #sendApart(i: number): void {
    const tables = this.#tables;
    const message = i * MESSAGE_LENGTH;
    const iovec = tables.iovecAt(i);
    const segment = tables.word(tables.controlAt(i) + CMSG_DATA_AT);
    const low = tables.word(iovec);
    const high = tables.word(iovec + 4);
    const length = tables.word(iovec + 8);
    tables.setWord(message + CONTROL_LENGTH_AT, 0);
    for (let done = 0; done < length; done += segment) {
      const at = high * 0x1_0000_0000 + low + done;
      tables.setWord(iovec, at >>> 0);
      tables.setWord(iovec + 4, Math.floor(at / 0x1_0000_0000));
      tables.setWord(iovec + 8, Math.min(segment, length - done));
      const taken = libc().sendmmsg(this.fd, this.#tables.addresses[i], 1, MSG_DONTWAIT);
      if (taken > 0) this.sent++;
      else this.failed++;
    }
  }
}
