/**
 * What `local.conf` says, as the node takes it: what it asks for in passing is looked up anew each time, so that a change
 * counts at once.
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

/** @param current The settings in force */
export function nodeSettings(current: () => Settings): Partial<NodeSettings> {
  const { major, minor, revision } = ANNOUNCED_VERSION;
  const { cipher, relayBytesPerSecond, bonds } = current();
  return {
    cipher,
    relayBytesPerSecond,
    // 11 makes the reference seal with Salsa20/12, and we send that too unless told otherwise (`#cipherFor()` in `lib/node/vl1.ts`).
    // Measured by `deno task bench --crypto`, packets of 1427 and 2827 bytes: AES-GMAC-SIV in our WebAssembly 220 to 310 MB/s,
    // Salsa20/12 and Poly1305 1,050 to 1,320: without AES instructions, which WebAssembly has not, it takes four to five times as long,
    // and only Salsa20/12 is opened in the data Worker.
    announceProtocol: cipher === "aes" ? 12 : 11,
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
