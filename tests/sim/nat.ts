/**
 * Network address translators, by what they map (RFC 4787): endpoint-independent or per
 * destination; filtering by nothing, address, or address and port; ports kept, drawn at random, or
 * one after the other; hairpinning or not; mappings that time out. And a stateful firewall, which
 * is a NAT that changes nothing.
 * @module
 */
import { type Endpoint, type Ip, sameIp } from "../../lib/base/ip.ts";
import { endpointKey } from "../../lib/peer/path.ts";
import {
  addressKey,
  type Attachment,
  type Datagram,
  GOOD_LINK,
  type LinkConditions,
  type Realm,
} from "./internet.ts";
import type { Rng } from "./rng.ts";

export interface NatBehaviour {
  /** What decides the outer port: the inner endpoint alone, or the destination too. */
  readonly mapping: "endpoint-independent" | "address-and-port-dependent";
  /** Who may send in through a mapping. */
  readonly filtering: "endpoint-independent" | "address-dependent" | "address-and-port-dependent";
  readonly ports: "preserved" | "random" | "sequential";
  /** Whether inner hosts reach each other by outer endpoints. */
  readonly hairpin: boolean;
  /** A mapping is gone after this long without a packet from inside. */
  readonly timeoutMs: number;
  /** Nothing passes: only TCP would. */
  readonly dropsUdp?: boolean;
}

const BASE: NatBehaviour = {
  mapping: "endpoint-independent",
  filtering: "address-and-port-dependent",
  ports: "preserved",
  hairpin: false,
  timeoutMs: 120_000, // Linux conntrack, a UDP stream seen both ways
};

/** NATs by name; the first letters of the table kept in the tree. */
export const NATS = {
  eim: { ...BASE, filtering: "endpoint-independent", hairpin: true },
  ar: { ...BASE, filtering: "address-dependent" },
  pr: BASE,
  sym: { ...BASE, mapping: "address-and-port-dependent", ports: "random" },
  seq: { ...BASE, mapping: "address-and-port-dependent", ports: "sequential" },
  cgn: { ...BASE, filtering: "endpoint-independent", ports: "random", timeoutMs: 60_000 },
  udpb: { ...BASE, dropsUdp: true },
} as const satisfies Record<string, NatBehaviour>;

interface Mapping {
  readonly inner: Endpoint;
  readonly outer: Endpoint;
  readonly key: number | string;
  /** Remote endpoints and addresses sent to, with the time. */
  readonly contacted: Map<number | string, number>;
  lastOutMs: number;
}

const EPHEMERAL_PORT_MIN = 1_024;
const PORTS = 65_536 - EPHEMERAL_PORT_MIN;

export class Nat {
  readonly #byKey = new Map<number | string, Mapping>();
  readonly #byPort = new Map<number, Mapping>();
  #nextPort: number;
  /** How it faces the realm outside, and the one inside. */
  readonly outside: Attachment;
  readonly inside: Attachment;

  constructor(
    public behaviour: NatBehaviour,
    readonly parts: {
      inner: Realm;
      outer: Realm;
      outerIp: Ip;
      link: LinkConditions;
      rng: Rng;
      nowMs: () => number;
    },
  ) {
    this.#nextPort = EPHEMERAL_PORT_MIN + parts.rng.below(PORTS);
    this.outside = { link: parts.link, receive: (datagram) => this.#inbound(datagram) };
    const wire = { ...GOOD_LINK, latencyMs: 0 };
    this.inside = { link: wire, receive: (datagram) => this.#outbound(datagram) };
    parts.outer.attach(parts.outerIp, this.outside);
    parts.inner.gateway = this.inside;
  }

  get mappingCount(): number {
    return this.#byKey.size;
  }

  /** Forgets everything, as a router that was switched off and on. */
  reset(): void {
    this.#byKey.clear();
    this.#byPort.clear();
  }

  /** Behaves otherwise from now on, with other mappings: a router after an update, or another in its place. */
  become(behaviour: NatBehaviour): void {
    this.behaviour = behaviour;
    this.reset();
  }

  /** Gets another address outside; mappings go with the old one. */
  readdress(outerIp: Ip): void {
    const { outer } = this.parts;
    outer.detach(this.parts.outerIp);
    this.parts.outerIp = outerIp;
    outer.attach(outerIp, this.outside);
    this.reset();
  }

  #outbound(datagram: Datagram): void {
    if (this.behaviour.dropsUdp || datagram.to.ip.length !== 4 || datagram.ttl <= 1) return;
    const { inner, outer, outerIp } = this.parts;
    const mapping = this.#map(datagram.from, datagram.to);
    if (!mapping) return;
    const nowMs = this.parts.nowMs();
    mapping.lastOutMs = nowMs;
    mapping.contacted.set(endpointKey(datagram.to), nowMs);
    mapping.contacted.set(addressKey(datagram.to.ip), nowMs);
    const translated = { ...datagram, from: mapping.outer, ttl: datagram.ttl - 1 };
    if (!sameIp(datagram.to.ip, outerIp)) outer.send(translated, this.outside);
    else if (this.behaviour.hairpin) {
      const back = this.#accept(translated);
      if (back) inner.send(back, this.inside);
    }
  }

  #inbound(datagram: Datagram): void {
    if (!sameIp(datagram.to.ip, this.parts.outerIp)) return; // a broadcast
    const translated = this.behaviour.dropsUdp ? undefined : this.#accept(datagram);
    if (translated) this.parts.inner.send(translated, this.inside);
  }

  /** @returns the datagram as it goes on inside, if a mapping lets it in */
  #accept(datagram: Datagram): Datagram | undefined {
    const mapping = this.#byPort.get(datagram.to.port);
    if (!mapping || !this.#isAlive(mapping) || datagram.ttl <= 1) return undefined;
    const { filtering } = this.behaviour;
    if (filtering !== "endpoint-independent") {
      const { from } = datagram;
      const who = filtering === "address-dependent" ? addressKey(from.ip) : endpointKey(from);
      const contactedMs = mapping.contacted.get(who);
      if (contactedMs === undefined) return undefined;
      if (this.parts.nowMs() - contactedMs > this.behaviour.timeoutMs) return undefined;
    }
    return { ...datagram, to: mapping.inner, ttl: datagram.ttl - 1 };
  }

  #map(inner: Endpoint, remote: Endpoint): Mapping | undefined {
    const perRemote = this.behaviour.mapping === "address-and-port-dependent";
    const key = perRemote ? `${endpointKey(inner)}>${endpointKey(remote)}` : endpointKey(inner);
    const known = this.#byKey.get(key);
    if (known && this.#isAlive(known)) return known;
    if (known) this.#forget(known);
    const port = this.#choosePort(inner.port);
    if (port === undefined) return undefined;
    const outer = { ip: this.parts.outerIp, port };
    const mapping = { inner, outer, key, contacted: new Map(), lastOutMs: this.parts.nowMs() };
    this.#byKey.set(key, mapping);
    this.#byPort.set(port, mapping);
    return mapping;
  }

  #choosePort(wanted: number): number | undefined {
    if (this.behaviour.ports === "preserved" && this.#isFree(wanted)) return wanted;
    for (let i = 0; i < PORTS; i++) {
      let port = EPHEMERAL_PORT_MIN + this.parts.rng.below(PORTS);
      if (this.behaviour.ports === "sequential") {
        port = this.#nextPort;
        this.#nextPort = port === 65_535 ? EPHEMERAL_PORT_MIN : port + 1;
      }
      if (this.#isFree(port)) return port;
    }
    return undefined;
  }

  #isFree(port: number): boolean {
    const mapping = this.#byPort.get(port);
    if (!mapping) return true;
    if (this.#isAlive(mapping)) return false;
    this.#forget(mapping);
    return true;
  }

  #isAlive(mapping: Mapping): boolean {
    return this.parts.nowMs() - mapping.lastOutMs <= this.behaviour.timeoutMs;
  }

  #forget(mapping: Mapping): void {
    this.#byKey.delete(mapping.key);
    if (this.#byPort.get(mapping.outer.port) === mapping) this.#byPort.delete(mapping.outer.port);
  }
}

/**
 * A firewall without translation: from outside comes only what was asked for from inside. Home routers do this to IPv6.
 * It stands between a host and its realm.
 */
export class Firewall {
  readonly #contacted = new Map<string, number>();

  constructor(readonly timeoutMs: number, readonly nowMs: () => number) {}

  /** Something goes out. */
  note(from: Endpoint, to: Endpoint): void {
    this.#contacted.set(`${endpointKey(from)}>${endpointKey(to)}`, this.nowMs());
  }

  admits(datagram: Datagram): boolean {
    const key = `${endpointKey(datagram.to)}>${endpointKey(datagram.from)}`;
    const contactedMs = this.#contacted.get(key);
    return contactedMs !== undefined && this.nowMs() - contactedMs <= this.timeoutMs;
  }
}
