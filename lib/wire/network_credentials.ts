/**
 * NETWORK_CREDENTIALS (verb 0x0a): what the controller signed for the sender, or for others.
 *
 *     bytes  field
 *     ...    certificates of membership, each beginning with 0x01
 *     1      0
 *     2 ...  number of capabilities, then these
 *     2 ...  number of tags, then these
 *     2 ...  number of revocations, then these
 *     2 ...  number of certificates of ownership, then these
 *
 * Reading may end after any section. Ending after the certificates of membership, with or without
 * the 0, is normal; ending after the capabilities, tags or revocations, or inside an element, keeps
 * what was read but does not count as received.
 *
 * Source: spec 02 section 10.11, spec 04 section 10.1; reference `Packet.hpp`, `VERB_NETWORK_CREDENTIALS`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { type Capability, decodeCapability, encodeCapability } from "../credential/capability.ts";
import {
  type CertificateOfMembership,
  decodeCom,
  encodeCom,
} from "../credential/certificate_of_membership.ts";
import {
  type CertificateOfOwnership,
  decodeOwnership,
  encodeOwnership,
} from "../credential/certificate_of_ownership.ts";
import { decodeRevocation, encodeRevocation, type Revocation } from "../credential/revocation.ts";
import { decodeTag, encodeTag, type Tag } from "../credential/tag.ts";

/** Credentials of any members and networks. */
export interface NetworkCredentials {
  readonly coms: readonly CertificateOfMembership[];
  readonly capabilities: readonly Capability[];
  readonly tags: readonly Tag[];
  readonly revocations: readonly Revocation[];
  readonly ownerships: readonly CertificateOfOwnership[];
}

/** What was read. */
export interface ReceivedCredentials extends NetworkCredentials {
  /** False when the packet broke off: act on what is here, but do not count it as received. */
  readonly complete: boolean;
}

/** Never throws: see {@linkcode ReceivedCredentials.complete}. */
export function decodeNetworkCredentials(payload: Uint8Array): ReceivedCredentials {
  const r = new Reader(payload, "NETWORK_CREDENTIALS");
  const read = {
    coms: [] as CertificateOfMembership[],
    capabilities: [] as Capability[],
    tags: [] as Tag[],
    revocations: [] as Revocation[],
    ownerships: [] as CertificateOfOwnership[],
  };
  try {
    while (r.remaining > 0 && payload[r.at] !== 0) read.coms.push(decodeCom(r));
    if (r.remaining <= 1) return { ...read, complete: true };
    r.skip(1); // ends the certificates of membership
    readSection(r, read.capabilities, decodeCapability);
    readSection(r, read.tags, decodeTag);
    readSection(r, read.revocations, decodeRevocation);
    readSection(r, read.ownerships, decodeOwnership);
    return { ...read, complete: true };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { ...read, complete: false };
  }
}

/** Adds to `items` one by one, so that those read before an error stay. */
function readSection<T>(r: Reader, items: T[], decode: (r: Reader) => T): void {
  for (let count = r.u16(); count > 0; count--) items.push(decode(r));
}

export function encodeNetworkCredentials(credentials: NetworkCredentials, w: Writer): void {
  for (const com of credentials.coms) encodeCom(com, w);
  w.u8(0);
  w.u16(credentials.capabilities.length);
  for (const capability of credentials.capabilities) encodeCapability(capability, w);
  w.u16(credentials.tags.length);
  for (const tag of credentials.tags) encodeTag(tag, w);
  w.u16(credentials.revocations.length);
  for (const revocation of credentials.revocations) encodeRevocation(revocation, w);
  w.u16(credentials.ownerships.length);
  for (const ownership of credentials.ownerships) encodeOwnership(ownership, w);
}
