/**
 * What one peer may ask of us.
 * @module
 */
import { TokenBucket } from "../base/rate.ts";

export class PeerBudgets {
  /** Addresses its packets came from, asked whether it is there: 32 at once, for it may have as many sockets. */
  readonly places = new TokenBucket(4, 32);
  /**
   * The same of packets that may be copies: who overhears one can send it from everywhere. A
   * reference sends a HELLO from three ports of each of its addresses.
   */
  readonly otherPlaces = new TokenBucket(1, 16);
  /** Probes of addresses that others named; spec 03 section 28 item 26. */
  readonly probe = new TokenBucket(4, 64);
  /** Inbound PUSH_DIRECT_PATHS: 8 at once, then one in 15 s as the reference sends them. */
  readonly push = new TokenBucket(1 / 15, 8);
  /** NETWORK_CREDENTIALS: the reference takes one a second; a burst lets several networks' arrive together. */
  readonly credentials = new TokenBucket(1, 8);
  /**
   * Signatures of credentials and configurations it brings, at a third of a millisecond each: those
   * of a member with a hundred at each change, once a minute. A network's controller has no such
   * bound there.
   */
  readonly signatures = new TokenBucket(8, 512);
  /** Identities it asked for by WHOIS and we have at hand: no more than 25 KB a second, whatever is asked. */
  readonly names = new TokenBucket(256, 2_048);
  /** Identities it asked for and we have to look up or ask for. */
  readonly whois = new TokenBucket(10, 40);
}
