/**
 * The C library: where it is, which functions we use, what their parameters are.
 *
 * `--allow-ffi` names {@linkcode LIBC_PATHS} and nothing else. With a scoped flag `Deno.UnsafePointer.of` and
 * `Deno.UnsafePointerView` are refused, so an address comes from {@linkcode addressOf} and lives on as a `bigint`: a
 * `usize` given as a number takes the slow call path, 15 times slower. Results are `i32` also where C says `ssize_t`:
 * nothing here moves 2 GiB, and -1 stays -1. C never calls JavaScript.
 *
 * Variadic functions (`open`, `ioctl`) have fixed signatures here: x86_64 and Linux aarch64 pass both the same way.
 *
 * Source: spec 07 section 3.
 * @module
 */
import { SystemError } from "../../lib/base/errors.ts";

/** Every place a supported libc is found at: glibc (Debian, Fedora, Arch), then musl. The first that opens is used. */
export const LIBC_PATHS: readonly string[] = [
  "/lib/x86_64-linux-gnu/libc.so.6",
  "/lib/aarch64-linux-gnu/libc.so.6",
  "/lib64/libc.so.6",
  "/usr/lib/libc.so.6",
  "/lib/ld-musl-x86_64.so.1",
  "/lib/ld-musl-aarch64.so.1",
];

const SYMBOLS = {
  // memory and errno
  memmove: { parameters: ["buffer", "buffer", "usize"], result: "usize" },
  copyFrom: {
    name: "memcpy",
    parameters: ["buffer", "usize", /* source */ "usize" /* length */],
    result: "usize",
  },
  __errno_location: { parameters: [], result: "usize" },
  madvise: {
    parameters: ["usize", /* address */ "usize", /* length */ "i32" /* advice */],
    result: "i32",
  },
  mallopt: { parameters: ["i32", /* what */ "i32" /* value */], result: "i32", optional: true }, // glibc only
  malloc_trim: { parameters: ["usize" /* bytes to keep */], result: "i32", optional: true }, // glibc only

  // descriptors
  open: { parameters: ["buffer", /* path */ "i32", /* flags */ "u32" /* mode */], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  access: { parameters: ["buffer", /* path */ "i32" /* mode */], result: "i32" },
  readBuffer: {
    name: "read",
    parameters: ["i32", /* fd */ "buffer", "usize" /* length */],
    result: "i32",
  },
  writeBuffer: {
    name: "write",
    parameters: ["i32", /* fd */ "buffer", "usize" /* length */],
    result: "i32",
  },
  read: {
    parameters: ["i32", /* fd */ "usize", /* address */ "usize" /* length */],
    result: "i32",
  },
  write: {
    parameters: ["i32", /* fd */ "usize", /* address */ "usize" /* length */],
    result: "i32",
  },
  readv: { parameters: ["i32", /* fd */ "usize", /* iovec */ "i32" /* count */], result: "i32" },
  writev: { parameters: ["i32", /* fd */ "usize", /* iovec */ "i32" /* count */], result: "i32" },
  ioctl: { parameters: ["i32", /* fd */ "u64", /* request */ "buffer"], result: "i32" },
  ioctlValue: {
    name: "ioctl",
    parameters: ["i32", /* fd */ "u64", /* request */ "usize" /* by value */],
    result: "i32",
  },
  poll: {
    parameters: ["usize", /* pollfd[] */ "u64", /* count */ "i32" /* milliseconds, -1 waits */],
    result: "i32",
  },
  getpriority: {
    parameters: ["i32", /* kind */ "u32" /* id, 0 is the calling thread */],
    result: "i32",
  },
  setpriority: {
    parameters: ["i32", /* kind */ "u32", /* id, 0 is the calling thread */ "i32" /* niceness */],
    result: "i32",
  },
  eventfd: { parameters: ["u32", /* start */ "i32" /* flags */], result: "i32" },

  // sockets
  socket: {
    parameters: ["i32", /* family */ "i32", /* type */ "i32" /* protocol */],
    result: "i32",
  },
  bind: {
    parameters: ["i32", /* fd */ "buffer", /* sockaddr */ "u32" /* length */],
    result: "i32",
  },
  getsockname: {
    parameters: ["i32", /* fd */ "buffer", /* sockaddr */ "buffer" /* length, in and out */],
    result: "i32",
  },
  setsockopt: {
    parameters: ["i32", /* fd */ "i32", /* level */ "i32", /* name */ "buffer", "u32" /* length */],
    result: "i32",
  },
  send: {
    parameters: ["i32", /* fd */ "buffer", "usize", /* length */ "i32" /* flags */],
    result: "i32",
  },
  recv: {
    parameters: ["i32", /* fd */ "buffer", "usize", /* length */ "i32" /* flags */],
    result: "i32",
  },
  sendto: {
    parameters: ["i32", "buffer", "usize", "i32", /* flags */ "buffer", /* sockaddr */ "u32"],
    result: "i32",
  },
  sendmsg: { parameters: ["i32", /* fd */ "usize", /* msghdr */ "i32" /* flags */], result: "i32" },
  sendmmsg: {
    parameters: ["i32", /* fd */ "usize", /* mmsghdr[] */ "u32", /* count */ "i32" /* flags */],
    result: "i32",
  },
  recvmmsg: {
    parameters: ["i32", "usize", /* mmsghdr[] */ "u32", /* count */ "i32", "usize" /* timeout */],
    result: "i32",
  },

  // time, identity, processes
  clock_gettime: { parameters: ["i32", /* clock */ "usize" /* timespec */], result: "i32" },
  usleep: { parameters: ["u32" /* microseconds, below a million */], result: "i32" },
  getuid: { parameters: [], result: "u32" },
  kill: { parameters: ["i32", /* pid */ "i32" /* signal */], result: "i32" },
  posix_spawn: {
    parameters: [
      "buffer", // pid, out
      "buffer", // path
      "buffer", // posix_spawn_file_actions_t
      "buffer", // posix_spawnattr_t
      "buffer", // argv
      "buffer", // envp
    ],
    result: "i32", // an errno, not -1
  },
  posix_spawn_file_actions_init: { parameters: ["buffer"], result: "i32" },
  posix_spawn_file_actions_destroy: { parameters: ["buffer"], result: "i32" },
  posix_spawn_file_actions_addopen: {
    parameters: [
      "buffer",
      "i32", /* fd */
      "buffer", /* path */
      "i32", /* flags */
      "u32", /* mode */
    ],
    result: "i32",
  },
  posix_spawn_file_actions_adddup2: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  posix_spawnattr_init: { parameters: ["buffer"], result: "i32" },
  posix_spawnattr_destroy: { parameters: ["buffer"], result: "i32" },
  posix_spawnattr_setflags: { parameters: ["buffer", "i16"], result: "i32" },
  posix_spawnattr_setsigdefault: { parameters: ["buffer", "buffer" /* sigset_t */], result: "i32" },

  // namespaces: both act on the calling thread only
  unshare: { parameters: ["i32" /* flags */], result: "i32" },
  setns: { parameters: ["i32", /* fd */ "i32" /* type */], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of libc by name; see the table in this file for what their parameters mean. */
export type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

let opened: Libc | undefined;

/**
 * The C library of this machine, opened at first use, once per thread, for the life of the process.
 * @throws {SystemError} when none of {@linkcode LIBC_PATHS} opens
 */
export function libc(): Libc {
  return opened ??= openLibc();
}

function openLibc(): Libc {
  const refusals: string[] = [];
  for (const path of LIBC_PATHS) {
    try {
      // As a prototype: what Deno gives is a hash table, in which each call would look its function up.
      return Object.create(Deno.dlopen(path, SYMBOLS).symbols);
    } catch (error) {
      // Absent on this distribution, of another architecture, or not permitted: the next one may do.
      refusals.push(`${path}: ${error instanceof Error ? error.message : error}`);
    }
  }
  throw new SystemError("open libc", "ENOENT", `tried ${refusals.join("; ")}`);
}

/**
 * Address of the first byte of `bytes`. Valid for as long as its buffer is referenced; the buffer must be one made by
 * `new ArrayBuffer`, `SharedArrayBuffer` or a WebAssembly memory, since small arrays made by length alone may move.
 */
export function addressOf(bytes: Uint8Array): bigint {
  return libc().memmove(bytes as Uint8Array<ArrayBuffer>, bytes as Uint8Array<ArrayBuffer>, 0n);
}

const encoder = new TextEncoder();

/** `text` as C wants it: UTF-8 with a zero at the end. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(`${text}\0`) as Uint8Array<ArrayBuffer>; // Deno 2.4 types it wider
}
