/**
 * Linux: TAP devices, UDP sockets, rtnetlink and what else the engine needs of the kernel, through libc and nothing
 * else. Leans on types and errors of lib/base. Read `libc.ts` first, then `errno.ts` and `block.ts`.
 * @module
 */
import type { Machine } from "../machine.ts";
import { LinuxSettings } from "./settings.ts";
import { bootTimeMs } from "./system.ts";
import { deviceExists, openTap } from "./tap.ts";
import { openUdp } from "./udp.ts";

/** This machine. */
export const linux: Machine = {
  nowMs: bootTimeMs,
  openTap,
  deviceExists,
  openUdp,
  openSettings: () => new LinuxSettings(),
};
