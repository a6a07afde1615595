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
import type { Home } from "./home.ts";
import { readIdentity, refreshPublicIdentity, writeIdentity } from "./home_files.ts";

/** What reading or making an identity takes. */
export interface IdentityTools {
  primitives: Primitives;
  random: Random;
  work: Work;
}

/**
 * The identity in the home folder, checked in full: text, secret, proof of work.
 * @returns undefined when there is none yet
 * @throws {HomeError} when the file holds anything else; it is left as it is
 */
export function loadOwnIdentity(home: Home, tools: IdentityTools): Identity | undefined {
  const identity = readIdentity(home, (text) => parseOwn(text, tools));
  if (identity) refreshPublicIdentity(home, identity.format());
  return identity;
}

function parseOwn(text: string, { primitives, work }: IdentityTools): Identity | undefined {
  try {
    const identity = Identity.parse(text);
    return ownsSecret(primitives, identity) && locallyValidate(identity, work)
      ? identity
      : undefined;
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
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
  writeIdentity(home, identity.formatSecret(), identity.format());
  return identity;
}
