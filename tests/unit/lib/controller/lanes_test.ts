/** One thing at a time per network, and nothing said before it is stored. @module */
import assert from "node:assert/strict";
import { formatPrefix } from "../../../../lib/base/ip.ts";
import type { JsonObject } from "../../../../lib/controller/json.ts";
import { ALICE, BOB, configOf, memberPath, NETWORK, PATH, RICH, withNetwork } from "./cast.ts";
import { Harness, identityOf } from "./harness.ts";

Deno.test("Controller answers nobody before the store has what the answer says", () => {
  const harness = withNetwork({ private: false });
  harness.holdStore = true;
  assert.equal(harness.request(NETWORK, ALICE), undefined);
  const ticket = harness.begin("POST", PATH, '{"name":"after"}');
  assert.equal(harness.get(PATH).name, "");
  assert.equal(harness.reply(ticket), undefined);
  harness.answerStore();
  assert.equal(harness.take("config").length, 1);
  assert.equal(harness.reply(ticket), undefined);
  harness.answerStore();
  assert.equal((harness.reply(ticket)!.json as JsonObject).name, "after");
});

Deno.test("Controller lets networks go on while another waits for the store", () => {
  const harness = withNetwork({ private: false });
  harness.holdStore = true;
  harness.request(NETWORK, ALICE);
  harness.begin("POST", "/controller/network/7d6fc6c765000001", "{}");
  assert.equal(harness.held.length, 2);
});

Deno.test("Controller gives two members that ask at once two addresses", () => {
  const harness = withNetwork({
    private: false,
    v4AssignMode: "zt",
    routes: [{ target: "10.0.0.0/24" }],
    ipAssignmentPools: [{ ipRangeStart: "10.0.0.1", ipRangeEnd: "10.0.0.5" }],
  });
  // Both addresses are 1 modulo the size of the pool, so both want the same IP.
  const [first, second] = [identityOf(0x2000000001), identityOf(0x2000000005)];
  harness.holdStore = true;
  harness.request(NETWORK, first);
  harness.request(NETWORK, second);
  assert.equal(harness.held.length, 1, "the second waits for the first");
  harness.answerStore();
  harness.answerStore();
  const ips = harness.writes.slice(1).map(({ value, claims }) => [value!.ipAssignments, claims]);
  assert.deepEqual(ips, [[["10.0.0.2"], ["10.0.0.2"]], [["10.0.0.3"], ["10.0.0.3"]]]);
});

Deno.test("Controller decides anew when the store holds something else", () => {
  const harness = withNetwork({ private: false, name: "ours" });
  harness.holdStore = true;
  const ticket = harness.begin("POST", PATH, '{"mtu":1300}');
  const current = { ...harness.get(PATH), name: "theirs", revision: 5 };
  harness.answerStore({ result: "conflict", current });
  assert.equal(harness.held[0].expect, 5);
  harness.answerStore();
  const { json } = harness.reply(ticket)!;
  const { name, mtu, revision } = json as JsonObject;
  assert.deepEqual([name, mtu, revision], ["theirs", 1300, 6]);
});

Deno.test("Controller takes another address when the store says the one it chose is taken", () => {
  const harness = withNetwork({
    private: false,
    v4AssignMode: "zt",
    routes: [{ target: "10.0.0.0/24" }],
    ipAssignmentPools: [{ ipRangeStart: "10.0.0.1", ipRangeEnd: "10.0.0.5" }],
  });
  harness.holdStore = true;
  harness.request(NETWORK, identityOf(0x2000000001));
  harness.answerStore({ result: "conflict", current: null, taken: ["10.0.0.2"] });
  assert.deepEqual(harness.held[0].claims, ["10.0.0.3"]);
  harness.answerStore();
  assert.equal(harness.take("config")[0].config.staticIps.map(formatPrefix)[0], "10.0.0.3/24");
});

Deno.test("Controller ends with what the store took last, when a change comes before its own write's answer", () => {
  const harness = withNetwork({ private: false, name: "first" });
  const key = { network: NETWORK };
  const record = harness.get(PATH);
  for (const [last, left] of [[{ ...record, name: "theirs", revision: 3 }, "theirs"], [null, ""]]) {
    harness.holdStore = true;
    const ticket = harness.begin("POST", PATH, `{"name":"ours ${left}"}`);
    harness.hand({ kind: "changed", key, value: last as JsonObject | null });
    harness.answerStore();
    assert.equal(harness.reply(ticket)!.status, 200);
    const found = harness.api("GET", PATH);
    if (last === null) assert.equal(found.status, 404);
    else assert.equal((found.json as JsonObject).name, left);
  }
});

Deno.test("Controller gives up on a record that keeps changing, and goes on with the next", () => {
  const harness = withNetwork();
  harness.holdStore = true;
  const first = harness.begin("POST", PATH, '{"mtu":1300}');
  const second = harness.begin("POST", PATH, '{"mtu":1400}');
  for (let revision = 10; harness.reply(first) === undefined; revision++) {
    assert.ok(revision < 100, "bounded");
    harness.answerStore({ result: "conflict", current: { ...harness.get(PATH), revision } });
  }
  assert.equal(harness.reply(first)!.status, 503);
  harness.answerStore();
  assert.equal(harness.reply(second)!.status, 200);
});

Deno.test("Controller reports a write that failed and keeps what was before", () => {
  const harness = withNetwork({ private: false, name: "before" });
  harness.holdStore = true;
  const ticket = harness.begin("POST", PATH, '{"name":"after"}');
  harness.request(NETWORK, ALICE);
  harness.answerStore({ result: "failed", message: "write x failed: ENOSPC" });
  const reply = harness.reply(ticket)!;
  assert.equal(reply.status, 500);
  assert.deepEqual(reply.json, { error: 500, description: "write x failed: ENOSPC" });
  assert.equal(harness.get(PATH).name, "before");
  harness.answerStore({ result: "failed" });
  assert.deepEqual(harness.take("config"), []);
  assert.equal(harness.api("GET", memberPath(ALICE)).status, 404);
  harness.holdStore = false;
  configOf(harness.request(NETWORK, ALICE));
});

Deno.test("Controller ignores answers of the store to questions it never asked", () => {
  const harness = withNetwork();
  harness.hand({ kind: "stored", ticket: 4_711, result: "ok" });
  assert.deepEqual(harness.actions, []);
});

Deno.test("Controller knows everything again after a restart", () => {
  const harness = withNetwork({ ...RICH, private: false });
  const before = configOf(harness.request(NETWORK, ALICE));
  harness.request(NETWORK, BOB);
  harness.post(memberPath(BOB), { authorized: false, name: "bob" });
  const again = harness.restarted();
  for (const path of [PATH, `${PATH}/member`, memberPath(ALICE), memberPath(BOB)]) {
    assert.deepEqual(again.get(path), harness.get(path), path);
  }
  const after = configOf(again.request(NETWORK, ALICE));
  assert.deepEqual(after.staticIps, before.staticIps);
  assert.deepEqual(again.writes, [], "nothing about it changed");
});

Deno.test("Controller skips stored records that name nothing, and serves the rest", () => {
  const harness = new Harness({
    networks: [{ id: "xyz" }, { id: NETWORK, revision: 1, private: false }, {}],
    members: [{ id: "zz", nwid: NETWORK }, { id: "19810bb6a3", nwid: "1111111111111111" }, {}],
  });
  assert.equal(harness.controller.counters.recordsSkipped, 5);
  configOf(harness.request(NETWORK, ALICE));
});
