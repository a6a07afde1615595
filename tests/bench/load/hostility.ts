/**
 * What somebody hostile sends, made beforehand: ten thousand a second leave no time to think.
 * @module
 */
import { concat, Writer } from "../../../lib/base/bytes.ts";
import type { Address, NetworkId } from "../../../lib/base/ids.ts";
import type { Endpoint } from "../../../lib/base/ip.ts";
import { Identity } from "../../../lib/identity/identity.ts";
import { encodeMulticastGather } from "../../../lib/wire/multicast_gather.ts";
import { encodeMulticastLike } from "../../../lib/wire/multicast_like.ts";
import { encodeNetworkConfigRequest } from "../../../lib/wire/network_config_request.ts";
import {
  AT_DESTINATION,
  AT_MAC,
  AT_SOURCE,
  FLAG_FRAGMENTED,
  FRAGMENT_MARKER,
  Verb,
} from "../../../lib/wire/packet.ts";
import { encodePushDirectPaths } from "../../../lib/wire/push_direct_paths.ts";
import { encodeRendezvous } from "../../../lib/wire/rendezvous.ts";
import { encodeWhois } from "../../../lib/wire/whois.ts";
import type { Speaker } from "./speaker.ts";

const POOL = 600; // packets of each kind of attacker, sent again and again
const FLAGS_SALSA = 0x88; // encrypted, cipher 1

export function random(lengthBytes: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(lengthBytes));
}

export function below(limit: number): number {
  return Math.floor(Math.random() * limit);
}

const someAddress = () => 1 + below(0xfe_ffff_ffff) as Address;
/** In nobody's prefix: what a victim sends there is for introductions' budgets to bound, and is not counted. */
const someEndpoint = (): Endpoint => {
  const ip = random(4);
  ip[0] = 99;
  return { ip, port: 1 + below(60_000) };
};
const someNetwork = () => BigInt(below(2 ** 48)) as NetworkId;
const someGroup = () => ({ mac: below(2 ** 47) as never, adi: below(2 ** 31) });

function putAddress(bytes: Uint8Array, at: number, address: Address): void {
  for (let i = 4, rest = address as number; i >= 0; i--, rest = Math.floor(rest / 256)) {
    bytes[at + i] = rest % 256;
  }
}

/** A fragment, or a head that waits for some, of a packet that will never be whole. */
function piece(victim: Identity, lengthBytes: number): Uint8Array {
  const bytes = random(lengthBytes);
  putAddress(bytes, AT_DESTINATION, victim.address);
  if (Math.random() < 0.5) bytes.set([FRAGMENT_MARKER, (7 << 4) | (1 + below(6)), 0], AT_SOURCE);
  else bytes[18] = FLAG_FRAGMENTED | FLAGS_SALSA;
  return bytes;
}

/** What a stranger can send: nothing of it is authentic, and no proof of work holds. */
export function strangersPackets(victim: Speaker, makers: readonly Speaker[]): Uint8Array[] {
  const { victim: to } = victim;
  const garbage = () => {
    const bytes = random(17 + below(400));
    if (bytes.length >= AT_MAC) putAddress(bytes, AT_DESTINATION, to.address);
    return bytes;
  };
  const kinds: (() => Uint8Array)[] = [
    () => forgedHello(makers[below(makers.length)]),
    () => brokenHello(makers[below(makers.length)]),
    garbage,
    () => piece(to, 200 + below(1_000)),
    // Claims to be from somebody, in every verb: that it is not shows only when its sender's key is known.
    () => {
      const bytes = random(28 + below(300));
      putAddress(bytes, AT_DESTINATION, to.address);
      putAddress(bytes, AT_SOURCE, someAddress());
      bytes[18] = FLAGS_SALSA;
      return bytes;
    },
    () => random(below(28)),
  ];
  return Array.from({ length: POOL }, (_, i) => kinds[i % kinds.length]());
}

/** Sealed with a real key, under an address that does not follow from it. */
function forgedHello(maker: Speaker): Uint8Array {
  const { publicKey, secretKey } = maker.mine;
  return maker.hello(new Identity({ address: someAddress(), publicKey, secretKey }));
}

function brokenHello(maker: Speaker): Uint8Array {
  const bytes = forgedHello(maker);
  bytes[AT_MAC] ^= 1;
  return bytes;
}

/** What somebody with a proved identity can send in its own name: all authentic. */
export function peersPackets(peer: Speaker): Uint8Array[] {
  const make = (verb: Verb, fill: (w: Writer) => void) => () => {
    const w = new Writer();
    fill(w);
    return peer.sealed(verb, w.finish());
  };
  const many = <T>(count: number, one: () => T) => Array.from({ length: count }, one);
  const kinds: (() => Uint8Array)[] = [
    make(Verb.ECHO, () => {}),
    make(Verb.ECHO, (w) => w.raw(random(1_000))),
    make(Verb.WHOIS, (w) => encodeWhois(many(20, someAddress), w)),
    make(Verb.WHOIS, (w) => encodeWhois(many(20, () => peer.victim.address), w)),
    make(
      Verb.MULTICAST_LIKE,
      (w) =>
        encodeMulticastLike(many(60, () => ({ networkId: someNetwork(), group: someGroup() })), w),
    ),
    make(
      Verb.MULTICAST_GATHER,
      (w) =>
        encodeMulticastGather({
          networkId: someNetwork(),
          group: someGroup(),
          limit: 1_000,
          com: undefined,
        }, w),
    ),
    make(Verb.NETWORK_CONFIG_REQUEST, (w) =>
      encodeNetworkConfigRequest({
        networkId: (BigInt(peer.victim.address) << 24n | BigInt(below(99))) as NetworkId,
        metadata: random(500),
        haveRevision: 0n,
        haveTimestampMs: 0,
      }, w)),
    make(Verb.PUSH_DIRECT_PATHS, (w) =>
      encodePushDirectPaths(
        many(8, () => ({ endpoint: someEndpoint(), forget: false, redirect: true })),
        w,
      )),
    make(
      Verb.RENDEZVOUS,
      (w) => encodeRendezvous({ peer: someAddress(), endpoint: someEndpoint() }, w),
    ),
    make(Verb.FRAME, (w) => w.u64(someNetwork()).u16(0x800).raw(random(300))),
    make(Verb.EXT_FRAME, (w) => w.u64(someNetwork()).u8(0x10).raw(random(300))),
    make(Verb.MULTICAST_FRAME, (w) => w.u64(someNetwork()).u8(0).raw(random(300))),
    make(Verb.NETWORK_CREDENTIALS, (w) => w.raw(random(800))),
    make(Verb.NETWORK_CONFIG, (w) => w.u64(someNetwork()).raw(random(600))),
    make(Verb.OK, (w) => w.raw(random(80))),
    make(Verb.ERROR, (w) => w.raw(random(40))),
    make(Verb.USER_MESSAGE, (w) => w.raw(random(800))),
    () => peer.hello(),
    () => piece(peer.victim, 1_200),
    () => peer.forAnother(someAddress(), peer.mine.address, 400),
    () => {
      const bytes = peer.sealed(Verb.ECHO, random(30));
      return concat(bytes.subarray(0, bytes.length - 1), random(1)); // not authentic
    },
  ];
  return Array.from({ length: POOL }, (_, i) => kinds[i % kinds.length]());
}

/** What a proved identity says from places it is not at: all it could make a victim answer there. */
export function wanderersPackets(wanderer: Speaker): Uint8Array[] {
  return Array.from({ length: 60 }, (_, i) => {
    if (i % 3 === 0) return wanderer.hello();
    if (i % 3 === 1) return wanderer.sealed(Verb.ECHO, random(below(200)));
    const w = new Writer();
    encodeWhois(Array.from({ length: 12 }, () => wanderer.victim.address), w);
    return wanderer.sealed(Verb.WHOIS, w.finish());
  });
}
