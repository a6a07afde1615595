/** Needs --allow-read and --allow-env: the compiler looks at its environment. */
import assert from "node:assert/strict";
import { buildKernel } from "../../tools/build_kernel.ts";

Deno.test("buildKernel() builds exactly what is committed in lib/kernel/kernel_wasm.ts", async () => {
  const committed = await Deno.readTextFile(
    new URL("../../../lib/kernel/kernel_wasm.ts", import.meta.url),
  );
  assert.equal(await buildKernel(), committed, "run `deno task kernel` and commit the result");
});
