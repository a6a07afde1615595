/** What a member is sent (spec 05 sections 3 and 4). @module */
import assert from "node:assert/strict";
import { toHex } from "../../../../lib/base/bytes.ts";
import { macOf, parseNetworkId } from "../../../../lib/base/ids.ts";
import { formatPrefix, rfc4193, sixPlane } from "../../../../lib/base/ip.ts";
import { verifyCapability } from "../../../../lib/credential/capability.ts";
import { verifyCom } from "../../../../lib/credential/certificate_of_membership.ts";
import {
  ownsIp,
  ownsMac,
  verifyOwnership,
} from "../../../../lib/credential/certificate_of_ownership.ts";
import { ConfigFlag, type NetworkConfig } from "../../../../lib/credential/network_config.ts";
import { verifyTag } from "../../../../lib/credential/tag.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import {
  ALICE,
  BOB,
  configOf,
  keyOf,
  memberPath,
  NETWORK,
  PATH,
  RICH,
  withNetwork,
} from "./cast.ts";
import { Harness } from "./harness.ts";

Deno.test("Controller builds a config with every field of the network and signs every credential", () => {
  const harness = withNetwork(RICH);
  harness.post(memberPath(BOB), { activeBridge: true });
  const config = configOf(harness.request(NETWORK, ALICE));
  const wallMs = harness.time.wallMs;
  assert.equal(config.networkId, parseNetworkId(NETWORK));
  assert.equal(config.issuedTo, ALICE.address);
  assert.equal(config.type, "public");
  assert.equal(config.timestampMs, wallMs);
  assert.equal(config.credentialTimeMaxDeltaMs, 1_800_000);
  assert.equal(config.revision, 1);
  assert.equal(config.name, "x".repeat(100) + "é".repeat(13), "cut to 127 bytes at a character");
  assert.deepEqual([config.mtu, config.multicastLimit], [1_400, 5]);
  assert.equal(config.flags, ConfigFlag.NDP_EMULATION);
  assert.deepEqual([config.traceTarget, config.traceLevel], [0xae2ded7b88, 3]);
  assert.deepEqual(config.specialists, [{ address: BOB.address, roles: 2 }]);
  assert.deepEqual(config.routes.map(({ target }) => formatPrefix(target)), [
    "10.147.17.0/24",
    "10.99.0.0/16",
  ]);
  assert.deepEqual(config.staticIps.map(formatPrefix), [
    formatPrefix(rfc4193(config.networkId, ALICE.address)),
    formatPrefix(sixPlane(config.networkId, ALICE.address)),
    "10.147.17.45/24",
  ]);
  assert.equal(config.dns.domain, "lab.example");
  assert.equal(config.dns.servers.length, 2);
  assert.equal(toHex(config.rules), "2502080001" + "00");
  checkCredentials(config, wallMs);
});

function checkCredentials(config: NetworkConfig, wallMs: number): void {
  const { com, tags, capabilities, ownerships: [ownership] } = config;
  assert.equal(verifyCom(noblePrimitives, com!, keyOf), "ok");
  assert.deepEqual(
    com!.qualifiers.slice(0, 3).map(({ value, maxDelta }) => [value, maxDelta]),
    [
      [BigInt(wallMs), 1_800_000n],
      [parseNetworkId(NETWORK)!, 0n],
      [BigInt(ALICE.address), 0xffff_ffff_ffff_ffffn],
    ],
  );
  assert.equal(com!.qualifiers.length, 7);
  assert.deepEqual(tags.map(({ id, value, timestampMs }) => [id, value, timestampMs]), [[
    5,
    1,
    wallMs,
  ]]);
  assert.equal(verifyTag(noblePrimitives, tags[0], keyOf), "ok");
  assert.deepEqual(capabilities.map(({ id }) => id), [7]);
  assert.equal(verifyCapability(noblePrimitives, capabilities[0], keyOf), "ok");
  assert.equal(config.ownerships.length, 1);
  assert.equal(verifyOwnership(noblePrimitives, ownership, keyOf), "ok");
  for (const { ip } of config.staticIps) assert.ok(ownsIp(ownership, ip));
  assert.ok(ownsMac(ownership, macOf(ALICE.address, config.networkId)));
  assert.equal(ownership.id, 1);
}

Deno.test("Controller tells a node without a rules engine to accept everything, and gives it no tags", () => {
  const harness = withNetwork(RICH);
  const config = configOf(harness.request(NETWORK, ALICE, new Uint8Array(0)));
  assert.equal(toHex(config.rules), "0100");
  assert.deepEqual([config.tags, config.capabilities], [[], []]);
  const member = harness.get(memberPath(ALICE));
  assert.deepEqual([member.tags, member.capabilities, member.vMajor], [[], [], 0]);
});

Deno.test("Controller sends no rules where the network has none", () => {
  const harness = withNetwork({ private: false, rules: [] });
  assert.equal(configOf(harness.request(NETWORK, ALICE)).rules.length, 0);
});

Deno.test("Controller grants default capabilities with the first request only when it is granted", () => {
  const harness = withNetwork({ ...RICH, private: true });
  harness.request(NETWORK, ALICE);
  harness.post(memberPath(ALICE), { authorized: true });
  configOf(harness.request(NETWORK, ALICE));
  assert.deepEqual(harness.get(memberPath(ALICE)).capabilities, []);
});

Deno.test("Controller keeps a member's tag when the default changes, and issues tags nobody defines", () => {
  const harness = withNetwork(RICH);
  configOf(harness.request(NETWORK, ALICE));
  harness.post(PATH, { tags: [{ id: 5, default: 9 }] });
  harness.post(memberPath(ALICE), { tags: [[70, 3], [5, 1]], capabilities: [8, 99] });
  const config = configOf(harness.request(NETWORK, ALICE));
  assert.deepEqual(config.tags.map(({ id, value }) => [id, value]), [[5, 1], [70, 3]]);
  assert.deepEqual(config.capabilities.map(({ id }) => id), [8], "99 is not defined");
});

Deno.test("Controller traces as the member's record says, where it names a target", () => {
  const harness = withNetwork({ ...RICH });
  harness.post(memberPath(ALICE), { remoteTraceTarget: "cab3262c6a", remoteTraceLevel: 1 });
  const config = configOf(harness.request(NETWORK, ALICE));
  assert.deepEqual([config.traceTarget, config.traceLevel], [BOB.address, 1]);
});

Deno.test("Controller clamps the credential window to what the protocol allows", () => {
  for (const [stored, used] of [[1, 300_000], [600_000, 600_000], [1e12, 7_200_000]]) {
    const record = {
      id: NETWORK,
      objtype: "network",
      revision: 1,
      private: false,
      certificateTimeoutWindowSize: stored,
    };
    const harness = new Harness({ networks: [record], members: [] });
    const config = configOf(harness.request(NETWORK, ALICE));
    assert.equal(config.credentialTimeMaxDeltaMs, used);
    assert.equal(config.com!.qualifiers[0].maxDelta, BigInt(used));
  }
});
