import assert from "node:assert/strict";
import { Home, HomeError } from "../../../../cli/engine/home.ts";

async function inHome(use: (home: Home) => void | Promise<void>): Promise<void> {
  const path = Deno.makeTempDirSync({ prefix: "zt-home-" });
  try {
    await use(new Home(path));
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

const modeOf = (path: string) => (Deno.statSync(path).mode ?? 0) & 0o777;

Deno.test("Home.write() makes folders, sets the mode and leaves no temporary file", () =>
  inHome((home) => {
    home.write("networks.d/8056c2e21c000001.conf", "");
    home.write("authtoken.secret", "token", { mode: 0o600 });
    assert.equal(home.readText("authtoken.secret"), "token");
    assert.equal(modeOf(home.pathOf("authtoken.secret")), 0o600);
    assert.deepEqual(home.list("networks.d"), ["8056c2e21c000001.conf"]);
    assert.deepEqual(home.list("."), ["authtoken.secret", "networks.d"]);
  }));

Deno.test("Home.write() replaces a file as a whole: who has the old one open keeps reading the old", () =>
  inHome((home) => {
    home.write("planet", "old content");
    using reader = Deno.openSync(home.pathOf("planet"));
    home.write("planet", "new");
    const buffer = new Uint8Array(64);
    const length = reader.readSync(buffer)!;
    assert.equal(new TextDecoder().decode(buffer.subarray(0, length)), "old content");
    assert.equal(home.readText("planet"), "new");
  }));

Deno.test("Home.write() does not touch a file that holds the same already, but corrects its mode", () =>
  inHome((home) => {
    home.write("a", "same");
    const before = Deno.statSync(home.pathOf("a")).ino;
    home.write("a", "same");
    assert.equal(Deno.statSync(home.pathOf("a")).ino, before);
    Deno.chmodSync(home.pathOf("a"), 0o644);
    home.write("a", "same", { mode: 0o600 });
    assert.equal(modeOf(home.pathOf("a")), 0o600);
  }));

Deno.test("Home.write() keeps the old content and cleans up when the name is a folder", () =>
  inHome((home) => {
    Deno.mkdirSync(home.pathOf("planet"));
    assert.throws(() => home.write("planet", "x"), HomeError);
    assert.deepEqual(home.list("."), ["planet"]);
  }));

Deno.test("Home.write() says what failed, also when nothing can be cleaned up any more", () =>
  inHome((home) => {
    // As on a disk that fails and is read-only from then on: what is in the way cannot be removed.
    Deno.mkdirSync(`${home.pathOf("planet")}.tmp-${Deno.pid}/x`, { recursive: true });
    assert.throws(() => home.write("planet", "new"), {
      name: "HomeError",
      message: /^cannot write /,
    });
  }));

Deno.test("Home.readBytes() tells a missing file from one that cannot be read", () =>
  inHome((home) => {
    assert.equal(home.readBytes("missing"), undefined);
    assert.equal(home.readBytes("no/such/folder"), undefined);
    Deno.mkdirSync(home.pathOf("folder"));
    assert.throws(() => home.readBytes("folder"), /folder is not a file; move it away/);
  }));

Deno.test("Home.setAside() loses nothing, however often it happens", () =>
  inHome((home) => {
    for (const content of ["first", "second"]) {
      home.write("planet", content);
      assert.match(
        home.setAside("planet", "not a planet"),
        /planet: not a planet; set aside as planet\.bad-\d$/,
      );
    }
    assert.equal(home.readText("planet.bad-1"), "first");
    assert.equal(home.readText("planet.bad-2"), "second");
    assert.equal(home.readBytes("planet"), undefined);
  }));

Deno.test("Home.remove() says whether there was something", () =>
  inHome((home) => {
    home.write("a", "x");
    assert.equal(home.remove("a"), true);
    assert.equal(home.remove("a"), false);
  }));

Deno.test("Home.lock() keeps a second service out until the first lets go", () =>
  inHome(async (home) => {
    const first = await home.lock();
    await assert.rejects(
      home.lock(),
      /a service is already running on .*; end it with: zt service --stop/,
    );
    first.release();
    const second = await home.lock();
    second.release();
  }));

Deno.test("Home.holder() names the process that has the lock, and nobody once it is free", () =>
  inHome(async (home) => {
    assert.equal(await home.holder(), undefined);
    home.write("service.lock", "1234567890123"); // what an earlier one left
    assert.equal(await home.holder(), undefined);
    const lock = await home.lock();
    assert.equal(await home.holder(), Deno.pid);
    lock.release();
    assert.equal(await home.holder(), undefined);
  }));

Deno.test("Home.lock() makes the folder, for its owner alone", () =>
  inHome(async (home) => {
    const inner = new Home(home.pathOf("deep/inner"));
    (await inner.lock()).release();
    assert.equal(modeOf(inner.path), 0o700);
  }));

Deno.test("Home.create() says what is in the way", () =>
  inHome((home) => {
    home.write("file", "x");
    assert.throws(() => new Home(home.pathOf("file/inner")).create(), HomeError);
  }));

Deno.test("Home.readText() tells the system's reason when a folder on the way is a file", () =>
  inHome((home) => {
    home.write("file", "");
    const inFile = new Home(home.pathOf("file"));
    assert.throws(() => inFile.readText("planet"), /cannot read .*planet: Not a directory/);
  }));

Deno.test("Home.protect() makes a secret its owner's alone, and leaves one that is", () =>
  inHome((home) => {
    home.write("authtoken.secret", "token");
    Deno.chmodSync(home.pathOf("authtoken.secret"), 0o644);
    home.protect("authtoken.secret");
    assert.equal(modeOf(home.pathOf("authtoken.secret")), 0o600);
    home.protect("missing");
  }));

Deno.test("Home.setAside() says in a line that a file cannot be renamed", () =>
  inHome((home) => {
    assert.throws(() => home.setAside("missing", "is torn"), (error) => {
      assert.ok(error instanceof HomeError);
      assert.match(error.message, /^cannot rename .*missing: [^']+$/);
      return true;
    });
  }));

Deno.test("Home.has() says whether there is anything of that name", () =>
  inHome((home) => {
    assert.equal(home.has("peers.d/1111111111.peer"), false);
    home.write("peers.d/1111111111.peer", "");
    assert.equal(home.has("peers.d/1111111111.peer"), true);
    assert.equal(home.has("peers.d"), true);
  }));
