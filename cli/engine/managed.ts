/**
 * Which of the addresses and routes a network assigns are put on this machine: what the user
 * allows, and what makes sense.
 *
 * Source: spec 04 section 13.2 to 13.4, spec 06 sections 9.3 and 9.4.
 * @module
 */
import {
  commonBits,
  contains,
  type Ip,
  networkOf,
  parsePrefix,
  type Prefix,
  sameIp,
  Scope,
  scopeOf,
} from "../../lib/base/ip.ts";
import type { PortConfig } from "../../lib/network/network.ts";
import type { LocalNetworkSettings } from "./home_files.ts";

const GATEWAY_METRIC = 5_000; // as the reference: routes of the machine itself come first
const WIDEST_BITS = { v4: 8, v6: 7 }; // of the private ranges: an address brings a route to its own network

/** A route to install on a network's device. */
export interface ManagedRoute {
  readonly target: Prefix;
  readonly gateway: Ip | undefined;
  readonly metric: number | undefined;
  /** Preferred source address. */
  readonly source: Ip;
}

/** What one network puts on this machine. */
export interface Managed {
  readonly addresses: Prefix[];
  readonly routes: ManagedRoute[];
}

/** What is to be on the device. @param online Routes through a default gateway wait for an upstream */
export function managedFor(
  port: PortConfig,
  settings: LocalNetworkSettings,
  online: boolean,
): Managed {
  const addresses = port.addresses.filter((prefix) => isAllowed(prefix, settings))
    .map((prefix) => narrowed(prefix, settings));
  const routes: ManagedRoute[] = [];
  const taken = new Set<string>();
  const onLinkFirst = [...port.routes].sort((a, b) => Number(!!a.via) - Number(!!b.via));
  for (const { target, via } of onLinkFirst) {
    // Not as it is written: 10.0.0.0/0 is the default route.
    if (!isAllowed(networkOf(target), settings)) continue;
    if (via && (via.length !== target.ip.length || isOwn(via, addresses))) continue;
    const source = sourceFor(target, addresses);
    if (!source || comesWithAddress(target, addresses)) continue;
    const isDefault = target.bits === 0;
    if (isDefault && via && !online) continue;
    for (const half of isDefault ? halvesOf(target) : [networkOf(target)]) {
      const key = `${half.ip.join(".")}/${half.bits}`;
      if (taken.has(key)) continue;
      taken.add(key);
      routes.push({ target: half, gateway: via, metric: via ? GATEWAY_METRIC : undefined, source });
    }
  }
  return { addresses, routes };
}

/** Whether the user lets a network assign this address, or route to it. */
export function isAllowed(target: Prefix, settings: LocalNetworkSettings): boolean {
  const { allowManaged, managedOnly, allowDefault, allowGlobal } = settings;
  if (!allowManaged) return false;
  const listed = managedOnly.length === 0 ||
    managedOnly.some((prefix) => contains(prefix, target.ip) && prefix.bits <= target.bits);
  if (!listed) return false;
  if (target.bits === 0 && target.ip.every((byte) => byte === 0)) return allowDefault;
  switch (scopeOf(target.ip)) {
    case Scope.GLOBAL:
      return allowGlobal;
    case Scope.PRIVATE:
    case Scope.PSEUDOPRIVATE:
    case Scope.SHARED:
      return true;
    default:
      return false;
  }
}

/** The address alone where its network would take in what the user did not allow. */
function narrowed(prefix: Prefix, settings: LocalNetworkSettings): Prefix {
  const { ip, bits } = prefix;
  const isWide = bits < (ip.length === 4 ? WIDEST_BITS.v4 : WIDEST_BITS.v6);
  if (!isWide || isAllowed(networkOf(prefix), settings)) return prefix;
  return { ip, bits: ip.length * 8 };
}

function isOwn(ip: Ip, addresses: readonly Prefix[]): boolean {
  return addresses.some((address) => sameIp(address.ip, ip));
}

/** The kernel makes the route to an address's own network itself. */
function comesWithAddress(target: Prefix, addresses: readonly Prefix[]): boolean {
  return addresses.some((address) => address.bits === target.bits && contains(target, address.ip));
}

/** The own address that shares most bits with the target. */
function sourceFor(target: Prefix, addresses: readonly Prefix[]): Ip | undefined {
  let best: Ip | undefined;
  for (const { ip } of addresses) {
    if (ip.length !== target.ip.length) continue;
    if (!best || commonBits(ip, target.ip) > commonBits(best, target.ip)) best = ip;
  }
  return best;
}

/** A default route as two halves, so that the machine's own default stays as it is. */
function halvesOf(target: Prefix): Prefix[] {
  return (target.ip.length === 4 ? ["0.0.0.0/1", "128.0.0.0/1"] : ["::/1", "8000::/1"])
    .map((text) => parsePrefix(text)!);
}
