import assert from "node:assert/strict";
import { selfArgs, selfCommand, V8_FLAGS } from "../../../../cli/engine/self_command.ts";

Deno.test("selfArgs() run what runs now, with what V8 is told", () => {
  const args = selfArgs();
  assert.equal(args[0], "run");
  assert.ok(args.includes(V8_FLAGS));
  assert.equal(args.at(-1), Deno.mainModule);
  assert.deepEqual(selfCommand(), { path: Deno.execPath(), args });
});

Deno.test("the task zt tells V8 the same as selfArgs()", () => {
  const path = new URL("../../../../deno.json", import.meta.url);
  const { tasks } = JSON.parse(Deno.readTextFileSync(path));
  assert.ok(tasks.zt.split(" ").includes(V8_FLAGS), tasks.zt);
});
