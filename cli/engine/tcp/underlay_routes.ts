/**
 * Ways to relays past our own networks. A default route through one of them would lead the
 * connection that carries it into itself: UDP sockets are bound to their devices, but connections
 * made by the runtime are not. So each relay in use gets a route of its own, the way the machine
 * would go there without us.
 *
 * Source: spec 04 section 13.4 (default routes as two halves); `ip-route(8)`: the longest prefix wins.
 * @module
 */
import type { NetworkSettings, Route } from "../../../ffi/mod.ts";
import { SystemError } from "../../../lib/base/errors.ts";
import { contains, formatIp, type Ip } from "../../../lib/base/ip.ts";

/** Tells our routes from those of others, also after a service that did not end in order. */
const METRIC = 9_993;

/** What ways are made of. */
export interface UnderlayRoutesOptions {
  readonly network: NetworkSettings;
  /** Whether packets to that address go into one of our networks. */
  readonly isCaptured: (ip: Ip) => boolean;
  /** Whether a device is one of our own. */
  readonly isOwnDevice: (index: number) => boolean;
  readonly log: (line: string) => void;
}

export class UnderlayRoutes {
  readonly #options: UnderlayRoutesOptions;
  readonly #held = new Map<string, Route>(); // by address; as many as connections to relays
  #isClean = false;

  constructor(options: UnderlayRoutesOptions) {
    this.#options = options;
  }

  /** From now on these addresses are reached past our networks, and no others. */
  keep(ips: readonly Ip[]): void {
    const wanted = new Map(ips.map((ip) => [formatIp(ip), ip]));
    for (const [text, route] of this.#held) {
      if (wanted.has(text)) continue;
      this.#held.delete(text);
      this.#try(() => this.#options.network.removeRoute(route));
    }
    for (const [text, ip] of wanted) {
      if (this.#held.has(text) || !this.#options.isCaptured(ip)) continue;
      this.#try(() => this.#add(text, ip));
    }
  }

  /** Addresses or gateways of the machine changed: the ways are looked for anew by the next {@linkcode keep}. */
  forget(): void {
    this.keep([]);
  }

  #add(text: string, ip: Ip): void {
    const { network, isOwnDevice } = this.#options;
    const routes = network.routes();
    this.#clean(routes);
    const others = routes.filter(({ target, index, metric }) =>
      target.ip.length === ip.length && contains(target, ip) &&
      index !== undefined && !isOwnDevice(index) && metric !== METRIC
    );
    const [way] = others.sort((a, b) =>
      b.target.bits - a.target.bits || (a.metric ?? 0) - (b.metric ?? 0)
    );
    if (!way) return;
    const target = { ip, bits: 8 * ip.length };
    const route = { ...way, target, metric: METRIC };
    network.replaceRoute(route);
    this.#held.set(text, route);
  }

  /** Removes what a service that was killed left behind, once. */
  #clean(routes: readonly Route[]): void {
    if (this.#isClean) return;
    this.#isClean = true;
    for (const route of routes) {
      const isOurs = route.metric === METRIC && route.target.bits === 8 * route.target.ip.length;
      if (isOurs) this.#try(() => this.#options.network.removeRoute(route));
    }
  }

  #try(change: () => unknown): void {
    try {
      change();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#options.log(`a relay may not be reached past our networks: ${error.message}`);
    }
  }
}
