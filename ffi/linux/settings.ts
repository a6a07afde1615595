/**
 * Links, addresses and routes of the namespace it was opened in.
 * @module
 */
import type { Prefix } from "../../lib/base/ip.ts";
import type { Link, LinkAddress, NetworkSettings, NetworkWatch, Route } from "../machine.ts";
import { addAddress, listAddresses, removeAddress } from "./netlink_address.ts";
import { listLinks } from "./netlink_link.ts";
import { addRoute, listRoutes, removeRoute, replaceRoute } from "./netlink_route.ts";
import { watchNetwork } from "./netlink_watch.ts";
import { Netlink } from "./netlink.ts";

/** {@linkcode NetworkSettings} over rtnetlink. Close it when done. */
export class LinuxSettings implements NetworkSettings {
  /** For what the interface does not offer: creating, moving and deleting devices. */
  readonly netlink: Netlink = Netlink.open();

  links(): Link[] {
    return listLinks(this.netlink);
  }

  addresses(): LinkAddress[] {
    return listAddresses(this.netlink);
  }

  routes(): Route[] {
    return listRoutes(this.netlink);
  }

  addAddress(index: number, prefix: Prefix): void {
    addAddress(this.netlink, index, prefix);
  }

  removeAddress(index: number, prefix: Prefix): boolean {
    return removeAddress(this.netlink, index, prefix);
  }

  addRoute(route: Route): void {
    addRoute(this.netlink, route);
  }

  replaceRoute(route: Route): void {
    replaceRoute(this.netlink, route);
  }

  removeRoute(route: Route): boolean {
    return removeRoute(this.netlink, route);
  }

  watch(): NetworkWatch {
    return watchNetwork();
  }

  close(): void {
    this.netlink.close();
  }
}
