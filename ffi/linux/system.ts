/**
 * Clock, eventfd, poll, small files: what is left of the kernel once sockets and devices have their own files.
 *
 * Deno's file functions refuse `/proc`, `/sys` and `/dev/net/tun` short of all permissions, hence files through libc.
 *
 * Source: spec 07 section 5.
 * @module
 */
import { Block } from "./block.ts";
import { check, EINTR, ENOENT, errno, type Remedies, systemError } from "./errno.ts";
import { cString, libc } from "./libc.ts";

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0x40;
export const O_APPEND = 0x400;
export const O_NONBLOCK = 0x800;
export const O_CLOEXEC = 0x80000;

export const POLLIN = 1;
export const POLLOUT = 4;
/** The descriptor is not open. */
export const POLLNVAL = 32;

const FOUND = ~0xffff; // bits of a word of a poll set
const CLOCK_BOOTTIME = 7;
const PRIO_PROCESS = 0; // of a thread, on Linux
const FILE_LENGTH_MAX = 1_048_576; // ours: a file of /proc or /sys above this is not one we ask for

let timespec: Block | undefined; // seconds and nanoseconds, two words each

/** Milliseconds since boot, sleep included, with fractions: round trips on a LAN are below one. */
export function bootTimeMs(): number {
  timespec ??= new Block(16);
  libc().clock_gettime(CLOCK_BOOTTIME, timespec.address);
  const { words } = timespec;
  return words[0] * 1000 + words[2] / 1_000_000; // seconds since boot fit 32 bits for 136 years
}

/** Has the calling thread sleep. @param us Microseconds, below a million; the system may add fifty */
export function sleepUs(us: number): void {
  libc().usleep(us);
}

/** User id of the process; 0 is root, also inside a user namespace. */
export function userId(): number {
  return libc().getuid();
}

/** How nice the calling thread is to others. */
export function threadNiceness(): number {
  return libc().getpriority(PRIO_PROCESS, 0); // its -1 is a niceness: nothing can fail here
}

/**
 * Sets how nice the calling thread is to others, from -20 (not at all) to 19; other threads of the
 * process stay as they are.
 * @returns whether the system allowed it: below 0 takes privileges
 */
export function setThreadNiceness(niceness: number): boolean {
  return libc().setpriority(PRIO_PROCESS, 0, niceness) === 0;
}

/** Opens a path close-on-exec. @throws {SystemError} */
export function openPath(path: string, flags: number, remedies?: Remedies, mode = 0): number {
  return check(`open ${path}`, libc().open(cString(path), flags | O_CLOEXEC, mode), remedies);
}

/** Closes a descriptor. @throws {SystemError} when it is not open: an error of ours */
export function closeFd(fd: number): void {
  const result = libc().close(fd);
  // The descriptor is gone on EINTR too; closing again could hit another's.
  if (result < 0 && errno() !== EINTR) throw systemError(`close descriptor ${fd}`, errno());
}

/** Whether a path exists, `/proc` and `/sys` included. */
export function pathExists(path: string): boolean {
  return libc().access(cString(path), 0) === 0;
}

/**
 * The text of a small file, `/proc` and `/sys` included.
 * @throws {SystemError} when it cannot be opened or read
 */
export function readTextFile(path: string): string {
  const fd = openPath(path, O_RDONLY);
  try {
    const chunks: Uint8Array[] = [];
    let lengthBytes = 0;
    while (lengthBytes < FILE_LENGTH_MAX) {
      const chunk = new Uint8Array(new ArrayBuffer(8192));
      const got = check(`read ${path}`, libc().readBuffer(fd, chunk, 8192n));
      if (got === 0) break;
      chunks.push(chunk.subarray(0, got));
      lengthBytes += got;
    }
    const all = new Uint8Array(lengthBytes);
    let at = 0;
    for (const chunk of chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return new TextDecoder().decode(all);
  } finally {
    closeFd(fd);
  }
}

/** @returns undefined when the file does not exist. @throws {SystemError} on anything else */
export function readTextFileIfAny(path: string): string | undefined {
  return libc().access(cString(path), 0) < 0 && errno() === ENOENT ? undefined : readTextFile(path);
}

/**
 * Sets a kernel parameter, of the network namespace this thread is in where it has one.
 * @param name Dotted, as sysctl prints it, e.g. "net.ipv4.ip_forward"; a device name with dots is not supported
 * @throws {SystemError}
 */
export function writeSysctl(name: string, value: string | number): void {
  const path = `/proc/sys/${name.replaceAll(".", "/")}`;
  const fd = openPath(path, O_WRONLY);
  try {
    const text = new TextEncoder().encode(`${value}\n`);
    check(`write ${value} to ${path}`, libc().writeBuffer(fd, text, BigInt(text.length)));
  } finally {
    closeFd(fd);
  }
}

/** A counter one thread raises to wake another out of poll. Never blocks. */
export class EventFd {
  readonly fd: number;
  readonly #block = new Block(16); // what is written, then room for what is read
  readonly #readAddress = this.#block.addressAt(8);

  /** @param fd One made by another thread; absent makes a new one */
  constructor(fd?: number) {
    this.fd = fd ?? check("create an eventfd", libc().eventfd(0, O_NONBLOCK | O_CLOEXEC));
    this.#block.view.setUint32(0, 1, true);
  }

  /** Wakes whoever polls. Fails only when 2^64 - 2 wakes are already pending, so the result says nothing. */
  signal(): void {
    libc().write(this.fd, this.#block.address, 8n);
  }

  /** Takes all pending wakes. */
  drain(): void {
    libc().read(this.fd, this.#readAddress, 8n);
  }

  close(): void {
    closeFd(this.fd);
  }
}

/** Descriptors to wait on together. Filled by index; waiting allocates nothing. */
export class PollSet {
  readonly #address: bigint;
  readonly #words: Uint32Array; // two each: descriptor, then events asked for and events found, 16 bits each
  #count = 0n;

  /** @param countMax Most descriptors it can hold */
  constructor(readonly countMax: number) {
    const { address, words } = new Block(countMax * 8);
    this.#address = address;
    this.#words = words;
  }

  /**
   * Replaces the set. What the last wait found stays, by index.
   * @param fds At most `countMax`; their order gives the index for {@linkcode PollSet.events}
   */
  set(fds: readonly number[]): void {
    fds.forEach((fd, index) => {
      this.#words[index * 2] = fd;
      this.#words[index * 2 + 1] = this.#words[index * 2 + 1] & FOUND | POLLIN;
    });
    this.#count = BigInt(fds.length);
  }

  /**
   * Waits until one is readable or has an error.
   * @param timeoutMs -1 waits for ever, 0 only looks
   * @returns how many are ready; 0 also when a signal cut the wait short
   */
  wait(timeoutMs: number): number {
    const ready = libc().poll(this.#address, this.#count, timeoutMs);
    if (ready >= 0) return ready;
    const number = errno();
    if (number !== EINTR) throw systemError("poll", number);
    for (let index = 0; index < Number(this.#count); index++) {
      this.#words[index * 2 + 1] = POLLIN; // what was found is from the call before
    }
    return 0;
  }

  /** POLL_ bits the last wait found for the descriptor at `index`, errors included; 0 when nothing. */
  events(index: number): number {
    return this.#words[index * 2 + 1] >>> 16;
  }
}
