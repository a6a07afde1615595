import assert from "node:assert/strict";
import type { Address } from "../../../../lib/base/ids.ts";
import { parseEndpoint } from "../../../../lib/base/ip.ts";
import { nodeSettings } from "../../../../cli/engine/node_settings.ts";
import { parseSettings } from "../../../../cli/engine/settings.ts";

const PEER = 0x8056c2e21c as Address;
const OTHER = 0x8056c2e21d as Address;
const endpoint = (text: string) => parseEndpoint(text)!;

Deno.test("nodeSettings() keeps from networks and peers what local.conf forbids", () => {
  const settings = parseSettings({
    physical: {
      "10.0.0.0/8": { blacklist: true },
      "192.0.2.0/24": { trustedPathId: 7, mtu: 1_400 },
    },
    virtual: { "8056c2e21c": { blacklist: ["203.0.113.0/24"] } },
  });
  const { isForbidden, trustedPathId, pathMtu } = nodeSettings(() => settings, false);
  assert.equal(isForbidden!(endpoint("10.1.2.3/9993"), OTHER), true);
  assert.equal(isForbidden!(endpoint("203.0.113.1/9993"), PEER), true);
  assert.equal(isForbidden!(endpoint("203.0.113.1/9993"), OTHER), false);
  assert.equal(trustedPathId!(endpoint("192.0.2.1/1")), 7n);
  assert.equal(trustedPathId!(endpoint("192.0.3.1/1")), undefined);
  assert.deepEqual(["192.0.2.1/1", "192.0.3.1/1"].map((ip) => pathMtu!(endpoint(ip))), [
    1_400,
    undefined,
  ]);
});

Deno.test("nodeSettings() looks at the settings in force each time, and announces what fits the cipher", () => {
  let settings = parseSettings({ settings: { cipher: "aes" } });
  const { announceProtocol, isLowBandwidth, isForbidden } = nodeSettings(() => settings, false);
  assert.equal(announceProtocol, 12);
  assert.equal(isLowBandwidth!(), false);
  settings = parseSettings({
    settings: { lowBandwidthMode: true },
    physical: { "10.0.0.0/8": { blacklist: true } },
  });
  assert.equal(isLowBandwidth!(), true);
  assert.equal(isForbidden!(endpoint("10.1.2.3/9993"), PEER), true);
  assert.equal(nodeSettings(() => settings, false).announceProtocol, 11);
  assert.equal(nodeSettings(() => settings, true).announceProtocol, 12);
});
