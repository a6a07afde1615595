/**
 * Tag: a number the controller pinned on a member, for rules to compare.
 *
 *     offset  bytes  field
 *     0       8      network id
 *     8       8      timestamp
 *     16      4      tag id
 *     20      4      value
 *     24      5      member
 *     29      5      signer
 *     34      99     signature, see `signature.ts`
 *     133     2      length of additional fields, which are skipped
 *
 * Source: spec 04 section 9.2.
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

/** What is signed. */
export interface TagFields {
  readonly networkId: NetworkId;
  readonly timestampMs: number;
  readonly id: number;
  readonly value: number;
  readonly issuedTo: Address;
}

export interface Tag extends TagFields {
  readonly signedBy: Address;
  /** 96 bytes. */
  readonly signature: Uint8Array;
}

/** @throws {WireError} when truncated or its signature has an impossible length */
export function decodeTag(r: Reader): Tag {
  const tag = {
    networkId: r.u64() as NetworkId,
    timestampMs: r.time(),
    id: r.u32(),
    value: r.u32(),
    issuedTo: r.address(),
    signedBy: r.address(),
    signature: decodeSignature(r),
  };
  skipAdditional(r);
  return tag;
}

export function encodeTag(tag: Tag, w: Writer): void {
  encodeFields(tag, w);
  encodeSignature(tag.signature, w);
  w.u16(0); // no additional fields
}

function encodeFields(tag: Omit<Tag, "signature">, w: Writer): void {
  w.u64(tag.networkId).time(tag.timestampMs).u32(tag.id).u32(tag.value);
  w.address(tag.issuedTo).address(tag.signedBy);
}

/** The bytes a signature is over. */
export function tagSignedMessage(tag: Omit<Tag, "signature">): Uint8Array {
  return signedMessage((w) => {
    encodeFields(tag, w);
    w.u16(0);
  });
}

export function signTag(primitives: Primitives, signer: Identity, fields: TagFields): Tag {
  const tag = { ...fields, signedBy: signer.address };
  return { ...tag, signature: sign(primitives, signer, tagSignedMessage(tag)) };
}

export function verifyTag(
  primitives: Primitives,
  tag: Tag,
  publicKeyOf: PublicKeyOf,
): Verification {
  return verifySignedBy(primitives, {
    expected: controllerOf(tag.networkId),
    signer: tag.signedBy,
    signature: tag.signature,
    message: () => tagSignedMessage(tag),
  }, publicKeyOf);
}
