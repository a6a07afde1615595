/**
 * What upstreams say an address's identity is: believed once its proof of work has been checked,
 * elsewhere, and not before. The reference takes their word (spec 03 section 4.1); so a root that
 * lies could be to it whoever it likes, the controller of a network included. An address follows
 * from its key: no honest answer suffers by being checked, save that it takes 10 ms.
 *
 * One answer for an address is checked at a time. When it is false, the others are asked, and who
 * gave it is not heard again about that address while the question is open.
 * @module
 */
import type { Address } from "../base/ids.ts";
import type { Identity } from "../identity/identity.ts";
import { Peer } from "../peer/peer.ts";
import type { Strangers } from "./strangers.ts";
import type { Vl1 } from "./vl1.ts";
import type { Whois } from "./whois.ts";

const CLAIMS_MAX = 1_024; // bounds memory; as many as there are open questions
const CHECKS_MAX = 16; // at a time: a server asking for all its clients leaves room for who says HELLO

/** An identity as an upstream named it. */
interface Claim {
  /** Who it is, should it be true. */
  readonly peer: Peer;
  readonly by: Address;
}

export class Claims {
  readonly #byAddress = new Map<Address, Claim>();
  readonly #waiting: Claim[] = [];
  readonly #checking = new Map<number, Claim>(); // by ticket

  /** Somebody is about to become a peer, unless the upstream lied: what is no secret may be sent already. */
  onClaimed: (peer: Peer) => void = () => {};

  constructor(readonly vl1: Vl1, readonly whois: Whois, readonly strangers: Strangers) {}

  /** @param by The upstream that was asked and answers */
  take(identity: Identity, by: Address): void {
    const { address } = identity;
    if (this.vl1.peers.has(address) || this.#byAddress.has(address)) return;
    if (this.strangers.isChecking(identity)) return; // it spoke for itself, and is known in a moment
    if (this.#byAddress.size >= CLAIMS_MAX) return this.vl1.counters.drop("queue-full");
    // Only what we asked for: the reference takes the first identity, whoever it is.
    if (!this.whois.claimed(address, by)) return;
    const peer = Peer.meet(this.vl1.config.primitives, this.vl1.identity, identity, this.vl1.nowMs);
    if (!peer) return this.#refuted(address, by);
    const claim = { peer, by };
    this.#byAddress.set(address, claim);
    this.#waiting.push(claim);
    this.onClaimed(peer);
    this.#startChecks();
  }

  /** The checker's verdict. @returns the peer met by it; undefined when there is none, or no such ticket */
  validated(ticket: number, valid: boolean): Peer | undefined {
    const claim = this.#checking.get(ticket);
    if (!claim) return undefined;
    const { peer: { address, lastHelloSentMs }, by } = claim;
    this.#checking.delete(ticket);
    this.#byAddress.delete(address);
    this.#startChecks();
    if (this.vl1.peers.has(address)) return undefined;
    if (!valid) return void this.#refuted(address, by);
    const peer = this.vl1.adopt(claim.peer);
    if (peer) peer.lastHelloSentMs = lastHelloSentMs;
    return peer;
  }

  #refuted(address: Address, by: Address): void {
    this.vl1.counters.drop("unauthentic");
    this.whois.refuted(address, by);
  }

  #startChecks(): void {
    while (this.#checking.size < CHECKS_MAX) {
      const claim = this.#waiting.shift();
      if (!claim) return;
      const { identity } = claim.peer;
      if (this.vl1.peers.has(identity.address)) { // it spoke for itself meanwhile
        this.#byAddress.delete(identity.address);
        continue;
      }
      const ticket = this.vl1.newTicket();
      this.#checking.set(ticket, claim);
      this.vl1.outbox.push({ kind: "validate", ticket, identity });
    }
  }
}
