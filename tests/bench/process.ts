/**
 * What a process costs, as the kernel counts it.
 *
 * Source: `proc(5)`: `/proc/<pid>/stat` (times in ticks of 10 ms, all threads),
 * `/proc/<pid>/task/<tid>/schedstat` (time on a processor in nanoseconds), `/proc/<pid>/status`;
 * `/proc/stat` (ticks of the whole machine: user, nice, system, idle, waiting for disks, ...).
 * @module
 */
import { readTextFile } from "../../ffi/linux/system.ts";

const TICK_NS = 10_000_000; // USER_HZ is 100 on every architecture we run on
const UTIME_INDEX = 11; // counted from the field after the name, which may hold anything
const STIME_INDEX = 12;
const IDLE_INDEX = 3;
const IOWAIT_INDEX = 4;
const GUEST_INDEX = 8; // time of guests is within user time already

/** Processor time used so far by all threads, ended ones included; a multiple of 10 ms. */
export function cpuNs(pid: number): number {
  const stat = readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[UTIME_INDEX]) + Number(fields[STIME_INDEX])) * TICK_NS;
}

/** Processor time of each thread so far, exactly: for a process that does next to nothing. */
export function threadCpuNs(pid: number): Map<string, number> {
  const times = new Map<string, number>();
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    try {
      const schedstat = readTextFile(`/proc/${pid}/task/${name}/schedstat`);
      times.set(name, Number(schedstat.split(" ")[0]));
    } catch {
      // It ended while we looked.
    }
  }
  return times;
}

/** Time between two looks at the threads; what a thread that ended in between did since the first is lost. */
export function threadCpuBetweenNs(
  before: Map<string, number>,
  after: Map<string, number>,
): number {
  let sum = 0;
  for (const [name, time] of after) sum += time - (before.get(name) ?? 0);
  return sum;
}

/** Resident memory now, in megabytes of 10^6 bytes. */
export function residentMb(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readTextFile(`/proc/${pid}/status`));
  return Number(found?.[1] ?? 0) * 1_024 / 1e6;
}

/** The part of it that is the process's own data, without pages of its program file: in megabytes of 10^6 bytes. */
export function anonymousMb(pid: number): number {
  const found = /^RssAnon:\s+(\d+) kB$/m.exec(readTextFile(`/proc/${pid}/status`));
  return Number(found?.[1] ?? 0) * 1_024 / 1e6;
}

/** Looks at the machine for a while. @returns the share of all processors that was busy, in percent */
export async function busyPercent(timeMs: number): Promise<number> {
  const before = machineTicks();
  await new Promise((resolve) => setTimeout(resolve, timeMs));
  const after = machineTicks();
  const total = after.total - before.total;
  return total > 0 ? 100 * (after.busy - before.busy) / total : 0;
}

function machineTicks(): { busy: number; total: number } {
  const ticks = readTextFile("/proc/stat").split("\n")[0].trim().split(/ +/).slice(1).map(Number);
  const total = ticks.slice(0, GUEST_INDEX).reduce((sum, value) => sum + value, 0);
  return { busy: total - ticks[IDLE_INDEX] - ticks[IOWAIT_INDEX], total };
}
