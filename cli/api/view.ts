/**
 * What the local API needs of a running service, in the shapes of the reference's JSON. The engine implements
 * {@linkcode ServiceView}; tests implement it with recorded values. Every object here is written out as it is.
 *
 * Source: spec 06 section 4.
 * @module
 */
import type { Address, NetworkId } from "../../lib/base/ids.ts";
import type { PeerLink } from "../engine/doctor/peer_link.ts";
import type { DoctorFacts } from "../engine/doctor/facts.ts";
import type { Json, JsonObject } from "../engine/json.ts";

/** `GET /status`. */
export type StatusInfo = {
  address: string;
  publicIdentity: string;
  /** At least one upstream answers; a root is online by itself. */
  online: boolean;
  tcpFallbackActive: boolean;
  /** The reference version we announce, e.g. "1.14.1"; see {@linkcode StatusInfo.ztVersion} for ours. */
  version: string;
  versionMajor: number;
  versionMinor: number;
  versionRev: number;
  versionBuild: number;
  /** Epoch milliseconds. */
  clock: number;
  /** 64 bits. */
  planetWorldId: bigint;
  planetWorldTimestamp: number;
  /** `local.conf` with the effective values set over it: build it with `effectiveConfig()`. */
  config: JsonObject;
  /** Version of this program; absent in the reference. */
  ztVersion?: string;
  /** Which of GSO, GRO, TSO and USO the data plane uses, e.g. "GSO GRO TSO"; absent in the reference. */
  ztDataPlane?: string;
  /** The HTTP proxy for tunnels over TCP, and how it does, in words; absent without one, and in the reference. */
  ztHttpProxy?: string;
};

/** Why a network is or is not usable. */
export type NetworkStatus =
  | "REQUESTING_CONFIGURATION"
  | "OK"
  | "ACCESS_DENIED"
  | "NOT_FOUND"
  | "PORT_ERROR"
  | "CLIENT_TOO_OLD"
  | "AUTHENTICATION_REQUIRED";

/** What the user allows a network to do to this machine. */
export type NetworkSettings = {
  /** Assign addresses and routes at all. */
  allowManaged: boolean;
  /** Also globally routed ones. */
  allowGlobal: boolean;
  /** Also a default route. */
  allowDefault: boolean;
  allowDNS: boolean;
};

/** One joined network (spec 06 section 4.3). */
export type NetworkInfo = NetworkSettings & {
  /** Sixteen digits; the same as `nwid`. */
  id: string;
  nwid: string;
  status: NetworkStatus;
  type: "PRIVATE" | "PUBLIC";
  mac: string;
  /** Empty before the first config. */
  name: string;
  mtu: number;
  dhcp: false;
  bridge: boolean;
  broadcastEnabled: boolean;
  /** 0, or -999 when the interface could not be made. */
  portError: number;
  netconfRevision: number;
  portDeviceName: string;
  /** "ip/bits", as assigned by the controller, whether applied or not. */
  assignedAddresses: string[];
  routes: { target: string; via: string | null; flags: number; metric: number }[];
  multicastSubscriptions: { mac: string; adi: number }[];
  dns: { domain: string; servers: string[] };
  authenticationURL?: string;
  authenticationExpiryTime?: number;
  ssoEnabled?: boolean;
  /** Ours. 0: `authenticationURL` is where to sign in. 1: it is an issuer of OpenID Connect. */
  ssoVersion?: number;
};

/** One live path of a peer. */
export type PathInfo = {
  active: true;
  /** "ip/port". */
  address: string;
  expired: false;
  /** Epoch milliseconds, 0 for never. */
  lastReceive: number;
  /** Epoch milliseconds, 0 for never. */
  lastSend: number;
  localPort: number;
  /** Any number that stays the same for one local socket. */
  localSocket: number;
  /** True for at most one path. */
  preferred: boolean;
  /** 64 bits; 0 for a path that is encrypted, as nearly all are. */
  trustedPathId: number | bigint;
} & Partial<BondPathInfo>;

/** What a path of a bonded peer has beside others'; times are in milliseconds. */
export type BondPathInfo = {
  /** UDP port it leaves from; 0 on paths that are not bonded. */
  localPort: number;
  ifname: string;
  /** One way. */
  latencyMean: number;
  /** The standard deviation, whatever its name. */
  latencyVariance: number;
  /** Of the last probes, 0 to 1. */
  packetLossRatio: number;
  packetErrorRatio: number;
  /** Of 256 groups of flows those that go by it. */
  assignedFlowCount: number;
  lastInAge: number;
  lastOutAge: number;
  /** 1 when frames go by it, or would if those before it in line failed. */
  bonded: number;
  /** 1 when they might. */
  eligible: number;
  /** Capacity, as configured. */
  givenLinkSpeed: number;
  /** 0 to 1; the sum of a peer's eligible paths is 1. */
  relativeQuality: number;
};

/** What a bonded peer has beside others. */
export type BondInfo = {
  bondingPolicyCode: number;
  bondingPolicyStr: string;
  numAliveLinks: number;
  numTotalLinks: number;
  /** Milliseconds, these three. */
  failoverInterval: number;
  downDelay: number;
  upDelay: number;
  packetsPerLink: number;
};

/** One peer (spec 06 section 4.5). */
export type PeerInfo = {
  address: string;
  isBonded: boolean;
  /** Milliseconds, -1 when unknown. */
  latency: number;
  /** Live paths only; none means relayed. */
  paths: PathInfo[];
  role: "LEAF" | "MOON" | "PLANET";
  tunneled: boolean;
  /** "-1.-1.-1" when unknown. */
  version: string;
  versionMajor: number;
  versionMinor: number;
  versionRev: number;
  /** Ours: why packets to this peer go through a root, in words; absent when they do not. */
  relayReason?: string;
  /** Ours: how it is reached. */
  link?: PeerLink;
} & Partial<BondInfo>;

/** One moon (spec 06 section 4.6). */
export type MoonInfo = {
  /** Sixteen digits. */
  id: string;
  timestamp: number;
  signature: string | null;
  updatesMustBeSignedBy: string | null;
  roots: { identity: string; stableEndpoints: string[] }[];
  /** Asked for, not yet received. */
  waiting: boolean;
};

/** The planet in use (`GET /zt/planet`). */
export type PlanetInfo = {
  /** Sixteen digits. */
  id: string;
  timestamp: number;
  signature: string;
  updatesMustBeSignedBy: string;
  roots: { identity: string; stableEndpoints: string[] }[];
  /** The whole world file as base64url: what `zt planet use` takes. */
  world: string;
};

/** How waiting for a network ended (`GET /zt/network/<id>/wait`). */
export type NetworkWait = {
  /** The interface is up and carries the addresses the controller assigned. */
  ready: boolean;
  /** The network as it is now. */
  network: NetworkInfo;
};

/** Names of a network's members (`GET /zt/names`). */
export type NamesInfo = {
  nwid: string;
  /** The network's, as its controller calls it. */
  name: string;
  /** What names end in, e.g. "office.zt", the preferred one first; none when the controller hands out no names. */
  domains: string[];
  /** Where they are answered, port 53; null: nowhere. */
  server: string | null;
  /** Why nowhere; null when they are, or there are none. */
  trouble: string | null;
  /** What of this machine asks there: "systemd-resolved" or a file; null: nothing does by itself. */
  askedBy: string | null;
  /** There are more than are listed here: the controller is asked for the others. */
  onDemand: boolean;
  /** Ascending by name. */
  members: { address: string; name: string; ips: string[] }[];
};

/** What a controller answers; without `json` the body is empty. */
export interface ControllerAnswer {
  readonly status: number;
  readonly json?: Json;
  /** Printed with tabs, keys in the order given: `GET /controller`. */
  readonly pretty?: boolean;
}

/** Bonding, where the service has it configured; absent where it has not. */
export interface BondView {
  /** @returns undefined when the peer has no bond */
  show(address: Address): JsonObject | undefined;
  /** @returns false when there is nothing to rotate */
  rotate(address: Address): boolean;
  /** @returns undefined when done, else the reason why not */
  setMtu(mtu: number, interfaceName: string, ip: string): string | undefined;
}

/** A running service as the local API sees it. */
export interface ServiceView {
  status(): StatusInfo;
  /** Ascending by id. */
  networks(): NetworkInfo[];
  network(id: NetworkId): NetworkInfo | undefined;
  /** Joins unless joined, applies the settings given, keeps the others, writes `<id>.local.conf`. */
  join(id: NetworkId, settings: Partial<NetworkSettings>): NetworkInfo | Promise<NetworkInfo>;
  /** @returns false when the network was not joined */
  leave(id: NetworkId): boolean | Promise<boolean>;
  /** Ascending by address, without ourselves. */
  peers(): PeerInfo[];
  peer(address: Address): PeerInfo | undefined;
  /** Moons we have, not those we wait for. */
  moons(): MoonInfo[];
  moon(id: bigint): MoonInfo | undefined;
  /** Takes a moon from the home folder, or starts to look for it at one of its roots. */
  orbit(id: bigint, seed: Address): void;
  deorbit(id: bigint): void;
  /** `local.conf` as it is on disk, {} when there is none. */
  config(): JsonObject;
  /** Puts each key into `settings` of `local.conf` and writes the file. */
  setConfig(settings: JsonObject): void;
  /** @param path e.g. "/controller/network"; @param method GET, POST or DELETE */
  controller(method: string, path: string, body: string): Promise<ControllerAnswer>;
  /** Prometheus text. */
  metrics(): string;
  readonly bonds?: BondView;
  /** Reads a file below `<home>/app`, with `enableWebServer` only; undefined when there is none. */
  readonly webFile?: (path: string) => Uint8Array | undefined;

  /** Ours: version, process id, home folder, offloads in use, whatever helps to see what is going on. */
  ztStatus(): JsonObject;
  /** What `zt doctor` wants to know from inside; takes a few seconds, until the signal aborts at most. */
  doctor(signal: AbortSignal): Promise<DoctorFacts>;
  /**
   * Resolves when the network is usable, when `timeoutMs` is over or when `signal` aborts, whichever comes first.
   * @returns undefined when the network is not joined
   */
  waitNetwork(
    id: NetworkId,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<NetworkWait | undefined>;
  /** Of every network joined, ascending by id. */
  names(): NamesInfo[];
  planet(): PlanetInfo;
  /**
   * Puts another planet in use.
   * @param world Serialized, as in the file `planet`
   * @throws {ApiError} 400 when it is not a planet; 409 when another one is in use and `replace` is false
   */
  usePlanet(world: Uint8Array, replace: boolean): PlanetInfo | Promise<PlanetInfo>;
  /** Ends the service in an orderly way, soon after the answer went out. */
  stop(): void;
}

/** What the service makes of `local.conf`: the keys of `config.settings` it sets or overrides in `GET /status`. */
export type EffectiveSettings = {
  allowTcpFallbackRelay: boolean;
  forceTcpRelay: boolean;
  homeDir: string;
  /** "ip/port" of every UDP socket. */
  listeningOn: string[];
  portMappingEnabled: boolean;
  primaryPort: number;
  /** Undefined when there is none, which is written as 0. */
  secondaryPort?: number;
  /** The same. */
  tertiaryPort?: number;
  softwareUpdate: string;
  softwareUpdateChannel: string;
  /** "ip/port" others see us at. */
  surfaceAddresses: string[];
};

/** `config` of `GET /status`: all of `local.conf`, with the effective settings over it. */
export function effectiveConfig(localConf: JsonObject, effective: EffectiveSettings): JsonObject {
  const settings = localConf.settings;
  const known = typeof settings === "object" && settings !== null && !Array.isArray(settings);
  const { secondaryPort = 0, tertiaryPort = 0 } = effective;
  const given = known ? settings as JsonObject : {};
  return { ...localConf, settings: { ...given, ...effective, secondaryPort, tertiaryPort } };
}
