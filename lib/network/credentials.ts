/**
 * Exchanging credentials: pushing ours before frames and on request, taking in what members bring,
 * passing revocations on.
 *
 * Source: spec 04 section 10. One packet a second and peer is all the reference takes, so each push
 * is one packet as far as it fits.
 * @module
 */
import { Writer } from "../base/bytes.ts";
import type { Address, NetworkId } from "../base/ids.ts";
import { capabilityIssuedTo, verifyCapability } from "../credential/capability.ts";
import {
  type CertificateOfMembership,
  comIssuedTo,
  comNetworkId,
  verifyCom,
} from "../credential/certificate_of_membership.ts";
import { verifyOwnership } from "../credential/certificate_of_ownership.ts";
import {
  CredentialType,
  isFastPropagating,
  type Revocation,
  verifyRevocation,
} from "../credential/revocation.ts";
import type { PublicKeyOf, Verification } from "../credential/signature.ts";
import { verifyTag } from "../credential/tag.ts";
import type { Vl1 } from "../node/vl1.ts";
import type { Peer } from "../peer/peer.ts";
import {
  encodeNetworkCredentials,
  type NetworkCredentials,
  type ReceivedCredentials,
} from "../wire/network_credentials.ts";
import { PAYLOAD_LENGTH_MAX, Verb } from "../wire/packet.ts";
import { type Acceptance, Membership, signatureOf } from "./membership.ts";
import type { Network } from "./network.ts";

const PUSH_AGAIN_MS = 500_000; // reference ZT_PEER_ACTIVITY_TIMEOUT: even without a new configuration
/**
 * Between answers to one member's requests. Who lacks ours says so once a second, and one that
 * comes a moment early must not wait for the next: the answer before may be lost.
 */
/** What is new is told once more: nobody acknowledges it, and the next time comes with the next configuration. */
const NEWS_AGAIN_MS = 2_000;
const ANSWER_MS = 900;

const NOTHING: NetworkCredentials = {
  coms: [],
  capabilities: [],
  tags: [],
  revocations: [],
  ownerships: [],
};

/** What taking in a packet of credentials came to. */
export interface Intake {
  /** At least one was good: the sender shares a network with us. */
  readonly trusted: boolean;
  /** A controller's identity is missing: WHOIS is on its way; try again. */
  readonly deferred: boolean;
}

export class Credentials {
  /** A member's credentials changed, or were revoked. */
  onChange: (member: Address) => void = () => {};

  /** @param find The joined network of that id */
  constructor(readonly vl1: Vl1, readonly find: (id: NetworkId) => Network | undefined) {}

  /** Pushes ours to a member we are about to send to, if it may not have them. */
  pushIfDue(network: Network, to: Address): void {
    const membership = network.membership(to);
    const { nowMs } = this.vl1;
    const stale = membership.lastPushMs < network.lastConfigMs || nowMs >= membership.pushAgainMs;
    if (stale || nowMs - membership.lastPushMs > PUSH_AGAIN_MS) this.#push(network, membership, to);
  }

  /** A member says it lacks ours. */
  requested(network: Network, from: Address): void {
    if (!network.config?.com) return;
    const membership = network.membership(from);
    const { nowMs } = this.vl1;
    if (nowMs - membership.lastAnswerMs < ANSWER_MS) return;
    membership.lastAnswerMs = nowMs;
    this.#push(network, membership, from);
  }

  #push(network: Network, membership: Membership, to: Address): void {
    const { nowMs } = this.vl1;
    const isNew = membership.lastPushMs < network.lastRoleMs;
    membership.pushAgainMs = isNew ? nowMs + NEWS_AGAIN_MS : Infinity;
    membership.lastPushMs = nowMs;
    const { config } = network;
    if (!config) return;
    const { com, capabilities, tags, ownerships } = config;
    const credentials = { ...NOTHING, coms: com ? [com] : [], capabilities, tags, ownerships };
    for (const part of fit(credentials)) this.#send(to, part);
  }

  #send(to: Address, credentials: NetworkCredentials): void {
    const w = new Writer(1024);
    encodeNetworkCredentials(credentials, w);
    this.vl1.send(to, Verb.NETWORK_CREDENTIALS, w.finish(), { compress: true });
  }

  /** Files a certificate that came inside another packet. @param from Who brought it */
  takeCom(from: Peer, com: CertificateOfMembership): void {
    this.#takeCom(from, com);
  }

  /** @param from Who brought them; undefined for the controller of this very node */
  receive(from: Peer | undefined, received: ReceivedCredentials): Intake {
    let trusted = false;
    let deferred = false;
    const note = (result: Acceptance | "deferred" | undefined) => {
      trusted ||= result === "new" || result === "redundant";
      deferred ||= result === "deferred";
    };
    for (const com of received.coms) note(this.#takeCom(from, com));
    for (const revocation of received.revocations) note(this.#takeRevocation(from, revocation));
    for (const capability of received.capabilities) {
      const file = {
        ...capability,
        type: CredentialType.CAPABILITY,
        issuedTo: capabilityIssuedTo(capability),
      };
      note(this.#file(from, file, signatureOf(capability), {
        verify: (keyOf) => verifyCapability(this.vl1.config.primitives, capability, keyOf),
        take: (membership) => membership.takeCapability(capability),
      }));
    }
    for (const tag of received.tags) {
      note(this.#file(from, { ...tag, type: CredentialType.TAG }, tag.signature, {
        verify: (keyOf) => verifyTag(this.vl1.config.primitives, tag, keyOf),
        take: (membership) => membership.takeTag(tag),
      }));
    }
    for (const ownership of received.ownerships) {
      note(this.#file(from, { ...ownership, type: CredentialType.OWNERSHIP }, ownership.signature, {
        verify: (keyOf) => verifyOwnership(this.vl1.config.primitives, ownership, keyOf),
        take: (membership) => membership.takeOwnership(ownership),
      }));
    }
    return { trusted, deferred };
  }

  #takeCom(
    from: Peer | undefined,
    com: CertificateOfMembership,
  ): Acceptance | "deferred" | undefined {
    const network = this.find(comNetworkId(com));
    if (!network) return undefined;
    const weight = knownOf(network, comIssuedTo(com)).weighCom(com);
    if (weight !== "new") return weight;
    const { primitives } = this.vl1.config;
    const verdict = this.#verdict(from, network, (keyOf) => verifyCom(primitives, com, keyOf));
    if (verdict !== "ok") return verdict === "deferred" ? "deferred" : "rejected";
    network.membership(comIssuedTo(com)).takeCom(com);
    this.onChange(comIssuedTo(com));
    return "new";
  }

  #file(
    from: Peer | undefined,
    fields: {
      networkId: NetworkId;
      id: number;
      timestampMs: number;
      type: CredentialType;
      issuedTo: Address;
    },
    signatureKey: Uint8Array,
    what: {
      verify: (keyOf: PublicKeyOf) => Verification;
      take: (membership: Membership) => void;
    },
  ): Acceptance | "deferred" | undefined {
    const network = this.find(fields.networkId);
    if (!network) return undefined;
    const held = knownOf(network, fields.issuedTo);
    const weight = held.weigh(fields.type, { ...fields, signatureKey });
    if (weight !== "new") return weight;
    const verdict = this.#verdict(from, network, what.verify);
    if (verdict !== "ok") return verdict === "deferred" ? "deferred" : "rejected";
    what.take(network.membership(fields.issuedTo));
    this.onChange(fields.issuedTo);
    return "new";
  }

  #takeRevocation(
    from: Peer | undefined,
    revocation: Revocation,
  ): Acceptance | "deferred" | undefined {
    const network = this.find(revocation.networkId);
    if (!network) return undefined;
    const weight = knownOf(network, revocation.target).weighRevocation(revocation);
    if (weight !== "new") return weight;
    const { primitives } = this.vl1.config;
    const verdict = this.#verdict(
      from,
      network,
      (keyOf) => verifyRevocation(primitives, revocation, keyOf),
    );
    if (verdict !== "ok") return verdict === "deferred" ? "deferred" : "rejected";
    network.membership(revocation.target).takeRevocation(revocation);
    this.onChange(revocation.target);
    if (revocation.target === this.vl1.address) this.#revoked(network);
    if (isFastPropagating(revocation)) this.#spread(network, revocation, from?.address);
    return "new";
  }

  /** It is about us: ask where we stand, at once rather than at the next refresh within a minute. */
  #revoked(network: Network): void {
    network.requestDueMs = this.vl1.nowMs;
  }

  /** Passes a new revocation on to every member we know, except who brought it and who signed it. */
  #spread(network: Network, revocation: Revocation, except: Address | undefined): void {
    for (const member of network.members()) {
      if (member === except || member === revocation.signedBy || member === this.vl1.address) {
        continue;
      }
      this.#send(member, { ...NOTHING, revocations: [revocation] });
    }
  }

  #keyOf = (address: Address): Uint8Array | undefined => {
    if (address === this.vl1.address) return this.vl1.identity.publicKey;
    return this.vl1.peers.get(address)?.identity.publicKey;
  };

  #verdict(
    from: Peer | undefined,
    network: Network,
    verify: (keyOf: PublicKeyOf) => Verification,
  ): Verification {
    // The controller may have removed hundreds: all it says is to be heard.
    const isBounded = from !== undefined && from.address !== network.controller;
    if (isBounded && !from.budgets.signatures.take(this.vl1.nowMs)) {
      this.vl1.counters.drop("rate");
      return "bad";
    }
    const verification = verify(this.#keyOf);
    if (verification === "deferred") this.vl1.whois(network.controller);
    return verification;
  }
}

/** What is known of somebody. What nobody signed must not make a record: it would push out a member's. */
function knownOf(network: Network, address: Address): Membership {
  return network.findMembership(address) ?? new Membership();
}

/** Splits what does not fit one packet; the certificate of membership goes with the first. */
function fit(credentials: NetworkCredentials): NetworkCredentials[] {
  if (lengthOf(credentials) <= PAYLOAD_LENGTH_MAX) return hasAny(credentials) ? [credentials] : [];
  const half = <T>(list: readonly T[], second: boolean) => {
    const middle = Math.ceil(list.length / 2);
    return second ? list.slice(middle) : list.slice(0, middle);
  };
  const part = (second: boolean): NetworkCredentials => ({
    coms: second ? [] : credentials.coms,
    capabilities: half(credentials.capabilities, second),
    tags: half(credentials.tags, second),
    revocations: half(credentials.revocations, second),
    ownerships: half(credentials.ownerships, second),
  });
  return [...fit(part(false)), ...fit(part(true))];
}

function hasAny(credentials: NetworkCredentials): boolean {
  const { coms, capabilities, tags, revocations, ownerships } = credentials;
  return coms.length + capabilities.length + tags.length + revocations.length + ownerships.length >
    0;
}

function lengthOf(credentials: NetworkCredentials): number {
  const w = new Writer(1024);
  encodeNetworkCredentials(credentials, w);
  return w.length;
}
