/**
 * Whom we know across restarts: peers are handed out to be kept, and taken up again when something
 * is to go to them or comes from them. How one is kept is in `peer_cache.ts`.
 *
 * Source: spec 03 section 25.
 * @module
 */
import type { Address } from "../base/ids.ts";
import type { Peer } from "../peer/peer.ts";
import type { Node } from "./node.ts";
import { encodeCachedPeer } from "./peer_cache.ts";
import type { Vl1 } from "./vl1.ts";

/** A root writes each of its peers down this often at most: a file each, for a hundred thousand peers. */
const REMEMBER_MS = 86_400_000;

export class Memory {
  constructor(readonly node: Node, readonly vl1: Vl1) {}

  /**
   * Takes up a peer an earlier run knew: with its address it needs no upstream to find it.
   * @returns undefined when it was not kept, or is a peer already
   */
  recall(address: Address): Peer | undefined {
    // An open question means that it was not found here: looking costs a file.
    const settled = this.vl1.peers.has(address) || this.node.whois.isPending(address);
    const cached = settled ? undefined : this.vl1.config.recall?.(address);
    const peer = cached && this.vl1.addPeer(cached.identity);
    if (!cached || !peer) return undefined;
    peer.version = cached.version;
    this.node.contact.hints.add(address, cached.endpoints, this.vl1.nowMs);
    this.node.contact.tryHints(peer);
    this.recalled(peer);
    return peer;
  }

  /** A peer that was kept is back. */
  recalled(peer: Peer): void {
    peer.rememberedMs = this.vl1.nowMs;
    this.node.met(peer);
  }

  /** Hands a peer out to be kept across restarts. */
  remember(peer: Peer): void {
    const { nowMs, upstreams } = this.vl1;
    // Where a leaf's peers are changes; to a root they come by themselves, and all it needs is who they are.
    if (upstreams.amUpstream && nowMs - peer.rememberedMs < REMEMBER_MS) return;
    peer.rememberedMs = nowMs;
    const { identity, version, address } = peer;
    const proved = peer.paths.filter(({ path }) => !path.isTunnel).map(({ path }) => path.endpoint);
    const endpoints = proved.length > 0 ? proved : this.node.contact.hints.of(address);
    const bytes = encodeCachedPeer({ identity, version, endpoints });
    this.vl1.outbox.push({ kind: "persist", record: { what: "peer", address, bytes } });
  }
}
