import assert from "node:assert/strict";
import { toHex } from "../../../../lib/base/bytes.ts";
import { deviceName } from "../../../../lib/base/device_name.ts";
import {
  type Address,
  formatMac,
  macOf,
  type NetworkId,
  parseAddress,
  parseNetworkId,
} from "../../../../lib/base/ids.ts";
import { formatPrefix } from "../../../../lib/base/ip.ts";
import { adHocConfig } from "../../../../lib/credential/ad_hoc.ts";
import {
  ConfigFlag,
  decodeNetworkConfig,
  encodeNetworkConfig,
} from "../../../../lib/credential/network_config.ts";
import { countVectors } from "../../../vectors/count.ts";
import { vl2 } from "../../../vectors/vl2.ts";

const member = parseAddress(vl2.adhoc.memberAddress)!;

Deno.test("adHocConfig() makes up what the reference shows", () => {
  for (const v of vl2.adhoc.networks) {
    const id = parseNetworkId(v.nwid)!;
    assert.equal(formatMac(macOf(member, id)), v.mac, v.nwid);
    assert.equal(deviceName(id, 0), v.portDeviceName, v.nwid);
    const config = adHocConfig(id, member, 1_000);
    if (v.status === "NOT_FOUND") {
      assert.equal(config, "invalid-range", v.nwid);
    } else if (v.status === "REQUESTING_CONFIGURATION") {
      assert.equal(config, undefined, v.nwid);
    } else {
      assert.ok(config && config !== "invalid-range", v.nwid);
      assert.equal(config.name, v.name);
      assert.equal(config.type.toUpperCase(), v.type);
      assert.equal(config.mtu, v.mtu);
      assert.deepEqual(config.staticIps.map(formatPrefix), v.assignedAddresses);
      assert.equal(config.routes.length, v.routes.length);
      assert.equal(config.revision, v.netconfRevision);
      assert.equal((config.flags & ConfigFlag.BROADCAST) !== 0, v.broadcastEnabled);
      assert.equal(config.timestampMs, 1_000);
      assert.equal(config.issuedTo, member);
      assert.deepEqual(decodeNetworkConfig(encodeNetworkConfig(config)), config);
    }
  }
  countVectors("vl2.json: adhoc", vl2.adhoc.networks.length);
});

Deno.test("adHocConfig() limits the ports of the port range form", () => {
  const config = adHocConfig(0xff0016_0050_000000n as NetworkId, member, 0);
  assert.ok(config && config !== "invalid-range");
  const rules = [
    "a50286dd", // not IPv6
    "0000",
    "24013a", // ICMPv6
    "0100",
    "240111", // UDP
    "640106", // or TCP
    "280400160050", // to these ports
    "0100",
    "a908" + "0000000000000002", // not SYN
    "0100",
    "2908" + "0000000000000002", // SYN
    "2908" + "0000000000000010", // and ACK
    "0100",
    "0000",
  ];
  assert.equal(toHex(config.rules), rules.join(""));
  assert.equal(config.multicastLimit, 0);
  assert.equal(config.credentialTimeMaxDeltaMs, 7_200_000);
});

Deno.test("adHocConfig() names the hub of the IPv4 form, and gives it no role", () => {
  const withHub = adHocConfig(0xff0a_9d2e1f4c3b_01n as NetworkId, member, 0);
  assert.ok(withHub && withHub !== "invalid-range");
  assert.deepEqual(withHub.specialists, [{ address: 0x9d2e1f4c3b as Address, roles: 0 }]);
  assert.equal(toHex(withHub.rules), "0100");
  assert.equal(withHub.multicastLimit, 1_024);
  const without = adHocConfig(0xff0a_0000000000_01n as NetworkId, member, 0);
  assert.ok(without && without !== "invalid-range");
  assert.deepEqual(without.specialists, []);
});

Deno.test("adHocConfig() leaves networks with a controller alone", () => {
  assert.equal(adHocConfig(0x8056c2e21c000001n as NetworkId, member, 0), undefined);
});
