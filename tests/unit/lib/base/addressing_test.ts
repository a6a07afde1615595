import assert from "node:assert/strict";
import {
  addressOfMac,
  formatAddress,
  formatMac,
  macOf,
  parseAddress,
  parseMac,
  parseNetworkId,
} from "../../../../lib/base/ids.ts";
import { formatPrefix, linkLocal, rfc4193, sixPlane } from "../../../../lib/base/ip.ts";
import { countVectors } from "../../../vectors/count.ts";
import { loadVectors } from "../../../vectors/load.ts";

interface AddressingVectors {
  vectors: Record<
    "network_id" | "address" | "mac" | "address_from_mac" | "rfc4193" | "6plane" | "link_local",
    string
  >[];
}
const { vectors } = loadVectors<AddressingVectors>("addressing.json");

Deno.test("macOf(), rfc4193(), sixPlane() and linkLocal() derive the recorded addresses", () => {
  for (const v of vectors) {
    const id = parseNetworkId(v.network_id)!;
    const address = parseAddress(v.address)!;
    const mac = macOf(address, id);
    assert.equal(formatMac(mac), v.mac);
    assert.equal(formatAddress(addressOfMac(parseMac(v.mac)!, id)), v.address_from_mac);
    assert.equal(formatPrefix(rfc4193(id, address)), v.rfc4193);
    assert.equal(formatPrefix(sixPlane(id, address)), v["6plane"]);
    assert.equal(formatPrefix(linkLocal(mac)), v.link_local);
  }
  countVectors("addressing.json", vectors.length);
});
