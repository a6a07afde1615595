/**
 * Proof of work: a node address is found, not chosen, by trying keys until the memory-hard digest
 * of one starts low enough. About fifteen tries. The work function itself is injected: the
 * kernel's, off the main thread, or its slow twin.
 *
 * Source: spec 01 sections 4.2 to 4.4.
 * @module
 */
import { concat, Reader } from "../base/bytes.ts";
import { type Address, formatAddress, isReservedAddress } from "../base/ids.ts";
import type { Primitives, Random } from "../crypto/primitives.ts";
import { Identity, PUBLIC_KEY_BYTES, SECRET_KEY_BYTES } from "./identity.ts";

/** Combined public key (64 bytes) to digest (64 bytes). Tens of milliseconds. */
export type Work = (publicKey: Uint8Array) => Uint8Array;

const FIRST_BYTE_BELOW = 17; // one digest in 256/17 is good
const AT_ADDRESS = 59;

/** Whether a digest starts low enough to prove the work. */
function isGood(digest: Uint8Array): boolean {
  return digest[0] < FIRST_BYTE_BELOW;
}

function addressIn(digest: Uint8Array): Address {
  return new Reader(digest, "digest", AT_ADDRESS).address();
}

/**
 * Whether the address follows from the public key by enough work. To be asked before learning a
 * peer from an unauthenticated source and of one's own identity; a secret is not looked at, see
 * `ownsSecret()`.
 */
export function locallyValidate(identity: Identity, work: Work): boolean {
  if (isReservedAddress(identity.address)) return false; // spares the work
  const digest = work(identity.publicKey);
  return isGood(digest) && addressIn(digest) === identity.address;
}

/** What a new identity is made with. */
export interface GenerateOptions {
  readonly primitives: Primitives;
  readonly random: Random;
  readonly work: Work;
  /** Lower-case hexadecimal digits the address must start with, at most 10; each makes it 16 times as long. */
  readonly prefix?: string;
}

/** What a step of the search found. */
export interface Found {
  /** Keys tried so far, this one included. */
  readonly tries: number;
  /** A valid address that does not start with the prefix wanted. */
  readonly passed?: Address;
  /** The end of the search. */
  readonly identity?: Identity;
}

/** Searches for an identity, one key a step, so that whoever drives can report progress and stop. */
export class IdentitySearch {
  readonly #options: GenerateOptions;
  readonly #prefix: string;
  readonly #seed: Uint8Array; // Ed25519 seed, kept throughout: a new X25519 key is enough to change the address
  readonly #publicKey: Uint8Array;
  #tries = 0;

  /** @throws {RangeError} when no address can start with the prefix */
  constructor(options: GenerateOptions) {
    this.#options = options;
    this.#prefix = (options.prefix ?? "").toLowerCase();
    if (!isPossiblePrefix(this.#prefix)) {
      throw new RangeError(`no address starts with "${options.prefix}"`);
    }
    this.#seed = new Uint8Array(SECRET_KEY_BYTES / 2);
    options.random(this.#seed);
    this.#publicKey = new Uint8Array(PUBLIC_KEY_BYTES);
    this.#publicKey.set(options.primitives.ed25519Public(this.#seed), PUBLIC_KEY_BYTES / 2);
  }

  /** Tries one more key. */
  step(): Found {
    const { primitives, random, work } = this.#options;
    const tries = ++this.#tries;
    const scalar = new Uint8Array(SECRET_KEY_BYTES / 2);
    random(scalar);
    this.#publicKey.set(primitives.x25519Public(scalar));
    const digest = work(this.#publicKey);
    const address = addressIn(digest);
    if (!isGood(digest) || isReservedAddress(address)) return { tries };
    if (!formatAddress(address).startsWith(this.#prefix)) return { tries, passed: address };
    const publicKey = this.#publicKey.slice();
    const secretKey = concat(scalar, this.#seed);
    return { tries, identity: new Identity({ address, publicKey, secretKey }) };
  }
}

/** Whether an address can start with these hexadecimal digits: at most ten, not reserved. */
export function isPossiblePrefix(prefix: string): boolean {
  return /^[0-9a-f]{0,10}$/i.test(prefix) && !/^ff/i.test(prefix) && !/^0{10}$/.test(prefix);
}

/**
 * Searches to the end. Takes about 15 calls of the work function, 16 times as many for each digit of the prefix.
 * @param options.onTry Called after each key that was not the one
 */
export function generateIdentity(
  options: GenerateOptions & { readonly onTry?: (found: Found) => void },
): Identity {
  const search = new IdentitySearch(options);
  for (;;) {
    const found = search.step();
    if (found.identity) return found.identity;
    options.onTry?.(found);
  }
}
