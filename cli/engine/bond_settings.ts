/**
 * What `local.conf` says of bonds: the default policy, the user's own ones, and which peers have another.
 *
 * Source: spec 03 section 24.4, spec 06 section 6.3.
 * @module
 */
import { type Address, parseAddress } from "../../lib/base/ids.ts";
import {
  BOND_MODE_NAMES,
  type BondLinkSettings,
  BondMode,
  type BondPolicy,
  bondPolicy,
  DEFAULT_LIMITS,
  DEFAULT_LINK,
  FAILOVER_MIN_MS,
  type QualityLimits,
  type Reselect,
} from "../../lib/peer/bond_policy.ts";
import { Value } from "./conf_value.ts";
import { HomeError } from "./home.ts";
import { isObject, type Json, JsonNumber, type JsonObject } from "./json.ts";

/** How the paths to peers are bonded. */
export interface BondSettings {
  /** Of peers that have none of their own; undefined: no bond. */
  readonly standard: BondPolicy | undefined;
  readonly byPeer: ReadonlyMap<Address, BondPolicy | undefined>;
  /** Interfaces the policies name: used even where others of their kind are not, e.g. ppp0. */
  readonly interfaces: ReadonlySet<string>;
}

const WEIGHTS_TOLERANCE = 0.01; // the four weights of a policy sum to 1 within this
const NONE = BOND_MODE_NAMES[BondMode.NONE];
const RESELECTS: readonly Reselect[] = ["always", "better", "failure", "optimize"];
const IP_PREFERENCES = [0, 4, 6, 46, 64] as const;
/** Keys of `linkQuality`, as the reference calls them. */
const LIMITS: readonly (readonly [keyof QualityLimits, string])[] = [
  ["latencyMaxMs", "lat_max"],
  ["jitterMaxMs", "pdv_max"],
  ["lossMax", "plr_max"],
  ["errorMax", "per_max"],
  ["latencyWeight", "lat_weight"],
  ["jitterWeight", "pdv_weight"],
  ["lossWeight", "plr_weight"],
  ["errorWeight", "per_weight"],
];

/**
 * @param settings `settings` of `local.conf`
 * @returns undefined when nothing is bonded
 * @throws {HomeError} naming the key, when a value cannot mean anything
 */
export function parseBonds(settings: JsonObject): BondSettings | undefined {
  const policies = new Map<string, BondPolicy | undefined>([[NONE, undefined]]);
  for (const mode of Object.values(BondMode)) {
    if (mode !== BondMode.NONE) policies.set(BOND_MODE_NAMES[mode], bondPolicy(mode));
  }
  for (const [name, fields] of objects("settings.policies", settings.policies)) {
    policies.set(name, parsePolicy(name, fields));
  }
  const find = (where: string, value: Json | undefined): BondPolicy | undefined => {
    const name = new Value(where, value).text("") || NONE;
    if (!policies.has(name)) {
      const known = [...policies.keys()].join(", ");
      throw new HomeError(`local.conf: ${where}: there is no policy "${name}", only ${known}`);
    }
    return policies.get(name);
  };
  const standard = find("settings.defaultBondingPolicy", settings.defaultBondingPolicy);
  const byPeer = new Map<Address, BondPolicy | undefined>();
  for (const [key, value] of fields("settings.peerSpecificBonds", settings.peerSpecificBonds)) {
    const where = `settings.peerSpecificBonds."${key}"`;
    const address = parseAddress(key);
    if (address === undefined) {
      throw new HomeError(`local.conf: ${where} is not an address of 10 hexadecimal digits`);
    }
    byPeer.set(address, find(where, value));
  }
  const used = [standard, ...byPeer.values()].filter((policy) => policy !== undefined);
  return used.length > 0 ? { standard, byPeer, interfaces: interfacesOf(used) } : undefined;
}

function interfacesOf(policies: readonly BondPolicy[]): Set<string> {
  const links = policies.flatMap((policy) => [...policy.links]);
  return new Set(links.filter(([, { enabled }]) => enabled).map(([device]) => device));
}

/** The policy for a peer; undefined for none. */
export function bondPolicyFor(bonds: BondSettings, peer: Address): BondPolicy | undefined {
  return bonds.byPeer.has(peer) ? bonds.byPeer.get(peer) : bonds.standard;
}

function parsePolicy(name: string, policy: JsonObject): BondPolicy {
  const where = `settings.policies."${name}"`;
  const at = (key: string) => new Value(`${where}.${key}`, policy[key]);
  const mode = BOND_MODE_NAMES.indexOf(at("basePolicy").text("") as typeof BOND_MODE_NAMES[number]);
  if (mode <= 0) {
    const known = BOND_MODE_NAMES.slice(1).join(", ");
    throw new HomeError(`local.conf: ${where}.basePolicy must be one of ${known}`);
  }
  const standard = bondPolicy(mode as BondMode);
  const links = objects(`${where}.links`, policy.links);
  const failoverMs = at("failoverInterval").integer(standard.failoverIntervalMs);
  return {
    name,
    mode: mode as BondMode,
    failoverIntervalMs: Math.max(FAILOVER_MIN_MS, failoverMs),
    upDelayMs: at("upDelay").integer(0),
    downDelayMs: at("downDelay").integer(0),
    packetsPerLink: at("packetsPerLink").integer(standard.packetsPerLink),
    reselect: at("activeReselect").parsed(
      (text) => RESELECTS.find((one) => one === text),
      `one of ${RESELECTS.join(", ")}`,
    ) ?? standard.reselect,
    limits: parseLimits(`${where}.linkQuality`, policy.linkQuality),
    links: new Map(
      links.map(([device, link]) => [device, parseLink(`${where}.links`, device, link)]),
    ),
  };
}

/** All of them or none: weights mean something only together. */
function parseLimits(where: string, value: Json | undefined): QualityLimits {
  if (value === undefined || value === null) return DEFAULT_LIMITS;
  const given = new Map(fields(where, value));
  const limits = { ...DEFAULT_LIMITS };
  for (const [name, key] of LIMITS) {
    const value = given.get(key);
    const number = value instanceof JsonNumber ? Number(value.text) : value;
    if (typeof number !== "number" || number < 0) {
      throw new HomeError(`local.conf: ${where}.${key} must be a number from 0`);
    }
    limits[name] = number;
  }
  const { latencyWeight, jitterWeight, lossWeight, errorWeight } = limits;
  const sum = latencyWeight + jitterWeight + lossWeight + errorWeight;
  if (Math.abs(sum - 1) > WEIGHTS_TOLERANCE) {
    throw new HomeError(`local.conf: ${where}: the four weights must sum to 1, not ${sum}`);
  }
  return limits;
}

function parseLink(where: string, device: string, link: JsonObject): BondLinkSettings {
  const at = (key: string) => new Value(`${where}."${device}".${key}`, link[key]);
  const preference = at("ipvPref").integer(0);
  const ipPreference = IP_PREFERENCES.find((one) => one === preference);
  if (ipPreference === undefined) {
    throw new HomeError(`local.conf: ${where}."${device}".ipvPref must be 0, 4, 6, 46 or 64`);
  }
  return {
    enabled: at("enabled").flag(DEFAULT_LINK.enabled),
    mode: at("mode").parsed(
      (text) => text === "primary" || text === "spare" ? text : undefined,
      `"primary" or "spare"`,
    ),
    ipPreference,
    capacity: at("capacity").integer(0),
    mtu: at("mtu").integer(0),
    failoverTo: at("failoverTo").text(""),
  };
}

function fields(where: string, value: Json | undefined): [string, Json | undefined][] {
  if (value === undefined || value === null) return [];
  if (!isObject(value)) throw new HomeError(`local.conf: ${where} must be an object`);
  return Object.entries(value);
}

function objects(where: string, value: Json | undefined): [string, JsonObject][] {
  return fields(where, value).map(([name, inner]) => {
    if (!isObject(inner)) throw new HomeError(`local.conf: ${where}."${name}" must be an object`);
    return [name, inner];
  });
}
