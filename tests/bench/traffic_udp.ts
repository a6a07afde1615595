/**
 * Small datagrams at saturation: batches with tables laid out once, so that the sender costs little
 * more than the kernel takes for each. What arrives is counted where it arrives.
 * @module
 */
import { Block } from "../../ffi/linux/block.ts";
import { check } from "../../ffi/linux/errno.ts";
import { libc } from "../../ffi/linux/libc.ts";
import { encodeSockaddr, familyOf, putSockaddr } from "../../ffi/linux/sockaddr.ts";
import { SOCKADDR_ROOM, sockaddrLength } from "../../ffi/linux/sockaddr.ts";
import { closeFd, O_CLOEXEC, PollSet } from "../../ffi/linux/system.ts";
import type { Ip } from "../../lib/base/ip.ts";

const BATCH_COUNT = 64;
const SLOT_LENGTH = 2_048;
const BUFFER_LENGTH = 16_777_216; // of the receiving socket: holds what comes while the sink sleeps
const QUIET_MS = 500; // without a datagram for this long, the run is over
const SHORT_BATCH = 16; // the sink sleeps a little rather than being woken for each datagram
const SLEEP_MS = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const MSG_DONTWAIT = 0x40;
// mmsghdr as in `ffi/linux/mmsg.ts`; repeated here because that one changes with the product, and a judge must not.
const MESSAGE_LENGTH = 64;
const IOVECS_AT = BATCH_COUNT * MESSAGE_LENGTH;
const NAME_AT = IOVECS_AT + BATCH_COUNT * 16;
const PAYLOADS_AT = NAME_AT + SOCKADDR_ROOM;

/** Of a run, as one end saw it. */
export type UdpResult = {
  count: number;
  /** From the first datagram to the last. */
  timeMs: number;
};

/** Tables for a batch. @param payload Place and length of the i-th payload; @param nameLength 0 for no address */
function batchOf(
  payload: (i: number) => number,
  payloadLength: number,
  nameLength: number,
): Block {
  const block = new Block(PAYLOADS_AT + BATCH_COUNT * SLOT_LENGTH);
  const { view } = block;
  for (let i = 0; i < BATCH_COUNT; i++) {
    const message = i * MESSAGE_LENGTH;
    const iovec = IOVECS_AT + i * 16;
    if (nameLength > 0) {
      block.putAddress(block.words, message, NAME_AT);
      view.setUint32(message + 8, nameLength, true);
    }
    block.putAddress(block.words, message + 16, iovec);
    view.setUint32(message + 24, 1, true);
    block.putVector(block.words, iovec, payload(i), payloadLength);
  }
  return block;
}

function openDatagrams(ip: Ip): number {
  const type = SOCK_DGRAM | O_CLOEXEC;
  return check("open a UDP socket", libc().socket(familyOf(ip.length), type, 0));
}

/** Counts datagrams. */
export class UdpSink {
  readonly #fd: number;

  /** @throws {SystemError} when the port is taken */
  constructor(ip: Ip, port: number) {
    this.#fd = openDatagrams(ip);
    libc().setsockopt(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, new Int32Array([BUFFER_LENGTH]), 4);
    const address = encodeSockaddr({ ip, port });
    check("bind UDP", libc().bind(this.#fd, address, sockaddrLength(ip.length)));
  }

  /** @param patienceMs Bounds the whole run */
  run(patienceMs: number): UdpResult {
    const poll = new PollSet(1);
    poll.set([this.#fd]);
    const nothing = new PollSet(1);
    const batch = batchOf((i) => PAYLOADS_AT + i * SLOT_LENGTH, SLOT_LENGTH, 0);
    const untilMs = performance.now() + patienceMs;
    const result: UdpResult = { count: 0, timeMs: 0 };
    let firstMs = 0;
    for (;;) {
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0) break;
      const waitMs = result.count === 0 ? leftMs : Math.min(leftMs, QUIET_MS);
      if (poll.wait(Math.ceil(waitMs)) === 0) break;
      const got = libc().recvmmsg(this.#fd, batch.address, BATCH_COUNT, MSG_DONTWAIT, 0n);
      if (got <= 0) continue;
      const nowMs = performance.now();
      if (result.count === 0) firstMs = nowMs;
      result.count += got;
      result.timeMs = nowMs - firstMs;
      if (got < SHORT_BATCH) nothing.wait(SLEEP_MS);
    }
    closeFd(this.#fd);
    return result;
  }
}

/** Sends datagrams of one size to one place, without a pause. */
export class UdpSource {
  readonly #fd: number;
  readonly #batch: Block;

  constructor(ip: Ip, port: number, sizeBytes: number) {
    this.#fd = openDatagrams(ip);
    this.#batch = batchOf(() => PAYLOADS_AT, sizeBytes, sockaddrLength(ip.length));
    putSockaddr(this.#batch.bytes, NAME_AT, ip, 0, ip.length, port);
    crypto.getRandomValues(this.#batch.bytes.subarray(PAYLOADS_AT, PAYLOADS_AT + sizeBytes));
  }

  /** @returns datagrams the system took, whether or not it kept them */
  run(timeMs: number): UdpResult {
    const startMs = performance.now();
    let count = 0;
    while (performance.now() - startMs < timeMs) {
      const taken = libc().sendmmsg(this.#fd, this.#batch.address, BATCH_COUNT, 0);
      if (taken > 0) count += taken; // an error is about an earlier datagram; the next call goes on
    }
    closeFd(this.#fd);
    return { count, timeMs: performance.now() - startMs };
  }
}
