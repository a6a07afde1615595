/**
 * A configuration as the rules see it: this member's own credentials, flags and addresses.
 * @module
 */
import type { Mac } from "../base/ids.ts";
import type { Ip } from "../base/ip.ts";
import { type CertificateOfOwnership, ThingType } from "../credential/certificate_of_ownership.ts";
import type { NetworkConfig } from "../credential/network_config.ts";
import { decodeRules } from "../credential/rule_codec.ts";
import type { LocalMember, Ownership } from "./rules/mod.ts";

/** @throws {WireError} when the rules are malformed, which a decoded configuration's are not */
export function localMemberOf(config: NetworkConfig): LocalMember {
  return {
    address: config.issuedTo,
    networkId: config.networkId,
    flags: config.flags,
    timestampMs: config.timestampMs,
    credentialWindowMs: config.credentialTimeMaxDeltaMs,
    rules: decodeRules(config.rules),
    tags: config.tags.map(({ id, value }) => ({ id, value })),
    capabilities: config.capabilities.map(({ id, rules }) => ({ id, rules: decodeRules(rules) })),
    ownerships: config.ownerships.map(ownershipOf),
    staticIps: config.staticIps,
  };
}

/** What a certificate of ownership names. */
export function ownershipOf(certificate: CertificateOfOwnership): Ownership {
  const ips: Ip[] = [];
  const macs: Mac[] = [];
  for (const { type, value } of certificate.things) {
    if (type === ThingType.IPV4) ips.push(value.subarray(0, 4));
    else if (type === ThingType.IPV6) ips.push(value.subarray(0, 16));
    else if (type === ThingType.MAC) macs.push(macOfBytes(value));
  }
  return { ips, macs };
}

function macOfBytes(bytes: Uint8Array): Mac {
  let mac = 0;
  for (let i = 0; i < 6; i++) mac = mac * 256 + bytes[i];
  return mac as Mac;
}
