/**
 * Many datagrams per system call: tables for `recvmmsg` and `sendmmsg`, laid out once and reused. Nothing here
 * allocates after construction.
 *
 *     iovec (16)      base u64 @0, length u64 @8
 *     msghdr (56)     name @0, namelen u32 @8, iov @16, iovlen u64 @24, control @32, controllen u64 @40, flags i32 @48
 *     mmsghdr (64)    msghdr @0, msg_len u32 @56
 *
 * Source: spec 07 section 5.
 * @module
 */
import { Block } from "./block.ts";
import { EAGAIN, ECONNREFUSED, EINTR, errno } from "./errno.ts";
import { libc } from "./libc.ts";
import { putSockaddr, SOCKADDR_ROOM, sockaddrIpAt, sockaddrIpLength } from "./sockaddr.ts";
import { sockaddrPort } from "./sockaddr.ts";

/** Datagrams per system call; 64 measured no better. */
export const BATCH_COUNT = 32;

const MESSAGE_LENGTH = 64;
const NAME_LENGTH_AT = 8;
const IOVEC_AT = 16;
const IOVEC_COUNT_AT = 24;
const FLAGS_AT = 48;
const RECEIVED_AT = 56;
const IOVEC_LENGTH = 16;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;

// One block holds all three tables, in this order.
const IOVECS_AT = BATCH_COUNT * MESSAGE_LENGTH;
const NAMES_AT = IOVECS_AT + BATCH_COUNT * IOVEC_LENGTH;
const TABLES_LENGTH = NAMES_AT + BATCH_COUNT * SOCKADDR_ROOM;

function makeTables(): Block {
  const tables = new Block(TABLES_LENGTH);
  for (let i = 0; i < BATCH_COUNT; i++) {
    const message = i * MESSAGE_LENGTH;
    tables.putAddress(tables.view, message, NAMES_AT + i * SOCKADDR_ROOM);
    tables.view.setUint32(message + NAME_LENGTH_AT, SOCKADDR_ROOM, true);
    tables.putAddress(tables.view, message + IOVEC_AT, IOVECS_AT + i * IOVEC_LENGTH);
    tables.view.setUint32(message + IOVEC_COUNT_AT, 1, true);
  }
  return tables;
}

/** Room for one batch of received datagrams, shared by all sockets of a thread. */
export class ReceiveBatch {
  readonly #tables = makeTables();

  /**
   * @param arena Where payloads land
   * @param at Offset of the first payload in it
   * @param slotLength Bytes per payload; longer datagrams are cut and dropped
   */
  constructor(readonly arena: Block, readonly at: number, readonly slotLength: number) {
    for (let i = 0; i < BATCH_COUNT; i++) {
      const iovec = IOVECS_AT + i * IOVEC_LENGTH;
      arena.putAddress(this.#tables.view, iovec, this.payloadAt(i));
      this.#tables.view.setUint32(iovec + 8, slotLength, true);
    }
  }

  /**
   * Takes what a socket has, without waiting.
   * @returns number of datagrams, 0 when there was none
   */
  receive(fd: number): number {
    const { view, address } = this.#tables;
    // The kernel overwrites the length of the name room with the length of the name.
    for (let i = 0; i < BATCH_COUNT; i++) {
      view.setUint32(i * MESSAGE_LENGTH + NAME_LENGTH_AT, SOCKADDR_ROOM, true);
    }
    // An ICMP error is reported once, instead of data: ask again at the next turn.
    return Math.max(0, libc().recvmmsg(fd, address, BATCH_COUNT, MSG_DONTWAIT, 0n));
  }

  /** Offset of datagram `i` in the arena. */
  payloadAt(i: number): number {
    return this.at + i * this.slotLength;
  }

  /** Length in bytes of datagram `i`, or -1 when it was longer than its slot. */
  payloadLength(i: number): number {
    const message = i * MESSAGE_LENGTH;
    const cut = this.#tables.view.getInt32(message + FLAGS_AT, true) & MSG_TRUNC;
    return cut ? -1 : this.#tables.view.getUint32(message + RECEIVED_AT, true);
  }

  /** Where the sender's IP of datagram `i` is, as an offset into {@linkcode ReceiveBatch.names}. */
  ipAt(i: number): number {
    return NAMES_AT + i * SOCKADDR_ROOM + sockaddrIpAt(this.ipLength(i));
  }

  /** 4 or 16. */
  ipLength(i: number): number {
    return sockaddrIpLength(this.#tables.bytes, NAMES_AT + i * SOCKADDR_ROOM);
  }

  port(i: number): number {
    return sockaddrPort(this.#tables.bytes, NAMES_AT + i * SOCKADDR_ROOM);
  }

  /** The bytes {@linkcode ReceiveBatch.ipAt} points into. */
  get names(): Uint8Array {
    return this.#tables.bytes;
  }
}

/** Datagrams gathered for one socket, sent together. Payloads are not copied: they stay put until sent. */
export class SendBatch {
  readonly #tables = makeTables();
  readonly #addresses: bigint[] = [];
  #count = 0;
  /** Datagrams the system took, and did not take, since the batch was made. */
  sent = 0;
  failed = 0;

  /** @param fd Socket it sends on */
  constructor(readonly fd: number) {
    for (let i = 0; i < BATCH_COUNT; i++) {
      this.#addresses.push(this.#tables.addressAt(i * MESSAGE_LENGTH));
    }
  }

  get count(): number {
    return this.#count;
  }

  /** Whether {@linkcode SendBatch.send} is due before anything is added. */
  get full(): boolean {
    return this.#count === BATCH_COUNT;
  }

  /**
   * Adds a datagram.
   * @param memory Holds the payload at `at`, unchanged until sent
   * @param ip Holds the destination's IP at `ipAt`; copied
   */
  add(
    memory: Block,
    at: number,
    length: number,
    ip: Uint8Array,
    ipAt: number,
    ipLength: number,
    port: number,
  ): void {
    const { bytes, view } = this.#tables;
    const name = NAMES_AT + this.#count * SOCKADDR_ROOM;
    const nameLength = putSockaddr(bytes, name, ip, ipAt, ipLength, port);
    view.setUint32(this.#count * MESSAGE_LENGTH + NAME_LENGTH_AT, nameLength, true);
    const iovec = IOVECS_AT + this.#count * IOVEC_LENGTH;
    memory.putAddress(view, iovec, at);
    view.setUint32(iovec + 8, length, true);
    this.#count++;
  }

  /** Sends everything gathered. What the system does not take is lost and counted, as UDP may. */
  send(): void {
    let next = 0;
    let retried = false;
    while (next < this.#count) {
      const taken = libc().sendmmsg(
        this.fd,
        this.#addresses[next],
        this.#count - next,
        MSG_DONTWAIT,
      );
      if (taken > 0) {
        next += taken;
        this.sent += taken;
        retried = false;
        continue;
      }
      const number = errno();
      // An ICMP answer to an earlier datagram, or a signal, is not about this one: once more, but not for ever.
      if ((number === ECONNREFUSED || number === EINTR) && !retried) {
        retried = true;
        continue;
      }
      // A full queue will not take the rest either; anything else is about this datagram alone.
      const lost = number === EAGAIN ? this.#count - next : 1;
      next += lost;
      this.failed += lost;
      retried = false;
    }
    this.#count = 0;
  }
}
