import assert from "node:assert/strict";
import { boundLog, startInBackground } from "../../../../cli/engine/background.ts";
import { Home, HomeError } from "../../../../cli/engine/home.ts";

async function inHome(use: (home: Home) => Promise<void> | void): Promise<void> {
  const path = Deno.makeTempDirSync({ prefix: "zt-background-" });
  try {
    await use(new Home(path));
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

const LARGE = "x".repeat(1024 * 1024 + 1);

Deno.test("boundLog() moves what is too much beside the log, and leaves a small one", () =>
  inHome((home) => {
    home.write("service.log", "small");
    boundLog(home);
    assert.equal(home.readText("service.log"), "small");
    home.write("service.log", LARGE);
    boundLog(home);
    assert.equal(home.readText("service.log"), "");
    assert.equal(home.readText("service.log.1"), LARGE);
  }));

Deno.test("boundLog() leaves the log whole when there is no place for it beside", () =>
  inHome((home) => {
    home.write("service.log", LARGE);
    Deno.mkdirSync(home.pathOf("service.log.1"));
    boundLog(home);
    assert.equal(home.readText("service.log"), LARGE);
  }));

Deno.test("startInBackground() starts nothing where the service could not write its log", () =>
  inHome(async (home) => {
    Deno.mkdirSync(home.pathOf("service.log"));
    const asked: string[] = [];
    const isReady = () => {
      asked.push("ready?");
      return Promise.resolve(true);
    };
    await assert.rejects(
      startInBackground({ home, isReady, patienceMs: 1 }),
      (error) =>
        error instanceof HomeError && /^cannot write .*service\.log: [^']+$/.test(error.message),
    );
    assert.deepEqual(asked, []);
  }));
