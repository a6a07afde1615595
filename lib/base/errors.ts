/**
 * The errors of this program. Which one means what is the table in STYLE.md section 6: bytes from strangers,
 * nonsense from a caller, the system saying no, the user asking for what cannot be done.
 * @module
 */

/** Bytes from the network break the protocol. Caught once, in `Node.handle()`, and counted by reason. */
export class WireError extends Error {
  override name = "WireError";
  /**
   * @param where Structure or verb being read, e.g. "RENDEZVOUS"
   * @param reason What is wrong, in words, e.g. "truncated at 7"
   */
  constructor(readonly where: string, readonly reason: string) {
    super(`${where}: ${reason}`);
  }
}

/** The system said no. The message names the operation, the error and the likely remedy. */
export class SystemError extends Error {
  override name = "SystemError";
  /**
   * @param operation What was tried, e.g. "open /dev/net/tun"
   * @param code Symbolic error, e.g. "EPERM"
   * @param remedy What the user can do, without a full stop, e.g. "run as root"
   */
  constructor(readonly operation: string, readonly code: string, readonly remedy?: string) {
    super(`${operation} failed: ${code}${remedy ? ` (${remedy})` : ""}`);
  }
}

/** The user's words make no sense to us: exit code 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** A request was understood and refused, or it failed: exit code 1. */
export class ApiError extends Error {
  override name = "ApiError";
  /** @param status HTTP status the local API answers with, or 0 when nothing answered */
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/** What was waited for did not come in time: exit code 3. */
export class TimeoutError extends Error {
  override name = "TimeoutError";
}

/** An invariant of ours is broken. Never caught: the service stops. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

/**
 * @param invariant The invariant, in words, as it should hold
 * @throws {AssertionError} when it does not
 */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new AssertionError(`broken invariant: ${invariant}`);
}

/** What a caught value says, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
