/**
 * This node's own identity: read from the home folder with care, or made.
 *
 * Source: spec 01 sections 4.3 and 11.
 * @module
 */
import { WireError } from "../../lib/base/errors.ts";
import type { Primitives, Random } from "../../lib/crypto/primitives.ts";
import { Identity, ownsSecret } from "../../lib/identity/identity.ts";
import {
  type Found,
  generateIdentity,
  locallyValidate,
  type Work,
} from "../../lib/identity/work.ts";
import { type Home, HomeError } from "./home.ts";
import { readIdentity, refreshPublicIdentity, writeIdentity } from "./home_files.ts";

/** What reading or making an identity takes. */
export interface IdentityTools {
  primitives: Primitives;
  random: Random;
  work: Work;
}

/** Holds the public text of the identity whose proof of work was checked: it takes 8 MB that are never given back. */
const PROVED_FILE = "identity.proved";

/**
 * The identity in the home folder, checked in full: text, secret, and proof of work unless it is
 * the one checked before.
 * @returns undefined when there is none yet
 * @throws {HomeError} when the file holds anything else; it is left as it is
 */
export function loadOwnIdentity(home: Home, tools: IdentityTools): Identity | undefined {
  const identity = readIdentity(home, (text) => parseOwn(home, text, tools));
  if (identity) refreshPublicIdentity(home, identity.format());
  return identity;
}

function parseOwn(home: Home, text: string, tools: IdentityTools): Identity | undefined {
  try {
    const identity = Identity.parse(text);
    const isOurs = ownsSecret(tools.primitives, identity) && isProved(home, identity, tools.work);
    return isOurs ? identity : undefined;
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

function isProved(home: Home, identity: Identity, work: Work): boolean {
  if (ifPossible(() => home.readText(PROVED_FILE))?.trim() === identity.format()) return true;
  if (!locallyValidate(identity, work)) return false;
  noteProved(home, identity);
  return true;
}

function noteProved(home: Home, identity: Identity): void {
  ifPossible(() => home.write(PROVED_FILE, identity.format()));
}

/** A note that cannot be read or written only means that the next start proves it again. */
function ifPossible<T>(use: () => T): T | undefined {
  try {
    return use();
  } catch (error) {
    if (error instanceof HomeError) return undefined;
    throw error;
  }
}

/** Writes a new identity, found by work, to the home folder. */
export function keepOwnIdentity(home: Home, identity: Identity): void {
  writeIdentity(home, identity.formatSecret(), identity.format());
  noteProved(home, identity);
}

/**
 * The identity in the home folder, made and written when there is none. Takes about a second then.
 * @param onTry Called after each key that was not the one
 * @throws {HomeError} as {@linkcode loadOwnIdentity}
 */
export function ensureOwnIdentity(
  home: Home,
  tools: IdentityTools,
  onTry?: (found: Found) => void,
): Identity {
  const found = loadOwnIdentity(home, tools);
  if (found) return found;
  const identity = generateIdentity({ ...tools, onTry });
  keepOwnIdentity(home, identity);
  return identity;
}
