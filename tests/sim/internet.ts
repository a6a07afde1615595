/**
 * Where datagrams travel: realms (address spaces), what is attached to them, and links with their
 * faults. The Internet is a realm; behind each NAT lies another, whose gateway the NAT is.
 * @module
 */
import { type Endpoint, type Ip, sameIp } from "../../lib/base/ip.ts";
import { endpointKey } from "../../lib/peer/path.ts";
import type { Rng } from "./rng.ts";

/** What one's connection to a realm is like. A datagram crosses the sender's link and the receiver's. */
export interface LinkConditions {
  /** One way, milliseconds. */
  latencyMs: number;
  /** Added to the latency, up to this much, evenly. */
  jitterMs: number;
  lossFraction: number;
  duplicateFraction: number;
  /** Share of datagrams held back by up to `reorderMs`, so that later ones overtake them. */
  reorderFraction: number;
  reorderMs: number;
  /** Largest IP packet; larger ones vanish, as behind a router that says nothing. */
  mtuBytes: number;
}

export const GOOD_LINK: LinkConditions = {
  latencyMs: 5,
  jitterMs: 0,
  lossFraction: 0,
  duplicateFraction: 0,
  reorderFraction: 0,
  reorderMs: 30,
  mtuBytes: 1500,
};

/** A UDP datagram under way. `bytes` belong to nobody: receivers copy what they change. */
export interface Datagram {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
  readonly ttl: number;
  /** Host it was first sent by; undefined when injected. */
  readonly origin: Named | undefined;
}

/** Something with a name, for partitions and reports. */
export interface Named {
  readonly name: string;
}

/** Takes what arrives at an address of a realm. */
export interface Attachment {
  readonly link: LinkConditions;
  /** The machine it belongs to; undefined for NATs. */
  readonly owner?: Named;
  receive(datagram: Datagram): void;
}

/** The clock and chance a realm needs of its world. */
export interface Fabric {
  readonly linkRng: Rng;
  after(delayMs: number, run: () => void): void;
  /** Whether the world forbids this datagram to arrive there: partitions, filters of a scenario. */
  isCut(datagram: Datagram, receiver: Attachment): boolean;
}

const UDP_IPV4_BYTES = 28; // IP and UDP headers
const UDP_IPV6_BYTES = 48;
const TTL_DEFAULT = 64;
const LIMITED_BROADCAST: Ip = Uint8Array.of(255, 255, 255, 255);

/** An address as a map key that is cheap to make. */
export function addressKey(ip: Ip): number | string {
  return endpointKey({ ip, port: 0 });
}

/** Bytes on the wire, IP and UDP headers included. */
export function wireBytes(bytes: Uint8Array, to: Endpoint): number {
  return bytes.length + (to.ip.length === 4 ? UDP_IPV4_BYTES : UDP_IPV6_BYTES);
}

export class Realm {
  readonly #attached = new Map<number | string, Attachment>();
  /** Where datagrams for addresses not of this realm go. */
  gateway: Attachment | undefined;

  /** @param routerHops Routers between any two addresses here: what a short-lived datagram must survive */
  constructor(readonly name: string, readonly fabric: Fabric, readonly routerHops: number) {}

  attach(ip: Ip, attachment: Attachment): void {
    this.#attached.set(addressKey(ip), attachment);
  }

  detach(ip: Ip): void {
    this.#attached.delete(addressKey(ip));
  }

  isTaken(ip: Ip): boolean {
    return this.#attached.has(addressKey(ip));
  }

  /** Sends a datagram from something attached here; it arrives later, several times, or never. */
  send(datagram: Datagram, by: Attachment): void {
    if (sameIp(datagram.to.ip, LIMITED_BROADCAST)) return this.#broadcast(datagram, by);
    const local = this.#attached.get(addressKey(datagram.to.ip));
    const receiver = local ?? this.gateway;
    if (!receiver || (receiver === by && !local)) return; // no route
    const hops = local ? this.routerHops : 0;
    if (datagram.ttl <= hops) return;
    this.#carry({ ...datagram, ttl: datagram.ttl - hops }, by, receiver);
  }

  /** To everybody on the link; no router passes it on. */
  #broadcast(datagram: Datagram, by: Attachment): void {
    if (this.routerHops > 0) return;
    for (const receiver of new Set(this.#attached.values())) {
      if (receiver !== by) this.#carry(datagram, by, receiver);
    }
  }

  #carry(datagram: Datagram, by: Attachment, receiver: Attachment): void {
    const { linkRng } = this.fabric;
    const size = wireBytes(datagram.bytes, datagram.to);
    if (size > by.link.mtuBytes || size > receiver.link.mtuBytes) return;
    const copies = linkRng.chance(by.link.duplicateFraction) ||
        linkRng.chance(receiver.link.duplicateFraction)
      ? 2
      : 1;
    for (let i = 0; i < copies; i++) {
      if (linkRng.chance(by.link.lossFraction) || linkRng.chance(receiver.link.lossFraction)) {
        continue;
      }
      const delayMs = delayOf(by.link, linkRng) + delayOf(receiver.link, linkRng);
      this.fabric.after(delayMs, () => {
        if (!this.fabric.isCut(datagram, receiver)) receiver.receive(datagram);
      });
    }
  }
}

function delayOf(link: LinkConditions, rng: Rng): number {
  let delayMs = link.latencyMs;
  if (link.jitterMs > 0) delayMs += rng.fraction() * link.jitterMs;
  if (rng.chance(link.reorderFraction)) delayMs += rng.fraction() * link.reorderMs;
  return delayMs;
}

/** A datagram as a host makes it. */
export function datagramOf(
  parts: Pick<Datagram, "from" | "to" | "bytes"> & { ttl?: number; origin?: Named },
): Datagram {
  return { ...parts, ttl: parts.ttl ?? TTL_DEFAULT, origin: parts.origin };
}
