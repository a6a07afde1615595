/**
 * How this program starts itself again: the binary when compiled, else the runtime with the source we run from.
 * @module
 */

const PERMISSIONS = ["read", "write", "net", "env", "sys", "ffi", "run"] as const;

/** A program and the arguments that come before the caller's own. */
export interface ProgramCommand {
  /** Absolute path. */
  readonly path: string;
  readonly args: readonly string[];
}

/** What starts this very program; the words of a command are to follow its arguments. */
export function selfCommand(): ProgramCommand {
  const path = Deno.execPath();
  if (Deno.build.standalone) return { path, args: [] };
  const granted = PERMISSIONS.filter((name) =>
    Deno.permissions.querySync({ name }).state === "granted"
  );
  const flags = granted.length === PERMISSIONS.length
    ? ["-A"]
    : granted.map((name) => `--allow-${name}`);
  return { path, args: ["run", "--no-prompt", ...flags, Deno.mainModule] };
}
