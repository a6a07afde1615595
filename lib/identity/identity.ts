/**
 * Who a node is: an address, the 64-byte combined public key it follows from, and for oneself the secret.
 *
 *     offset  bytes    field
 *     0       5        address
 *     5       1        type, always 0
 *     6       64       public key: X25519 (32), Ed25519 (32)
 *     70      1        length of the secret that follows: 0 or 64
 *     71      0 or 64  secret: X25519 private key, unclamped (32), Ed25519 seed (32); never on the wire
 *
 * Decoding is as lenient as the reference: it accepts reserved addresses and proves nothing; see `locallyValidate()`.
 *
 * Source: spec 01 sections 3.1, 4.5 to 4.7.
 * @module
 */
import { compare, equal, fromHex, type Reader, toHex, Writer } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { type Address, formatAddress, isReservedAddress, parseAddress } from "../base/ids.ts";
import type { Primitives } from "../crypto/primitives.ts";

export const PUBLIC_KEY_BYTES = 64;
export const SECRET_KEY_BYTES = 64;
/** An identity without its secret, encoded. */
export const IDENTITY_LENGTH = 71;
/** An identity with its secret, encoded. */
export const SECRET_IDENTITY_LENGTH = 135;

const TYPE = 0; // the only one there is: X25519 and Ed25519
const KEY_DIGITS = 128;
const TEXT = "identity text";

/** The parts of an identity. */
export interface IdentityParts {
  readonly address: Address;
  /** 64 bytes; kept, not copied */
  readonly publicKey: Uint8Array;
  /** 64 bytes; kept, not copied */
  readonly secretKey?: Uint8Array;
}

/** Immutable. */
export class Identity implements IdentityParts {
  readonly address: Address;
  readonly publicKey: Uint8Array;
  readonly secretKey?: Uint8Array;

  /** @throws {RangeError} when a key is not 64 bytes */
  constructor(parts: IdentityParts) {
    const { address, publicKey, secretKey } = parts;
    if (publicKey.length !== PUBLIC_KEY_BYTES) {
      throw new RangeError(`public key of ${publicKey.length} bytes, ${PUBLIC_KEY_BYTES} wanted`);
    }
    if (secretKey && secretKey.length !== SECRET_KEY_BYTES) {
      throw new RangeError(`secret of ${secretKey.length} bytes, ${SECRET_KEY_BYTES} wanted`);
    }
    this.address = address;
    this.publicKey = publicKey;
    this.secretKey = secretKey;
  }

  /**
   * Reads "address:0:public key" or "address:0:public key:secret" in hexadecimal, white space
   * around it ignored. Stricter than the reference, which takes bad digits for 0 and ignores what
   * follows a key.
   * @throws {WireError} saying what is wrong
   */
  static parse(text: string): Identity {
    const fields = text.trim().split(":");
    if (fields.length < 3 || fields.length > 4) {
      throw new WireError(TEXT, "not address:0:public key, with or without :secret");
    }
    const [addressText, type, publicText, secretText] = fields;
    const address = parseAddress(addressText);
    if (address === undefined) throw new WireError(TEXT, "address is not 10 hexadecimal digits");
    if (isReservedAddress(address)) throw new WireError(TEXT, `address ${addressText} is reserved`);
    if (type !== String(TYPE)) throw new WireError(TEXT, `unknown type "${type.slice(0, 8)}"`);
    const publicKey = parseKey(publicText, "public key");
    if (secretText === undefined) return new Identity({ address, publicKey });
    return new Identity({ address, publicKey, secretKey: parseKey(secretText, "secret") });
  }

  /** @throws {WireError} when truncated, of an unknown type, or with a secret of an odd length */
  static decode(r: Reader): Identity {
    const address = r.address();
    const type = r.u8();
    if (type !== TYPE) throw new WireError(r.where, `identity of unknown type ${type}`);
    const publicKey = r.copy(PUBLIC_KEY_BYTES);
    const secretLength = r.u8();
    if (secretLength === 0) return new Identity({ address, publicKey });
    if (secretLength !== SECRET_KEY_BYTES) {
      throw new WireError(r.where, `identity with a secret of ${secretLength} bytes`);
    }
    return new Identity({ address, publicKey, secretKey: r.copy(SECRET_KEY_BYTES) });
  }

  /** Writes the public form, 71 bytes, whether or not there is a secret. */
  encode(w: Writer): void {
    w.address(this.address).u8(TYPE).raw(this.publicKey).u8(0);
  }

  /**
   * Writes the secret form, 135 bytes: for files only.
   * @throws {TypeError} when there is no secret
   */
  encodeSecret(w: Writer): void {
    const secret = this.#secret();
    w.address(this.address).u8(TYPE).raw(this.publicKey).u8(SECRET_KEY_BYTES).raw(secret);
  }

  /** The public form as text, 141 characters. */
  format(): string {
    return `${formatAddress(this.address)}:${TYPE}:${toHex(this.publicKey)}`;
  }

  /**
   * The secret form as text, 270 characters.
   * @throws {TypeError} when there is no secret
   */
  formatSecret(): string {
    return `${this.format()}:${toHex(this.#secret())}`;
  }

  /** Same address and same public key; secrets are not compared. */
  equals(other: Identity): boolean {
    return this.address === other.address && equal(this.publicKey, other.publicKey);
  }

  /** The same identity without its secret. */
  publicOnly(): Identity {
    if (!this.secretKey) return this;
    return new Identity({ address: this.address, publicKey: this.publicKey });
  }

  #secret(): Uint8Array {
    if (!this.secretKey) {
      throw new TypeError(`identity ${formatAddress(this.address)} has no secret`);
    }
    return this.secretKey;
  }
}

function parseKey(text: string, what: string): Uint8Array {
  if (text.length !== KEY_DIGITS) {
    throw new WireError(TEXT, `${what} of ${text.length} digits, ${KEY_DIGITS} wanted`);
  }
  try {
    return fromHex(text);
  } catch {
    throw new WireError(TEXT, `${what} is not hexadecimal`);
  }
}

/** SHA-384 of address and public key, 48 bytes: how a certificate of membership names its holder. */
export function publicKeyHash(primitives: Primitives, identity: Identity): Uint8Array {
  const w = new Writer(5 + PUBLIC_KEY_BYTES);
  return primitives.sha384(w.address(identity.address).raw(identity.publicKey).finish());
}

/** Order of roots in a world: by address, then by public key. Negative, 0 or positive. */
export function compareIdentities(a: Identity, b: Identity): number {
  return a.address - b.address || compare(a.publicKey, b.publicKey);
}

/** Both public halves of a 64-byte secret. */
export function publicKeyOf(primitives: Primitives, secretKey: Uint8Array): Uint8Array {
  const publicKey = new Uint8Array(PUBLIC_KEY_BYTES);
  publicKey.set(primitives.x25519Public(secretKey.subarray(0, 32)));
  publicKey.set(primitives.ed25519Public(secretKey.subarray(32)), 32);
  return publicKey;
}

/** Whether there is a secret and it belongs to the public key: to check when loading one's own identity. */
export function ownsSecret(primitives: Primitives, identity: Identity): boolean {
  const { secretKey, publicKey } = identity;
  return secretKey !== undefined && equal(publicKeyOf(primitives, secretKey), publicKey);
}
