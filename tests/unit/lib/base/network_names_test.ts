import assert from "node:assert/strict";
import { deviceName } from "../../../../lib/base/device_name.ts";
import {
  addressOfMac,
  formatAddress,
  formatMac,
  macOf,
  parseAddress,
  parseMac,
  parseNetworkId,
} from "../../../../lib/base/ids.ts";
import {
  formatPrefix,
  parseIp,
  parsePrefix,
  rfc4193,
  Scope,
  scopeOf,
  sixPlane,
} from "../../../../lib/base/ip.ts";
import {
  addressResolutionGroup,
  BROADCAST_GROUP,
  groupKey,
} from "../../../../lib/base/multicast_group.ts";
import { countVectors } from "../../../vectors/count.ts";
import { vl2 } from "../../../vectors/vl2.ts";

Deno.test("macOf() and addressOfMac() follow from each other", () => {
  for (const v of vl2.mac) {
    const id = parseNetworkId(v.nwid)!;
    assert.equal(formatMac(macOf(parseAddress(v.address)!, id)), v.mac, v.nwid);
    assert.equal(formatAddress(addressOfMac(parseMac(v.mac)!, id)), v.back, v.nwid);
  }
  countVectors("vl2.json: mac", vl2.mac.length);
});

Deno.test("deviceName() names the interface the reference names", () => {
  for (const v of vl2.deviceNames) {
    assert.equal(deviceName(parseNetworkId(v.nwid)!, v.collisions), v.device, v.nwid);
  }
  countVectors("vl2.json: deviceNames", vl2.deviceNames.length);
});

Deno.test("rfc4193() and sixPlane() give a member its IPv6 addresses", () => {
  for (const v of vl2.ipv6) {
    const [id, address] = [parseNetworkId(v.nwid)!, parseAddress(v.address)!];
    assert.equal(formatPrefix(rfc4193(id, address)), formatPrefix(parsePrefix(v.rfc4193)!), v.nwid);
    assert.equal(
      formatPrefix(sixPlane(id, address)),
      formatPrefix(parsePrefix(v.sixplane)!),
      v.nwid,
    );
  }
  countVectors("vl2.json: ipv6", vl2.ipv6.length);
});

Deno.test("addressResolutionGroup() says where to ask for an address", () => {
  for (const v of vl2.addressResolutionGroups) {
    const group = addressResolutionGroup(parsePrefix(v.ip)!.ip);
    assert.equal(formatMac(group.mac), v.mac, v.ip);
    assert.equal(group.adi, v.adi, v.ip);
  }
  countVectors("vl2.json: addressResolutionGroups", vl2.addressResolutionGroups.length);
});

Deno.test("groupKey() tells groups apart", () => {
  const ask = addressResolutionGroup(parseIp("10.0.0.1")!);
  assert.notEqual(groupKey(ask), groupKey(BROADCAST_GROUP));
  assert.equal(groupKey(ask), groupKey({ ...ask }));
});

Deno.test("scopeOf() sorts addresses as the reference does", () => {
  for (const v of vl2.ipScope) {
    const scope = scopeOf(parseIp(v.ip)!);
    assert.equal(scope, v.scopeId, v.ip);
    const name = Object.entries(Scope).find(([, value]) => value === scope)![0];
    assert.equal(name.toLowerCase(), v.scope, v.ip);
  }
  countVectors("vl2.json: ipScope", vl2.ipScope.length);
});
