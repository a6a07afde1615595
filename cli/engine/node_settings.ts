/**
 * What `local.conf` says, as the node takes it: what it asks for in passing is looked up anew each
 * time, so that a change counts at once.
 *
 * Source: spec 06 section 6.
 * @module
 */
import type { Address } from "../../lib/base/ids.ts";
import { contains, type Endpoint } from "../../lib/base/ip.ts";
import type { NodeSettings } from "../../lib/node/machine.ts";
import { bondPolicyFor } from "./bond_settings.ts";
import { physicalFor, type Settings } from "./settings.ts";
import { ANNOUNCED_VERSION } from "./version.ts";

/**
 * @param current The settings in force
 * @param fastAes Whether the data Worker has AES that is faster than Salsa20/12
 */
export function nodeSettings(current: () => Settings, fastAes: boolean): Partial<NodeSettings> {
  const { major, minor, revision } = ANNOUNCED_VERSION;
  const { cipher, relayBytesPerSecond, bonds } = current();
  return {
    cipher,
    relayBytesPerSecond,
    // 12 makes the reference, and other nodes of ours, seal with AES-GMAC-SIV what is for us; 11
    // gives Salsa20/12. Whichever is opened faster here: measured by `deno task bench --crypto`,
    // packets of 1427 and 2827 bytes, MB/s, Salsa20/12 in WebAssembly 1,050 to 1,320, AES in
    // WebAssembly 200 to 310 (it has no AES instructions), by libcrypto 1,600 to 2,600. With 12 the
    // reference also spends less on what it sends us: it has AES instructions, and is slower with
    // Salsa20/12.
    announceProtocol: cipher === "aes" || (cipher === "auto" && fastAes) ? 12 : 11,
    announceVersion: [major, minor, revision],
    platform: `linux/${Deno.build.arch === "aarch64" ? "arm64" : "x86_64"}`,
    isForbidden: (endpoint, peer) => isForbidden(current(), endpoint, peer),
    trustedPathId: (endpoint) => trustedPathId(current(), endpoint),
    bondPolicy: bonds && ((peer) => bondPolicyFor(bonds, peer)),
    isLowBandwidth: () => current().lowBandwidthMode,
    wantsNames: () => current().names,
    pathMtu: (endpoint) => physicalFor(current(), endpoint.ip)?.mtu || undefined,
  };
}

function isForbidden({ physical, peers }: Settings, endpoint: Endpoint, peer: Address): boolean {
  if (physical.some((entry) => entry.blacklist && contains(entry.network, endpoint.ip))) {
    return true;
  }
  const about = peers.find((entry) => entry.address === peer);
  return about?.blacklist.some((network) => contains(network, endpoint.ip)) ?? false;
}

function trustedPathId(settings: Settings, endpoint: Endpoint): bigint | undefined {
  const entry = physicalFor(settings, endpoint.ip);
  return entry && entry.trustedPathId !== 0n ? entry.trustedPathId : undefined;
}
