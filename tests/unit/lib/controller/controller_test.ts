/** Who gets in and who does not (spec 05 sections 2.1 to 2.4); what a controller bounds. @module */
import assert from "node:assert/strict";
import { type NetworkId, parseNetworkId } from "../../../../lib/base/ids.ts";
import { Controller } from "../../../../lib/controller/controller.ts";
import type { JsonObject } from "../../../../lib/controller/json.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { ErrorCode } from "../../../../lib/wire/packet.ts";
import {
  ALICE,
  BOB,
  codeOf,
  configOf,
  join,
  memberPath,
  NETWORK,
  PATH,
  withNetwork,
} from "./cast.ts";
import { CONTROLLER, Harness, identityOf, metadata, strangerOf } from "./harness.ts";

Deno.test("Controller says OBJECT_NOT_FOUND for a network that is not there, and keeps no record", () => {
  const harness = new Harness();
  assert.equal(codeOf(harness.request(NETWORK, ALICE)), ErrorCode.OBJECT_NOT_FOUND);
  assert.equal(harness.writes.length, 0);
});

Deno.test("Controller drops requests for networks of other controllers without a word", () => {
  const harness = new Harness();
  harness.post("/controller/network/1234567890abcdef", {});
  assert.equal(harness.request("1234567890abcdef", ALICE), undefined);
  assert.equal(harness.writes.length, 1);
});

Deno.test("Controller answers nobody before the store is loaded", () => {
  const harness = new Harness("nothing yet");
  assert.equal(harness.request(NETWORK, ALICE), undefined);
  const status = harness.api("GET", "/controller");
  assert.equal(status.status, 503);
  assert.equal((status.json as JsonObject).databaseReady, false);
  assert.equal(harness.api("GET", "/controller/network").status, 503);
  assert.equal(harness.api("POST", "/controller/network", {}).status, 503);
  harness.hand({ kind: "load", networks: [], members: [] });
  assert.equal(harness.api("GET", "/controller").status, 200);
});

Deno.test("Controller refuses a stranger to a private network and keeps its record for people to see", () => {
  const harness = withNetwork();
  assert.equal(codeOf(harness.request(NETWORK, ALICE)), ErrorCode.NETWORK_ACCESS_DENIED);
  const member = harness.get(memberPath(ALICE));
  assert.equal(member.authorized, false);
  assert.equal(member.identity, ALICE.format());
  assert.equal(member.revision, 1);
  assert.deepEqual([member.vMajor, member.vMinor, member.vRev, member.vProto], [-1, -1, -1, -1]);
  assert.equal(member.creationTime, harness.time.wallMs);
});

Deno.test("Controller does not write again for a stranger that asks again", () => {
  const harness = withNetwork();
  harness.request(NETWORK, ALICE);
  const writes = harness.writes.length;
  assert.equal(codeOf(harness.request(NETWORK, ALICE)), ErrorCode.NETWORK_ACCESS_DENIED);
  assert.equal(harness.writes.length, writes);
});

Deno.test("Controller lets anybody into a public network, for good", () => {
  const harness = withNetwork({ private: false });
  configOf(harness.request(NETWORK, ALICE));
  const member = harness.get(memberPath(ALICE));
  assert.equal(member.authorized, true);
  assert.equal(member.lastAuthorizedCredentialType, "public");
  assert.equal(member.lastAuthorizedCredential, null);
  assert.equal(member.lastAuthorizedTime, harness.time.wallMs);
  assert.deepEqual([member.vMajor, member.vMinor, member.vRev, member.vProto], [1, 14, 1, 12]);
  harness.post(PATH, { private: true });
  configOf(harness.request(NETWORK, ALICE));
  assert.equal(codeOf(harness.request(NETWORK, BOB)), ErrorCode.NETWORK_ACCESS_DENIED);
});

Deno.test("Controller lets in who shows a valid token, and keeps it in when the token ends", () => {
  const harness = withNetwork();
  const later = harness.time.wallMs + 60_000;
  harness.post(PATH, { authTokens: { forever: 0, soon: later, past: 1 } });
  const cases: [token: string, isLetIn: boolean][] = [
    ["token:past", false],
    ["token:FOREVER", false],
    ["token:", false],
    ["forever", false],
    ["token:__proto__", false],
    ["token:soon", true],
    ["token:forever", true],
  ];
  for (const [index, [authorization, isLetIn]] of cases.entries()) {
    const node = identityOf(0x1000000000 + index);
    const answer = harness.request(NETWORK, node, metadata({ authorization }));
    assert.equal(answer?.kind, isLetIn ? "config" : "refuse", authorization);
    const member = harness.get(memberPath(node));
    assert.equal(member.lastAuthorizedCredentialType, isLetIn ? "token" : null);
    assert.equal(member.lastAuthorizedCredential, isLetIn ? authorization.slice(6) : null);
  }
  harness.advance(120_000);
  const late = identityOf(0x1100000000);
  assert.equal(
    harness.request(NETWORK, late, metadata({ authorization: "token:soon" }))?.kind,
    "refuse",
  );
  const soon = identityOf(0x1000000005);
  configOf(harness.request(NETWORK, soon));
  harness.post(PATH, { authTokens: {} });
  configOf(harness.request(NETWORK, soon));
});

Deno.test("Controller pins an address to the first identity that asked with it", () => {
  const harness = withNetwork({ private: false });
  configOf(harness.request(NETWORK, ALICE));
  const before = harness.get(memberPath(ALICE));
  const impostor = identityOf(ALICE.address, 99);
  assert.equal(codeOf(harness.request(NETWORK, impostor)), ErrorCode.NETWORK_ACCESS_DENIED);
  assert.deepEqual(harness.get(memberPath(ALICE)), before);
  // What the impostor said is not kept either: the push goes to the real one's certificate.
  harness.post(PATH, { name: "renamed" });
  harness.settle();
  const [push] = harness.take("config");
  assert.ok(push.config.com);
  assert.equal(push.to, ALICE.address);
});

Deno.test("Controller takes a pinned identity in capitals, or none, and refuses what does not parse", () => {
  for (
    const [identity, kind] of [
      [ALICE.format().toUpperCase(), "config"],
      [null, "config"],
      ["garbage", "refuse"],
      [5, "refuse"],
    ]
  ) {
    const harness = new Harness({
      networks: [{ id: NETWORK, objtype: "network", revision: 1, private: false }],
      members: [{
        id: "19810bb6a3",
        address: "19810bb6a3",
        nwid: NETWORK,
        objtype: "member",
        revision: 4,
        authorized: true,
        identity,
      }],
    });
    assert.equal(harness.request(NETWORK, ALICE)?.kind, kind);
  }
});

Deno.test("Controller asks for single sign-on where a stored network demands it, having none", () => {
  const harness = new Harness({
    networks: [{ id: NETWORK, objtype: "network", revision: 1, private: false, ssoEnabled: true }],
    members: [{
      id: "cab3262c6a",
      nwid: NETWORK,
      objtype: "member",
      revision: 1,
      authorized: true,
      ssoExempt: true,
    }],
  });
  assert.equal(codeOf(harness.request(NETWORK, ALICE)), ErrorCode.NETWORK_AUTHENTICATION_REQUIRED);
  configOf(harness.request(NETWORK, BOB));
});

Deno.test("Controller takes three requests at once from a node, then one a second, whatever they come to", () => {
  const harness = new Harness();
  const request = (requestId: bigint | undefined) => {
    harness.actions = [];
    const network = parseNetworkId(NETWORK)!;
    harness.hand({ kind: "request", network, from: ALICE, requestId, metadata: metadata() });
    return harness.actions.length;
  };
  for (const id of [1n, 2n, 3n]) assert.equal(request(id), 1);
  assert.equal(request(4n), 0);
  harness.advance(999);
  assert.equal(request(5n), 0);
  harness.advance(1); // dropped requests do not count
  assert.equal(request(6n), 1);
  assert.equal(request(7n), 0);
  assert.equal(request(undefined), 1, "our own node asks without packets");
  assert.equal(harness.controller.counters.requestsDropped, 3);
});

Deno.test("Controller answers a request by its packet id, and our own node without one", () => {
  const harness = withNetwork({ private: false });
  const network = parseNetworkId(NETWORK)!;
  harness.hand({
    kind: "request",
    network,
    from: identityOf(CONTROLLER),
    requestId: undefined,
    metadata: metadata(),
  });
  const [local] = harness.take("config");
  assert.deepEqual([local.to, local.requestId], [CONTROLLER, undefined]);
  harness.hand({ kind: "request", network, from: ALICE, requestId: 77n, metadata: metadata() });
  const [answer] = harness.take("config");
  assert.deepEqual([answer.to, answer.requestId], [ALICE.address, 77n]);
});

Deno.test("Controller keeps 10000 records of strangers, and no record that people touched is evicted", () => {
  const members: JsonObject[] = Array.from({ length: 10_000 }, (_, i) => ({
    id: (0x3000000000 + i).toString(16),
    nwid: NETWORK,
    objtype: "member",
    revision: 1,
    authorized: false,
    identity: `stranger ${i}`,
    creationTime: 1_000 + (i * 7) % 10_000,
  }));
  members[0].revision = 2; // created first, and somebody gave it a name
  const network = { id: NETWORK, objtype: "network", revision: 1, private: true };
  const harness = new Harness({ networks: [network], members });
  harness.request(NETWORK, ALICE);
  harness.request(NETWORK, BOB);
  harness.settle();
  const oldest =
    members.slice(1).sort((a, b) => Number(a.creationTime) - Number(b.creationTime))[0];
  assert.equal(harness.controller.memberCount, 10_001);
  assert.equal(harness.controller.counters.strangersEvicted, 1);
  assert.equal(harness.api("GET", `${PATH}/member/${oldest.id}`).status, 404);
  assert.equal(harness.api("GET", `${PATH}/member/${members[0].id}`).status, 200);
  assert.equal(harness.api("GET", memberPath(ALICE)).status, 200);
});

Deno.test("Controller reads no record but the member's own to answer a request, among 10000", () => {
  let reads = 0;
  const counted = (record: JsonObject) =>
    new Proxy(record, {
      get: (target, name) => {
        reads++;
        return target[name as string];
      },
    });
  const harness = new Harness("nothing yet");
  const members = Array.from({ length: 10_000 }, (_, i) =>
    counted({
      id: (0x3000000000 + i).toString(16),
      nwid: NETWORK,
      objtype: "member",
      revision: 2,
      authorized: true,
      ipAssignments: [`10.1.${i >> 8}.${i & 0xff}`],
    }));
  const network = {
    id: NETWORK,
    objtype: "network",
    revision: 1,
    private: false,
    v4AssignMode: { zt: true },
    routes: [{ target: "10.1.0.0/16" }],
    ipAssignmentPools: [{ ipRangeStart: "10.1.0.0", ipRangeEnd: "10.1.255.254" }],
  };
  harness.hand({ kind: "load", networks: [network], members });
  assert.ok(reads > 0);
  reads = 0;
  const config = configOf(harness.request(NETWORK, identityOf(0x4000009000)));
  assert.equal(config.staticIps.length, 1);
  const crowded = configOf(harness.request(NETWORK, identityOf(0x4000000011)));
  assert.equal(crowded.staticIps.length, 0, "all it may try are taken");
  assert.equal(reads, 0);
  assert.equal(harness.controller.counters.assignmentTrials, 1 + 1_000);
});

Deno.test("Controller builds at most 16 configs in one step, so that a push to many stalls nobody", () => {
  const harness = withNetwork({ private: false });
  const crowd = Array.from({ length: 40 }, (_, i) => strangerOf(0x3000000000 + i));
  join(harness, ...crowd);
  harness.post(PATH, { name: "new" });
  assert.ok(harness.take("config").length <= 16);
  assert.equal(harness.controller.deadlineMs, harness.time.nowMs);
  let pushed = 16;
  for (let step = 0; harness.controller.deadlineMs <= harness.time.nowMs; step++) {
    assert.ok(step < 10, "ends");
    harness.hand({ kind: "timeout" });
    pushed += harness.take("config").length;
  }
  assert.ok(pushed >= 40);
  assert.equal(harness.controller.counters.configsPushed, 40);
});

Deno.test("Controller drops requests and refuses API writes past what may wait for the store", () => {
  const harness = withNetwork({ private: false });
  harness.holdStore = true;
  for (let i = 0; i < 1_100; i++) {
    const network = parseNetworkId(NETWORK) as NetworkId;
    const from = strangerOf(0x3000000000 + i);
    harness.hand({ kind: "request", network, from, requestId: BigInt(i), metadata: metadata() });
  }
  assert.equal(harness.controller.counters.requestsDropped, 1_100 - 1_025);
  assert.equal(harness.reply(harness.begin("POST", PATH, "{}"))!.status, 503);
});

Deno.test("Controller refuses to be made without a secret", () => {
  const config = { identity: ALICE.publicOnly(), primitives: noblePrimitives, random: () => {} };
  assert.throws(() => new Controller(config), TypeError);
});
