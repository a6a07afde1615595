/**
 * Doubts about the paths of a peer: what raises them, and what is done once a path is suspect.
 * @module
 */
import type { Path } from "../peer/path.ts";
import { isSuspect, markSuspect, type Peer, type PeerPath } from "../peer/peer.ts";
import type { Node } from "./node.ts";
import type { Vl1 } from "./vl1.ts";

/** A direct path quieter than this is asked when the peer's frames come by relay... */
const DOUBT_SILENT_MS = 50;
const DOUBT_EVERY_MS = 1_000; // ...so often at most: some peers reach us by relay only, and for good
const DOUBT_REPEATED_MS = 10_000; // ...and is not left meanwhile if it has answered such a question so lately

export class Doubts {
  constructor(readonly node: Node, readonly vl1: Vl1) {}

  /**
   * What comes by relay from a peer we reach directly shows that it does not reach us so any more:
   * it may have moved. What comes by another relay than ours may have left ours because it is gone.
   */
  raise(peer: Peer, path: Path): void {
    const best = peer.best(this.vl1.nowMs);
    if (!best) {
      const route = this.vl1.route(peer);
      if (route?.relay && route.via.path !== path) this.#ask(route.relay, route.via);
      return;
    }
    if (!this.#ask(peer, best)) return;
    // It may have started anew elsewhere: our answer goes the way its packet came until a path has answered.
    this.#leaveSilent(peer);
  }

  /**
   * A HELLO from a place unknown to us is what somebody sends who does not know us, as after a new
   * start: the ports it had may be gone with the frame it asks us for next. How often is bounded
   * where the place is asked whether the peer is there.
   */
  greeted(peer: Peer): void {
    if (peer.bond || this.vl1.upstreams.isUpstream(peer.address)) return;
    const best = peer.best(this.vl1.nowMs);
    if (best && isSilent(best, this.vl1.nowMs)) this.#leaveSilent(peer);
  }

  /** Asks by every silent path whether it still works, and uses none of them until it has answered. */
  #leaveSilent(peer: Peer): void {
    const { nowMs } = this.vl1;
    for (const path of peer.paths) {
      if (!isSilent(path, nowMs)) continue;
      path.doubtedMs = nowMs;
      if (path.probeSentMs === undefined) this.node.contact.probe(peer, path.path);
      markSuspect(path);
    }
    this.confirmed(peer);
  }

  /**
   * What comes by another path than ours, while ours is silent though we sent: a peer with a bond
   * may have left ours because it failed. Our answers go where its packets come from until ours has
   * answered; and not by another silent path, or each of a dozen would be doubted in its turn. A
   * bond of our own knows by itself.
   */
  diverted(peer: Peer, path: Path): void {
    if (peer.bond || this.vl1.upstreams.isUpstream(peer.address)) return;
    const best = peer.best(this.vl1.nowMs);
    if (!best || best.path === path || best.quietSinceMs === undefined) return;
    if (!this.#ask(peer, best)) return;
    if (peer.find(path)) return this.#leaveSilent(peer);
    markSuspect(best); // what it comes by may be none we can use: the others stay
    this.confirmed(peer);
  }

  /** Asks by a silent path whether it still works. @returns whether it is suspect until it answers */
  #ask(peer: Peer, path: PeerPath): boolean {
    const { nowMs } = this.vl1;
    if (path.probeSentMs !== undefined || !isSilent(path, nowMs)) return false;
    const sinceMs = nowMs - path.doubtedMs;
    if (sinceMs < DOUBT_EVERY_MS) return false;
    path.doubtedMs = nowMs;
    this.node.contact.probe(peer, path.path);
    return sinceMs >= DOUBT_REPEATED_MS;
  }

  /** What stopped one path may have stopped them all: or each would be found out only in its turn. */
  #checkPaths(peer: Peer): void {
    const { nowMs } = this.vl1;
    for (const path of peer.paths) {
      if (isSilent(path, nowMs) && !isSuspect(path) && path.probeSentMs === undefined) {
        this.node.contact.probe(peer, path.path);
      }
    }
  }

  /** A direct path just stopped answering: tell the peer by the relay where we are. */
  confirmed(peer: Peer): void {
    const { nowMs } = this.vl1;
    peer.bond?.update(nowMs);
    this.#checkPaths(peer);
    if (this.vl1.upstreams.isUpstream(peer.address)) {
      this.node.upstreamChanged(peer);
      this.node.beacons.consider();
      // What took one root may have taken others, as may a firewall that stops UDP: those that
      // answer go before those that do not.
      this.vl1.upstreams.doubt();
      for (const other of this.vl1.upstreams.peers()) this.#checkPaths(other);
    }
    this.node.publisher.check(peer.address);
    if (peer.best(nowMs) || !peer.isTrusted(nowMs)) return;
    const route = this.vl1.route(peer);
    if (!route?.relay) return;
    // All depends on the relay now: it must not take another second to find out that it is gone too.
    if (route.via.probeSentMs === undefined && isSilent(route.via, nowMs)) {
      this.node.contact.probe(route.relay, route.via.path);
    }
    peer.lastPushSentMs = -Infinity;
    this.node.directPaths.maybePush(peer, route.via.path, false);
  }
}

function isSilent(path: PeerPath, nowMs: number): boolean {
  return nowMs - path.lastInMs >= DOUBT_SILENT_MS;
}
