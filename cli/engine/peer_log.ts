/**
 * What the log says of peers at level debug: each change of the way one is reached, and where that is a relay, why.
 * @module
 */
import { type Address, formatAddress } from "../../lib/base/ids.ts";
import { formatEndpoint } from "../../lib/base/ip.ts";
import type { Peer } from "../../lib/peer/peer.ts";
import { type LinkContext, peerLink } from "./doctor/peer_link.ts";
import type { Log } from "./log.ts";

const PEERS_MAX = 1_024; // bounds the work of a look and the memory: a root has a hundred thousand

export class PeerLog {
  readonly #log: Log;
  readonly #said = new Map<Address, string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Looks at all peers, and says what is not as it was. */
  lookAtAll(context: LinkContext): void {
    const { peers } = context.node.vl1;
    for (const address of this.#said.keys()) {
      if (!peers.has(address)) this.#say(address, undefined, "forgotten");
    }
    for (const peer of peers.values()) this.look(peer, context);
  }

  look(peer: Peer, context: LinkContext): void {
    const { address } = peer;
    if (this.#said.size >= PEERS_MAX && !this.#said.has(address)) return;
    const { way, more } = wayTo(peer, context);
    if (this.#said.get(address) !== way) this.#say(address, way, way + more);
  }

  #say(address: Address, way: string | undefined, line: string): void {
    if (way === undefined) this.#said.delete(address);
    else this.#said.set(address, way);
    this.#log(`peer ${formatAddress(address)}: ${line}`, "debug");
  }
}

/** How a peer is reached, and what may change without being worth another line. */
function wayTo(peer: Peer, context: LinkContext): { way: string; more: string } {
  const { kind, through, reason, roundTripMs } = peerLink(peer, context);
  if (kind === "relayed") {
    return { way: through ? `relayed by ${through}` : "out of reach", more: `: ${reason}` };
  }
  const { path } = peer.preferred(context.nowMs)!;
  const way = `${kind === "direct" ? "direct" : "by TCP"}, ${formatEndpoint(path.endpoint)}`;
  return { way, more: roundTripMs === null ? "" : `, ${roundTripMs} ms` };
}
