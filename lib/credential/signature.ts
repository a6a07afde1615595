/**
 * What tags, capabilities, ownerships and revocations have in common: how a signature is written, what message it is
 * over, and what checking one can answer.
 *
 *     offset  bytes  field
 *     0       1      signature type; 1 is the only one there is
 *     1       2      length; 96 for type 1
 *     3       n      signature
 *
 * The signed message is eight bytes 0x7f, the credential without its signature, eight bytes 0x7f. It is always rebuilt
 * from the decoded fields, so additional bytes and reserved words are not covered.
 *
 * Source: spec 04 sections 9 and 9.6, spec 01 section 3.3.
 * @module
 */
import { type Reader, Writer } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import type { Address } from "../base/ids.ts";
import type { Primitives } from "../crypto/primitives.ts";
import { SIGNATURE_BYTES, verify } from "../identity/sign.ts";

const SIGNATURE_TYPE_ED25519 = 1;
const FRAME = new Uint8Array(8).fill(0x7f);

/** "deferred": the signer's identity is not known yet; ask for it and try again. */
export type Verification = "ok" | "bad" | "deferred";

/** The 64-byte public key of a node, or undefined while its identity is not known. */
export type PublicKeyOf = (address: Address) => Uint8Array | undefined;

/** What a credential that nobody signed carries: no message has it as its signature. */
export const NO_SIGNATURE: Uint8Array = new Uint8Array(SIGNATURE_BYTES);

/**
 * @returns 96 bytes, a copy; {@linkcode NO_SIGNATURE} when the type is not one we know (its bytes are skipped)
 * @throws {WireError} when a signature of type 1 is not 96 bytes long
 */
export function decodeSignature(r: Reader): Uint8Array {
  const type = r.u8();
  const length = r.u16();
  if (type !== SIGNATURE_TYPE_ED25519) {
    r.skip(length);
    return NO_SIGNATURE;
  }
  if (length !== SIGNATURE_BYTES) throw new WireError(r.where, `signature of ${length} bytes`);
  return r.copy(length);
}

export function encodeSignature(signature: Uint8Array, w: Writer): void {
  w.u8(SIGNATURE_TYPE_ED25519).u16(SIGNATURE_BYTES).raw(signature);
}

/** Skips the additional fields newer versions may append to a credential. */
export function skipAdditional(r: Reader): void {
  r.skip(r.u16());
}

/** The message a signature is over. @param body Writes the credential without its signature */
export function signedMessage(body: (w: Writer) => void): Uint8Array {
  const w = new Writer();
  w.raw(FRAME);
  body(w);
  w.raw(FRAME);
  return w.finish();
}

/** What is to be checked: who must have signed, who says it did, over what. */
export interface SignedBy {
  /** The only node whose signature counts: for most credentials the network's controller. */
  readonly expected: Address;
  readonly signer: Address;
  readonly signature: Uint8Array;
  /** Called only when the signer is the right one and known. */
  readonly message: () => Uint8Array;
}

/** Checks one signature. */
export function verifySignedBy(
  primitives: Primitives,
  signed: SignedBy,
  publicKeyOf: PublicKeyOf,
): Verification {
  if (signed.signer !== signed.expected || signed.signer === 0) return "bad";
  const publicKey = publicKeyOf(signed.signer);
  if (!publicKey) return "deferred";
  return verify(primitives, publicKey, signed.message(), signed.signature) ? "ok" : "bad";
}
