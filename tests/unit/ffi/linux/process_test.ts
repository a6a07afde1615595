import { equal, ok, throws } from "node:assert/strict";
import { processExists, SIGKILL } from "../../../../ffi/linux/process.ts";
import { libc } from "../../../../ffi/linux/libc.ts";
import { signalProcess, spawnBackground } from "../../../../ffi/linux/process.ts";
import { readTextFileIfAny } from "../../../../ffi/linux/system.ts";

libc(); // before the first test: Deno 2.4 counts a library opened in one as leaked

async function until<T>(found: () => T | undefined): Promise<T> {
  for (let tries = 0; tries < 500; tries++) {
    const value = found();
    if (value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("it did not happen within 5 s");
}

Deno.test("spawnBackground() starts a program in its own session, with its environment and log", async () => {
  const log = Deno.makeTempFileSync();
  const pid = spawnBackground({
    path: "/bin/sh",
    args: [
      "-c",
      'echo "$WORD $1"; echo oops >&2; read line; echo "input $?"; exec sleep 60',
      "sh",
      "two words",
    ],
    env: { WORD: "hello", PATH: "/usr/bin:/bin" },
    logPath: log,
  });
  try {
    const text = await until(() => {
      const text = Deno.readTextFileSync(log);
      return text.includes("input") ? text : undefined;
    });
    equal(text, "hello two words\noops\ninput 1\n"); // and nothing to read
    const stat = readTextFileIfAny(`/proc/${pid}/stat`)!;
    const session = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3]);
    equal(session, pid);
    ok(processExists(pid));
  } finally {
    equal(signalProcess(pid, SIGKILL), true);
    Deno.removeSync(log);
  }
});

Deno.test("spawnBackground() says why a program does not start", () => {
  throws(
    () => spawnBackground({ path: "/no/such/program", args: [], env: {} }),
    /start \/no\/such\/program failed: ENOENT/,
  );
});

Deno.test("signalProcess() refuses groups and says when there is no such process", () => {
  throws(() => signalProcess(0, SIGKILL), RangeError);
  throws(() => signalProcess(-1, SIGKILL), RangeError);
  equal(signalProcess(2 ** 30, SIGKILL), false);
  equal(processExists(2 ** 30), false);
});
