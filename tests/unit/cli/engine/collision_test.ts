import assert from "node:assert/strict";
import { IdentityCollision, runDespiteCollisions } from "../../../../cli/engine/collision.ts";
import { Home } from "../../../../cli/engine/home.ts";

const SAVED = "identity.secret.saved_after_collision";

/** A home whose service makes the identities "0", "1", ... and collides so often. */
async function runColliding(collisions: number) {
  const path = Deno.makeTempDirSync({ prefix: "zt-collision-" });
  const home = new Home(path);
  const log: string[] = [];
  let lives = 0;
  try {
    let error: unknown;
    await runDespiteCollisions(home, (line) => log.push(line), () => {
      home.write("identity.secret", `${lives}`);
      home.write("identity.public", `${lives}`);
      return lives++ < collisions ? Promise.reject(new IdentityCollision()) : Promise.resolve();
    }).catch((caught) => error = caught);
    const files = Object.fromEntries(home.list("").map((name) => [name, home.readText(name)]));
    return { error, lives, log, files };
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

Deno.test("runDespiteCollisions() runs again with the identity put aside under the reference's name", async () => {
  const { error, lives, log, files } = await runColliding(1);
  assert.deepEqual([error, lives], [undefined, 2]);
  assert.deepEqual(files, { "identity.secret": "1", "identity.public": "1", [SAVED]: "0" });
  assert.match(log.join("\n"), /^another node has our address: starting again with a new identity/);
});

Deno.test("runDespiteCollisions() keeps every identity it puts aside", async () => {
  const { files } = await runColliding(2);
  assert.deepEqual([files[`${SAVED}.bad-1`], files[SAVED], files["identity.secret"]], [
    "0",
    "1",
    "2",
  ]);
});

Deno.test("runDespiteCollisions() gives up when a root lies again and again", async () => {
  const { error, lives, files } = await runColliding(100);
  assert.ok(error instanceof IdentityCollision);
  assert.equal(lives, 4);
  assert.equal(files["identity.secret"], "3");
});

Deno.test("runDespiteCollisions() passes on what else ends the service", async () => {
  const home = new Home("/nonexistent");
  const run = () => Promise.reject(new RangeError("other"));
  await assert.rejects(runDespiteCollisions(home, () => {}, run), RangeError);
});
