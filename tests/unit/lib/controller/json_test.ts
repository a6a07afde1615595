/** What the API makes of what it is sent (spec 05 sections 7.1 to 7.3). @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type JsonObject,
  type JsonValue,
  sameRecord,
  sortKeys,
  toBoolean,
  toInteger,
  toText,
} from "../../../../lib/controller/json.ts";
import { JsonTypeError } from "../../../../lib/controller/coerced_fields.ts";
import { updateMember } from "../../../../lib/controller/member_record.ts";
import { updateNetwork } from "../../../../lib/controller/network_record.ts";

/** Through text, as it comes from outside: there is no -0 in JSON. */
const anyJson: fc.Arbitrary<JsonValue> = fc.json().map((text) => JSON.parse(text));
const NETWORK = "7d6fc6c76500beef";
const IDS = { network: NETWORK, member: "19810bb6a3" };

Deno.test("toInteger() coerces as the reference does, except that negatives are 0", () => {
  const cases: [JsonValue | undefined, number][] = [
    [5, 5],
    [1.9, 1],
    [-1, 0],
    [-0.5, 0],
    ["40", 40],
    ["12abc", 12],
    ["x", 0],
    ["-3", 0],
    ["", 0],
    [true, 1],
    [false, 0],
    [null, 32],
    [undefined, 32],
    [[], 32],
    [{}, 32],
    [1e300, Number.MAX_SAFE_INTEGER],
    ["9".repeat(40), Number.MAX_SAFE_INTEGER],
  ];
  for (const [value, wanted] of cases) assert.equal(toInteger(value, 32), wanted, String(value));
});

Deno.test("toBoolean() coerces as the reference does", () => {
  const yes: JsonValue[] = [true, 1, 0.5, "t", "T", "1", "true", "Tomorrow", "10"];
  const no: JsonValue[] = [false, 0, -1, "", "f", "false", "yes", "0", " true"];
  for (const value of yes) assert.equal(toBoolean(value, false), true, String(value));
  for (const value of no) assert.equal(toBoolean(value, true), false, String(value));
  for (const value of [null, undefined, [], {}]) {
    assert.equal(toBoolean(value, true), true);
    assert.equal(toBoolean(value, false), false);
  }
});

Deno.test("toText() coerces as the reference does", () => {
  assert.equal(toText(123, ""), "123");
  assert.equal(toText(1e21, ""), "1000000000000000000000");
  assert.equal(toText(1.5, ""), "1.5");
  assert.equal(toText(true, ""), "1");
  assert.equal(toText(false, ""), "0");
  for (const value of [null, undefined, [], {}]) assert.equal(toText(value, "d"), "d");
});

Deno.test("toInteger(), toBoolean() and toText() give the right type for any JSON", () => {
  fc.assert(fc.property(anyJson, (value) => {
    const integer = toInteger(value, 7);
    assert.ok(Number.isSafeInteger(integer) && integer >= 0);
    assert.equal(typeof toBoolean(value, false), "boolean");
    assert.equal(typeof toText(value, ""), "string");
  }));
});

Deno.test("sortKeys() changes the order of keys only, at every depth", () => {
  fc.assert(fc.property(anyJson, (value) => {
    const sorted = sortKeys(value);
    assert.deepEqual(sorted, JSON.parse(JSON.stringify(value)));
    assert.ok(isSorted(sorted));
  }));
});

function isSorted(value: JsonValue): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return value.every(isSorted);
  // JavaScript lists keys that are array indices first, whatever order they were made in.
  const keys = Object.keys(value).filter((key) => !/^\d+$/.test(key));
  return keys.every((key, i) => i === 0 || keys[i - 1] < key) &&
    Object.values(value).every(isSorted);
}

Deno.test("sameRecord() ignores the revision and the order of keys, and nothing else", () => {
  assert.ok(sameRecord({ a: 1, b: [2], revision: 1 }, { b: [2], revision: 9, a: 1 }));
  assert.ok(sameRecord({ a: 1 }, { a: 1, revision: 3 }));
  assert.ok(!sameRecord({ a: 1 }, { a: 2 }));
  assert.ok(!sameRecord({ a: 1 }, { a: 1, b: null }));
  assert.ok(!sameRecord({ a: [1, 2] }, { a: [2, 1] }));
  assert.ok(!sameRecord({ a: {} }, { a: [] }));
});

const NETWORK_FIELDS = [
  "name",
  "private",
  "enableBroadcast",
  "multicastLimit",
  "mtu",
  "v4AssignMode",
  "v6AssignMode",
  "routes",
  "ipAssignmentPools",
  "rules",
  "capabilities",
  "tags",
  "authTokens",
  "dns",
  "remoteTraceTarget",
  "remoteTraceLevel",
];
const MEMBER_FIELDS = [
  "name",
  "authorized",
  "activeBridge",
  "noAutoAssignIps",
  "ipAssignments",
  "tags",
  "capabilities",
  "authenticationExpiryTime",
  "remoteTraceTarget",
  "remoteTraceLevel",
];

/** Objects that use the names the API knows, with any values. */
function bodies(names: string[]): fc.Arbitrary<JsonObject> {
  return fc.dictionary(fc.constantFrom(...names, "unknown", "id", "nwid", "revision"), anyJson);
}

Deno.test("updateNetwork() makes a record of any body, once and for all", () => {
  const keys = Object.keys(updateNetwork(undefined, {}, NETWORK, 1)).sort();
  fc.assert(fc.property(bodies(NETWORK_FIELDS), (body) => {
    const once = updateOrRefuse(() => updateNetwork(undefined, body, NETWORK, 1));
    if (!once) return;
    assert.deepEqual(Object.keys(once).sort(), keys);
    assert.deepEqual([once.id, once.nwid, once.objtype], [NETWORK, NETWORK, "network"]);
    assert.equal(typeof once.name, "string");
    assert.equal(typeof once.private, "boolean");
    assert.ok(Number(once.mtu) >= 1_280 && Number(once.mtu) <= 10_000);
    for (const name of ["routes", "ipAssignmentPools", "rules", "capabilities", "tags"]) {
      assert.ok(Array.isArray(once[name]), name);
    }
    // Tools read, modify and write back. The first time the default rule loses its "not" and "or", as in the
    // reference; then nothing changes any more.
    const twice = updateNetwork(once, once, NETWORK, 2);
    assert.ok(sameRecord(updateNetwork(twice, twice, NETWORK, 3), twice));
  }));
});

Deno.test("updateMember() makes a record of any body, once and for all", () => {
  const keys = Object.keys(updateMember(undefined, { name: "x" }, IDS, 1));
  fc.assert(fc.property(bodies(MEMBER_FIELDS), (body) => {
    const once = updateOrRefuse(() => updateMember(undefined, body, IDS, 1));
    if (!once) return;
    for (const key of Object.keys(once)) assert.ok(keys.includes(key), key);
    assert.deepEqual([once.id, once.address, once.nwid], [IDS.member, IDS.member, NETWORK]);
    assert.equal(once.lastAuthorizedTime, once.authorized ? 1 : 0);
    assert.ok(sameRecord(updateMember(once, once, IDS, 2), once));
  }));
});

/** undefined when the body has a type the reference answers 500 to. */
function updateOrRefuse(update: () => JsonObject): JsonObject | undefined {
  try {
    return update();
  } catch (error) {
    assert.ok(error instanceof JsonTypeError);
    return undefined;
  }
}

Deno.test("updateNetwork() keeps stored fields it does not know, and drops those computed for display", () => {
  const stored = { future: { x: 1 }, clock: 5, totalMemberCount: 3, name: "n", revision: 4 };
  const record = updateNetwork(stored, { name: "m" }, NETWORK, 1);
  assert.deepEqual(record.future, { x: 1 });
  assert.ok(!("clock" in record) && !("totalMemberCount" in record));
  assert.deepEqual([record.name, stored.name], ["m", "n"]);
});

Deno.test("updateNetwork() keeps at most 16384 items of an array", () => {
  const routes = Array.from({ length: 20_000 }, () => ({ target: "10.0.0.0/8" }));
  assert.equal(
    (updateNetwork(undefined, { routes }, NETWORK, 1).routes as unknown[]).length,
    16_384,
  );
});

Deno.test("updateMember() notes when authorization changes, and only then", () => {
  const first = updateMember(undefined, { authorized: true }, IDS, 100);
  assert.deepEqual([first.lastAuthorizedTime, first.lastAuthorizedCredentialType], [100, "api"]);
  const again = updateMember(first, { authorized: "t" }, IDS, 200);
  assert.ok(sameRecord(again, first));
  const ended = updateMember(again, { authorized: 0 }, IDS, 300);
  assert.deepEqual([ended.lastAuthorizedTime, ended.lastDeauthorizedTime], [100, 300]);
});

Deno.test("updateMember() refuses assigned addresses that are not text", () => {
  assert.throws(
    () => updateMember(undefined, { ipAssignments: ["10.0.0.1", null] }, IDS, 1),
    { message: "[json.exception.type_error.302] type must be string, but is null" },
  );
});
