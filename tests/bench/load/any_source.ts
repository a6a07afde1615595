/**
 * One UDP socket that speaks from any address of the host, as a hundred thousand machines would,
 * and hears what comes to any of them. The addresses are those of a prefix on the loopback device,
 * all of which count as the host's own.
 *
 *     control message, both ways (32)   length u64 @0 = 28, level i32 @8 = IPPROTO_IP, type i32 @12 = IP_PKTINFO,
 *                                       in_pktinfo: device i32 @16, own address @20 (out: source), destination @24 (in)
 *
 * Tables as in `ffi/linux/mmsg.ts`; repeated here because that one changes with the product, and a judge must not.
 *
 * Source: `ip(7)`, `recvmmsg(2)`.
 * @module
 */
import { Block } from "../../../ffi/linux/block.ts";
import { check } from "../../../ffi/linux/errno.ts";
import { libc } from "../../../ffi/linux/libc.ts";
import {
  AF_INET,
  encodeSockaddr,
  putSockaddr,
  SOCKADDR_ROOM,
  sockaddrLength,
} from "../../../ffi/linux/sockaddr.ts";
import { closeFd, O_CLOEXEC, PollSet } from "../../../ffi/linux/system.ts";
import type { Ip } from "../../../lib/base/ip.ts";

const BATCH_COUNT = 64;
const SLOT_LENGTH = 2_048;
const BUFFER_LENGTH = 33_554_432; // holds what comes while the generator works on something else
const CONTROL_LENGTH = 32;
const CONTROL_USED = 28;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const IPPROTO_IP = 0;
const IP_PKTINFO = 8;
const MSG_DONTWAIT = 0x40;
const MESSAGE_LENGTH = 64;
const IOVECS_AT = BATCH_COUNT * MESSAGE_LENGTH;
const NAMES_AT = IOVECS_AT + BATCH_COUNT * 16;
const CONTROLS_AT = NAMES_AT + BATCH_COUNT * SOCKADDR_ROOM;
const PAYLOADS_AT = CONTROLS_AT + BATCH_COUNT * CONTROL_LENGTH;

/** An IPv4 address as a number. */
export function ipNumber(ip: Ip): number {
  return ((ip[0] << 24) | (ip[1] << 16) | (ip[2] << 8) | ip[3]) >>> 0;
}

function tables(): Block {
  const block = new Block(PAYLOADS_AT + BATCH_COUNT * SLOT_LENGTH);
  const { view } = block;
  for (let i = 0; i < BATCH_COUNT; i++) {
    const message = i * MESSAGE_LENGTH;
    const iovec = IOVECS_AT + i * 16;
    block.putAddress(block.words, message, NAMES_AT + i * SOCKADDR_ROOM);
    block.putAddress(block.words, message + 16, iovec);
    view.setUint32(message + 24, 1, true);
    block.putAddress(block.words, message + 32, CONTROLS_AT + i * CONTROL_LENGTH);
    block.putAddress(block.words, iovec, PAYLOADS_AT + i * SLOT_LENGTH);
  }
  return block;
}

export class AnySource {
  /** Datagrams handed to the system. */
  sent = 0;
  /** Datagrams the system did not take. */
  refused = 0;
  readonly #fd: number;
  readonly #out = tables();
  readonly #in = tables();
  readonly #poll = new PollSet(1);
  #queued = 0;

  /**
   * @param port Own port, of every address
   * @param to Where everything goes
   * @throws {SystemError} when the port is taken
   */
  constructor(port: number, readonly to: { ip: Ip; port: number }) {
    this.#fd = check("open a UDP socket", libc().socket(AF_INET, SOCK_DGRAM | O_CLOEXEC, 0));
    for (const name of [SO_SNDBUFFORCE, SO_RCVBUFFORCE]) {
      libc().setsockopt(this.#fd, SOL_SOCKET, name, new Int32Array([BUFFER_LENGTH]), 4);
    }
    libc().setsockopt(this.#fd, IPPROTO_IP, IP_PKTINFO, new Int32Array([1]), 4);
    const any = encodeSockaddr({ ip: new Uint8Array(4), port });
    check("bind UDP", libc().bind(this.#fd, any, sockaddrLength(4)));
    this.#poll.set([this.#fd]);
    this.#layOut();
  }

  #layOut(): void {
    const { view, bytes } = this.#out;
    const { ip, port } = this.to;
    for (let i = 0; i < BATCH_COUNT; i++) {
      putSockaddr(bytes, NAMES_AT + i * SOCKADDR_ROOM, ip, 0, 4, port);
      view.setUint32(i * MESSAGE_LENGTH + 8, sockaddrLength(4), true);
      view.setUint32(i * MESSAGE_LENGTH + 40, CONTROL_LENGTH, true);
      const control = CONTROLS_AT + i * CONTROL_LENGTH;
      view.setUint32(control, CONTROL_USED, true);
      view.setInt32(control + 8, IPPROTO_IP, true);
      view.setInt32(control + 12, IP_PKTINFO, true);
    }
  }

  /**
   * Queues a datagram; it goes when the batch is full, or by {@linkcode AnySource.flush}.
   * @param from Own address, see {@linkcode ipNumber}
   */
  send(bytes: Uint8Array, from: number): void {
    const { view } = this.#out;
    const i = this.#queued++;
    this.#out.bytes.set(bytes, PAYLOADS_AT + i * SLOT_LENGTH);
    view.setUint32(IOVECS_AT + i * 16 + 8, bytes.length, true);
    view.setUint32(CONTROLS_AT + i * CONTROL_LENGTH + 20, from); // big-endian, as addresses are
    if (this.#queued === BATCH_COUNT) this.flush();
  }

  flush(): void {
    for (let next = 0; next < this.#queued;) {
      const address = this.#out.addressAt(next * MESSAGE_LENGTH);
      const taken = libc().sendmmsg(this.#fd, address, this.#queued - next, 0);
      if (taken > 0) this.sent += taken;
      else this.refused++; // mostly an ICMP answer to an earlier one
      next += Math.max(1, taken);
    }
    this.#queued = 0;
  }

  /**
   * Hands out everything that has come.
   * @param waitMs Longest wait for the first
   * @param handle Bytes are lent; `at` is the own address they came to
   */
  receive(waitMs: number, handle: (bytes: Uint8Array, at: number) => void): void {
    if (this.#poll.wait(Math.ceil(waitMs)) === 0) return;
    const { view, bytes, address } = this.#in;
    for (;;) {
      for (let i = 0; i < BATCH_COUNT; i++) {
        view.setUint32(IOVECS_AT + i * 16 + 8, SLOT_LENGTH, true);
        view.setUint32(i * MESSAGE_LENGTH + 8, SOCKADDR_ROOM, true);
        view.setUint32(i * MESSAGE_LENGTH + 40, CONTROL_LENGTH, true);
      }
      const got = libc().recvmmsg(this.#fd, address, BATCH_COUNT, MSG_DONTWAIT, 0n);
      for (let i = 0; i < got; i++) {
        const length = Math.min(SLOT_LENGTH, view.getUint32(i * MESSAGE_LENGTH + 56, true));
        const payload = PAYLOADS_AT + i * SLOT_LENGTH;
        const at = view.getUint32(CONTROLS_AT + i * CONTROL_LENGTH + 24);
        handle(bytes.subarray(payload, payload + length), at);
      }
      if (got < BATCH_COUNT) return;
    }
  }

  close(): void {
    closeFd(this.#fd);
  }
}
