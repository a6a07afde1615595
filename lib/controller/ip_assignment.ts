/**
 * Which addresses a member has on a network: derived ones, those its record holds, and new ones from the pools.
 *
 * Source: spec 05 section 3.6, whose order and odd limits are kept: nodes and people rely on which address comes out.
 * @module
 */
import type { Address } from "../base/ids.ts";
import {
  contains,
  formatIp,
  type Ip,
  networkOf,
  type Prefix,
  rfc4193,
  sameIp,
  sixPlane,
} from "../base/ip.ts";
import { Reader, Writer } from "../base/bytes.ts";
import type { Random } from "../crypto/primitives.ts";
import type { CompiledNetwork, Pool } from "./compiled_network.ts";
import { parseAddressText } from "./coerced_fields.ts";
import { ConfigLimits } from "../credential/network_config_binary.ts";
import { ASSIGNMENT_TRIALS_MAX } from "./limits.ts";

/** A member and what it holds already. */
export interface HolderOfAddresses {
  readonly network: CompiledNetwork;
  readonly member: Address;
  /** `ipAssignments` of its record. */
  readonly stored: readonly unknown[];
  readonly noAutoAssign: boolean;
}

/** Who wants addresses. */
export interface AddressRequest extends HolderOfAddresses {
  /** Whether any member of the network holds an address, in canonical text. */
  readonly isTaken: (address: string) => boolean;
  readonly random: Random;
}

export interface AssignedAddresses {
  /** At most 32, with the prefix lengths the node configures. */
  readonly prefixes: readonly Prefix[];
  /** Addresses the record must gain before a config may name them, in canonical text. */
  readonly added: readonly string[];
  /** Whether an address was derived: such members answer neighbour discovery themselves. */
  readonly ndpEmulation: boolean;
  /** Addresses tried in pools: what a request costs. */
  readonly trials: number;
}

/** What a member has without being given more: what others may be told of it. */
export function presentAddresses(request: HolderOfAddresses): Ip[] {
  const { network, member, noAutoAssign } = request;
  const derived = noAutoAssign ? [] : derivedAddresses(network, member);
  return [...derived, ...heldAddresses(request)].slice(0, ConfigLimits.STATIC_IPS)
    .map(({ ip }) => ip);
}

/** Decides on all addresses of a member. */
export function assignAddresses(request: AddressRequest): AssignedAddresses {
  const { network, noAutoAssign } = request;
  const derived = noAutoAssign ? [] : derivedAddresses(network, request.member);
  const held = heldAddresses(request);
  const search = new PoolSearch(request);
  const found: Prefix[] = [];
  // One that there is no room to tell of would be looked for again at every request, until the pool is empty.
  const wants = !noAutoAssign && derived.length + held.length < ConfigLimits.STATIC_IPS;
  if (wants && network.assignV6 && !held.some(isV6)) found.push(...search.v6());
  if (wants && network.assignV4 && !held.some(isV4)) found.push(...search.v4());
  return {
    prefixes: [...derived, ...held, ...found].slice(0, ConfigLimits.STATIC_IPS),
    added: found.map((prefix) => formatIp(prefix.ip)),
    ndpEmulation: derived.length > 0,
    trials: search.trials,
  };
}

function isV6(prefix: Prefix): boolean {
  return prefix.ip.length === 16;
}

function isV4(prefix: Prefix): boolean {
  return prefix.ip.length === 4;
}

function derivedAddresses(network: CompiledNetwork, member: Address): Prefix[] {
  const derived: Prefix[] = [];
  if (network.rfc4193) derived.push(rfc4193(network.id, member));
  if (network.sixPlane) derived.push(sixPlane(network.id, member));
  return derived;
}

/** Stored addresses that some route covers, each with the longest prefix length that does. */
function heldAddresses({ network, stored }: HolderOfAddresses): Prefix[] {
  const held: Prefix[] = [];
  for (const text of stored) {
    if (held.length === ConfigLimits.STATIC_IPS) break;
    const ip = parseAddressText(text as string);
    if (!ip) continue;
    let bits = -1;
    for (const { target } of network.routes) {
      if (target.bits > bits && contains(target, ip)) bits = target.bits;
    }
    if (bits >= 0) held.push({ ip, bits });
  }
  return held;
}

/** Looks through the pools of a network for an address nobody has. */
class PoolSearch {
  readonly #request: AddressRequest;
  readonly #own: ReadonlySet<string>;
  trials = 0;

  constructor(request: AddressRequest) {
    this.#request = request;
    const own = request.stored.map((text) => parseAddressText(text as string));
    this.#own = new Set(own.filter((ip) => ip !== undefined).map(formatIp));
  }

  v6(): Prefix[] {
    for (const pool of this.#request.network.pools) {
      if (pool.start.length !== 16) continue;
      const found = this.#searchV6(halves(pool.start), halves(pool.end));
      if (found) return [found];
    }
    return [];
  }

  #searchV6(start: Halves, end: Halves): Prefix | undefined {
    const lowSpan = end.low > start.low ? end.low - start.low : 0n;
    const highSpan = end.high > start.high ? end.high - start.high : 0n;
    const fitsAddress = lowSpan >= 0xff_ffff_ffffn;
    for (let trial = 0; trial < ASSIGNMENT_TRIALS_MAX; trial++) {
      this.trials++;
      const ip = trial === 0 && fitsAddress
        ? joinHalves(start.high, start.low + BigInt(this.#request.member))
        : joinHalves(start.high + this.#below(highSpan), start.low + this.#below(lowSpan));
      const bits = this.#onLinkBits(ip);
      if (bits > 0 && this.#isFree(ip)) return { ip, bits };
    }
    return undefined;
  }

  /** A random number less than `span`; 0 when there is no span. The end of a pool is never chosen. */
  #below(span: bigint): bigint {
    if (span === 0n) return 0n;
    const bytes = new Uint8Array(8);
    this.#request.random(bytes);
    return new Reader(bytes, "random").u64() % span;
  }

  /** Prefix length of the last route without gateway that covers an address; 0 when there is none. */
  #onLinkBits(ip: Ip): number {
    let bits = 0;
    for (const { target, via } of this.#request.network.routes) {
      if (!via && contains(target, ip)) bits = target.bits;
    }
    return bits;
  }

  v4(): Prefix[] {
    for (const pool of this.#request.network.pools) {
      if (pool.start.length !== 4) continue;
      const found = this.#searchV4(pool);
      if (found) return [found];
    }
    return [];
  }

  #searchV4(pool: Pool): Prefix | undefined {
    const start = new Reader(pool.start, "pool").u32();
    const span = new Reader(pool.end, "pool").u32() - start; // the end is never assigned, unless it is the start
    if (span < 0 || start === 0) return undefined;
    let counter = this.#request.member % 0x1_0000_0000;
    const trials = Math.min(span + 1, ASSIGNMENT_TRIALS_MAX);
    for (let trial = 0; trial < trials; trial++) {
      this.trials++;
      const number = span > 0 ? start + (counter % span) : start;
      counter = (counter + 1) % 0x1_0000_0000;
      if (number % 256 === 255) continue; // .255 is never assigned, .0 may be
      const ip = new Writer(4).u32(number).finish();
      const bits = this.#firstExactBits(ip);
      if (bits > 0 && this.#isFree(ip)) return { ip, bits };
    }
    return undefined;
  }

  /** Prefix length of the first route whose target is an address's network; a target with host bits never is. */
  #firstExactBits(ip: Ip): number {
    for (const { target } of this.#request.network.routes) {
      if (target.ip.length !== 4 || target.bits === 0) continue; // a default route hands out nothing
      if (sameIp(networkOf({ ip, bits: target.bits }).ip, target.ip)) return target.bits;
    }
    return 0;
  }

  #isFree(ip: Ip): boolean {
    const text = formatIp(ip);
    return !this.#own.has(text) && !this.#request.isTaken(text);
  }
}

interface Halves {
  readonly high: bigint;
  readonly low: bigint;
}

function halves(ip: Ip): Halves {
  const r = new Reader(ip, "address");
  return { high: r.u64(), low: r.u64() };
}

function joinHalves(high: bigint, low: bigint): Ip {
  return new Writer(16).u64(high & 0xffff_ffff_ffff_ffffn).u64(low & 0xffff_ffff_ffff_ffffn)
    .finish();
}
