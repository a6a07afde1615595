/**
 * A conversation with the kernel about links, addresses and routes (rtnetlink).
 *
 * The socket speaks for the network namespace it was opened in, whatever namespace its user is in later.
 *
 * Source: spec 07 section 5 "rtnetlink"; `netlink(7)`.
 * @module
 */
import { check, EINTR, errno, type Remedies, systemError } from "./errno.ts";
import { libc } from "./libc.ts";
import type { Message, MessageWriter } from "./netlink_message.ts";
import { messagesIn } from "./netlink_message.ts";
import { AF_NETLINK } from "./sockaddr.ts";
import { closeFd, O_CLOEXEC, O_NONBLOCK, PollSet } from "./system.ts";

const SOCK_RAW = 3;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_DUMP_INTR = 0x10;
const NETLINK_EXT_ACK = 11;
const SOL_NETLINK = 270;
const NETLINK_GET_STRICT_CHK = 12;
const RECEIVE_LENGTH = 65_536; // the kernel never puts more than 32 KiB into one part of a dump
const REPLY_TIMEOUT_MS = 5_000; // the kernel answers within the call; this only bounds the impossible
const DUMP_TRIES_MAX = 5; // a dump is void when things changed meanwhile; bounds a machine that never rests

/** Opens a netlink route socket. @param groups Notifications it gets, RTMGRP_ bits; 0 for none */
export function openNetlinkFd(groups: number): number {
  const type = SOCK_RAW | O_CLOEXEC | O_NONBLOCK;
  const fd = check("open a netlink socket", libc().socket(AF_NETLINK, type, 0));
  const address = new Uint8Array(new ArrayBuffer(12)); // family u16, pad, port id u32 (0: given), groups u32
  address[0] = AF_NETLINK;
  new DataView(address.buffer).setUint32(8, groups, true);
  try {
    check("bind a netlink socket", libc().bind(fd, address, 12));
  } catch (error) {
    closeFd(fd);
    throw error;
  }
  return fd;
}

/** Requests and their answers; one at a time. */
export class Netlink {
  readonly fd: number;
  readonly #received = new Uint8Array(new ArrayBuffer(RECEIVE_LENGTH));
  readonly #poll = new PollSet(1);
  #sequence = 0;
  #closed = false;

  private constructor(fd: number) {
    this.fd = fd;
    this.#poll.set([fd]);
  }

  /** @throws {SystemError} */
  static open(): Netlink {
    const fd = openNetlinkFd(0);
    const on = new Int32Array([1]);
    // Both are refinements of newer kernels: shorter dumps, and no echo of our request in error replies.
    libc().setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, on, 4);
    libc().setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, on, 4);
    return new Netlink(fd);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Asks for a change and waits for the answer, which the kernel gives at once.
   * @param operation In words, for the error
   * @param request Made with NLM_F_ACK
   * @param allowed Error numbers that are an answer rather than a failure
   * @returns 0, or the one of `allowed` that came
   * @throws {SystemError}
   */
  request(
    operation: string,
    request: MessageWriter,
    options: { allowed?: readonly number[]; remedies?: Remedies } = {},
  ): number {
    const sequence = this.#send(operation, request);
    for (;;) {
      for (const message of messagesIn(this.#receive(operation))) {
        if (message.sequence !== sequence || message.type !== NLMSG_ERROR) continue;
        const number = -message.body.getInt32(0, true);
        if (number === 0 || options.allowed?.includes(number)) return number;
        throw systemError(operation, number, options.remedies);
      }
    }
  }

  /**
   * Asks for a list.
   * @param make Makes the request, with NLM_F_DUMP; called again when the list changed while it was read
   * @param each Called with every message of the list; what it returns is collected unless undefined
   * @throws {SystemError}
   */
  dump<T>(operation: string, make: () => MessageWriter, each: (m: Message) => T | undefined): T[] {
    for (let tries = 1;; tries++) {
      const { items, interrupted } = this.#dumpOnce(operation, make(), each);
      // After so many tries what we have is as good as it gets; a change notification follows anyway.
      if (!interrupted || tries === DUMP_TRIES_MAX) return items;
    }
  }

  #dumpOnce<T>(
    operation: string,
    request: MessageWriter,
    each: (message: Message) => T | undefined,
  ): { items: T[]; interrupted: boolean } {
    const items: T[] = [];
    let interrupted = false;
    const sequence = this.#send(operation, request);
    for (;;) {
      for (const message of messagesIn(this.#receive(operation))) {
        if (message.sequence !== sequence) continue; // left over from a request that failed
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
        if (message.type === NLMSG_DONE) return { items, interrupted };
        if (message.type === NLMSG_ERROR) {
          throw systemError(operation, -message.body.getInt32(0, true));
        }
        const item = each(message);
        if (item !== undefined) items.push(item);
      }
    }
  }

  #send(operation: string, request: MessageWriter): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    const bytes = request.finish(this.#sequence);
    check(operation, libc().send(this.fd, bytes, BigInt(bytes.length), 0));
    return this.#sequence;
  }

  #receive(operation: string): Uint8Array {
    for (;;) {
      if (this.#poll.wait(REPLY_TIMEOUT_MS) === 0) {
        throw systemError(operation, 110 /* ETIMEDOUT */);
      }
      const got = libc().recv(this.fd, this.#received, BigInt(RECEIVE_LENGTH), 0);
      if (got >= 0) return this.#received.subarray(0, got);
      const number = errno();
      if (number !== EINTR) throw systemError(operation, number);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeFd(this.fd);
  }
}
