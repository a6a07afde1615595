/**
 * The machine the program runs on, behind interfaces small enough to have twins in memory. Inside: `machine.ts` (the
 * interfaces), `linux/` (the one platform there is), `memory/` (for tests). Leans on types and errors of lib/base.
 * Read `machine.ts` first.
 * @module
 */
import { SystemError } from "../lib/base/errors.ts";
import { linux } from "./linux/mod.ts";
import type { Machine } from "./machine.ts";

export type * from "./machine.ts";

/** The machine this process runs on. @throws {SystemError} on a platform we do not know */
export function thisMachine(): Machine {
  if (Deno.build.os === "linux") return linux;
  throw new SystemError(
    "use this machine",
    "ENOSYS",
    `${Deno.build.os} is not supported, only Linux`,
  );
}
