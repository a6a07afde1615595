/**
 * Which of our ports face a NAT or a firewall that may be asked: found in the routing table.
 * @module
 */
import type { Link, LinkAddress, NetworkSettings } from "../../../ffi/mod.ts";
import { contains, formatIp, type Ip, Scope, scopeOf } from "../../../lib/base/ip.ts";
import type { MappingWish } from "./mapping.ts";

const WISHES_MAX = 8; // a machine with more uplinks than this is a router itself; bounds what we ask and advertise

/** Ports that are asked for, by family: a mapping on IPv4, an opening in the firewall on IPv6. */
export interface MappablePorts {
  /** A port that is used for nothing else; some routers do not like holes punched through a mapped one. */
  readonly ipv4: number | undefined;
  readonly ipv6: number | undefined;
}

/** An address of ours and the gateway before it. */
export interface Uplink {
  readonly gateway: Ip;
  readonly local: Ip;
  readonly device: string;
  /** Whether the cable is plugged in: nobody can be asked otherwise, and afterwards it is time to ask again. */
  readonly running: boolean;
}

/**
 * Addresses that reach the world through a gateway which may be mapping them: private IPv4, and global IPv6.
 * @param usable Which of our addresses paths may use
 */
export function findUplinks(
  network: Pick<NetworkSettings, "links" | "addresses" | "routes">,
  usable: readonly Ip[],
): Uplink[] {
  const links = new Map(network.links().map((link) => [link.index, link]));
  const addresses = network.addresses();
  const keys = new Set(usable.map(formatIp));
  const found = new Map<string, Uplink>();
  const routes = network.routes().filter(({ target }) => target.bits === 0);
  routes.sort((a, b) => (a.metric ?? 0) - (b.metric ?? 0));
  for (const { gateway, index, target } of routes) {
    const link = links.get(index ?? -1);
    if (!gateway || !link || gateway.length !== target.ip.length) continue;
    for (const local of localAddresses(addresses, link, gateway)) {
      const key = formatIp(local);
      // The route with the lowest metric wins; one gateway an address is what a mapping needs.
      if (!keys.has(key) || found.has(key)) continue;
      found.set(key, { gateway, local, device: link.name, running: link.running });
    }
  }
  return [...found.values()].slice(0, WISHES_MAX);
}

/** Our addresses on the gateway's link that it may translate or guard. */
function localAddresses(addresses: readonly LinkAddress[], link: Link, gateway: Ip): Ip[] {
  return addresses.filter(({ index, prefix, tentative, temporary }) => {
    if (index !== link.index || tentative || temporary) return false;
    if (prefix.ip.length !== gateway.length) return false;
    const scope = scopeOf(prefix.ip);
    if (gateway.length === 16) return scope === Scope.GLOBAL;
    const isTranslated = scope === Scope.PRIVATE || scope === Scope.SHARED;
    return isTranslated && contains(prefix, gateway);
  }).map(({ prefix }) => prefix.ip);
}

/** What to ask of which gateway. */
export function wishesOf(uplinks: readonly Uplink[], ports: MappablePorts): MappingWish[] {
  return uplinks.filter(({ running }) => running).flatMap(({ gateway, local, device }) => {
    const internalPort = local.length === 4 ? ports.ipv4 : ports.ipv6;
    return internalPort === undefined ? [] : [{ gateway, local, device, internalPort }];
  });
}
