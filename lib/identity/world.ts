/**
 * Worlds: the roots everybody relies on (a planet), or that some add for themselves (a moon).
 *
 *     offset  bytes    field
 *     0       1        type: 0 nothing, 1 planet, 127 moon
 *     1       8        world id
 *     9       8        timestamp, milliseconds since 1970, or any revision
 *     17      64       combined public key that must sign the next version
 *     81      96       signature
 *     177     1        number of roots, at most 4
 *     178     ...      roots: identity, number of endpoints (1 byte, at most 32), endpoints
 *     end     2 + n    moons only: length and bytes of a dictionary; skipped, and written empty
 *
 * A world is decoded into less than it may hold: dictionaries, secrets and endpoints of reserved
 * kinds are dropped, and the signature is checked over what is left. Source: spec 01 section 9.
 * @module
 */
import { concat, type Reader, Writer } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { decodeEndpoint, encodeEndpoint, type Endpoint } from "../base/ip.ts";
import type { Primitives } from "../crypto/primitives.ts";
import { Identity, PUBLIC_KEY_BYTES } from "./identity.ts";
import { sign, SIGNATURE_BYTES, type Signer, verify } from "./sign.ts";

export const WorldType = { NULL: 0, PLANET: 1, MOON: 127 } as const;
export type WorldType = typeof WorldType[keyof typeof WorldType];

export const WORLD_ROOTS_MAX = 4; // the reference's; bounds what a packet can make us hold
export const ROOT_ENDPOINTS_MAX = 32; // the reference's
/** The public planet, "Earth". */
export const EARTH_ID = 149_604_618n;

const SIGNED_PREFIX = new Uint8Array(8).fill(0x7f);
const SIGNED_SUFFIX = new Uint8Array(8).fill(0xf7);

/** One root of a world. */
export interface WorldRoot {
  readonly identity: Identity;
  /** Where it can always be reached; undefined entries stand for "nobody", as the wire allows. */
  readonly endpoints: readonly (Endpoint | undefined)[];
}

/** Everything but the signature. */
export interface WorldContent {
  readonly type: WorldType;
  /** 64 bits; of a moon, the address of its first root. */
  readonly id: bigint;
  /** 64 bits, compared as unsigned; a bigint because a revision may be any number. */
  readonly timestamp: bigint;
  /** Combined public key, 64 bytes, that must sign the next version. */
  readonly updatesMustBeSignedBy: Uint8Array;
  readonly roots: readonly WorldRoot[];
}

/** Never changed once made. */
export interface World extends WorldContent {
  /** 96 bytes, by the key the previous version named. */
  readonly signature: Uint8Array;
}

/**
 * Consumes exactly one world; several may follow each other.
 * @throws {WireError} for an unknown type, too many roots or endpoints, or when truncated. A moon's
 * dictionary must be there in full, which the reference does not check
 */
export function decodeWorld(r: Reader): World {
  const type = decodeType(r);
  const id = r.u64();
  const timestamp = r.u64();
  const updatesMustBeSignedBy = r.copy(PUBLIC_KEY_BYTES);
  const signature = r.copy(SIGNATURE_BYTES);
  const rootCount = r.u8();
  if (rootCount > WORLD_ROOTS_MAX) throw new WireError(r.where, `world with ${rootCount} roots`);
  const roots = Array.from({ length: rootCount }, () => decodeRoot(r));
  if (type === WorldType.MOON) r.skip(r.u16());
  return { type, id, timestamp, updatesMustBeSignedBy, signature, roots };
}

function decodeType(r: Reader): WorldType {
  const type = r.u8();
  for (const known of Object.values(WorldType)) if (type === known) return known;
  throw new WireError(r.where, `world of unknown type ${type}`);
}

function decodeRoot(r: Reader): WorldRoot {
  const identity = Identity.decode(r).publicOnly();
  const count = r.u8();
  if (count > ROOT_ENDPOINTS_MAX) throw new WireError(r.where, `root with ${count} endpoints`);
  return { identity, endpoints: Array.from({ length: count }, () => decodeEndpoint(r)) };
}

export function encodeWorld(world: World, w: Writer): void {
  encodeHead(world, w);
  w.raw(world.signature);
  encodeRoots(world, w);
}

/** A world on its own, as it is in files. */
export function worldBytes(world: World): Uint8Array {
  const w = new Writer(1_024);
  encodeWorld(world, w);
  return w.finish();
}

/** What the signature is over: the world without it, between two marks. */
export function signedMessage(world: WorldContent): Uint8Array {
  const w = new Writer(1_024);
  encodeHead(world, w);
  encodeRoots(world, w);
  return concat(SIGNED_PREFIX, w.finish(), SIGNED_SUFFIX);
}

function encodeHead(world: WorldContent, w: Writer): void {
  w.u8(world.type).u64(world.id).u64(world.timestamp).raw(world.updatesMustBeSignedBy);
}

function encodeRoots(world: WorldContent, w: Writer): void {
  w.u8(world.roots.length);
  for (const { identity, endpoints } of world.roots) {
    identity.encode(w);
    w.u8(endpoints.length);
    for (const endpoint of endpoints) encodeEndpoint(w, endpoint);
  }
  if (world.type === WorldType.MOON) w.u16(0);
}

/**
 * @param signer Holder of the key the previous version names, or for the first version any key
 * @throws {RangeError} when there are more roots or endpoints than anybody would accept
 */
export function signWorld(primitives: Primitives, signer: Signer, content: WorldContent): World {
  if (content.roots.length > WORLD_ROOTS_MAX) {
    throw new RangeError(`${content.roots.length} roots, a world has at most ${WORLD_ROOTS_MAX}`);
  }
  for (const { endpoints } of content.roots) {
    if (endpoints.length > ROOT_ENDPOINTS_MAX) {
      throw new RangeError(`${endpoints.length} endpoints, at most ${ROOT_ENDPOINTS_MAX} a root`);
    }
  }
  return { ...content, signature: sign(primitives, signer, signedMessage(content)) };
}

/** Whether a world was signed with a key. */
export function verifyWorld(primitives: Primitives, publicKey64: Uint8Array, world: World) {
  return verify(primitives, publicKey64, signedMessage(world), world.signature);
}

/**
 * Whether `update` takes the place of `current`: the same world, newer, and signed by the key the
 * current one names. Anything takes the place of nothing.
 */
export function replaces(current: World, update: World, primitives: Primitives): boolean {
  if (current.id === 0n || current.type === WorldType.NULL) return true;
  return update.id === current.id && update.type === current.type &&
    update.timestamp > current.timestamp &&
    verifyWorld(primitives, current.updatesMustBeSignedBy, update);
}
