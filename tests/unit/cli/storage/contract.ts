/**
 * What every controller backend does, as tests.
 * @module
 */
import assert from "node:assert/strict";
import type { JsonObject } from "../../../../lib/controller/json.ts";
import type {
  ControllerStore,
  RecordKey,
  StoreChange,
  StoreResult,
} from "../../../../lib/controller/store.ts";

/** A database under test; gone after each test. */
export interface Database {
  /** Another handle, as another process would have it; undefined where only one process may have the database. */
  another?(): Promise<ControllerStore>;
  /** Closes every handle and opens the database again. */
  reopen(store: ControllerStore): Promise<ControllerStore>;
}

/** Gives a test an empty database and one handle on it. */
export type WithDatabase = (
  run: (store: ControllerStore, database: Database) => Promise<void>,
) => Promise<void>;

const NETWORK: RecordKey = { network: "7d6fc6c76500beef" };
const OTHER: RecordKey = { network: "7d6fc6c76500cafe" };
const ALICE: RecordKey = { ...NETWORK, member: "19810bb6a3" };
const BOB: RecordKey = { ...NETWORK, member: "cab3262c6a" };
const OK: StoreResult = { result: "ok" };

function record(key: RecordKey, revision: number, fields: JsonObject = {}): JsonObject {
  const ids: JsonObject = key.member === undefined
    ? { id: key.network, nwid: key.network, objtype: "network" }
    : { id: key.member, address: key.member, nwid: key.network, objtype: "member" };
  return { ...ids, revision, ...fields };
}

function put(
  store: ControllerStore,
  key: RecordKey,
  revision: number,
  fields: JsonObject & { claims?: string[] } = {},
): Promise<StoreResult> {
  const { claims = [], ...rest } = fields;
  const expect = revision === 1 ? undefined : revision - 1;
  return store.write({ key, expect, value: record(key, revision, rest), claims });
}

/** Registers the contract for one backend. */
export function testStore(name: string, withDatabase: WithDatabase): void {
  const test = (
    sentence: string,
    run: (store: ControllerStore, database: Database) => Promise<void>,
  ) => Deno.test(`${name} ${sentence}`, () => withDatabase(run));

  test("begins empty", async (store) => {
    assert.deepEqual(await store.load(), { networks: [], members: [] });
  });

  test("keeps what was written, whatever is in it", async (store, database) => {
    const fields: JsonObject = {
      name: "näme 🌐\u0000'\";--",
      n: 1.5,
      list: [null, [1, { a: {} }]],
    };
    assert.deepEqual(await put(store, NETWORK, 1, fields), OK);
    assert.deepEqual(await put(store, ALICE, 1, fields), OK);
    const again = await database.reopen(store);
    assert.deepEqual(await again.load(), {
      networks: [record(NETWORK, 1, fields)],
      members: [record(ALICE, 1, fields)],
    });
  });

  test("replaces a record only of the revision named", async (store) => {
    await put(store, NETWORK, 1, { name: "first" });
    assert.deepEqual(await put(store, NETWORK, 2, { name: "second" }), OK);
    const current = record(NETWORK, 2, { name: "second" });
    const conflict = { result: "conflict", current, taken: [] };
    for (const expect of [undefined, 1, 3]) {
      const value = record(NETWORK, 9);
      assert.deepEqual(await store.write({ key: NETWORK, expect, value, claims: [] }), conflict);
    }
    assert.deepEqual((await store.load()).networks, [current]);
  });

  test("does not bring back a record somebody deleted", async (store) => {
    await put(store, NETWORK, 1);
    await put(store, ALICE, 1);
    assert.deepEqual(await store.write({ key: ALICE, expect: 1, value: null, claims: [] }), OK);
    const conflict = { result: "conflict", current: null, taken: [] };
    assert.deepEqual(await put(store, ALICE, 2), conflict);
    assert.deepEqual(
      await store.write({ key: ALICE, expect: 1, value: null, claims: [] }),
      conflict,
    );
    assert.deepEqual((await store.load()).members, []);
  });

  test("deletes a network with its members, and no other's", async (store) => {
    for (const key of [NETWORK, OTHER, ALICE, BOB, { ...OTHER, member: "19810bb6a3" }]) {
      assert.deepEqual(await put(store, key, 1), OK);
    }
    assert.deepEqual(await store.write({ key: NETWORK, expect: 1, value: null, claims: [] }), OK);
    const { networks, members } = await store.load();
    assert.deepEqual(networks.map(({ id }) => id), [OTHER.network]);
    assert.deepEqual(members.map(({ nwid }) => nwid), [OTHER.network]);
  });

  test("takes no member of a network that is not there", async (store) => {
    const conflict = { result: "conflict", current: null, taken: [] };
    assert.deepEqual(await put(store, ALICE, 1), conflict);
    assert.deepEqual((await store.load()).members, []);
  });

  test("gives an address to one member of a network only", async (store) => {
    await put(store, NETWORK, 1);
    await put(store, OTHER, 1);
    const ip = { ipAssignments: ["10.0.0.1", "fd00::1"], claims: ["10.0.0.1", "fd00::1"] };
    assert.deepEqual(await put(store, ALICE, 1, ip), OK);
    const conflict = { result: "conflict", current: null, taken: ["fd00::1"] };
    const second = { ipAssignments: ["10.0.0.2", "fd00::1"], claims: ["10.0.0.2", "fd00::1"] };
    assert.deepEqual(await put(store, BOB, 1, second), conflict);
    assert.deepEqual((await store.load()).members.length, 1);
    assert.deepEqual(await put(store, { ...OTHER, member: BOB.member }, 1, second), OK);
    assert.deepEqual(await put(store, ALICE, 2, ip), OK, "its own it may claim again");
  });

  test("frees addresses with the record, and with the record's change", async (store) => {
    await put(store, NETWORK, 1);
    const ip = { ipAssignments: ["10.0.0.1"], claims: ["10.0.0.1"] };
    await put(store, ALICE, 1, ip);
    await put(store, ALICE, 2, { ipAssignments: [] });
    assert.deepEqual(await put(store, BOB, 1, ip), OK);
    await store.write({ key: BOB, expect: 1, value: null, claims: [] });
    assert.deepEqual(await put(store, ALICE, 3, ip), OK);
    await store.write({ key: NETWORK, expect: 1, value: null, claims: [] });
    await put(store, NETWORK, 1);
    assert.deepEqual(await put(store, BOB, 1, ip), OK);
  });

  test("lets people give one address to two members, as the reference does", async (store) => {
    await put(store, NETWORK, 1);
    await put(store, ALICE, 1, { ipAssignments: ["10.0.0.1"] });
    assert.deepEqual(await put(store, BOB, 1, { ipAssignments: ["10.0.0.1"] }), OK);
  });

  test("performs overlapping writes in the order they were asked for", async (store, database) => {
    await put(store, NETWORK, 1);
    const revisions = Array.from({ length: 300 }, (_, i) => i + 1);
    const results = await Promise.all(revisions.map((revision) => put(store, ALICE, revision)));
    assert.deepEqual(results, revisions.map(() => OK));
    const again = await database.reopen(store);
    assert.deepEqual((await again.load()).members, [record(ALICE, 300)]);
  });

  test("tells other handles, and them only, what was written", async (store, database) => {
    const other = await database.another?.();
    if (!other) return; // one process at a time: nobody to tell
    const heard: StoreChange[] = [];
    store.watch(() => assert.fail("one's own writes are no news"));
    other.watch((change) => heard.push(change));
    await put(store, NETWORK, 1);
    await store.write({ key: NETWORK, expect: 1, value: null, claims: [] });
    assert.deepEqual(heard, [
      { key: NETWORK, value: record(NETWORK, 1) },
      { key: NETWORK, value: null },
    ]);
    await other.close();
    await put(store, NETWORK, 1);
    assert.equal(heard.length, 2);
  });
}
