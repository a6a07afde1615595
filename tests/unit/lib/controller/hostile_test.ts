/** Nothing that is stored, posted or asked throws, or goes unanswered. @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeNetworkConfig } from "../../../../lib/credential/network_config.ts";
import type { JsonValue } from "../../../../lib/controller/json.ts";
import { routeApi } from "../../../../lib/controller/api.ts";
import { ALICE, memberPath, NETWORK, PATH } from "./cast.ts";
import { Harness } from "./harness.ts";

const anyJson: fc.Arbitrary<JsonValue> = fc.json().map((text) => JSON.parse(text));
/** JSON made of the words records are made of: it gets further than noise. */
const recordJson = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<JsonValue>(null, true, 0, 1, -1, 1.5, 2 ** 53, 1e300, "zt", "10.0.0.0/8", "t"),
    fc.constantFrom("fd00::/8", "10.0.0.1", "10.0.0.9", "fd00::1", "ACTION_ACCEPT", "ae2ded7b88"),
    fc.constantFrom("MATCH_IPV4_DEST", "MATCH_CHARACTERISTICS", "MATCH_TAG_SENDER", "é".repeat(99)),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(
      fc.constantFrom("zt", "target", "via", "ipRangeStart", "ipRangeEnd", "id", "default", "rules")
        .chain((name) =>
          fc.constantFrom(name, "type", "mask", "ip", "domain", "servers", "rfc4193")
        ),
      tie("value"),
      { maxKeys: 4 },
    ),
  ),
})).value;
const FIELDS = [
  ...["name", "private", "mtu", "multicastLimit", "routes", "ipAssignmentPools", "rules", "tags"],
  ...["capabilities", "v4AssignMode", "v6AssignMode", "authTokens", "dns", "revision", "identity"],
  ...["authorized", "ipAssignments", "activeBridge", "remoteTraceTarget", "remoteTraceLevel"],
  ...["ssoEnabled", "noAutoAssignIps", "certificateTimeoutWindowSize", "creationTime", "objtype"],
];
const anyRecord = fc.dictionary(fc.constantFrom(...FIELDS), fc.oneof(anyJson, recordJson));

Deno.test("Controller serves a config or a refusal from any stored records", () => {
  let configs = 0;
  fc.assert(
    fc.property(anyRecord, anyRecord, fc.uint8Array({ maxLength: 80 }), (network, member, said) => {
      const harness = new Harness({
        networks: [{ ...network, id: NETWORK }],
        members: [{ ...member, id: "19810bb6a3", nwid: NETWORK }],
      });
      const answer = harness.request(NETWORK, ALICE, said) ?? harness.request(NETWORK, ALICE);
      assert.ok(answer);
      if (answer.kind === "config") {
        configs++;
        encodeNetworkConfig(answer.config);
      }
      for (const path of [PATH, `${PATH}/member`, memberPath(ALICE)]) {
        assert.equal(harness.api("GET", path).status, 200);
      }
      harness.post(PATH, { name: "x" });
      harness.settle();
    }),
    { numRuns: 300 },
  );
  assert.ok(configs > 0, "some got through to a config");
});

Deno.test("Controller answers every API request exactly once, whatever it is", () => {
  const segment = fc.constantFrom(
    ...["", "controller", "network", "member", "unstable", NETWORK, "7d6fc6c765______", "x"],
    ...["19810bb6a3", "1111111111______", "..", "%2e", "network/", NETWORK.toUpperCase()],
  );
  const path = fc.array(segment, { maxLength: 7 }).map((parts) => `/${parts.join("/")}`);
  const method = fc.constantFrom(
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "HEAD",
    "constructor",
    "",
  );
  const body = fc.oneof(anyRecord.map((record) => JSON.stringify(record)), fc.string());
  fc.assert(
    fc.property(
      fc.array(fc.tuple(method, path, body), { maxLength: 20 }),
      fc.array(fc.constantFrom("ok", "conflict", "failed"), { maxLength: 20 }),
      (calls, answers) => {
        const harness = new Harness();
        harness.post(PATH, {});
        harness.holdStore = true;
        const tickets = calls.map((call) => harness.begin(...call));
        for (let i = 0; harness.held.length > 0; i++) {
          const result = (answers[i] ?? "ok") as "ok" | "conflict" | "failed";
          harness.answerStore(result === "conflict" ? { result, current: null } : { result });
        }
        for (const [index, ticket] of tickets.entries()) {
          const reply = harness.reply(ticket);
          assert.ok(reply, calls[index].join(" "));
          assert.ok([200, 400, 404, 500, 503].includes(reply.status));
        }
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("routeApi() takes exact paths only", () => {
  const good: [string, string][] = [
    ["GET", "/controller"],
    ["PUT", "/controller/network"],
    ["POST", "/controller/network/7d6fc6c765______"],
    ["DELETE", "/controller/network/7D6FC6C76500BEEF"],
    ["GET", "/controller/network/7d6fc6c76500beef/member"],
    ["DELETE", "/controller/network/7d6fc6c76500beef/member/19810BB6A3"],
    ["GET", "/unstable/controller/network"],
    ["GET", "/unstable/controller/network/7d6fc6c76500beef/member"],
  ];
  for (const [method, path] of good) {
    assert.ok(routeApi(method, path), path);
    assert.equal(routeApi(method, `${path}/`), undefined, `${path}/`);
    assert.equal(routeApi(method, `/${path}`), undefined, `/${path}`);
  }
  const bad: [string, string][] = [
    ["POST", "/controller"],
    ["DELETE", "/controller/network"],
    ["GET", "/controller/network/7d6fc6c765______"],
    ["GET", "/controller/network/7d6fc6c76500bee"],
    ["POST", "/controller/network/7d6fc6c76500beef/member"],
    ["GET", "/controller/network/7d6fc6c76500beef/members/19810bb6a3"],
    ["GET", "/controller/network/7d6fc6c76500beef/member/19810bb6a"],
    ["POST", "/unstable/controller/network"],
    ["GET", "/unstable/controller/network/7d6fc6c76500beef"],
    ["toString", "/controller"],
  ];
  for (const [method, path] of bad) assert.equal(routeApi(method, path), undefined, path);
});

Deno.test("Controller reads request metadata of any bytes", () => {
  const harness = new Harness();
  harness.post(PATH, { private: false });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), (said) => {
      assert.equal(harness.request(NETWORK, ALICE, said)?.kind, "config");
    }),
    { numRuns: 50 },
  );
});
