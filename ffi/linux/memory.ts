/**
 * Memory of this process that was needed to start and is not any more.
 *
 * Half of what a fresh process holds are pages of its own program file: compilers, parsers, module
 * loaders. They stay mapped until told otherwise, and count as ours. Letting go of them costs
 * nothing: what is used again is mapped again, from the page cache, a few microseconds each.
 *
 * With every page that is used again Linux maps the fifteen around it that are in the page cache,
 * but not beyond the end of a mapping: where a mapping was, are then many short ones, and a third
 * less of the program in memory.
 *
 * Source: `madvise(2)`, `proc_pid_smaps(5)`, `malloc_trim(3)`, `mallopt(3)`.
 * @module
 */
import { addressOf, libc } from "./libc.ts";
import { readTextFileIfAny } from "./system.ts";

const MADV_DONTNEED = 4;
const MADV_DONTDUMP = 16;
const M_TRIM_THRESHOLD = -1;
const M_MMAP_THRESHOLD = -3;
const M_ARENA_MAX = -8;
const FREED_BYTES = 262_144; // an arena may keep at its end; longer blocks are mapped and unmapped one by one
const LENGTH_MIN = 1_048_576; // smaller mappings are not worth a call
const STRETCH_LENGTH = 16_384n; // of a short mapping: four pages
const SPLIT_LENGTH_MIN = 4_194_304n; // shorter ones are not worth splitting
const SHIFT_MAX = 0x100_0000n; // 16 MiB: parts of one program lie as in its file but for padding
const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) \S+ \d+\s+(\/.*)$/;

/** A stretch of a file in our memory. */
export interface Mapping {
  readonly at: bigint;
  readonly length: bigint;
  readonly path: string;
  /** In the file. */
  readonly offset: bigint;
}

/**
 * Mappings of files that hold nothing but what is in the file: not writable, no page of them changed.
 * @param smaps Text of `/proc/self/smaps`
 */
export function cleanFileMappings(smaps: string): Mapping[] {
  const found: Mapping[] = [];
  let current: Mapping | undefined;
  for (const line of smaps.split("\n")) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) {
      current = readOnlyMapping(line);
    } else if (/^(Private_Dirty|Shared_Dirty|Anonymous|Swap):\s+[1-9]/.test(line)) {
      current = undefined; // e.g. relocated: dropping it would bring back what the file says
    } else if (line.startsWith("VmFlags:") && current) { // the last line about it: the text was not cut short
      if (current.length >= LENGTH_MIN) found.push(current);
      current = undefined;
    }
  }
  return found;
}

function readOnlyMapping(header: string): Mapping | undefined {
  const [, from, to, permissions, offset, path] = MAPPING.exec(header) ?? [];
  if (path === undefined || permissions.includes("w")) return undefined;
  const at = BigInt(`0x${from}`);
  return { at, length: BigInt(`0x${to}`) - at, path, offset: BigInt(`0x${offset}`) };
}

/**
 * Has the C library keep little of what was freed. As it comes, each thread that allocates has an
 * arena of its own, up to eight a processor, and the largest block ever freed decides how much an
 * arena keeps: megabytes each, of threads that compile and collect garbage. Threads to come share
 * one, and none keeps more than a quarter of a megabyte at its end. What is hot here allocates
 * nothing, so nobody waits for another.
 * @returns false where the C library has no such settings
 */
export function keepLittleFreed(): boolean {
  const set = (what: number, value: number) => libc().mallopt?.(what, value) === 1;
  return set(M_TRIM_THRESHOLD, FREED_BYTES) && set(M_MMAP_THRESHOLD, FREED_BYTES) &&
    set(M_ARENA_MAX, 1);
}

let program: Mapping[] | undefined; // known once it was split: to look again would take long

/** Gives back what starting took. Without `/proc` it does nothing. */
export function releaseStartMemory(): void {
  const c = libc();
  for (const { at, length } of program ?? findAndSplit()) c.madvise(at, length, MADV_DONTNEED);
  releaseFreed();
}

/** @returns all there is to give back; from then on that is our own program, which stays where it is */
function findAndSplit(): Mapping[] {
  const found = cleanFileMappings(readTextFileIfAny("/proc/self/smaps") ?? "");
  const { own, copies } = programAmong(found);
  program = own;
  for (const mapping of own) if (mapping.length >= SPLIT_LENGTH_MIN) split(mapping, copies);
  return found;
}

/**
 * Which mappings are the program itself, and which are copies of parts of it: V8 maps its builtins
 * once more for every Worker, and that memory is somebody else's when the Worker has ended.
 */
export function programAmong(found: readonly Mapping[]): { own: Mapping[]; copies: Mapping[] } {
  const longest = found.toSorted((one, other) => Number(other.length - one.length)).at(0);
  const ofProgram = found.filter(({ path }) => path === longest?.path);
  const shiftOf = ({ at, offset }: Mapping) => at - offset - (longest!.at - longest!.offset);
  const isOwn = (one: Mapping) => shiftOf(one) < SHIFT_MAX && shiftOf(one) > -SHIFT_MAX;
  return { own: ofProgram.filter(isOwn), copies: ofProgram.filter((one) => !isOwn(one)) };
}

/**
 * Makes many mappings of one: every other stretch is marked as not for core dumps, where none of it
 * belongs. What V8 maps once more is left whole, or it would copy it.
 */
function split({ at, length, offset }: Mapping, copies: readonly Mapping[]): void {
  const c = libc();
  for (let from = 0n; from + STRETCH_LENGTH <= length; from += 2n * STRETCH_LENGTH) {
    const start = offset + from;
    const isCopied = copies.some((copy) =>
      start < copy.offset + copy.length && copy.offset < start + STRETCH_LENGTH
    );
    if (!isCopied) c.madvise(at + from, STRETCH_LENGTH, MADV_DONTDUMP);
  }
}

/**
 * Gives back memory that nobody will use again; what would be read there is zero. The garbage
 * collector does so too, but minutes later.
 * @param bytes Whole pages: the memory of a WebAssembly instance
 */
export function releasePages(bytes: Uint8Array): void {
  libc().madvise(addressOf(bytes), BigInt(bytes.length), MADV_DONTNEED);
}

/** Gives back pages on which everything was freed: half a millisecond. */
export function releaseFreed(): void {
  libc().malloc_trim?.(0n);
}
