/**
 * A planet of one's own: the file every node reads, and the key only its maker has.
 *
 * `planet.key` is the JSON `zerotier-idtool genmoon` takes, so the reference can sign with it as well.
 *
 * Source: spec 01 sections 9.4 and 10.1; DESIGN.md, "Planet".
 * @module
 */
import { equal, Reader } from "../../lib/base/bytes.ts";
import { UsageError, WireError } from "../../lib/base/errors.ts";
import { formatAddress } from "../../lib/base/ids.ts";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../../lib/base/ip.ts";
import type { Primitives, Random } from "../../lib/crypto/primitives.ts";
import { Identity, SECRET_KEY_BYTES } from "../../lib/identity/identity.ts";
import {
  formatWorldTemplate,
  parseWorldTemplate,
  signingKeyFrom,
  signTemplate,
  type WorldTemplate,
} from "../../lib/identity/moon_template.ts";
import {
  decodeWorld,
  ROOT_ENDPOINTS_MAX,
  type World,
  WORLD_ROOTS_MAX,
  worldBytes,
  WorldType,
} from "../../lib/identity/world.ts";
import { type Home, HomeError } from "./home.ts";

const KEY_FILE = "planet.key";
const NEW_KEY_FILE = "planet.key.new";
const KEY_MODE = 0o600;

/** One root as the user names it. */
export type RootTemplate = WorldTemplate["roots"][number];

/**
 * Reads a planet, as in the file `planet`.
 * @returns undefined when the bytes are no planet, or more than one
 */
export function parsePlanet(bytes: Uint8Array): World | undefined {
  try {
    const reader = new Reader(bytes, "planet");
    const world = decodeWorld(reader);
    return world.type === WorldType.PLANET && reader.remaining === 0 ? world : undefined;
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** The planet file of a home folder: absent, damaged, or a planet. */
export function readPlanet(home: Home): World | "none" | "damaged" {
  const bytes = home.readBytes("planet");
  return bytes === undefined ? "none" : parsePlanet(bytes) ?? "damaged";
}

/** A key for a new planet, with its first root. The planet has the address of that root for an id. */
export function newPlanetTemplate(
  primitives: Primitives,
  random: Random,
  root: RootTemplate,
): WorldTemplate {
  const secret = new Uint8Array(SECRET_KEY_BYTES);
  random(secret);
  const signingKey = signingKeyFrom(primitives, secret);
  return {
    type: WorldType.PLANET,
    id: BigInt(root.identity.address),
    signingKey,
    updatesMustBeSignedBy: signingKey.publicKey,
    roots: [root],
  };
}

/**
 * The planet with one more root, or with other endpoints for one it has.
 * @throws {UsageError} when it has four already
 */
export function withRoot(template: WorldTemplate, root: RootTemplate): WorldTemplate {
  const others = template.roots.filter(({ identity }) => !identity.equals(root.identity));
  if (others.length >= WORLD_ROOTS_MAX) {
    throw new UsageError(`a planet has at most ${WORLD_ROOTS_MAX} roots`);
  }
  return { ...template, roots: [...others, root] };
}

/** @returns undefined when this home folder makes no planet */
export function readPlanetKey(home: Home): WorldTemplate | undefined {
  const text = home.readText(KEY_FILE);
  if (text === undefined) return undefined;
  try {
    const template = parseWorldTemplate(text);
    if (template.type === WorldType.PLANET) return template;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new HomeError(`${home.pathOf(KEY_FILE)} is damaged: ${error.reason}; put a copy back`);
  }
  throw new HomeError(`${home.pathOf(KEY_FILE)} describes a moon, not a planet`);
}

/**
 * Keeps a key beside the one there is, until its planet is in use: a planet whose key is lost can never change.
 * @returns what to do next: `keep` makes it the key, and says in a line what it set aside; `drop` forgets it
 */
export function stagePlanetKey(
  home: Home,
  template: WorldTemplate,
): { keep: () => string | undefined; drop: () => void } {
  home.write(NEW_KEY_FILE, formatWorldTemplate(template), { mode: KEY_MODE });
  const keep = () => {
    const earlier = readPlanetKey(home);
    const isOther = earlier !== undefined &&
      !equal(earlier.signingKey.publicKey, template.signingKey.publicKey);
    const line = isOther ? home.setAside(KEY_FILE, "the key of an earlier planet") : undefined;
    home.rename(NEW_KEY_FILE, KEY_FILE);
    return line;
  };
  return { keep, drop: () => void home.remove(NEW_KEY_FILE) };
}

/**
 * Signs the planet of a key.
 * @param nowMs Epoch milliseconds; the planet's timestamp is later than `after` in any case
 */
export function signPlanet(
  primitives: Primitives,
  template: WorldTemplate,
  nowMs: number,
  after?: World,
): Uint8Array {
  const now = BigInt(nowMs);
  const sameWorld = after !== undefined && after.id === template.id;
  const timestamp = sameWorld && after.timestamp >= now ? after.timestamp + 1n : now;
  return worldBytes(signTemplate(primitives, template, timestamp));
}

/** Whether two planets are versions of one: the same id and the same key for updates. */
export function isSamePlanet(a: World, b: World): boolean {
  return a.id === b.id && equal(a.updatesMustBeSignedBy, b.updatesMustBeSignedBy);
}

/**
 * Whether a planet may take the place of the one there is.
 * @throws {HomeError} when another planet is there and `replace` is false, or a newer version of this one
 */
export function checkReplaceable(home: Home, planet: World, replace: boolean): void {
  const current = readPlanet(home);
  if (current === "none" || current === "damaged") return;
  if (!isSamePlanet(current, planet)) {
    if (!replace) throw new HomeError(differentPlanet(current));
  } else if (planet.timestamp < current.timestamp) {
    throw new HomeError("a newer version of this planet is in use already");
  }
}

/**
 * Writes the planet file. What was there and is no version of this planet is set aside, not lost.
 * @param replace Whether a different planet may be replaced
 * @returns what was set aside, in one line
 * @throws {HomeError} as {@linkcode checkReplaceable}
 */
export function installPlanet(
  home: Home,
  bytes: Uint8Array,
  planet: World,
  replace: boolean,
): string | undefined {
  checkReplaceable(home, planet, replace);
  const current = readPlanet(home);
  const aside = current === "damaged"
    ? home.setAside("planet", "is not a planet")
    : current !== "none" && !isSamePlanet(current, planet)
    ? home.setAside("planet", "replaced by another planet")
    : undefined;
  home.write("planet", bytes);
  return aside;
}

/** Why a planet is not replaced just so. */
function differentPlanet(current: World): string {
  return `another planet is in use (${formatWorldId(current.id)}); add --replace to leave it`;
}

/** Sixteen digits. */
export function formatWorldId(id: bigint): string {
  return id.toString(16).padStart(16, "0");
}

/** @throws {UsageError} naming the endpoint that is not one */
export function parseRootEndpoints(texts: readonly string[]): Endpoint[] {
  if (texts.length > ROOT_ENDPOINTS_MAX) {
    throw new UsageError(`a root has at most ${ROOT_ENDPOINTS_MAX} endpoints`);
  }
  return texts.map((text) => {
    const endpoint = parseEndpoint(text);
    if (endpoint && endpoint.port > 0) return endpoint;
    throw new UsageError(`"${text}" is not an endpoint like 203.0.113.1/9993`);
  });
}

/** @throws {UsageError} when the text is no identity */
export function parseRootIdentity(text: string): Identity {
  try {
    return Identity.parse(text).publicOnly();
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new UsageError(`not an identity: ${error.reason}`);
  }
}

/** The roots of a planet, one a line. */
export function formatRoots(roots: WorldTemplate["roots"]): string {
  return roots.map(({ identity, endpoints }) =>
    `  root ${formatAddress(identity.address)} at ${
      endpoints.map(formatEndpoint).join(", ") || "no fixed place"
    }\n`
  ).join("");
}
