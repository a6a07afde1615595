/**
 * How one peer is reached now: directly or through which root, how well, since when; and why not better.
 * @module
 */
import { formatAddress } from "../../../lib/base/ids.ts";
import { formatEndpoint } from "../../../lib/base/ip.ts";
import { type NatKind, natView } from "../../../lib/node/nat_kind.ts";
import type { Node } from "../../../lib/node/node.ts";
import { isTunnel } from "../../../lib/peer/path.ts";
import { isSuspect, lossFraction, type Peer } from "../../../lib/peer/peer.ts";
import { type RelayFacts, relayReason } from "./relay_reason.ts";

/** How a peer is reached. Spans are in milliseconds. */
export type PeerLink = {
  kind: "direct" | "tunneled" | "relayed";
  /** Address of the root packets go through; null when none is needed, or none answers. */
  through: string | null;
  /** Smoothed round trip of the direct path; null when relayed or not measured. */
  roundTripMs: number | null;
  /** Share of the last probes that were not answered; null when relayed. */
  lossFraction: number | null;
  /** How many probes that is a share of. */
  probes: number;
  /** How long the direct path has been there; null when relayed. */
  sinceMs: number | null;
  /** How long ago the peer was last heard, directly or not; null for never. */
  heardMs: number | null;
  /** Why it is relayed; null when it is not. */
  reason: string | null;
  /** When a direct path is tried again; null when not before there is traffic. */
  nextTryMs: number | null;
};

/** What the links of all peers have in common. */
export interface LinkContext {
  readonly node: Node;
  readonly nowMs: number;
  readonly isUdpForbidden: boolean;
  readonly nat: NatKind;
}

/** Makes the context, once for all peers. */
export function linkContext(node: Node, nowMs: number, isUdpForbidden: boolean): LinkContext {
  const sockets = node.vl1.sockets.filter(({ id }) => !isTunnel(id));
  const { kind } = natView(node.surface.latelyReported(nowMs), sockets, 4);
  return { node, nowMs, isUdpForbidden, nat: kind };
}

export function peerLink(peer: Peer, context: LinkContext): PeerLink {
  const { nowMs } = context;
  const best = peer.preferred(nowMs);
  const heardMs = peer.lastReceiveMs === -Infinity ? null : rounded(nowMs - peer.lastReceiveMs);
  if (best) {
    return {
      kind: best.path.isTunnel ? "tunneled" : "direct",
      through: null,
      roundTripMs: best.path.latencyMs === undefined ? null : rounded(best.path.latencyMs),
      lossFraction: lossFraction(best),
      probes: best.probeCount,
      sinceMs: rounded(nowMs - best.sinceMs),
      heardMs,
      reason: null,
      nextTryMs: null,
    };
  }
  const facts = relayFacts(peer, context);
  const { text, nextTryMs } = relayReason(facts);
  return {
    kind: "relayed",
    through: facts.through,
    roundTripMs: null,
    lossFraction: null,
    probes: 0,
    sinceMs: null,
    heardMs,
    reason: text,
    nextTryMs: nextTryMs === null ? null : rounded(nextTryMs),
  };
}

/** To tenths: nobody reads more. */
function rounded(spanMs: number): number {
  return Math.round(spanMs * 10) / 10;
}

function relayFacts(peer: Peer, { node, nowMs, isUdpForbidden, nat }: LinkContext): RelayFacts {
  const { vl1, contact, liveness, directPaths, portProbing } = node;
  const { upstreams } = vl1;
  const sockets = vl1.sockets.filter(({ id }) => !isTunnel(id));
  const relay = upstreams.best(peer.address);
  const until = (dueMs: number) => Number.isFinite(dueMs) ? Math.max(0, dueMs - nowMs) : null;
  const ports = portProbing.stateOf(peer.address);
  const greetings = upstreams.peers().map((upstream) => liveness.greetingDueMs(upstream));
  return {
    isUpstream: upstreams.isUpstream(peer.address),
    listed: (upstreams.endpointsOf(peer.address) ?? []).map(formatEndpoint),
    hasIpv4: sockets.some(({ ip }) => ip.length === 4),
    hasIpv6: sockets.some(({ ip }) => ip.length === 16),
    isUdpForbidden,
    through: relay?.best(nowMs) ? formatAddress(relay.address) : null,
    isActive: peer.isActive(nowMs),
    isTrusted: peer.isTrusted(nowMs),
    suspects: peer.paths.filter(isSuspect).map(({ path, probesLost }) => ({
      address: formatEndpoint(path.endpoint),
      probesLost,
    })),
    probing: [...new Set(contact.punchesTo(peer.address).map(formatEndpoint))],
    remembered: contact.hints.of(peer.address).map(formatEndpoint),
    pushesSent: peer.pushesSent,
    nextGreetingMs: until(
      upstreams.isUpstream(peer.address) ? liveness.greetingDueMs(peer) : Math.min(...greetings),
    ),
    nextRememberedMs: until(contact.hints.dueMs(peer.address)),
    nextProbeMs: until(vl1.timers.dueMs(peer)),
    nextPushMs: peer.isTrusted(nowMs) ? until(directPaths.nextPushMs(peer)) : null,
    nat,
    ports: ports
      ? {
        opened: ports.opened ?? null,
        tried: ports.tried ?? null,
        isHopeless: ports.isHopeless,
        lastMs: ports.lastMs === undefined ? null : nowMs - ports.lastMs,
        nextMs: ports.lastMs === undefined ? null : until(ports.nextMs),
      }
      : null,
  };
}
