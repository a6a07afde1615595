/** The store in SQLite: the contract, and what can go wrong with a file. @module */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { SystemError } from "../../../../lib/base/errors.ts";
import { openSqliteStore, type SqliteStore } from "../../../../cli/storage/sqlite.ts";
import { testStore } from "./contract.ts";

/** A folder of its own, gone afterwards. */
async function withFolder(run: (path: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "zt-storage-" });
  try {
    await run(`${folder}/controller.sqlite`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

testStore("SqliteStore", (run) =>
  withFolder(async (path) => {
    let open: SqliteStore = openSqliteStore(path);
    try {
      await run(open, {
        reopen: async (store) => {
          await store.close();
          open = openSqliteStore(path);
          return open;
        },
      });
    } finally {
      await open.close();
    }
  }));

const NETWORK = "7d6fc6c76500beef";
const RECORD = { id: NETWORK, nwid: NETWORK, objtype: "network", revision: 1 };

function put(store: SqliteStore, fields: { [key: string]: string } = {}) {
  const value = { ...RECORD, ...fields };
  return store.write({ key: { network: NETWORK }, expect: undefined, value, claims: [] });
}

function namesBeside(path: string): string[] {
  return [...Deno.readDirSync(path.slice(0, path.lastIndexOf("/")))].map(({ name }) => name).sort();
}

Deno.test("openSqliteStore() makes a file only its owner may read", () =>
  withFolder(async (path) => {
    await openSqliteStore(path).close();
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
  }));

Deno.test("openSqliteStore() sets a damaged or foreign file aside, whole, and says where", () =>
  withFolder(async (path) => {
    const foreign = new DatabaseSync(path);
    foreign.exec("CREATE TABLE theirs (x)");
    foreign.close();
    const cases = [
      Deno.readFileSync(path),
      new TextEncoder().encode("not a database ".repeat(500)),
    ];
    for (const [index, bytes] of cases.entries()) {
      Deno.writeFileSync(path, bytes);
      assert.throws(() => openSqliteStore(path), (error: Error) => {
        assert.ok(error instanceof SystemError);
        assert.match(error.message, /damaged-\d.*backup/);
        assert.ok(!error.message.includes("\n"));
        return true;
      });
      assert.deepEqual(Deno.readFileSync(`${path}.damaged-${index + 1}`), bytes);
      assert.ok(!namesBeside(path).includes("controller.sqlite"));
    }
    const store = openSqliteStore(path);
    assert.deepEqual(await store.load(), { networks: [], members: [] });
    await store.close();
  }));

Deno.test("SqliteStore.load() sets a file aside whose pages are damaged", () =>
  withFolder(async (path) => {
    const store = openSqliteStore(path);
    await put(store, { name: "x".repeat(20_000) });
    await store.close();
    const bytes = Deno.readFileSync(path);
    bytes.fill(0xa5, 4_096);
    Deno.writeFileSync(path, bytes);
    await assert.rejects(async () => {
      const damaged = openSqliteStore(path);
      await damaged.load();
    }, SystemError);
    assert.ok(namesBeside(path).includes("controller.sqlite.damaged-1"));
    assert.deepEqual(Deno.readFileSync(`${path}.damaged-1`), bytes);
  }));

Deno.test("openSqliteStore() leaves a file of a newer version as it is", () =>
  withFolder(async (path) => {
    await openSqliteStore(path).close();
    const newer = new DatabaseSync(path);
    newer.exec("UPDATE schema SET version = 99");
    newer.close();
    assert.throws(() => openSqliteStore(path), /schema version 99 \(use the newer zt/);
    assert.ok(namesBeside(path).includes("controller.sqlite"));
  }));

Deno.test("openSqliteStore() refuses a file another process has open, and a folder that is not there", () =>
  withFolder(async (path) => {
    const store = openSqliteStore(path);
    await put(store);
    assert.throws(() => openSqliteStore(path), /EBUSY \(another process has it open\)/);
    assert.ok(namesBeside(path).includes("controller.sqlite"));
    assert.equal((await store.load()).networks.length, 1);
    await store.close();
    assert.throws(() => openSqliteStore(`${path}/none/x.sqlite`), SystemError);
  }));

Deno.test("SqliteStore.write() fails when the disk is full, loses nothing and goes on", () =>
  withFolder(async (path) => {
    const store = openSqliteStore(path, { pageCountMax: 30 });
    await put(store, { name: "kept" });
    const huge = { ...RECORD, revision: 2, name: "x".repeat(500_000) };
    const write = { key: { network: NETWORK }, expect: 1, value: huge, claims: [] };
    await assert.rejects(store.write(write), /ENOSPC/);
    assert.deepEqual((await store.load()).networks, [{ ...RECORD, name: "kept" }]);
    const small = { ...RECORD, revision: 2, name: "small" };
    assert.deepEqual(await store.write({ ...write, value: small }), { result: "ok" });
    await store.close();
  }));

Deno.test("SqliteStore keeps what was written when the process dies without closing", () =>
  withFolder(async (path) => {
    const store = openSqliteStore(path);
    await put(store, { name: "kept" });
    const copy = `${path}.copy`;
    for (const suffix of ["", "-wal"]) Deno.copyFileSync(path + suffix, copy + suffix);
    const after = openSqliteStore(copy); // what a crash leaves: the log not folded in
    assert.deepEqual((await after.load()).networks, [{ ...RECORD, name: "kept" }]);
    await after.close();
    await store.close();
  }));

Deno.test("SqliteStore.importOnce() takes records over once, all or none", () =>
  withFolder(async (path) => {
    const store = openSqliteStore(path);
    const member = {
      id: "19810bb6a3",
      address: "19810bb6a3",
      nwid: NETWORK,
      objtype: "member",
      revision: 7,
      ipAssignments: ["10.0.0.1"],
    };
    assert.equal(store.wantsImport, true);
    assert.equal(store.importOnce({ networks: [RECORD], members: [member] }), true);
    assert.deepEqual(await store.load(), { networks: [RECORD], members: [member] });
    await store.write({ key: { network: NETWORK }, expect: 1, value: null, claims: [] });
    assert.equal(store.importOnce({ networks: [RECORD], members: [member] }), false);
    assert.deepEqual(await store.load(), { networks: [], members: [] });
    await store.close();
  }));
