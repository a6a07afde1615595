/**
 * Starting a process that outlives us, and signalling one by its id.
 *
 * `fork` is forbidden in a threaded runtime; `posix_spawn` with a new session is what a daemon needs.
 *
 * Source: DESIGN.md section 3; `spawn.h`.
 * @module
 */
import { Block } from "./block.ts";
import { errno, ESRCH, systemError } from "./errno.ts";
import { cString, libc } from "./libc.ts";
import { O_APPEND, O_CREAT, O_RDONLY, O_WRONLY } from "./system.ts";

const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSID = 0x80;
const SIGPIPE = 13;
const ATTRIBUTES_LENGTH = 512; // posix_spawnattr_t is 336 bytes in glibc and musl
const FILE_ACTIONS_LENGTH = 256; // posix_spawn_file_actions_t is 80 bytes in both
const SIGSET_LENGTH = 128;

export const SIGTERM = 15;
export const SIGKILL = 9;

/** What to start. */
export interface BackgroundProcess {
  /** Absolute path of the program. */
  readonly path: string;
  /** Without the program's own name. */
  readonly args: readonly string[];
  /** The whole environment of the new process. */
  readonly env: Readonly<Record<string, string>>;
  /** Output and errors are appended here (created 0600); discarded when absent. */
  readonly logPath?: string;
}

/**
 * Starts a process in a session of its own, with no terminal and no input; nobody waits for it.
 * @returns its process id
 * @throws {SystemError} when the program cannot be started
 */
export function spawnBackground(what: BackgroundProcess): number {
  const c = libc();
  const actions = new Block(FILE_ACTIONS_LENGTH).bytes as Uint8Array<ArrayBuffer>;
  const attributes = new Block(ATTRIBUTES_LENGTH).bytes as Uint8Array<ArrayBuffer>;
  const operation = `start ${what.path}`;
  const must = (number: number) => {
    if (number !== 0) throw systemError(operation, number); // these return the error itself
  };
  must(c.posix_spawn_file_actions_init(actions));
  must(c.posix_spawnattr_init(attributes));
  try {
    const output = what.logPath ?? "/dev/null";
    const appending = O_WRONLY | O_APPEND | O_CREAT;
    must(c.posix_spawn_file_actions_addopen(actions, 0, cString("/dev/null"), O_RDONLY, 0));
    must(c.posix_spawn_file_actions_addopen(actions, 1, cString(output), appending, 0o600));
    must(c.posix_spawn_file_actions_adddup2(actions, 1, 2));
    must(c.posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF));
    const defaults = new Uint8Array(new ArrayBuffer(SIGSET_LENGTH));
    defaults[(SIGPIPE - 1) >> 3] = 1 << ((SIGPIPE - 1) & 7); // our runtime ignores it; others expect it
    must(c.posix_spawnattr_setsigdefault(attributes, defaults));
    const argv = pointerTable([what.path, ...what.args]);
    const envp = pointerTable(Object.entries(what.env).map(([name, value]) => `${name}=${value}`));
    const pid = new Int32Array(new ArrayBuffer(4));
    must(c.posix_spawn(pid, cString(what.path), actions, attributes, argv, envp));
    return pid[0];
  } finally {
    c.posix_spawn_file_actions_destroy(actions);
    c.posix_spawnattr_destroy(attributes);
  }
}

/** A null-terminated array of pointers to C strings, the strings behind it in the same memory. */
function pointerTable(texts: readonly string[]): Uint8Array<ArrayBuffer> {
  const strings = texts.map(cString);
  let at = (texts.length + 1) * 8;
  const block = new Block(strings.reduce((sum, string) => sum + string.length, at));
  strings.forEach((string, index) => {
    block.bytes.set(string, at);
    block.putAddress(block.words, index * 8, at);
    at += string.length;
  });
  return block.bytes as Uint8Array<ArrayBuffer>;
}

/**
 * Sends a signal to one process.
 * @returns false when there is no such process
 * @throws {SystemError} when it may not be signalled
 */
export function signalProcess(pid: number, signal: number): boolean {
  if (pid <= 0) throw new RangeError(`pid ${pid} would mean a group or everybody`);
  if (libc().kill(pid, signal) === 0) return true;
  const number = errno();
  if (number === ESRCH) return false;
  throw systemError(`send signal ${signal} to process ${pid}`, number);
}

/** Whether a process exists, also one we may not signal. */
export function processExists(pid: number): boolean {
  return pid > 0 && (libc().kill(pid, 0) === 0 || errno() !== ESRCH);
}
