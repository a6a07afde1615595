/**
 * TCP streams at full speed, straight on libc: the generator must not be what a benchmark measures.
 * Everything blocks; it runs in a process of its own.
 * @module
 */
import { Block } from "../../ffi/linux/block.ts";
import { check, EAGAIN, errno } from "../../ffi/linux/errno.ts";
import { libc, LIBC_PATHS } from "../../ffi/linux/libc.ts";
import { encodeSockaddr, familyOf, sockaddrLength } from "../../ffi/linux/sockaddr.ts";
import { closeFd, O_CLOEXEC, POLLIN, POLLOUT } from "../../ffi/linux/system.ts";
import type { Ip } from "../../lib/base/ip.ts";

/** Bytes of one write: large enough that the calls of the generator cost little. */
const CHUNK_LENGTH = 262_144;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/** Of a run, as one end saw it. */
export type TcpResult = {
  lengthBytes: number;
  /** From the first bytes to the last. */
  timeMs: number;
  /** Streams that came to their end in time. */
  ended: number;
};

const SYMBOLS = {
  connect: {
    parameters: ["i32", /* fd */ "buffer", /* sockaddr */ "u32" /* length */],
    result: "i32",
  },
  listen: { parameters: ["i32", /* fd */ "i32" /* backlog */], result: "i32" },
  accept: { parameters: ["i32", /* fd */ "usize", "usize"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** What the product has no use for. */
function streamCalls(): Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] {
  for (const path of LIBC_PATHS) {
    try {
      return Deno.dlopen(path, SYMBOLS).symbols;
    } catch {
      // Absent on this distribution: the next one may do.
    }
  }
  throw new Error(`no libc at ${LIBC_PATHS.join(", ")}`);
}

function openStream(ip: Ip): number {
  const type = SOCK_STREAM | O_CLOEXEC;
  return check("open a TCP socket", libc().socket(familyOf(ip.length), type, 0));
}

/** Descriptors to wait on for one kind of event; one that is done leaves. */
class Waiting {
  readonly #block: Block;

  constructor(readonly fds: readonly number[], events: number) {
    this.#block = new Block(fds.length * 8);
    fds.forEach((fd, index) => {
      this.#block.view.setInt32(index * 8, fd, true);
      this.#block.view.setInt16(index * 8 + 4, events, true);
    });
  }

  wait(timeoutMs: number): number {
    const count = BigInt(this.fds.length);
    return check("poll", libc().poll(this.#block.address, count, Math.ceil(timeoutMs)));
  }

  isReady(index: number): boolean {
    return this.#block.view.getInt16(index * 8 + 6, true) !== 0;
  }

  /** A negative descriptor is passed over. */
  leave(index: number): void {
    this.#block.view.setInt32(index * 8, -1, true);
  }
}

/** Waits for streams, then reads them to their ends. */
export class TcpSink {
  readonly #listener: number;
  readonly #calls = streamCalls();

  /** @throws {SystemError} when the port is taken */
  constructor(ip: Ip, port: number, readonly streams: number) {
    this.#listener = openStream(ip);
    libc().setsockopt(this.#listener, SOL_SOCKET, SO_REUSEADDR, new Int32Array([1]), 4);
    const address = encodeSockaddr({ ip, port });
    check("bind TCP", libc().bind(this.#listener, address, sockaddrLength(ip.length)));
    check("listen", this.#calls.listen(this.#listener, streams));
  }

  /** @param patienceMs Bounds the whole run */
  run(patienceMs: number): TcpResult {
    const untilMs = performance.now() + patienceMs;
    const result: TcpResult = { lengthBytes: 0, timeMs: 0, ended: 0 };
    const fds = this.#accept(untilMs);
    const waiting = new Waiting(fds, POLLIN);
    const buffer = new Uint8Array(new ArrayBuffer(CHUNK_LENGTH));
    let firstMs = 0;
    while (result.ended < this.streams) {
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0 || waiting.wait(leftMs) === 0) break;
      for (let i = 0; i < fds.length; i++) {
        if (!waiting.isReady(i)) continue;
        const got = libc().recv(fds[i], buffer, BigInt(CHUNK_LENGTH), MSG_DONTWAIT);
        if (got > 0) {
          const nowMs = performance.now();
          if (result.lengthBytes === 0) firstMs = nowMs;
          result.lengthBytes += got;
          result.timeMs = nowMs - firstMs;
        } else if (got === 0 || errno() !== EAGAIN) {
          waiting.leave(i);
          result.ended++;
        }
      }
    }
    for (const fd of [...fds, this.#listener]) closeFd(fd);
    return result;
  }

  #accept(untilMs: number): number[] {
    const fds: number[] = [];
    const waiting = new Waiting([this.#listener], POLLIN);
    while (fds.length < this.streams) {
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0 || waiting.wait(leftMs) === 0) {
        throw new Error(`${fds.length} of ${this.streams} streams came`);
      }
      fds.push(check("accept", this.#calls.accept(this.#listener, 0n, 0n)));
    }
    return fds;
  }
}

/** Connects, then writes on all streams as fast as they take it. */
export class TcpSource {
  readonly #fds: number[] = [];

  /** @throws {SystemError} when nobody listens there */
  constructor(ip: Ip, port: number, streams: number) {
    const calls = streamCalls();
    for (let i = 0; i < streams; i++) {
      const fd = openStream(ip);
      const address = encodeSockaddr({ ip, port });
      check("connect", calls.connect(fd, address, sockaddrLength(ip.length)));
      this.#fds.push(fd);
    }
  }

  run(timeMs: number): TcpResult {
    const buffer = new Uint8Array(new ArrayBuffer(CHUNK_LENGTH));
    for (let at = 0; at < CHUNK_LENGTH; at += 65_536) {
      crypto.getRandomValues(buffer.subarray(at, at + 65_536)); // nothing on the way can compress it
    }
    const waiting = new Waiting(this.#fds, POLLOUT);
    const startMs = performance.now();
    let lengthBytes = 0;
    for (;;) {
      const leftMs = startMs + timeMs - performance.now();
      if (leftMs <= 0 || waiting.wait(Math.ceil(leftMs)) === 0) break;
      for (let i = 0; i < this.#fds.length; i++) {
        if (!waiting.isReady(i)) continue;
        const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
        const sent = libc().send(this.#fds[i], buffer, BigInt(CHUNK_LENGTH), flags);
        if (sent > 0) lengthBytes += sent;
        else if (errno() !== EAGAIN) check("write to a stream", sent);
      }
    }
    for (const fd of this.#fds) closeFd(fd); // what is queued still goes out
    return { lengthBytes, timeMs: performance.now() - startMs, ended: this.#fds.length };
  }
}
