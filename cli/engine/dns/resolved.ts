/**
 * Tells systemd-resolved which servers know a network's names: for its domains only, all other
 * names go where they went. What it was told about a device it forgets when the device goes, so
 * that a crash leaves nothing behind.
 *
 * Source: org.freedesktop.resolve1(5).
 * @module
 */
import { ApiError } from "../../../lib/base/errors.ts";
import { type BusTarget, withBus } from "./bus.ts";
import { BodyWriter } from "./bus_body.ts";
import type { LinkResolver } from "./network_dns.ts";

const MANAGER: BusTarget = {
  destination: "org.freedesktop.resolve1",
  path: "/org/freedesktop/resolve1",
  interface: "org.freedesktop.resolve1.Manager",
};
const AF_INET = 2;
const AF_INET6 = 10;

/** @param index Of the network's device @throws {ApiError} when it does not run or refuses */
export function setLinkDns(path: string, index: number, dns: LinkResolver): Promise<void> {
  return withBus(path, async (bus) => {
    await bus.call(MANAGER, "SetLinkDNS", { signature: "ia(iay)", body: serversOf(index, dns) });
    const domains = new BodyWriter();
    domains.u32(index).array(8, () => {
      for (const { name, isSearched } of dns.domains) {
        domains.align(8).text(name).bool(!isSearched);
      }
    });
    await bus.call(MANAGER, "SetLinkDomains", { signature: "ia(sb)", body: domains });
    const route = new BodyWriter().u32(index).bool(false);
    try {
      await bus.call(MANAGER, "SetLinkDefaultRoute", { signature: "ib", body: route });
    } catch (error) {
      // Unknown before systemd 240, where a link with a domain of its own is no default either.
      if (!(error instanceof ApiError) || !error.message.includes("UnknownMethod")) throw error;
    }
  });
}

/** Forgets what it was told about a device that stays. @throws {ApiError} when it does not run or refuses */
export function revertLinkDns(path: string, index: number): Promise<void> {
  const body = new BodyWriter().u32(index);
  return withBus(path, (bus) => bus.call(MANAGER, "RevertLink", { signature: "i", body }));
}

function serversOf(index: number, { servers }: LinkResolver): BodyWriter {
  const w = new BodyWriter();
  return w.u32(index).array(8, () => {
    for (const ip of servers) {
      w.align(8).u32(ip.length === 4 ? AF_INET : AF_INET6);
      w.array(1, () => ip.forEach((byte) => w.byte(byte)));
    }
  });
}
