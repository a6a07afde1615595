/**
 * What the system says when it says no: errno by name, and what the user can do about it.
 *
 * errno belongs to the thread and to the last failed call: it is read right after the call that returned -1.
 *
 * Source: Linux `asm-generic/errno.h`, the same numbers on x86_64 and aarch64; spec 07 section 3 rule 4.
 * @module
 */
import { SystemError } from "../../lib/base/errors.ts";
import { libc } from "./libc.ts";

export const EPERM = 1;
export const ENOENT = 2;
export const ESRCH = 3;
export const EINTR = 4;
export const EIO = 5;
export const EAGAIN = 11;
export const EEXIST = 17;
export const ENODEV = 19;
export const EINVAL = 22;
export const EADDRNOTAVAIL = 99;
export const EADDRINUSE = 98;
export const EMSGSIZE = 90;
export const EOPNOTSUPP = 95;
export const ENOBUFS = 105;
export const ECONNREFUSED = 111;

const NAMES: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  3: "ESRCH",
  4: "EINTR",
  5: "EIO",
  6: "ENXIO",
  7: "E2BIG",
  8: "ENOEXEC",
  9: "EBADF",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  14: "EFAULT",
  16: "EBUSY",
  17: "EEXIST",
  19: "ENODEV",
  20: "ENOTDIR",
  21: "EISDIR",
  22: "EINVAL",
  23: "ENFILE",
  24: "EMFILE",
  25: "ENOTTY",
  28: "ENOSPC",
  30: "EROFS",
  32: "EPIPE",
  34: "ERANGE",
  36: "ENAMETOOLONG",
  38: "ENOSYS",
  71: "EPROTO",
  77: "EBADFD",
  88: "ENOTSOCK",
  90: "EMSGSIZE",
  92: "ENOPROTOOPT",
  93: "EPROTONOSUPPORT",
  95: "EOPNOTSUPP",
  97: "EAFNOSUPPORT",
  98: "EADDRINUSE",
  99: "EADDRNOTAVAIL",
  100: "ENETDOWN",
  101: "ENETUNREACH",
  104: "ECONNRESET",
  105: "ENOBUFS",
  110: "ETIMEDOUT",
  111: "ECONNREFUSED",
  113: "EHOSTUNREACH",
};

/** Remedies by symbolic error name, for one operation. */
export type Remedies = Readonly<Record<string, string>>;

/** What helps whatever the operation was. */
const REMEDIES: Remedies = {
  EPERM: "run as root, or give the binary cap_net_admin",
  EACCES: "run as root, or check the file's permissions",
  EMFILE: "too many open files: raise the limit with ulimit -n",
  ENFILE: "the system has too many open files",
  EAFNOSUPPORT: "this kernel lacks that address family",
  ENOSYS: "this kernel is too old",
};

/** Symbolic name, "E<number>" for one we do not know. */
export function errnoName(number: number): string {
  return NAMES[number] ?? `E${number}`;
}

const word = new Int32Array(new ArrayBuffer(4));
let location: bigint | undefined; // of this thread; each isolate keeps to one

/** Number of this thread's last error. Stale unless the call just made returned -1. */
export function errno(): number {
  const c = libc();
  location ??= c.__errno_location();
  c.copyFrom(word, location, 4n);
  return word[0];
}

/**
 * The error for an errno number.
 * @param operation What was tried, e.g. "open /dev/net/tun"
 * @param remedies What helps for this operation; they win over the general ones
 */
export function systemError(operation: string, number: number, remedies?: Remedies): SystemError {
  const code = errnoName(number);
  return new SystemError(operation, code, remedies?.[code] ?? REMEDIES[code]);
}

/**
 * Passes a C result through.
 * @param result What C returned; below zero means errno holds the reason
 * @throws {SystemError} naming the operation, the error and the likely remedy
 */
export function check(operation: string, result: number, remedies?: Remedies): number {
  if (result < 0) throw systemError(operation, errno(), remedies);
  return result;
}
