/**
 * Certificate of membership (COM): the controller says that a node is a member, as of a time. Two members talk when
 * their certificates agree, so an old one stops working without anybody being told.
 *
 *     offset   bytes  field
 *     0        1      1
 *     1        2      number of qualifiers n, at most 8
 *     3        24n    qualifiers: id (8), value (8), largest difference (8); ids never decrease
 *     3+24n    5      signer; 0 when unsigned, and then the certificate ends here
 *     8+24n    96     signature over the qualifiers alone, without framing
 *
 * Qualifier 0 is the time of issue, 1 the network, 2 the member, 3 to 6 the first 32 bytes of the hash of its identity.
 *
 * Source: spec 04 section 9.1.
 * @module
 */
import { Reader, Writer } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { type Address, controllerOf, type NetworkId, NIL_ADDRESS } from "../base/ids.ts";
import type { Primitives } from "../crypto/primitives.ts";
import { type Identity, publicKeyHash } from "../identity/identity.ts";
import { sign, SIGNATURE_BYTES } from "../identity/sign.ts";
import { NO_SIGNATURE, type PublicKeyOf, type Verification, verifySignedBy } from "./signature.ts";

const VERSION = 1;
const QUALIFIERS_MAX = 8; // spec 04 section 4
const ID_TIMESTAMP = 0n;
const ID_NETWORK = 1n;
const ID_ISSUED_TO = 2n;
const ID_HASH_FIRST = 3n;
const HASH_QUALIFIERS = 4;
const ANY_DIFFERENCE = 0xffff_ffff_ffff_ffffn;

/** One thing two members compare. */
export interface Qualifier {
  readonly id: bigint;
  readonly value: bigint;
  /** How far the other member's value may be from ours. */
  readonly maxDelta: bigint;
}

export interface CertificateOfMembership {
  readonly qualifiers: readonly Qualifier[];
  /** {@linkcode NIL_ADDRESS} when unsigned. */
  readonly signedBy: Address;
  /** 96 bytes; all zero when unsigned. */
  readonly signature: Uint8Array;
}

/**
 * Reads one certificate; the reader is left behind it.
 * @throws {WireError} when truncated, of another version, with more than 8 qualifiers or with ids that decrease
 */
export function decodeCom(r: Reader): CertificateOfMembership {
  if (r.u8() !== VERSION) {
    throw new WireError(r.where, "certificate of membership of unknown version");
  }
  const count = r.u16();
  if (count > QUALIFIERS_MAX) throw new WireError(r.where, `${count} membership qualifiers`);
  const qualifiers: Qualifier[] = [];
  for (let i = 0; i < count; i++) {
    const qualifier = { id: r.u64(), value: r.u64(), maxDelta: r.u64() };
    if (i > 0 && qualifier.id < qualifiers[i - 1].id) {
      throw new WireError(r.where, "membership qualifiers out of order");
    }
    qualifiers.push(qualifier);
  }
  const signedBy = r.address();
  const signature = signedBy === NIL_ADDRESS ? NO_SIGNATURE : r.copy(SIGNATURE_BYTES);
  return { qualifiers, signedBy, signature };
}

export function encodeCom(com: CertificateOfMembership, w: Writer): void {
  w.u8(VERSION).u16(com.qualifiers.length);
  encodeQualifiers(com.qualifiers, w);
  w.address(com.signedBy);
  if (com.signedBy !== NIL_ADDRESS) w.raw(com.signature);
}

function encodeQualifiers(qualifiers: readonly Qualifier[], w: Writer): void {
  for (const { id, value, maxDelta } of qualifiers) w.u64(id).u64(value).u64(maxDelta);
}

/** Value of the first qualifier with this id, 0 when there is none. */
function valueOf(com: CertificateOfMembership, id: bigint): bigint {
  return find(com, id)?.value ?? 0n;
}

function find(com: CertificateOfMembership, id: bigint): Qualifier | undefined {
  return com.qualifiers.find((qualifier) => qualifier.id === id);
}

/** When the controller issued it, by the controller's clock. */
export function comTimestampMs(com: CertificateOfMembership): number {
  return Number(valueOf(com, ID_TIMESTAMP));
}

export function comNetworkId(com: CertificateOfMembership): NetworkId {
  return valueOf(com, ID_NETWORK) as NetworkId;
}

/** The member it was issued to: certificates are filed under this address, not under the sender's. */
export function comIssuedTo(com: CertificateOfMembership): Address {
  return Number(valueOf(com, ID_ISSUED_TO) & 0xff_ffff_ffffn) as Address;
}

/** The four numbers a certificate binds an identity with: SHA-384 of address and public key, first 32 bytes. */
function identityQualifiers(primitives: Primitives, identity: Identity): bigint[] {
  const r = new Reader(publicKeyHash(primitives, identity), "identity hash");
  return [r.u64(), r.u64(), r.u64(), r.u64()];
}

/** What a controller decides before it signs. */
export interface Membership {
  readonly networkId: NetworkId;
  readonly timestampMs: number;
  /** How far apart in time of issue two certificates may be and still agree. */
  readonly maxDeltaMs: number;
  readonly member: Identity;
}

/** Issues a certificate in the form of the reference: seven qualifiers, 272 bytes. */
export function issueCom(
  primitives: Primitives,
  controller: Identity,
  membership: Membership,
): CertificateOfMembership {
  const hash = identityQualifiers(primitives, membership.member);
  const qualifiers: Qualifier[] = [
    {
      id: ID_TIMESTAMP,
      value: BigInt(membership.timestampMs),
      maxDelta: BigInt(membership.maxDeltaMs),
    },
    { id: ID_NETWORK, value: membership.networkId, maxDelta: 0n },
    { id: ID_ISSUED_TO, value: BigInt(membership.member.address), maxDelta: ANY_DIFFERENCE },
    ...hash.map((value, i) => ({
      id: ID_HASH_FIRST + BigInt(i),
      value,
      maxDelta: ANY_DIFFERENCE,
    })),
  ];
  return signCom(primitives, controller, qualifiers);
}

/** Signs qualifiers as they are. */
export function signCom(
  primitives: Primitives,
  signer: Identity,
  qualifiers: readonly Qualifier[],
): CertificateOfMembership {
  const signature = sign(primitives, signer, comSignedMessage({ qualifiers }));
  return { qualifiers, signedBy: signer.address, signature };
}

/** The bytes a signature is over. */
export function comSignedMessage(com: Pick<CertificateOfMembership, "qualifiers">): Uint8Array {
  const w = new Writer();
  encodeQualifiers(com.qualifiers, w);
  return w.finish();
}

/** Whether the controller of the network named inside signed it. */
export function verifyCom(
  primitives: Primitives,
  com: CertificateOfMembership,
  publicKeyOf: PublicKeyOf,
): Verification {
  return verifySignedBy(primitives, {
    expected: controllerOf(comNetworkId(com)),
    signer: com.signedBy,
    signature: com.signature,
    message: () => comSignedMessage(com),
  }, publicKeyOf);
}

/**
 * Whether our certificate accepts theirs: every qualifier of ours is in theirs and near enough, and theirs belongs to
 * the identity we know the peer by. Qualifiers only they have are ignored; our differences decide.
 */
export function comAgrees(
  primitives: Primitives,
  mine: CertificateOfMembership,
  theirs: CertificateOfMembership,
  theirIdentity: Identity,
): boolean {
  if (mine.qualifiers.length === 0 || theirs.qualifiers.length === 0) return false;
  for (const { id, value, maxDelta } of mine.qualifiers) {
    const other = find(theirs, id);
    if (!other) return false;
    const difference = value > other.value ? value - other.value : other.value - value;
    if (difference > maxDelta) return false;
  }
  return !bindsIdentity(mine) || isBoundTo(primitives, theirs, theirIdentity);
}

function bindsIdentity(com: CertificateOfMembership): boolean {
  const last = ID_HASH_FIRST + BigInt(HASH_QUALIFIERS) - 1n;
  return com.qualifiers.some(({ id }) => id >= ID_HASH_FIRST && id <= last);
}

function isBoundTo(
  primitives: Primitives,
  com: CertificateOfMembership,
  identity: Identity,
): boolean {
  return identityQualifiers(primitives, identity)
    .every((value, i) => find(com, ID_HASH_FIRST + BigInt(i))?.value === value);
}
