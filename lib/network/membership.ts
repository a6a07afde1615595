/**
 * What we know of one other member of one network: its credentials, what of them was revoked, and
 * when we last told it of ours.
 *
 * Source: spec 04 sections 9.1, 10 and 11.2.
 * @module
 */
import type { Identity } from "../identity/identity.ts";
import type { Primitives } from "../crypto/primitives.ts";
import type { Capability } from "../credential/capability.ts";
import {
  type CertificateOfMembership,
  comAgrees,
  comTimestampMs,
} from "../credential/certificate_of_membership.ts";
import type { CertificateOfOwnership } from "../credential/certificate_of_ownership.ts";
import { CredentialType, type Revocation } from "../credential/revocation.ts";
import { decodeRules } from "../credential/rule_codec.ts";
import type { Tag } from "../credential/tag.ts";
import type { Dated, FilterPeer, NetworkFilter, RemoteMember } from "./rules/mod.ts";
import { ownershipOf } from "./local_member.ts";

const CREDENTIALS_MAX = 128; // of one kind, a member; spec 04 section 4
const REVOCATIONS_MAX = 1_024; // thresholds remembered, a member

/** A credential with a number and a time. */
interface Numbered {
  readonly id: number;
  readonly timestampMs: number;
}

/** What offering a credential came to. */
export type Acceptance = "new" | "redundant" | "rejected";

export class Membership {
  #com: CertificateOfMembership | undefined;
  #comRevokedMs = -Infinity;
  readonly #tags = new Map<number, Tag>();
  readonly #capabilities = new Map<number, Capability>();
  readonly #ownerships = new Map<number, CertificateOfOwnership>();
  readonly #revokedMs = new Map<string, number>();
  /** When we last pushed our credentials to it. */
  lastPushMs = -Infinity;
  /** When it is told of them once more; Infinity when there was nothing new in them. */
  pushAgainMs = Infinity;
  /** When we last told it of our multicast groups. */
  lastLikeMs = -Infinity;
  /** When we last told it that its certificate is missing. */
  lastRefusalMs = -Infinity;
  /** When we last answered that ours is missing. */
  lastAnswerMs = -Infinity;
  /** Counts changes of the credentials: equal numbers, equal credentials. */
  version = 0;
  #agreed:
    | { mine: CertificateOfMembership; theirs: CertificateOfMembership; agrees: boolean }
    | undefined;
  #filterPeer: { filter: NetworkFilter; peer: FilterPeer } | undefined;

  /** Whether its certificate and ours agree: the gate of private networks. */
  agrees(primitives: Primitives, mine: CertificateOfMembership, identity: Identity): boolean {
    const theirs = this.#com;
    if (!theirs || comTimestampMs(theirs) <= this.#comRevokedMs) return false;
    if (this.#agreed?.mine !== mine || this.#agreed.theirs !== theirs) {
      this.#agreed = { mine, theirs, agrees: comAgrees(primitives, mine, theirs, identity) };
    }
    return this.#agreed.agrees;
  }

  /** Whether to bother verifying a certificate. */
  weighCom(com: CertificateOfMembership): Acceptance {
    const timestampMs = comTimestampMs(com);
    if (timestampMs <= this.#comRevokedMs) return "rejected";
    if (!this.#com) return "new";
    const heldMs = comTimestampMs(this.#com);
    if (timestampMs < heldMs) return "rejected";
    return timestampMs === heldMs && sameBytes(this.#com.signature, com.signature)
      ? "redundant"
      : "new";
  }

  takeCom(com: CertificateOfMembership): void {
    this.#com = com;
  }

  /** Whether to bother verifying a tag, capability or certificate of ownership. */
  weigh(type: CredentialType, credential: Numbered & { signatureKey: Uint8Array }): Acceptance {
    const held = this.#mapOf(type).get(credential.id);
    if (held && held.timestampMs > credential.timestampMs) return "rejected";
    if (held && held.timestampMs === credential.timestampMs) {
      if (sameBytes(signatureOf(held), credential.signatureKey)) return "redundant";
    }
    if (credential.timestampMs <= this.#thresholdOf(type, credential.id)) return "rejected";
    return held || this.#mapOf(type).size < CREDENTIALS_MAX ? "new" : "rejected";
  }

  takeTag(tag: Tag): void {
    this.#tags.set(tag.id, tag);
    this.#changed();
  }

  takeCapability(capability: Capability): void {
    this.#capabilities.set(capability.id, capability);
    this.#changed();
  }

  takeOwnership(ownership: CertificateOfOwnership): void {
    this.#ownerships.set(ownership.id, ownership);
    this.#changed();
  }

  /** @returns "new" when it voids more than was void before */
  weighRevocation(revocation: Revocation): Acceptance {
    const { type, credentialId, thresholdMs } = revocation;
    if (type === CredentialType.COM) {
      return thresholdMs > this.#comRevokedMs ? "new" : "redundant";
    }
    if (!REVOCABLE.has(type)) return "rejected";
    return thresholdMs > this.#thresholdOf(type, credentialId) ? "new" : "redundant";
  }

  takeRevocation(revocation: Revocation): void {
    const { type, credentialId, thresholdMs } = revocation;
    if (type === CredentialType.COM) {
      this.#comRevokedMs = Math.max(this.#comRevokedMs, thresholdMs);
    } else if (this.#revokedMs.size < REVOCATIONS_MAX) {
      // The reference also voids the membership here, by mistake; controllers only ever revoke memberships.
      this.#revokedMs.set(`${type}|${credentialId}`, thresholdMs);
    }
    this.#changed();
  }

  #changed(): void {
    this.version++;
    this.#filterPeer = undefined;
  }

  /** Credentials that are not revoked. */
  valid(): { tags: Tag[]; capabilities: Capability[]; ownerships: CertificateOfOwnership[] } {
    const counts = (type: CredentialType) => (credential: Numbered) =>
      credential.timestampMs > this.#thresholdOf(type, credential.id);
    return {
      tags: [...this.#tags.values()].filter(counts(CredentialType.TAG)),
      capabilities: [...this.#capabilities.values()].filter(counts(CredentialType.CAPABILITY)),
      ownerships: [...this.#ownerships.values()].filter(counts(CredentialType.OWNERSHIP)),
    };
  }

  #thresholdOf(type: number, id: number): number {
    return this.#revokedMs.get(`${type}|${id}`) ?? -Infinity;
  }

  #mapOf(type: CredentialType): Map<number, Tag | Capability | CertificateOfOwnership> {
    if (type === CredentialType.TAG) return this.#tags;
    return type === CredentialType.CAPABILITY ? this.#capabilities : this.#ownerships;
  }

  /** The member as the rules see it; made anew only when its credentials or our config change. */
  filterPeer(filter: NetworkFilter, identity: Identity): FilterPeer {
    if (this.#filterPeer?.filter !== filter) {
      this.#filterPeer = { filter, peer: filter.peer(identity.address, this.#credentials()) };
    }
    return this.#filterPeer.peer;
  }

  #credentials(): RemoteMember {
    return {
      tags: [...this.#tags.values()].map((tag) => ({
        id: tag.id,
        value: tag.value,
        ...this.#dated(CredentialType.TAG, tag),
      })),
      capabilities: [...this.#capabilities.values()].map((capability) => ({
        id: capability.id,
        rules: decodeRules(capability.rules),
        ...this.#dated(CredentialType.CAPABILITY, capability),
      })),
      ownerships: [...this.#ownerships.values()].map((ownership) => ({
        ...ownershipOf(ownership),
        ...this.#dated(CredentialType.OWNERSHIP, ownership),
      })),
    };
  }

  #dated(type: CredentialType, { id, timestampMs }: Numbered): Dated {
    return { timestampMs, revokedUpToMs: this.#thresholdOf(type, id) };
  }
}

const REVOCABLE = new Set<number>([
  CredentialType.TAG,
  CredentialType.CAPABILITY,
  CredentialType.OWNERSHIP,
]);

/** What tells two credentials of one time apart. */
export function signatureOf(credential: Tag | Capability | CertificateOfOwnership): Uint8Array {
  if ("custody" in credential) return credential.custody[0]?.signature ?? new Uint8Array(0);
  return credential.signature;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
