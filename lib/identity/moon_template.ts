/**
 * The JSON a world is made from by hand: `initmoon` prints it, a person adds roots and endpoints, `genmoon` signs it.
 *
 * Source: spec 01 section 10.1.
 * @module
 */
import { compare, fromHex, toHex } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../base/ip.ts";
import type { Primitives } from "../crypto/primitives.ts";
import { compareIdentities, Identity, PUBLIC_KEY_BYTES, publicKeyOf } from "./identity.ts";
import { signWorld, type World, WorldType } from "./world.ts";

const WHERE = "moon JSON";
const INDENT = 1; // as the reference prints it

/** Both halves of the key a world is signed with; it has no address. */
export interface SigningKey {
  /** 64 bytes */
  readonly publicKey: Uint8Array;
  /** 64 bytes */
  readonly secretKey: Uint8Array;
}

/** What {@linkcode parseWorldTemplate} read: all a world needs but the time. */
export interface WorldTemplate {
  readonly type: WorldType;
  readonly id: bigint;
  readonly signingKey: SigningKey;
  readonly updatesMustBeSignedBy: Uint8Array;
  readonly roots: readonly { readonly identity: Identity; readonly endpoints: Endpoint[] }[];
}

/** A key pair from 64 random bytes. */
export function signingKeyFrom(primitives: Primitives, secretKey: Uint8Array): SigningKey {
  return { publicKey: publicKeyOf(primitives, secretKey), secretKey };
}

/** The template of a moon with one root, without endpoints; ends without a newline. */
export function formatMoonTemplate(root: Identity, key: SigningKey): string {
  return formatWorldTemplate({
    type: WorldType.MOON,
    id: BigInt(root.address),
    signingKey: key,
    updatesMustBeSignedBy: key.publicKey,
    roots: [{ identity: root, endpoints: [] }],
  });
}

/** Keys in alphabetical order, indented by one space; ends without a newline. */
export function formatWorldTemplate(template: WorldTemplate): string {
  const json = {
    id: template.id.toString(16).padStart(10, "0"),
    objtype: "world",
    roots: template.roots.map(({ identity, endpoints }) => ({
      identity: identity.format(),
      stableEndpoints: endpoints.map(formatEndpoint),
    })),
    signingKey: toHex(template.signingKey.publicKey),
    signingKey_SECRET: toHex(template.signingKey.secretKey),
    updatesMustBeSignedBy: toHex(template.updatesMustBeSignedBy),
    worldType: template.type === WorldType.MOON ? "moon" : "planet",
  };
  return JSON.stringify(json, undefined, INDENT);
}

/** @throws {WireError} saying what is wrong with the text */
export function parseWorldTemplate(text: string): WorldTemplate {
  const json = parseObject(text);
  const type = parseType(json.worldType);
  const id = parseId(json.id);
  const signingKey = {
    publicKey: parseKey(json.signingKey, "signingKey"),
    secretKey: parseKey(json.signingKey_SECRET, "signingKey_SECRET"),
  };
  const updatesMustBeSignedBy = parseKey(json.updatesMustBeSignedBy, "updatesMustBeSignedBy");
  if (!Array.isArray(json.roots)) throw new WireError(WHERE, "roots is not a list");
  return { type, id, signingKey, updatesMustBeSignedBy, roots: json.roots.map(parseRoot) };
}

function parseObject(text: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new WireError(WHERE, "not JSON");
  }
  return asObject(json, "not an object");
}

function asObject(json: unknown, otherwise: string): Record<string, unknown> {
  if (typeof json !== "object" || json === null) throw new WireError(WHERE, otherwise);
  return json as Record<string, unknown>;
}

function parseType(value: unknown): WorldType {
  if (value === "moon") return WorldType.MOON;
  if (value === "planet") return WorldType.PLANET;
  throw new WireError(WHERE, "invalid worldType");
}

function parseId(value: unknown): bigint {
  const id = typeof value === "string" && /^[0-9a-fA-F]{1,16}$/.test(value)
    ? BigInt(`0x${value}`)
    : 0n;
  if (id === 0n) throw new WireError(WHERE, "id is not 1 to 16 hexadecimal digits, or 0");
  return id;
}

function parseKey(value: unknown, name: string): Uint8Array {
  if (typeof value !== "string" || !/^[0-9a-fA-F]*$/.test(value)) {
    throw new WireError(WHERE, `${name} is not hexadecimal text`);
  }
  if (value.length !== PUBLIC_KEY_BYTES * 2) {
    throw new WireError(WHERE, `${name} of ${value.length} digits, ${PUBLIC_KEY_BYTES * 2} wanted`);
  }
  return fromHex(value);
}

function parseRoot(value: unknown): WorldTemplate["roots"][number] {
  const root = asObject(value, "a root is not an object");
  if (typeof root.identity !== "string") throw new WireError(WHERE, "a root has no identity");
  const identity = Identity.parse(root.identity).publicOnly();
  const list = root.stableEndpoints ?? [];
  if (!Array.isArray(list)) throw new WireError(WHERE, "stableEndpoints is not a list");
  return { identity, endpoints: list.map(parseStableEndpoint) };
}

function parseStableEndpoint(value: unknown): Endpoint {
  const endpoint = typeof value === "string" ? parseEndpoint(value) : undefined;
  if (!endpoint) throw new WireError(WHERE, `"${String(value).slice(0, 60)}" is not ip/port`);
  return endpoint;
}

/**
 * Signs the world a template describes, roots and endpoints in the reference's order.
 * @param timestamp Milliseconds since 1970
 * @throws {RangeError} when there are more roots or endpoints than anybody would accept; the
 * reference writes such worlds
 */
export function signTemplate(
  primitives: Primitives,
  template: WorldTemplate,
  timestamp: bigint,
): World {
  const roots = template.roots
    .map(({ identity, endpoints }) => ({
      identity,
      endpoints: endpoints.toSorted(compareEndpoints),
    }))
    .sort((a, b) => compareIdentities(a.identity, b.identity));
  const { type, id, updatesMustBeSignedBy, signingKey } = template;
  return signWorld(primitives, signingKey, { type, id, timestamp, updatesMustBeSignedBy, roots });
}

/**
 * Order of endpoints in a signed world. It means nothing to receivers; we keep the reference's,
 * which reads network-order bytes as little-endian numbers, so that the same template gives the
 * same bytes.
 */
function compareEndpoints(a: Endpoint, b: Endpoint): number {
  const family = a.ip.length - b.ip.length;
  if (family !== 0) return family;
  const port = swapPort(a.port) - swapPort(b.port);
  if (port !== 0) return port;
  if (a.ip.length === 4) return compare(a.ip.toReversed(), b.ip.toReversed());
  return compare(a.ip, b.ip);
}

function swapPort(port: number): number {
  return ((port & 0xff) << 8) | (port >> 8);
}
