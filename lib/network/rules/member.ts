/**
 * What the filter knows of the two members a frame passes between. Plain data: a network builds it from its config and
 * its credentials, a test or `zt rules explain` from words.
 *
 * Source: spec 04b section 2.1, spec 04 sections 9 and 10.5.
 * @module
 */
import type { Address, Mac, NetworkId } from "../../base/ids.ts";
import type { Ip, Prefix } from "../../base/ip.ts";
import type { Rule } from "../../credential/rule_codec.ts";

/** Config flag: senders inside the NDP-emulated ranges are authenticated. */
export const FLAG_NDP_EMULATION = 0x4;
/** Config flag: matches of a type we do not know are true. */
export const FLAG_UNKNOWN_MATCHES = 0x8;

/** A tag, numbers unsigned and 32 bits wide. */
export interface TagValue {
  readonly id: number;
  readonly value: number;
}

/** A capability: more rules, consulted when the network's own come to no decision. */
export interface CapabilityRules {
  readonly id: number;
  readonly rules: readonly Rule[];
}

/** What a certificate of ownership names. */
export interface Ownership {
  readonly ips: readonly Ip[];
  readonly macs: readonly Mac[];
}

/** This member on one network: the config, and the credentials inside it (which need no check of age). */
export interface LocalMember {
  readonly address: Address;
  readonly networkId: NetworkId;
  /** Of the config: see {@linkcode FLAG_NDP_EMULATION}, {@linkcode FLAG_UNKNOWN_MATCHES} */
  readonly flags: number;
  /** Of the config, milliseconds: credentials of others are measured against it, never against a clock */
  readonly timestampMs: number;
  /** How far from `timestampMs` a credential of another member may be */
  readonly credentialWindowMs: number;
  /** The network's rules; none at all drops every frame */
  readonly rules: readonly Rule[];
  readonly tags: readonly TagValue[];
  readonly capabilities: readonly CapabilityRules[];
  readonly ownerships: readonly Ownership[];
  readonly staticIps: readonly Prefix[];
}

/** A credential with its time of issue and the time up to which such ones are revoked. */
export interface Dated {
  readonly timestampMs: number;
  /** Missing: never revoked */
  readonly revokedUpToMs?: number;
}

/** The other member, as far as its credentials reached us. */
export interface RemoteMember {
  readonly tags: readonly (TagValue & Dated)[];
  readonly capabilities: readonly (CapabilityRules & Dated)[];
  readonly ownerships: readonly (Ownership & Dated)[];
}

/** A member of which no credential is known. */
export const NO_CREDENTIALS: RemoteMember = { tags: [], capabilities: [], ownerships: [] };

/** Whether a credential of another member counts now (spec 04 section 10.5). */
export function isValid(local: LocalMember, credential: Dated): boolean {
  return Math.abs(credential.timestampMs - local.timestampMs) <= local.credentialWindowMs &&
    (credential.revokedUpToMs === undefined || credential.timestampMs > credential.revokedUpToMs);
}

/** The credentials of a member that count now. */
export function validCredentials(local: LocalMember, remote: RemoteMember): RemoteMember {
  return {
    tags: remote.tags.filter((tag) => isValid(local, tag)),
    capabilities: remote.capabilities.filter((capability) => isValid(local, capability)),
    ownerships: remote.ownerships.filter((ownership) => isValid(local, ownership)),
  };
}
