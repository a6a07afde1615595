/**
 * What the three protocols of port mapping have in common: what is wished, how an attempt ended, and the client each
 * protocol implements.
 * @module
 */
import type { Endpoint, Ip } from "../../../lib/base/ip.ts";
import type { Wire } from "./wire.ts";

/** The protocols, in the order they are tried. */
export type MappingProtocol = "pcp" | "nat-pmp" | "upnp";

/** A port of ours that a gateway shall pass packets to. */
export interface MappingWish {
  /** The gateway: the next hop of a default route. */
  readonly gateway: Ip;
  /** Our address towards it; never all zero. */
  readonly local: Ip;
  /** Device that address is on. */
  readonly device: string;
  readonly internalPort: number;
}

/** A mapping a gateway granted. */
export interface Mapping {
  /** Where the world reaches us. */
  readonly external: Endpoint;
  /** How long it holds, in seconds; Infinity until removed. */
  readonly lifetimeS: number;
}

/** How an attempt ended. */
export type MappingOutcome =
  | { readonly kind: "mapped"; readonly mapping: Mapping }
  | { readonly kind: "refused"; readonly reason: string } // it speaks the protocol and said no
  | { readonly kind: "silent" }; // nobody there speaks it

/** One protocol towards one gateway for one port. It remembers what was granted, to ask for the same again. */
export interface MappingClient {
  readonly protocol: MappingProtocol;
  /** Makes the mapping, or prolongs it. */
  map(wire: Wire, signal: AbortSignal): Promise<MappingOutcome>;
  /** Takes it back; one try, so that a stop is not held up. */
  unmap(wire: Wire): Promise<void>;
}

/**
 * What is asked for; gateways may grant less. As the reference: soon gone when we vanish, soon back
 * when they restart.
 */
export const LIFETIME_S = 600;
/** How long each try waits for an answer over UDP; RFC 6886 begins with 250 ms and doubles. */
export const TRY_MS: readonly number[] = [250, 500, 1_000];
/** How long an orderly stop waits for a gateway. */
export const UNMAP_TRY_MS: readonly number[] = [200];
