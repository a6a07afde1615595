import assert from "node:assert/strict";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { parseEndpoint } from "../../../../lib/base/ip.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import { verifyWorld } from "../../../../lib/identity/world.ts";
import { Home } from "../../../../cli/engine/home.ts";
import {
  checkReplaceable,
  installPlanet,
  newPlanetTemplate,
  parsePlanet,
  parseRootEndpoints,
  readPlanet,
  readPlanetKey,
  signPlanet,
  stagePlanetKey,
  withRoot,
} from "../../../../cli/engine/planet_files.ts";

function inHome(use: (home: Home) => void): void {
  const path = Deno.makeTempDirSync({ prefix: "zt-planet-" });
  try {
    use(new Home(path));
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

const identity = (first: number) =>
  new Identity({
    address: (0x10_0000_0000 + first) as Identity["address"],
    publicKey: new Uint8Array(64).fill(first),
  });
const root = (first: number) => ({
  identity: identity(first),
  endpoints: [parseEndpoint(`10.0.0.${first}/9993`)!],
});
const template = (seed: number) =>
  newPlanetTemplate(noblePrimitives, (bytes) => bytes.fill(seed), root(seed));

Deno.test("signPlanet() makes a planet that verifies and is newer than the one before, whatever the clock says", () => {
  const made = template(1);
  const first = parsePlanet(signPlanet(noblePrimitives, made, 5_000))!;
  assert.equal(first.timestamp, 5_000n);
  assert.equal(first.id, 0x10_0000_0001n);
  assert.equal(verifyWorld(noblePrimitives, made.signingKey.publicKey, first), true);
  const second = parsePlanet(signPlanet(noblePrimitives, withRoot(made, root(2)), 4_000, first))!;
  assert.equal(second.timestamp, 5_001n);
  assert.equal(second.roots.length, 2);
});

Deno.test("withRoot() moves a root it has and refuses a fifth", () => {
  let made = template(1);
  made = withRoot(made, { ...root(1), endpoints: parseRootEndpoints(["10.9.9.9/1"]) });
  assert.equal(made.roots.length, 1);
  assert.equal(made.roots[0].endpoints[0].port, 1);
  for (const first of [2, 3, 4]) made = withRoot(made, root(first));
  assert.throws(() => withRoot(made, root(5)), /at most 4 roots/);
});

Deno.test("parsePlanet() refuses moons, rubbish, a truncated planet and one with something after it", () => {
  const bytes = signPlanet(noblePrimitives, template(1), 1);
  assert.ok(parsePlanet(bytes));
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(parsePlanet(bytes.subarray(0, length)), undefined);
  }
  assert.equal(parsePlanet(Uint8Array.of(...bytes, 0)), undefined);
  assert.equal(parsePlanet(Uint8Array.of(127, ...bytes.subarray(1), 0, 0)), undefined);
});

Deno.test("installPlanet() replaces another planet only when told, and loses none", () =>
  inHome((home) => {
    const [a, b] = [template(1), template(2)].map((made) => signPlanet(noblePrimitives, made, 10));
    const [planetA, planetB] = [parsePlanet(a)!, parsePlanet(b)!];
    assert.equal(readPlanet(home), "none");
    assert.equal(installPlanet(home, a, planetA, false), undefined);
    assert.throws(
      () => installPlanet(home, b, planetB, false),
      /another planet is in use \(0000001000000001\); add --replace/,
    );
    assert.deepEqual(home.readBytes("planet"), a);
    assert.match(installPlanet(home, b, planetB, true)!, /set aside as planet\.bad-1$/);
    assert.deepEqual(home.readBytes("planet"), b);
    assert.deepEqual(home.readBytes("planet.bad-1"), a);
  }));

Deno.test("installPlanet() takes a newer version as it is and refuses an older one", () =>
  inHome((home) => {
    const made = template(1);
    const older = signPlanet(noblePrimitives, made, 10);
    const newer = signPlanet(noblePrimitives, withRoot(made, root(3)), 20);
    installPlanet(home, older, parsePlanet(older)!, false);
    installPlanet(home, newer, parsePlanet(newer)!, false);
    assert.throws(
      () => checkReplaceable(home, parsePlanet(older)!, true),
      /a newer version of this planet/,
    );
    assert.deepEqual(home.list("."), ["planet"]);
  }));

Deno.test("installPlanet() sets a torn planet file aside", () =>
  inHome((home) => {
    home.write("planet", "torn");
    assert.equal(readPlanet(home), "damaged");
    const bytes = signPlanet(noblePrimitives, template(1), 1);
    assert.match(
      installPlanet(home, bytes, parsePlanet(bytes)!, false)!,
      /is not a planet; set aside/,
    );
    assert.equal(home.readText("planet.bad-1"), "torn");
  }));

Deno.test("stagePlanetKey() keeps the key for its owner alone and sets another planet's aside", () =>
  inHome((home) => {
    stagePlanetKey(home, template(1)).drop();
    assert.equal(readPlanetKey(home), undefined);
    assert.equal(stagePlanetKey(home, template(1)).keep(), undefined);
    assert.equal((Deno.statSync(home.pathOf("planet.key")).mode ?? 0) & 0o777, 0o600);
    assert.equal(stagePlanetKey(home, withRoot(template(1), root(2))).keep(), undefined);
    assert.equal(readPlanetKey(home)!.roots.length, 2);
    assert.match(stagePlanetKey(home, template(2)).keep()!, /set aside as planet\.key\.bad-1$/);
    assert.equal(readPlanetKey(home)!.id, 0x10_0000_0002n);
    assert.deepEqual(home.list("."), ["planet.key", "planet.key.bad-1"]);
  }));

Deno.test("readPlanetKey() names a damaged key and leaves it", () =>
  inHome((home) => {
    home.write("planet.key", "{}");
    assert.throws(() => readPlanetKey(home), /planet\.key is damaged: .*; put a copy back/);
    assert.equal(home.readText("planet.key"), "{}");
  }));

Deno.test("parseRootEndpoints() names what is no endpoint", () => {
  assert.equal(parseRootEndpoints(["fd00::1/9993"]).length, 1);
  for (const text of ["10.0.0.1", "10.0.0.1/0", "host/9993", ""]) {
    assert.throws(() => parseRootEndpoints([text]), /is not an endpoint like/, text);
  }
});
