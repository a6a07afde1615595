/**
 * What a node counts: packets by verb and direction, drops by reason. Read by metrics, `zt doctor` and tests.
 * @module
 */

/** Why a packet was thrown away. */
export type DropReason =
  | "malformed"
  | "self-addressed"
  | "not-for-us"
  | "hops"
  | "no-route"
  | "unauthentic"
  | "unknown-sender"
  | "unexpected-ok"
  | "rate"
  | "not-member"
  | "queue-full"
  | "duplicate"
  | "unproven"
  | "outdated";

export class Counters {
  readonly received = new Float64Array(32); // packets opened, by verb
  readonly sent = new Float64Array(32); // packets sealed, by verb
  readonly receivedByCipher = new Float64Array(8); // packets opened here, by the cipher they were sealed with
  readonly sentByCipher = new Float64Array(8); // packets sealed, by cipher
  readonly errorsReceived = new Float64Array(256); // ERRORs that came, by code
  readonly errorsSent = new Float64Array(256); // ERRORs sent, by code
  openedElsewhere = 0; // packets the data plane opened and left to us
  readonly drops = new Map<DropReason, number>();
  relayedPackets = 0;
  relayedBytes = 0;

  drop(reason: DropReason): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1);
  }
}
