/**
 * Certificate of ownership (COO): the controller says which IP and MAC addresses are a member's own, so that rules can
 * drop frames that pretend.
 *
 *     offset   bytes  field
 *     0        8      network id
 *     8        8      timestamp
 *     16       8      flags, 0
 *     24       4      id
 *     28       2      number of things n, at most 16
 *     30       17n    things: type (1), value zero-padded to 16: 1 MAC, 2 IPv4, 3 IPv6
 *     30+17n   5      member
 *     35+17n   5      signer
 *     40+17n   99     signature, see `signature.ts`
 *     139+17n  2      length of additional fields, which are skipped
 *
 * Source: spec 04 section 9.4.
 * @module
 */
import type { Reader, Writer } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { type Address, controllerOf, type Mac, type NetworkId } from "../base/ids.ts";
import type { Ip } from "../base/ip.ts";
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

/** Most things one certificate names. */
export const THINGS_MAX = 16;
const VALUE_LENGTH = 16;

export const ThingType = { MAC: 1, IPV4: 2, IPV6: 3 } as const;
export type ThingType = typeof ThingType[keyof typeof ThingType];

/** Something that can be owned. */
export interface Thing {
  /** A {@linkcode ThingType}, or one nobody has assigned yet. */
  readonly type: number;
  /** 16 bytes, zero-padded at the end. */
  readonly value: Uint8Array;
}

/** What is signed. */
export interface OwnershipFields {
  readonly networkId: NetworkId;
  readonly timestampMs: number;
  readonly flags: bigint;
  readonly id: number;
  readonly things: readonly Thing[];
  readonly issuedTo: Address;
}

export interface CertificateOfOwnership extends OwnershipFields {
  readonly signedBy: Address;
  /** 96 bytes. */
  readonly signature: Uint8Array;
}

/** An IP address as something to own. */
export function ipThing(ip: Ip): Thing {
  const value = new Uint8Array(VALUE_LENGTH);
  value.set(ip);
  return { type: ip.length === 4 ? ThingType.IPV4 : ThingType.IPV6, value };
}

/** A MAC address as something to own. */
export function macThing(mac: Mac): Thing {
  const value = new Uint8Array(VALUE_LENGTH);
  for (let i = 5, rest: number = mac; i >= 0; i--, rest = Math.floor(rest / 256)) {
    value[i] = rest % 256;
  }
  return { type: ThingType.MAC, value };
}

/** @throws {WireError} when truncated, with more than 16 things, or its signature has an impossible length */
export function decodeOwnership(r: Reader): CertificateOfOwnership {
  const head = {
    networkId: r.u64() as NetworkId,
    timestampMs: r.time(),
    flags: r.u64(),
    id: r.u32(),
  };
  const count = r.u16();
  if (count > THINGS_MAX) throw new WireError(r.where, `ownership of ${count} things`);
  const things: Thing[] = [];
  for (let i = 0; i < count; i++) things.push({ type: r.u8(), value: r.copy(VALUE_LENGTH) });
  const ownership = {
    ...head,
    things,
    issuedTo: r.address(),
    signedBy: r.address(),
    signature: decodeSignature(r),
  };
  skipAdditional(r);
  return ownership;
}

export function encodeOwnership(ownership: CertificateOfOwnership, w: Writer): void {
  encodeFields(ownership, w);
  encodeSignature(ownership.signature, w);
  w.u16(0); // no additional fields
}

function encodeFields(ownership: Omit<CertificateOfOwnership, "signature">, w: Writer): void {
  w.u64(ownership.networkId).time(ownership.timestampMs).u64(ownership.flags).u32(ownership.id);
  w.u16(ownership.things.length);
  for (const { type, value } of ownership.things) w.u8(type).raw(value);
  w.address(ownership.issuedTo).address(ownership.signedBy);
}

/** The bytes a signature is over. */
export function ownershipSignedMessage(
  ownership: Omit<CertificateOfOwnership, "signature">,
): Uint8Array {
  return signedMessage((w) => {
    encodeFields(ownership, w);
    w.u16(0);
  });
}

/** @throws {RangeError} when there are more things than a receiver would read */
export function signOwnership(
  primitives: Primitives,
  signer: Identity,
  fields: OwnershipFields,
): CertificateOfOwnership {
  if (fields.things.length > THINGS_MAX) {
    throw new RangeError(`things: ${fields.things.length} exceed ${THINGS_MAX}`);
  }
  const ownership = { ...fields, signedBy: signer.address };
  const signature = sign(primitives, signer, ownershipSignedMessage(ownership));
  return { ...ownership, signature };
}

export function verifyOwnership(
  primitives: Primitives,
  ownership: CertificateOfOwnership,
  publicKeyOf: PublicKeyOf,
): Verification {
  return verifySignedBy(primitives, {
    expected: controllerOf(ownership.networkId),
    signer: ownership.signedBy,
    signature: ownership.signature,
    message: () => ownershipSignedMessage(ownership),
  }, publicKeyOf);
}

/** Whether an IP address is among the things. */
export function ownsIp(ownership: CertificateOfOwnership, ip: Ip): boolean {
  return owns(ownership, ipThing(ip), ip.length);
}

/** Whether a MAC address is among the things. */
export function ownsMac(ownership: CertificateOfOwnership, mac: Mac): boolean {
  return owns(ownership, macThing(mac), 6);
}

function owns(ownership: CertificateOfOwnership, wanted: Thing, lengthBytes: number): boolean {
  return ownership.things.some((thing) => {
    if (thing.type !== wanted.type) return false;
    for (let i = 0; i < lengthBytes; i++) if (thing.value[i] !== wanted.value[i]) return false;
    return true;
  });
}
