/**
 * Revocation: the controller voids a member's credential up to a time.
 *
 *     offset  bytes  field
 *     0       4      0; ignored on receipt
 *     4       4      revocation id, random
 *     8       8      network id
 *     16      4      0; ignored on receipt
 *     20      4      credential id (0 for the membership itself)
 *     24      8      threshold: credentials issued at or before it are void
 *     32      8      flags; 1 asks members to pass it on at once
 *     40      5      member whose credential it is
 *     45      5      signer
 *     50      1      credential type
 *     51      99     signature, see `signature.ts`
 *     150     2      length of additional fields, which are skipped
 *
 * Source: spec 04 section 9.5.
 * @module
 */
import type { Reader, Writer } from "../base/bytes.ts";
import { type Address, controllerOf, type NetworkId } from "../base/ids.ts";
import type { Primitives } from "../crypto/primitives.ts";
import type { Identity } from "../identity/identity.ts";
import { sign } from "../identity/sign.ts";
import {
  decodeSignature,
  encodeSignature,
  type PublicKeyOf,
  signedMessage,
  skipAdditional,
  type Verification,
  verifySignedBy,
} from "./signature.ts";

/** What a revocation can void. Numbers of the reference. */
export const CredentialType = {
  COM: 1,
  CAPABILITY: 2,
  TAG: 3,
  OWNERSHIP: 4,
  REVOCATION: 6,
} as const;
export type CredentialType = typeof CredentialType[keyof typeof CredentialType];

const FLAG_FAST_PROPAGATE = 1n;

/** What is signed. */
export interface RevocationFields {
  /** Random, so that two revocations of one credential differ. */
  readonly id: number;
  readonly networkId: NetworkId;
  /** A {@linkcode CredentialType}, or a number nobody has assigned yet. */
  readonly type: number;
  /** 0 for the membership itself. */
  readonly credentialId: number;
  readonly thresholdMs: number;
  readonly flags: bigint;
  readonly target: Address;
}

export interface Revocation extends RevocationFields {
  readonly signedBy: Address;
  /** 96 bytes. */
  readonly signature: Uint8Array;
}

/** Flags of a revocation. @param fastPropagate Whether members pass it on to each other */
export function revocationFlags(fastPropagate: boolean): bigint {
  return fastPropagate ? FLAG_FAST_PROPAGATE : 0n;
}

/** Whether members pass it on to each other. */
export function isFastPropagating(revocation: Revocation): boolean {
  return (revocation.flags & FLAG_FAST_PROPAGATE) !== 0n;
}

/** @throws {WireError} when truncated or its signature has an impossible length */
export function decodeRevocation(r: Reader): Revocation {
  r.skip(4); // reserved: not kept, so not covered by the signature either
  const id = r.u32();
  const networkId = r.u64() as NetworkId;
  r.skip(4); // reserved
  const revocation = {
    id,
    networkId,
    credentialId: r.u32(),
    thresholdMs: r.time(),
    flags: r.u64(),
    target: r.address(),
    signedBy: r.address(),
    type: r.u8(),
    signature: decodeSignature(r),
  };
  skipAdditional(r);
  return revocation;
}

export function encodeRevocation(revocation: Revocation, w: Writer): void {
  encodeFields(revocation, w);
  encodeSignature(revocation.signature, w);
  w.u16(0); // no additional fields
}

function encodeFields(revocation: Omit<Revocation, "signature">, w: Writer): void {
  w.u32(0).u32(revocation.id).u64(revocation.networkId).u32(0).u32(revocation.credentialId);
  w.time(revocation.thresholdMs).u64(revocation.flags);
  w.address(revocation.target).address(revocation.signedBy).u8(revocation.type);
}

/** The bytes a signature is over. */
export function revocationSignedMessage(revocation: Omit<Revocation, "signature">): Uint8Array {
  return signedMessage((w) => {
    encodeFields(revocation, w);
    w.u16(0);
  });
}

export function signRevocation(
  primitives: Primitives,
  signer: Identity,
  fields: RevocationFields,
): Revocation {
  const revocation = { ...fields, signedBy: signer.address };
  const signature = sign(primitives, signer, revocationSignedMessage(revocation));
  return { ...revocation, signature };
}

export function verifyRevocation(
  primitives: Primitives,
  revocation: Revocation,
  publicKeyOf: PublicKeyOf,
): Verification {
  return verifySignedBy(primitives, {
    expected: controllerOf(revocation.networkId),
    signer: revocation.signedBy,
    signature: revocation.signature,
    message: () => revocationSignedMessage(revocation),
  }, publicKeyOf);
}
