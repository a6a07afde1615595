import { deepEqual, ok } from "node:assert/strict";
import { libc } from "../../../../ffi/linux/libc.ts";
import {
  cleanFileMappings,
  keepLittleFreed,
  programAmong,
  releasePages,
  releaseStartMemory,
} from "../../../../ffi/linux/memory.ts";
import { readTextFile } from "../../../../ffi/linux/system.ts";

libc(); // before the first test: Deno 2.4 counts a library opened in one as leaked

const entry = (header: string, dirtyKb = 0, more = "VmFlags: rd ex mr\n") =>
  `${header}\nSize:  4096 kB\nShared_Dirty:  0 kB\nPrivate_Dirty:  ${dirtyKb} kB\nAnonymous:  ${dirtyKb} kB\n${more}`;

Deno.test("cleanFileMappings() takes what is exactly as in its file, and long enough to matter", () => {
  const text = entry("7f0000000000-7f0000400000 r-xp 00000000 08:01 77 /usr/bin/a program") +
    entry("7f0000400000-7f0000800000 r--p 00400000 08:01 77     /usr/bin/relocated", 8) +
    entry("7f0000800000-7f0000c00000 rw-p 00000000 00:00 0") +
    entry("7f0000c00000-7f0001000000 rw-s 00000000 08:01 78     /tmp/shared") +
    entry("7f0001000000-7f0001001000 r-xp 00000000 08:01 79     /usr/lib/short") +
    entry("7f0002000000-7f0002400000 r--p 00000000 00:00 0      [vvar]") +
    entry("7f0003000000-7f0003200000 r--s 00000000 08:01 80     /cache") +
    entry(
      "7f0005000000-7f0005400000 r--p 00000000 08:01 82     /swapped",
      0,
      "Swap: 4 kB\nVmFlags: rd\n",
    ) +
    entry("7f0004000000-7f0004400000 r-xp 00000000 08:01 81     /cut/short", 0, "");
  deepEqual(cleanFileMappings(text), [
    { at: 0x7f0000000000n, length: 0x400000n, path: "/usr/bin/a program", offset: 0n },
    { at: 0x7f0003000000n, length: 0x200000n, path: "/cache", offset: 0n },
  ]);
});

Deno.test("programAmong() tells the program from parts of it mapped once more, wherever these are", () => {
  const mapping = (at: bigint, length: bigint, offset: bigint, path = "/zt") => ({
    at,
    length,
    path,
    offset,
  });
  const code = mapping(0x5600_0200_1000n, 0x300_0000n, 0x200_0000n);
  const data = mapping(0x5600_0000_0000n, 0x200_0000n, 0n);
  const [below, above] = [0x5600_0000_0000n - 0x800_0000n, 0x7f00_0000_0000n]
    .map((at) => mapping(at, 0x20_0000n, 0x280_0000n));
  const library = mapping(0x7f80_0000_0000n, 0x20_0000n, 0n, "/libc");
  deepEqual(programAmong([below, data, code, above, library]), {
    own: [data, code],
    copies: [below, above],
  });
  deepEqual(programAmong([]), { own: [], copies: [] });
});

Deno.test("releaseStartMemory() leaves everything working, and less of our own program in memory", () => {
  const path = Deno.execPath();
  const residentKb = () =>
    readTextFile("/proc/self/smaps").split(/\n(?=[0-9a-f]+-)/).filter((part) =>
      part.includes(path) && / r-xp /.test(part)
    ).reduce((sum, part) => sum + Number(/Rss:\s+(\d+)/.exec(part)?.[1] ?? 0), 0);
  const before = residentKb();
  releaseStartMemory();
  ok(residentKb() < before, `${residentKb()} of ${before} kB`);
});

Deno.test("releaseStartMemory() splits the program's code, so that little of it comes back by the way", () => {
  releaseStartMemory();
  const path = readTextFile("/proc/self/maps").split("\n")[0].split(/\s+/)[5];
  const stretches = readTextFile("/proc/self/maps").split("\n").filter((line) =>
    line.includes(" r-xp ") && line.endsWith(path)
  ).map((line) => line.split(/[- ]/).slice(0, 2).map((word) => Number(`0x${word}`)))
    .map(([from, to]) => to - from);
  ok(stretches.filter((length) => length === 16_384).length > 100, `${stretches.length} stretches`);
});

Deno.test("keepLittleFreed() is taken by a C library that has such settings", () => {
  deepEqual(keepLittleFreed(), libc().mallopt !== undefined);
});

Deno.test("releasePages() gives WebAssembly's memory back; what it held reads as zero", () => {
  const { buffer } = new WebAssembly.Memory({ initial: 256, maximum: 256 });
  const bytes = new Uint8Array(buffer).fill(7);
  const residentKb = () => Number(/^RssAnon:\s+(\d+)/m.exec(readTextFile("/proc/self/status"))![1]);
  const beforeKb = residentKb();
  releasePages(bytes);
  ok(residentKb() < beforeKb - 12 * 1_024, "most of 16 MiB");
  ok(bytes.every((byte) => byte === 0));
});
