/**
 * Bonds as the local API shows them.
 *
 * Source: spec 06 sections 4.5 and 4.8.
 * @module
 */
import type { Address } from "../../lib/base/ids.ts";
import type { Node } from "../../lib/node/node.ts";
import type { Bond, BondLink } from "../../lib/peer/bond.ts";
import { BOND_MODE_NAMES } from "../../lib/peer/bond_policy.ts";
import { lossFraction, type Peer, type PeerPath } from "../../lib/peer/peer.ts";
import type { BondInfo, BondPathInfo, BondView, PeerInfo } from "../api/view.ts";
import type { JsonObject } from "./json.ts";

/** What a bonded peer's object has beside the others'. */
export function bondInfo({ bond }: Peer, nowMs: number): BondInfo | undefined {
  if (!bond) return undefined;
  const { policy, links, mode } = bond;
  return {
    bondingPolicyCode: mode,
    // A custom policy is shown by the one it is based on, as in the reference: scripts compare it.
    bondingPolicyStr: BOND_MODE_NAMES[mode],
    numAliveLinks: wayCount(links.filter((link) => bond.isAlive(link, nowMs))),
    numTotalLinks: wayCount(links),
    failoverInterval: policy.failoverIntervalMs,
    downDelay: policy.downDelayMs,
    upDelay: policy.upDelayMs,
    packetsPerLink: policy.packetsPerLink,
  };
}

/** Ports between the same two addresses make one link. */
function wayCount(links: readonly BondLink[]): number {
  return new Set(links.map(({ way }) => way)).size;
}

/** What a path of a bonded peer has beside others'. */
export function bondPathInfo(
  bond: Bond,
  path: PeerPath,
  localPort: number,
  nowMs: number,
): BondPathInfo | undefined {
  const link = bond.find(path.path);
  if (!link) return undefined;
  const { window } = link;
  return {
    localPort,
    ifname: link.device,
    latencyMean: window.meanMs,
    latencyVariance: window.deviationMs,
    packetLossRatio: lossFraction(path),
    packetErrorRatio: 0, // not measured, as in the reference
    assignedFlowCount: bond.flowCount(link),
    lastInAge: ageMs(path.lastInMs, nowMs),
    lastOutAge: ageMs(path.lastOutMs, nowMs),
    bonded: link.isBonded ? 1 : 0,
    eligible: link.isEligible ? 1 : 0,
    givenLinkSpeed: link.options.capacity,
    relativeQuality: link.quality,
  };
}

/** -1 for never. */
function ageMs(atMs: number, nowMs: number): number {
  return atMs === -Infinity ? -1 : Math.round(nowMs - atMs);
}

/** {@linkcode BondView} of a node. */
export class EngineBonds implements BondView {
  constructor(
    readonly node: Node,
    readonly nowMs: () => number,
    readonly peer: (address: Address) => PeerInfo | undefined,
  ) {}

  show(address: Address): JsonObject | undefined {
    const info = this.peer(address);
    return info?.isBonded ? info as unknown as JsonObject : undefined;
  }

  rotate(address: Address): boolean {
    const turned = this.node.bonds.find(address)?.rotate(this.nowMs()) ?? false;
    if (turned) this.node.publisher.check();
    return turned;
  }

  setMtu(mtu: number, interfaceName: string, ip: string): string | undefined {
    if (!this.node.bonds.setMtu(mtu, interfaceName, ip)) return "Unable to find specified link";
    this.node.publisher.check();
    return undefined;
  }
}
