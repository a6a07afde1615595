/**
 * Whether the sender of a frame may use the addresses in it, in a form that allocates nothing.
 *
 * Source: spec 04b section 2.4, characteristics.
 * @module
 */
import { type Ip, rfc4193, sameIp, sixPlane } from "../../base/ip.ts";
import { Claim, type FrameView, highOf, lowOf, wordAt } from "./frame_view.ts";
import { FLAG_NDP_EMULATION, type LocalMember, type Ownership } from "./member.ts";

const EMULATED_6PLANE_LENGTH = 5; // bytes all members' 6PLANE addresses on a network share
const EMULATED_RFC4193_LENGTH = 11; // the same for RFC 4193

/** The things of some certificates of ownership. */
export class OwnedThings {
  readonly #ipv4: Int32Array; // one word each
  readonly #ipv6: Int32Array; // four words each
  readonly #macs: Int32Array; // two words each: upper 16 bits, lower 32
  readonly #emulated: readonly Uint8Array[];

  /** @param emulated Leading bytes of IPv6 addresses anybody may use, see {@linkcode emulatedPrefixes} */
  constructor(ownerships: readonly Ownership[], emulated: readonly Uint8Array[] = []) {
    const ips = ownerships.flatMap((ownership) => ownership.ips);
    this.#ipv4 = words(ips.filter((ip) => ip.length === 4));
    this.#ipv6 = words(ips.filter((ip) => ip.length === 16));
    const macs = ownerships.flatMap((ownership) => ownership.macs);
    this.#macs = Int32Array.from(macs.flatMap((mac) => [highOf(mac), lowOf(mac)]));
    this.#emulated = emulated;
  }

  ownsMacSource(frame: FrameView): boolean {
    const { macSourceHigh, macSourceLow } = frame;
    const macs = this.#macs;
    for (let i = 0; i < macs.length; i += 2) {
      if (macs[i] === macSourceHigh && macs[i + 1] === macSourceLow) return true;
    }
    return false;
  }

  /** Whether the address the sender claims is one of these, or needs no ownership. */
  ownsClaim(frame: FrameView): boolean {
    switch (frame.claim()) {
      case Claim.IPV4:
        return this.#ipv4.includes(wordAt(frame.bytes, frame.claimedAt));
      case Claim.IPV6:
        return this.#ownsIpv6(frame.bytes, frame.claimedAt);
      case Claim.ANYTHING:
        return true;
      default:
        return false;
    }
  }

  #ownsIpv6(bytes: Uint8Array, at: number): boolean {
    const ipv6 = this.#ipv6;
    for (let i = 0; i < ipv6.length; i += 4) {
      if (
        ipv6[i] === wordAt(bytes, at) && ipv6[i + 1] === wordAt(bytes, at + 4) &&
        ipv6[i + 2] === wordAt(bytes, at + 8) && ipv6[i + 3] === wordAt(bytes, at + 12)
      ) return true;
    }
    for (let i = 0; i < this.#emulated.length; i++) {
      if (startsWith(bytes, at, this.#emulated[i])) return true;
    }
    return false;
  }
}

function words(ips: readonly Ip[]): Int32Array {
  const all: number[] = [];
  for (const ip of ips) for (let at = 0; at < ip.length; at += 4) all.push(wordAt(ip, at));
  return Int32Array.from(all);
}

function startsWith(bytes: Uint8Array, at: number, prefix: Uint8Array): boolean {
  for (let i = 0; i < prefix.length; i++) if (bytes[at + i] !== prefix[i]) return false;
  return true;
}

/**
 * Leading bytes of the addresses members derive from the network: with NDP emulation they count as
 * the sender's. Quirk: the node address inside is not compared with the sender.
 */
export function emulatedPrefixes(local: LocalMember): Uint8Array[] {
  if ((local.flags & FLAG_NDP_EMULATION) === 0) return [];
  const has = (ip: Ip) => local.staticIps.some((assigned) => sameIp(assigned.ip, ip));
  const plane = sixPlane(local.networkId, local.address).ip;
  const derived = rfc4193(local.networkId, local.address).ip;
  const prefixes: Uint8Array[] = [];
  if (has(plane)) prefixes.push(plane.slice(0, EMULATED_6PLANE_LENGTH));
  if (has(derived)) prefixes.push(derived.slice(0, EMULATED_RFC4193_LENGTH));
  return prefixes;
}
