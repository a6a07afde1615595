/**
 * Strict reverse path filtering: the system drops a packet that came in by another device than an
 * answer would leave by. With the default route through one of our devices it drops what other
 * nodes send us, and with it the network below.
 *
 * Source: `ip-sysctl`, rp_filter.
 * @module
 */
import type { Link } from "../../ffi/mod.ts";

const STRICT = 1; // 2 asks only that there is a way at all

/**
 * Devices that filter strictly.
 * @param read Text of a kernel parameter, undefined when there is none
 */
export function strictDevices(
  links: readonly Link[],
  read: (path: string) => string | undefined,
): string[] {
  const level = (device: string) =>
    Number(read(`/proc/sys/net/ipv4/conf/${device}/rp_filter`) ?? 0);
  const all = level("all"); // the higher of the two counts
  return links.filter(({ up, loopback }) => up && !loopback)
    .map(({ name }) => name)
    .filter((name) => Math.max(all, level(name)) === STRICT);
}
