/**
 * For tests of what only root can do: they run where they can, and say so where they cannot.
 * @module
 */
import { Namespace } from "../../../ffi/linux/namespace.ts";
import { pathExists } from "../../../ffi/linux/system.ts";

function probe(): { namespaces: boolean; tun: boolean } {
  try {
    Namespace.create().close();
    return { namespaces: true, tun: pathExists("/dev/net/tun") };
  } catch {
    return { namespaces: false, tun: false }; // no permission, or no such kernel
  }
}

const can = probe();

/** A test that makes network namespaces. */
export function namespaceTest(name: string, fn: () => void | Promise<void>): void {
  const ignore = !can.namespaces;
  Deno.test({ name: ignore ? `${name} (needs root)` : name, ignore, fn });
}

/** A test that makes a TAP in a network namespace. */
export function tapTest(name: string, fn: () => void | Promise<void>): void {
  const ignore = !can.tun;
  Deno.test({ name: ignore ? `${name} (needs root and /dev/net/tun)` : name, ignore, fn });
}
