import { equal } from "node:assert/strict";
import { Block } from "../../../../ffi/linux/block.ts";
import { addressOf, libc, LIBC_PATHS } from "../../../../ffi/linux/libc.ts";
import { hasFastAes, LIBCRYPTO_PATHS } from "../../../../ffi/linux/libcrypto.ts";

libc(); // before the first test: Deno 2.4 counts a library opened in one as leaked

Deno.test("addressOf() is where C sees the bytes, shared memory included", () => {
  for (const buffer of [new ArrayBuffer(64), new SharedArrayBuffer(64)]) {
    const bytes = new Uint8Array(buffer, 8);
    bytes.set([1, 2, 3, 4]);
    const copy = new Uint8Array(new ArrayBuffer(4));
    libc().copyFrom(copy, addressOf(bytes), 4n);
    equal(copy.join(), "1,2,3,4");
  }
});

Deno.test("Block.putAddress() writes the pointer addressAt() gives", () => {
  const block = new Block(64);
  block.putAddress(block.words, 8, 40);
  equal(block.view.getBigUint64(8, true), block.addressAt(40));
});

Deno.test("Block.putVector() writes an iovec: the pointer, then the length", () => {
  const block = new Block(64);
  block.putVector(block.words, 16, 40, 0xffff_fff0);
  equal(block.view.getBigUint64(16, true), block.addressAt(40));
  equal(block.view.getBigUint64(24, true), 0xffff_fff0n);
});

Deno.test("the FFI works with exactly the scoped permissions the program ships with", async () => {
  const child = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--quiet",
      `--allow-ffi=${[...LIBC_PATHS, ...LIBCRYPTO_PATHS].join(",")}`,
      "--allow-read",
      new URL("./scoped_smoke.ts", import.meta.url).pathname,
    ],
    stdout: "piped",
    stderr: "piped",
  }).output();
  equal(new TextDecoder().decode(child.stderr), "");
  equal(
    new TextDecoder().decode(child.stdout),
    `echoed 100 bytes, errno EADDRINUSE, AES ${hasFastAes()}\n`,
  );
  equal(child.code, 0);
});
