/**
 * What a bond may be told: which of several ways to a peer carries what, and when it gives one up.
 *
 * Source: spec 03 section 24, spec 06 section 6.3 (`policies`).
 * @module
 */

/** The policies, by the numbers the reference's API gives them. */
export const BondMode = {
  NONE: 0,
  /** All by one path; another takes over when it fails. */
  ACTIVE_BACKUP: 1,
  /** Frames by every path. */
  BROADCAST: 2,
  /** A number of packets by each path in turn. */
  BALANCE_RR: 3,
  /** Each flow stays on one path, picked by its number. */
  BALANCE_XOR: 4,
  /** Each flow stays on one path; paths get as many as they are able to carry. */
  BALANCE_AWARE: 5,
} as const;
export type BondMode = typeof BondMode[keyof typeof BondMode];

/** Names of the policies, by code. */
export const BOND_MODE_NAMES = [
  "none",
  "active-backup",
  "broadcast",
  "balance-rr",
  "balance-xor",
  "balance-aware",
] as const;

/** When an active-backup bond leaves a path that works. */
export type Reselect = "always" | "better" | "failure" | "optimize";

/** What is said about one interface. */
export interface BondLinkSettings {
  readonly enabled: boolean;
  /** Spare ones are used when no primary one works. */
  readonly mode: "primary" | "spare" | undefined;
  /** 4 and 6: only this family; 46 and 64: the first digit's rather; 0: any. */
  readonly ipPreference: 0 | 4 | 6 | 46 | 64;
  /** In any unit, the same for all links; 0 when it is not known. */
  readonly capacity: number;
  /** UDP payload in bytes; 0 for what is measured. */
  readonly mtu: number;
  /** Interface that is to take over; empty for the best there is. */
  readonly failoverTo: string;
}

/** What a good path is: the most each figure may be, and how much each counts. */
export interface QualityLimits {
  readonly latencyMaxMs: number;
  readonly jitterMaxMs: number;
  readonly lossMax: number;
  readonly errorMax: number;
  /** Weights sum to about 1. */
  readonly latencyWeight: number;
  readonly jitterWeight: number;
  readonly lossWeight: number;
  readonly errorWeight: number;
}

export interface BondPolicy {
  /** As the user calls it: of a custom policy its own name. */
  readonly name: string;
  readonly mode: BondMode;
  /** A path silent for this long is dead, even where nothing is sent. */
  readonly failoverIntervalMs: number;
  /** A path that came back is used only after this. */
  readonly upDelayMs: number;
  /** A path that fails is used on for so long. */
  readonly downDelayMs: number;
  /** Of balance-rr: packets by one path before the next has its turn; 0 changes with every packet. */
  readonly packetsPerLink: number;
  readonly reselect: Reselect;
  readonly limits: QualityLimits;
  /** By interface name; when there are any, other interfaces are not used. */
  readonly links: ReadonlyMap<string, BondLinkSettings>;
}

export const DEFAULT_LINK: BondLinkSettings = {
  enabled: true,
  mode: undefined,
  ipPreference: 0,
  capacity: 0,
  mtu: 0,
  failoverTo: "",
};

export const DEFAULT_LIMITS: QualityLimits = {
  latencyMaxMs: 500,
  jitterMaxMs: 100,
  lossMax: 0.001,
  errorMax: 0.0001,
  latencyWeight: 0.25,
  jitterWeight: 0.25,
  lossWeight: 0.25,
  errorWeight: 0.25,
};

/** Shortest failover interval: a third of it is the spacing of ECHO, of which peers answer six a second. */
export const FAILOVER_MIN_MS = 500;
const FAILOVER_MS = 5_000; // reference ZT_BOND_FAILOVER_DEFAULT_INTERVAL
const PACKETS_PER_LINK = 64; // reference

/** A policy with the reference's defaults. */
export function bondPolicy(mode: BondMode, changes: Partial<BondPolicy> = {}): BondPolicy {
  return {
    name: BOND_MODE_NAMES[mode],
    mode,
    failoverIntervalMs: FAILOVER_MS,
    upDelayMs: 0,
    downDelayMs: 0,
    packetsPerLink: PACKETS_PER_LINK,
    reselect: "optimize",
    limits: DEFAULT_LIMITS,
    links: new Map(),
    ...changes,
  };
}

/** How long a path may be silent before it is asked: a third of what makes it dead, and no more than peers answer. */
export function monitorMs({ failoverIntervalMs }: BondPolicy): number {
  return Math.max(MONITOR_MIN_MS, failoverIntervalMs / 3);
}

const MONITOR_MIN_MS = 170; // the reference answers one ECHO a path in 166 ms

/** How often quality is estimated and told to the peer. */
export function estimationMs({ failoverIntervalMs }: BondPolicy): number {
  return 2 * failoverIntervalMs;
}
