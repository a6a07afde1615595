/**
 * A bond: several ways to one peer used together, as a policy says. It is local: the peer merely sees several paths.
 *
 * Ports between the same two addresses are one way: the best of their paths is used, the others
 * stand by. The reference counts each as a link of its own, so that an interface with three ports
 * gets three shares. A path counts as dead as soon as it is suspect (`peer.ts`), which traffic
 * finds out in half a second; the reference waits for the failover interval.
 *
 * Source: spec 03 section 24.
 * @module
 */
import {
  type BondLinkSettings,
  BondMode,
  type BondPolicy,
  DEFAULT_LINK,
  estimationMs,
  monitorMs,
} from "./bond_policy.ts";
import { FlowTable, NO_FLOW } from "./bond_flows.ts";
import {
  capacityShares,
  LatencyWindow,
  type PathFigures,
  QosLedger,
  relativeQualities,
  violates,
} from "./bond_quality.ts";
import type { Path } from "./path.ts";
import { isSuspect, type PeerPath } from "./peer.ts";

/** Links used at a time: as many paths as a peer may have. */
export const BOND_LINKS_MAX = 16;
const TRIAL_MS = 15_000; // a new path need not wait for `upDelay`; reference ZT_BOND_OPTIMIZE_INTERVAL
const SETTLE_MS = 15_000; // between two changes of an active path that works
const UPDATE_MIN_MS = 60; // reference: background tasks
const UPDATE_MAX_MS = 5_000;
const DELAY_CHECK_MS = 100; // how exactly `upDelay` and `downDelay` are kept
/** What makes a score, beside 0 to 100 for relative quality. */
const PRIMARY_SCORE = 1_000;
const FAMILY_SCORE = 500;
const HEIR_SCORE = -10; // of who is to take over, beside the score of whom it inherits from
const OPTIMIZE_GAIN = 10; // a tenth of all quality
const MOVED_GROUPS = 16; // off a path that is too bad, at a time: about one flow
const QOS_GATE = 128; // reports in quick succession that are taken
const QOS_GATE_PART = 64; // of the estimation interval: what is quick

/** The end of a path on this machine. */
export interface LinkPlace {
  /** Interface; empty when the socket belongs to none. */
  readonly device: string;
  /** The same for all paths between the same two addresses. */
  readonly way: string;
  /** UDP payload in bytes, where the user gave it one. */
  readonly mtu: number | undefined;
}

/** A path of a bond. */
export interface BondLink extends Omit<LinkPlace, "mtu"> {
  mtu: number | undefined;
  readonly path: PeerPath;
  readonly options: BondLinkSettings;
  /** Whether interface and family may be used at all. */
  readonly isAllowed: boolean;
  readonly nominatedMs: number;
  readonly window: LatencyWindow;
  readonly qos: QosLedger;
  qosSentMs: number;
  qosAskedMs: number;
  /** When it came alive; undefined while dead. */
  aliveSinceMs: number | undefined;
  deadSinceMs: number;
  isEligible: boolean;
  /** Whether it carries frames, or is in line to. */
  isBonded: boolean;
  /** 0 to 1; the sum over all eligible links is 1. */
  quality: number;
  isAvoided: boolean;
}

export class Bond {
  readonly links: BondLink[] = [];
  readonly #flows = new FlowTable<BondLink>();
  /** Links that carry frames, or are in line to: the one in use first when only one is. */
  #inUse: BondLink[] = [];
  #active: BondLink | undefined;
  #turn = 0; // of the link whose turn it is
  #turnLeft: number; // packets
  #switchedMs = -Infinity;
  #isRelieved = false; // flows were taken off a link that was too bad
  #estimatedMs: number;
  #qosMs = -Infinity;
  #qosCount = 0;
  /** Grows whenever what {@linkcode plan} says changes. */
  revision = 0;

  /**
   * @param paths Of the peer, as they come and go
   * @param place Where a path leaves this machine; undefined when its socket is gone
   */
  constructor(
    readonly policy: BondPolicy,
    readonly paths: readonly PeerPath[],
    readonly place: (path: Path) => LinkPlace | undefined,
    nowMs: number,
  ) {
    this.#turnLeft = policy.packetsPerLink;
    this.#estimatedMs = nowMs;
    this.update(nowMs);
  }

  get mode(): BondMode {
    return this.policy.mode;
  }

  /** Links in use, or in line to be: the first is the active one of an active-backup bond. */
  get inUse(): readonly BondLink[] {
    return this.#inUse;
  }

  /** UDP payload in bytes that a path has by its link; undefined where nothing is said of it. */
  mtuOf(path: Path): number | undefined {
    const link = this.find(path);
    return link?.mtu ?? (link?.options.mtu || undefined);
  }

  find(path: Path): BondLink | undefined {
    return this.links.find((link) => link.path.path === path);
  }

  isAlive(link: BondLink, nowMs: number): boolean {
    return !isSuspect(link.path) && nowMs - link.path.lastInMs < this.policy.failoverIntervalMs;
  }

  /** Flow groups a link carries; 0 where the policy does not look at flows. */
  flowCount(link: BondLink): number {
    return this.#isByFlow ? this.#flows.count(link) : 0;
  }

  get #isByFlow(): boolean {
    return this.mode === BondMode.BALANCE_XOR || this.mode === BondMode.BALANCE_AWARE;
  }

  // --- choosing

  /**
   * The path for one packet; undefined while none is eligible: then as without a bond.
   * @param flow Number of the frame's flow, or NO_FLOW; undefined for what is no frame
   */
  pick(flow: number | undefined, nowMs: number): PeerPath | undefined {
    if (this.#inUse.some(({ path }) => isSuspect(path))) this.update(nowMs);
    if (this.#inUse.length === 0) return undefined;
    if (flow === undefined) return this.#active?.path;
    switch (this.mode) {
      case BondMode.BALANCE_RR:
        return this.#nextByTurn().path;
      case BondMode.BALANCE_XOR:
      case BondMode.BALANCE_AWARE: {
        const link = flow === NO_FLOW ? this.#nextLink() : this.#flows.linkOf(flow);
        return link?.path;
      }
      default:
        return this.#active?.path;
    }
  }

  #nextByTurn(): BondLink {
    if (this.#turnLeft <= 0) {
      this.#nextLink();
      this.#turnLeft = this.policy.packetsPerLink;
    }
    this.#turnLeft--;
    return this.#inUse[this.#turn % this.#inUse.length];
  }

  /** One after the other: as even as chance, which the reference uses. */
  #nextLink(): BondLink {
    this.#turn = (this.#turn + 1) % this.#inUse.length;
    return this.#inUse[this.#turn];
  }

  /** For the data plane: the links and which flow groups each carries. */
  plan(): { links: readonly BondLink[]; groups: Uint8Array } {
    return { links: this.#inUse, groups: this.#flows.indexes(this.#inUse) };
  }

  /** Goes on by the next path in line, where only one is used at a time. @returns false when there is no other */
  rotate(nowMs: number): boolean {
    if (this.mode !== BondMode.ACTIVE_BACKUP || this.#inUse.length < 2) return false;
    this.#activate(this.#inUse[1], nowMs);
    this.#inUse.push(this.#inUse.shift()!);
    return true;
  }

  /** The peer wants this path used. @param utility What it is worth there */
  negotiate(path: Path, utility: number, peerIsGreater: boolean, nowMs: number): void {
    const link = this.find(path);
    if (this.policy.reselect !== "optimize" || !link?.isEligible) return;
    const ours = Math.round(link.quality * 0x7fff);
    if (utility < ours || (utility === ours && !peerIsGreater)) return;
    if (this.mode === BondMode.ACTIVE_BACKUP) this.#activate(link, nowMs);
    this.#line(nowMs);
  }

  // --- looking after the links

  /** Looks at every path anew. @returns when to look again */
  update(nowMs: number): number {
    this.#nominate(nowMs);
    for (const link of this.links) this.#judge(link, nowMs);
    const estimates = nowMs - this.#estimatedMs >= estimationMs(this.policy);
    if (estimates) this.#estimate(nowMs);
    this.#line(nowMs);
    if (estimates) this.#relieve();
    const { upDelayMs, downDelayMs } = this.policy;
    const delayed = upDelayMs > 0 || downDelayMs > 0;
    const everyMs = Math.min(UPDATE_MAX_MS, monitorMs(this.policy));
    return nowMs + Math.max(UPDATE_MIN_MS, delayed ? DELAY_CHECK_MS : everyMs);
  }

  #nominate(nowMs: number): void {
    for (const path of this.paths) {
      if (this.find(path.path) || path.path.isTunnel) continue;
      const place = this.place(path.path);
      if (!place) continue;
      const { links } = this.policy;
      const options = links.get(place.device) ?? DEFAULT_LINK;
      const named = links.size === 0 || links.has(place.device);
      this.links.push({
        ...place,
        path,
        options,
        isAllowed: named && options.enabled && allowsFamily(options, path.path),
        nominatedMs: nowMs,
        window: new LatencyWindow(),
        qos: new QosLedger(),
        qosSentMs: nowMs,
        qosAskedMs: nowMs,
        aliveSinceMs: undefined,
        deadSinceMs: -Infinity,
        isEligible: false,
        isBonded: false,
        quality: 0,
        isAvoided: false,
      });
    }
    for (let i = this.links.length - 1; i >= 0; i--) {
      if (!this.paths.includes(this.links[i].path)) this.links.splice(i, 1);
    }
  }

  #judge(link: BondLink, nowMs: number): void {
    const alive = this.isAlive(link, nowMs);
    if (alive && link.aliveSinceMs === undefined) link.aliveSinceMs = nowMs;
    if (!alive && link.aliveSinceMs !== undefined) {
      link.aliveSinceMs = undefined;
      link.deadSinceMs = nowMs;
    }
    const { upDelayMs, downDelayMs } = this.policy;
    const isTried = nowMs - link.nominatedMs < TRIAL_MS;
    const works = link.aliveSinceMs !== undefined
      ? isTried || link.isEligible || nowMs - link.aliveSinceMs >= upDelayMs
      : nowMs - link.deadSinceMs < downDelayMs;
    link.isEligible = link.isAllowed && works;
  }

  #estimate(nowMs: number): void {
    this.#estimatedMs = nowMs;
    const eligible = this.links.filter((link) => link.isEligible);
    for (const link of this.links) link.quality = 0;
    const figures = eligible.map(figuresOf);
    const qualities = relativeQualities(figures, this.policy.limits);
    for (const [i, link] of eligible.entries()) {
      link.quality = qualities[i];
      link.isAvoided = violates(figures[i], this.policy.limits);
      link.qos.expire(nowMs - 3 * estimationMs(this.policy));
    }
  }

  /** Puts those that carry frames, or are to, into line. */
  #line(nowMs: number): void {
    const before = this.#inUse;
    const ways = bestOfEachWay(this.links.filter((link) => link.isEligible));
    if (this.mode === BondMode.ACTIVE_BACKUP) {
      ways.sort((a, b) => this.#score(b) - this.#score(a));
      this.#reselect(ways, nowMs);
      this.#inUse = this.#active
        ? [this.#active, ...ways.filter((link) => link !== this.#active)]
        : [];
    } else {
      this.#inUse = oneFamilyEach(ways);
      this.#active = this.#inUse.includes(this.#active!) ? this.#active : this.#inUse[0];
    }
    this.#inUse = this.#inUse.slice(0, BOND_LINKS_MAX);
    for (const link of this.links) link.isBonded = this.#inUse.includes(link);
    const changed = before.length !== this.#inUse.length ||
      before.some((link, i) => link !== this.#inUse[i]);
    if (this.#isByFlow && this.#inUse.length > 0 && changed) this.#assign();
    if (changed) this.revision++;
  }

  /** Gives every flow group a link. @returns whether anything changed */
  #assign(): boolean {
    const aware = this.mode === BondMode.BALANCE_AWARE;
    const shares = capacityShares(this.#inUse.map(({ options: { capacity } }) => ({
      capacity: aware ? capacity : 0,
    })));
    this.#isRelieved = false;
    return this.#flows.assign(this.#inUse, shares);
  }

  #reselect(ways: readonly BondLink[], nowMs: number): void {
    const active = this.#active;
    if (!active || !ways.includes(active)) {
      const heir = active && ways.find(({ device }) => device === active.options.failoverTo);
      return this.#activate(heir ?? ways[0], nowMs);
    }
    const best = ways[0];
    if (best === active || nowMs - this.#switchedMs < SETTLE_MS) return;
    const gain = this.#score(best) - this.#score(active);
    const isReturn = best.options.mode === "primary" && active.options.mode !== "primary";
    const { reselect } = this.policy;
    const wanted = reselect === "always"
      ? isReturn
      : reselect === "better"
      ? isReturn && gain > 0
      : reselect === "optimize" && gain > OPTIMIZE_GAIN;
    if (wanted) this.#activate(best, nowMs);
  }

  #activate(link: BondLink | undefined, nowMs: number): void {
    this.#active = link;
    this.#switchedMs = nowMs;
    this.revision++;
  }

  #score(link: BondLink): number {
    const own = ownScore(link);
    const heirs = this.links
      .filter(({ options, device }) => options.failoverTo === link.device && device !== link.device)
      .map((parent) => ownScore(parent) + HEIR_SCORE);
    return Math.max(own, ...link.device === "" ? [] : heirs);
  }

  /** Takes a few flows off links that are too bad, where there are better ones; gives them back when all are good. */
  #relieve(): void {
    if (this.mode !== BondMode.BALANCE_AWARE) return;
    const good = this.#inUse.filter((link) => !link.isAvoided);
    if (good.length === 0) return;
    if (good.length === this.#inUse.length) {
      if (this.#isRelieved && this.#assign()) this.revision++;
      return;
    }
    for (const link of this.#inUse) {
      if (!link.isAvoided || !this.#flows.move(link, good, MOVED_GROUPS)) continue;
      this.#isRelieved = true;
      this.revision++;
    }
  }

  // --- measuring

  /** Whether another report of the peer is taken: not more than it could have cause for. */
  takesQos(nowMs: number): boolean {
    const quick = nowMs - this.#qosMs < estimationMs(this.policy) / QOS_GATE_PART;
    this.#qosMs = nowMs;
    this.#qosCount = quick ? this.#qosCount + 1 : 0;
    return this.#qosCount < QOS_GATE;
  }
}

function allowsFamily({ ipPreference }: BondLinkSettings, path: Path): boolean {
  return path.isIpv4 ? ipPreference !== 6 : ipPreference !== 4;
}

function figuresOf({ window, path, options: { capacity } }: BondLink): PathFigures {
  // Until there are samples the round trip of the probes has to do.
  const latencyMs = window.meanMs || (path.path.latencyMs ?? 0) / 2;
  return { latencyMs, jitterMs: window.deviationMs, capacity };
}

function ownScore({ quality, options, path }: BondLink): number {
  const { ipPreference, mode } = options;
  const isPreferred = path.path.isIpv4
    ? ipPreference === 4 || ipPreference === 46
    : ipPreference === 6 || ipPreference === 64;
  return quality * 100 + (isPreferred ? FAMILY_SCORE : 0) +
    (mode === "primary" ? PRIMARY_SCORE : 0);
}

/** Of paths between the same two addresses the one that came first: one that works is not left for another. */
function bestOfEachWay(links: readonly BondLink[]): BondLink[] {
  const ways = new Map<string, BondLink>();
  for (const link of links) if (!ways.has(link.way)) ways.set(link.way, link);
  return [...ways.values()];
}

/** Of an interface the ways of one family: an address more must not be a share more. */
function oneFamilyEach(links: readonly BondLink[]): BondLink[] {
  return links.filter((link) => {
    const prefersIpv6 = link.options.ipPreference === 64;
    return link.path.path.isIpv4 !== prefersIpv6 ||
      !links.some((other) =>
        other.device === link.device && other.path.path.isIpv4 !== link.path.path.isIpv4
      );
  });
}
