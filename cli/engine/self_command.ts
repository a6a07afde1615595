/**
 * How this program starts itself again: the binary when compiled, else the runtime with the source we run from.
 * @module
 */

/**
 * The running program, whatever its file is called: besides `unshare` and `systemctl` all the
 * compiled program may run.
 */
const OWN_EXECUTABLE = "/proc/self/exe";
const PERMISSIONS = ["read", "write", "net", "env", "sys", "ffi", "run"] as const;

/**
 * What V8 is told, when the program starts, for later it does not listen.
 *
 * To compile a function for good after 300 calls instead of 3,000: until then the data Worker's
 * calls into the system take the slow way, and 3,000 of them are many seconds of pings (CPU time
 * per ping 140 against 95 us, round trip 0.39 against 0.29 ms).
 * For the same reason in a first way after 100 calls instead of 400, and 50 calls after it was last
 * seen to meet another kind of object, instead of 500: round trips of the first three seconds are
 * 0.34 in place of 0.47 ms, for 0.07 % of a core in the first ten, and 1.5 MB.
 *
 * To keep the space for young objects at 1 MB instead of letting it grow to 16. A loaded service
 * takes 6 MB less (root 86 to 79, leaf 79 to 75) and no more CPU that could be measured, for what
 * is hot makes no objects. `deno.json`'s tasks and `deno task compile` give the same.
 *
 * To collect garbage when the heap has grown by three tenths instead of up to four times: ten
 * thousand packets a second from strangers cost 30 MB in place of 70, and no more CPU that could be
 * measured (28.0 against 28.7 us a packet).
 */
export const V8_FLAGS =
  "--v8-flags=--max-semi-space-size=1,--heap-growing-percent=30,--invocation-count-for-turbofan=300,--minimum-invocations-after-ic-update=50,--invocation-count-for-maglev=100";

/** A program and the arguments that come before the caller's own. */
export interface ProgramCommand {
  /** Absolute path. */
  readonly path: string;
  readonly args: readonly string[];
}

/** What starts this very program as a child by `Deno.Command`; the words of a command are to follow its arguments. */
export function selfCommand(): ProgramCommand {
  const path = Deno.build.standalone ? OWN_EXECUTABLE : Deno.execPath();
  return { path, args: selfArgs() };
}

/** What comes between this program's executable and the words of a command: nothing when compiled. */
export function selfArgs(): string[] {
  if (Deno.build.standalone) return [];
  const granted = PERMISSIONS.filter((name) =>
    Deno.permissions.querySync({ name }).state === "granted"
  );
  const flags = granted.length === PERMISSIONS.length
    ? ["-A"]
    : granted.map((name) => `--allow-${name}`);
  return ["run", "--no-prompt", V8_FLAGS, ...flags, Deno.mainModule];
}
