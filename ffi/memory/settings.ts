/**
 * Links, addresses and routes in memory.
 * @module
 */
import type { Prefix } from "../../lib/base/ip.ts";
import type {
  Link,
  LinkAddress,
  NetworkChange,
  NetworkSettings,
  NetworkWatch,
  Route,
} from "../machine.ts";
import { sameIp } from "./network.ts";

function samePrefix(a: Prefix, b: Prefix): boolean {
  return a.bits === b.bits && sameIp(a.ip, b.ip);
}

/** {@linkcode NetworkSettings} that only remember. All users of one machine share them. */
export class MemorySettings implements NetworkSettings {
  readonly #links: Link[] = [];
  #addresses: LinkAddress[] = [];
  #routes: Route[] = [];
  readonly #watches = new Set<MemoryWatch>();

  /**
   * @param newFd Gives a descriptor number nobody else has; watches need one
   * @param readable Told the descriptor of each watch that has something to read
   */
  constructor(readonly newFd: () => number, readonly readable: (fd: number) => void) {}

  links(): Link[] {
    return [...this.#links];
  }

  addresses(): LinkAddress[] {
    return [...this.#addresses];
  }

  routes(): Route[] {
    return [...this.#routes];
  }

  /** A device appears. */
  addLink(link: Link): void {
    this.#links.push(link);
    this.#changed("link");
  }

  /** A device vanishes with its addresses and routes. */
  removeLink(index: number): void {
    const at = this.#links.findIndex((link) => link.index === index);
    if (at >= 0) this.#links.splice(at, 1);
    this.#addresses = this.#addresses.filter((address) => address.index !== index);
    this.#routes = this.#routes.filter((route) => route.index !== index);
    this.#changed("link");
  }

  addAddress(index: number, prefix: Prefix): void {
    this.#addresses = this.#without(index, prefix);
    const flags = { temporary: false, deprecated: false, tentative: false };
    this.#addresses.push({ index, prefix, ...flags });
    this.#changed("address");
  }

  removeAddress(index: number, prefix: Prefix): boolean {
    const kept = this.#without(index, prefix);
    const found = kept.length < this.#addresses.length;
    this.#addresses = kept;
    if (found) this.#changed("address");
    return found;
  }

  #without(index: number, prefix: Prefix): LinkAddress[] {
    return this.#addresses.filter((one) => one.index !== index || !samePrefix(one.prefix, prefix));
  }

  addRoute(route: Route): void {
    const isThere = this.#routes.some((one) =>
      samePrefix(one.target, route.target) && one.metric === route.metric &&
      one.index === route.index
    );
    if (isThere) return;
    this.#routes.push(route);
    this.#changed("route");
  }

  replaceRoute(route: Route): void {
    this.#routes = this.#routes.filter((one) =>
      !samePrefix(one.target, route.target) || one.metric !== route.metric
    );
    this.#routes.push(route);
    this.#changed("route");
  }

  removeRoute(route: Route): boolean {
    const count = this.#routes.length;
    this.#routes = this.#routes.filter((one) =>
      !samePrefix(one.target, route.target) ||
      (route.index !== undefined && one.index !== route.index) ||
      (route.metric !== undefined && one.metric !== route.metric)
    );
    const found = this.#routes.length < count;
    if (found) this.#changed("route");
    return found;
  }

  watch(): NetworkWatch {
    const watch = new MemoryWatch(this.newFd(), () => this.#watches.delete(watch));
    this.#watches.add(watch);
    return watch;
  }

  /** Keeps what it knows: it belongs to the machine. */
  close(): void {}

  #changed(change: NetworkChange): void {
    for (const watch of this.#watches) {
      watch.note(change);
      this.readable(watch.fd);
    }
  }
}

class MemoryWatch implements NetworkWatch {
  #changes = new Set<NetworkChange>();

  constructor(readonly fd: number, readonly onClose: () => void) {}

  note(change: NetworkChange): void {
    this.#changes.add(change);
  }

  read(): Set<NetworkChange> {
    const changes = this.#changes;
    this.#changes = new Set();
    return changes;
  }

  close(): void {
    this.onClose();
  }
}
