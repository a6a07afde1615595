import assert from "node:assert/strict";
import { Home, HomeError } from "../../../../cli/engine/home.ts";
import {
  ensureOwnIdentity,
  keepOwnIdentity,
  loadOwnIdentity,
} from "../../../../cli/engine/own_identity.ts";
import { machinePrimitives } from "../../../../cli/engine/primitives.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import { WorkKernel } from "../../../../lib/kernel/mod.ts";

const kernel = new WorkKernel(machinePrimitives.sha512);

/** The tools, and how often they worked. */
function countingTools() {
  const tools = {
    primitives: machinePrimitives,
    random: (bytes: Uint8Array) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>),
    works: 0,
    work: (publicKey: Uint8Array) => {
      tools.works++;
      return kernel.work(publicKey);
    },
  };
  return tools;
}

function inHome(use: (home: Home) => void): void {
  const path = Deno.makeTempDirSync({ prefix: "zt-own-" });
  try {
    use(new Home(path));
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

Deno.test("loadOwnIdentity() proves the work of a found identity once, of a made one never again", () =>
  inHome((home) => {
    const tools = countingTools();
    assert.equal(loadOwnIdentity(home, tools), undefined);
    const made = ensureOwnIdentity(home, tools);
    tools.works = 0;
    assert.equal(loadOwnIdentity(home, tools)?.format(), made.format());
    assert.equal(tools.works, 0);
    home.remove("identity.proved");
    for (let round = 0; round < 3; round++) loadOwnIdentity(home, tools);
    assert.equal(tools.works, 1);
  }));

Deno.test("loadOwnIdentity() proves another identity put in its place, and refuses one without work", () =>
  inHome((home) => {
    const tools = countingTools();
    const first = ensureOwnIdentity(home, tools);
    const second = inAnotherHome(tools);
    tools.works = 0;
    home.write("identity.secret", second.formatSecret());
    assert.equal(loadOwnIdentity(home, tools)?.address, second.address);
    assert.equal(tools.works, 1);
    keepOwnIdentity(home, first);
    const stolen = first.formatSecret().replace(/^.{10}/, second.format().slice(0, 10));
    home.write("identity.secret", stolen);
    assert.notEqual(Identity.parse(stolen).address, first.address);
    assert.throws(() => loadOwnIdentity(home, tools), HomeError);
    assert.equal(tools.works, 2);
  }));

Deno.test("loadOwnIdentity() goes on where it cannot note what it proved", () =>
  inHome((home) => {
    const tools = countingTools();
    const made = ensureOwnIdentity(home, tools);
    home.remove("identity.proved");
    Deno.mkdirSync(home.pathOf("identity.proved/in the way"), { recursive: true });
    assert.equal(loadOwnIdentity(home, tools)?.format(), made.format());
  }));

function inAnotherHome(tools: ReturnType<typeof countingTools>): Identity {
  let made: Identity | undefined;
  inHome((home) => made = ensureOwnIdentity(home, tools));
  return made!;
}
