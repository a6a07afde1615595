/**
 * One joined network: its configuration and how we come by it, its members' credentials, its multicast groups, and what
 * the machine's port should look like.
 *
 * Source: spec 04 sections 5 to 8 and 12.3.
 * @module
 */
import { utf8, Writer } from "../base/bytes.ts";
import {
  type Address,
  controllerOf,
  firstOctet,
  isAdHoc,
  type Mac,
  macOf,
  type NetworkId,
} from "../base/ids.ts";
import type { Prefix } from "../base/ip.ts";
import {
  addressResolutionGroup,
  BROADCAST_GROUP,
  groupKey,
  type MulticastGroup,
} from "../base/multicast_group.ts";
import { adHocConfig } from "../credential/ad_hoc.ts";
import type { ReceivedChunk } from "../credential/config_chunk.ts";
import { type ChunkSource, ConfigAssembler } from "../credential/config_chunks.ts";
import {
  ConfigFlag,
  decodeNetworkConfig,
  EMPTY_CONFIG,
  encodeNetworkConfig,
  MTU_DEFAULT,
  type NetworkConfig,
} from "../credential/network_config.ts";
import type { NameList } from "../credential/member_names.ts";
import { type Dns, Role, type Route } from "../credential/network_config_binary.ts";
import { encodeRequestMetadata, OUR_METADATA } from "../credential/request_metadata.ts";
import { WireError } from "../base/errors.ts";
import { dropOldest } from "../base/oldest.ts";
import { verify } from "../identity/sign.ts";
import type { Vl1 } from "../node/vl1.ts";
import type { Peer } from "../peer/peer.ts";
import { encodeNetworkConfigRequest } from "../wire/network_config_request.ts";
import { Verb } from "../wire/packet.ts";
import { Announcements } from "./announcements.ts";
import { localMemberOf } from "./local_member.ts";
import { Membership } from "./membership.ts";
import { NetworkFilter } from "./rules/mod.ts";

// A configuration is asked for again this long after the last; reference ZT_NETWORK_AUTOCONF_DELAY
const REFRESH_MS = 60_000;
/** Waiting between requests while there is no configuration; a controller ignores what comes within a second. */
const REQUEST_DELAYS_MS = [1_100, 1_100, 2_500, 5_000];
const NAMES_PATIENCE_MS = 5_000; // by then a list of names that was announced is lost
const REFRESH_LOW_BANDWIDTH_FACTOR = 64; // as the reference in low bandwidth mode: about once an hour
const MEMBERSHIPS_MAX = 65_536; // members known of one network; the one heard of longest ago goes first
const BRIDGE_ROUTES_MAX = 65_536; // MACs learned behind bridges; the oldest goes first
// A MAC not heard of for this long may be anywhere; as IEEE 802.1D, the reference has no limit
const BRIDGE_ROUTE_MS = 300_000;
const OVERTAKEN_MS = 30_000; // a question is answered within that, or the answer is not taken
const GROUPS_MAX = 4_096; // groups this machine subscribes to on one network; as many again behind a bridge
const BRIDGED_GROUP_MS = 1_200_000; // a group nobody behind us sent to for this long is not announced any more

/** Where a network stands; names of the reference's API. */
export type NetworkStatus =
  | "REQUESTING_CONFIGURATION"
  | "OK"
  | "ACCESS_DENIED"
  | "NOT_FOUND"
  | "PORT_ERROR"
  | "AUTHENTICATION_REQUIRED";

/** What the machine's virtual interface should look like. */
export interface PortConfig {
  readonly mac: Mac;
  readonly mtu: number;
  readonly name: string;
  /** Assigned by the controller, whether or not the user allows them. */
  readonly addresses: readonly Prefix[];
  readonly routes: readonly Route[];
  readonly dns: Dns;
  /** Names of members; undefined when the controller hands out none. */
  readonly names: NameList | undefined;
}

/** Where a configuration comes from: "own" is the controller in this very node. */
export type ConfigOrigin = "cache" | "own" | "answer" | "push";

/** Why the controller gave no configuration. */
export type Refusal = "ACCESS_DENIED" | "NOT_FOUND" | "AUTHENTICATION_REQUIRED";

/**
 * In low bandwidth mode the reference is cut off every hour until it asks again: others take nobody's
 * credentials that are so much older than theirs.
 * @param windowMs How much: {@linkcode NetworkConfig.credentialTimeMaxDeltaMs}, half an hour mostly
 */
function refreshMs({ settings }: Vl1, windowMs: number): number {
  if (!settings.isLowBandwidth?.()) return REFRESH_MS;
  const rareMs = REFRESH_MS * REFRESH_LOW_BANDWIDTH_FACTOR;
  return Math.max(REFRESH_MS, Math.min(rareMs, windowMs / 2));
}

export class Network {
  readonly controller: Address;
  readonly mac: Mac;
  config: NetworkConfig | undefined;
  filter: NetworkFilter | undefined;
  /** When the configuration changed last: credentials pushed before it are due again. */
  lastConfigMs = -Infinity;
  /** When our tags or capabilities changed last, or we got the first. */
  lastRoleMs = -Infinity;
  refusal: Refusal | undefined;
  /** Dictionary the controller sent with AUTHENTICATION_REQUIRED. */
  authentication: Uint8Array | undefined;
  /** Frames the rules let pass or not; those the data Worker handles only as far as it reports them. */
  readonly counts = { sentAccepted: 0, sentRefused: 0, receivedAccepted: 0, receivedRefused: 0 };
  portFailed = false;
  /** The members last kept for the next run, as one text. */
  rememberedMembers = "";
  /** When to ask the controller next. */
  requestDueMs: number;
  /** When to tell upstreams and controller of our groups next. */
  likeDueMs = Infinity;
  /** What they were told of lately and are told of again. */
  readonly announcements = new Announcements();
  /** Whether this network's own controller answers without packets; set by the node. */
  #requests = 0;
  readonly #assembler = new ConfigAssembler();
  readonly #memberships = new Map<Address, Membership>();
  readonly #bridged = new Map<Mac, { bridge: Address; atMs: number }>();
  #tapGroups = new Map<string, MulticastGroup>();
  readonly #bridgedGroups = new Map<string, { group: MulticastGroup; atMs: number }>();

  constructor(readonly vl1: Vl1, readonly id: NetworkId) {
    this.controller = controllerOf(id);
    this.mac = macOf(vl1.address, id);
    this.requestDueMs = vl1.nowMs;
  }

  get status(): NetworkStatus {
    if (this.portFailed) return "PORT_ERROR";
    return this.refusal ?? (this.config ? "OK" : "REQUESTING_CONFIGURATION");
  }

  /** Whether a configuration is held: a later refusal does not take it away. */
  get isUsable(): boolean {
    return this.config !== undefined;
  }

  // --- configuration

  /**
   * Asks the controller, or for an ad-hoc network makes the configuration up.
   * @param askSelf Called instead of sending when this node is the controller
   */
  request(askSelf: (metadata: Uint8Array) => void): void {
    const { vl1 } = this;
    const delay = REQUEST_DELAYS_MS[Math.min(this.#requests++, REQUEST_DELAYS_MS.length - 1)];
    this.requestDueMs = vl1.nowMs + delay;
    if (isAdHoc(this.id)) return this.#configureAdHoc();
    const metadata = this.#metadata();
    if (this.controller === vl1.address) return askSelf(metadata);
    const w = new Writer(512);
    encodeNetworkConfigRequest({
      networkId: this.id,
      metadata,
      haveRevision: BigInt(this.config?.revision ?? 0),
      haveTimestampMs: this.config?.timestampMs ?? 0,
    }, w);
    vl1.send(this.controller, Verb.NETWORK_CONFIG_REQUEST, w.finish(), { compress: true });
  }

  #metadata(): Uint8Array {
    const { protocol, major, minor, revision } = this.vl1.announced;
    return encodeRequestMetadata({
      ...OUR_METADATA,
      protocolVersion: protocol,
      majorVersion: major,
      minorVersion: minor,
      revision,
      platform: this.vl1.settings.platform,
      namesHeld: this.vl1.settings.wantsNames?.() ? this.config?.names?.hash ?? 0n : undefined,
    });
  }

  #configureAdHoc(): void {
    const config = adHocConfig(this.id, this.vl1.address, this.vl1.time.wallMs);
    if (config === "invalid-range") this.refuse("NOT_FOUND", undefined);
    else if (config) this.apply(config);
    const windowMs = this.config?.credentialTimeMaxDeltaMs ?? 0;
    this.requestDueMs = this.vl1.nowMs + refreshMs(this.vl1, windowMs);
  }

  /** @returns the update's id when this chunk completed a configuration that was applied */
  takeChunk(
    chunk: ReceivedChunk,
    source: ChunkSource,
    origin: "answer" | "push",
  ): { updateId: bigint } | "new" | undefined {
    const controller = this.vl1.peers.get(this.controller);
    const result = this.#assembler.add(
      chunk,
      (message, signature) =>
        controller !== undefined &&
        verify(this.vl1.config.primitives, controller.identity.publicKey, message, signature),
      source,
    );
    if (result.kind === "ignored") return undefined;
    if (result.kind === "stored") return "new";
    if (!this.takeDictionary(result.dictionary, origin)) return undefined;
    return { updateId: result.updateId };
  }

  /**
   * Reads and applies a configuration.
   * @returns false when it is malformed, somebody else's, or older than the one in force
   */
  takeDictionary(dictionary: Uint8Array, origin: ConfigOrigin): boolean {
    let config: NetworkConfig;
    try {
      config = decodeNetworkConfig(dictionary);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.vl1.counters.drop("malformed");
      return false;
    }
    if (config.issuedTo !== this.vl1.address || config.networkId !== this.id) return false;
    if (this.#isOutdated(config, origin)) {
      this.vl1.counters.drop("outdated");
      return false;
    }
    const whole = this.#withHeldNames(config);
    const { requestDueMs } = this;
    const isNew = config.timestampMs !== this.config?.timestampMs ||
      whole.names?.hash !== this.config.names?.hash; // a list that was announced in an answer
    this.apply(whole);
    if (origin !== "cache") {
      if (origin === "push" && (this.#requests > 0 || !isNew)) {
        // Our question stays open: only who asks is told whose membership ended while it was away.
        // And stays due: a push that comes again and again must not keep us from asking.
        this.requestDueMs = requestDueMs;
      } else {
        this.#requests = 0;
        const hasNames = whole.names?.hash === config.names?.hash;
        const usualMs = refreshMs(this.vl1, config.credentialTimeMaxDeltaMs);
        this.requestDueMs = this.vl1.nowMs + (hasNames ? usualMs : NAMES_PATIENCE_MS);
      }
      const bytes = whole === config ? dictionary.slice() : encodeNetworkConfig(whole);
      const record = { what: "network" as const, network: this.id, bytes };
      this.vl1.outbox.push({ kind: "persist", record });
    }
    return true;
  }

  /**
   * A push that is older than what is in force was overtaken on its way, or somebody kept it and
   * sends it again to have rules and tags back that hold no more. An answer is as young as our
   * question, so it may only have been overtaken; else the controller's clock was set back. The
   * reference takes both (spec 04 section 6.2).
   */
  #isOutdated({ timestampMs }: NetworkConfig, origin: ConfigOrigin): boolean {
    const olderMs = (this.config?.timestampMs ?? -Infinity) - timestampMs;
    if (origin === "push") return olderMs > 0;
    return origin === "answer" && olderMs > 0 && olderMs <= OVERTAKEN_MS;
  }

  /**
   * A list of names the controller left out is the one we hold, or comes by itself: until then ours
   * is better than none.
   */
  #withHeldNames(config: NetworkConfig): NetworkConfig {
    if (!config.names || config.names.members) return config;
    return { ...config, names: this.config?.names };
  }

  /** Puts a configuration in force. */
  apply(config: NetworkConfig): void {
    const { vl1 } = this;
    const known = new Set(this.groups().map(groupKey));
    const changed = !this.config || differs(this.config, config) || this.refusal !== undefined;
    if (!this.config || roleOf(this.config) !== roleOf(config)) this.lastRoleMs = vl1.nowMs;
    this.config = config;
    this.refusal = undefined;
    this.authentication = undefined;
    this.lastConfigMs = vl1.nowMs;
    this.requestDueMs = vl1.nowMs + refreshMs(this.vl1, config.credentialTimeMaxDeltaMs);
    this.filter = new NetworkFilter(localMemberOf(config), () => this.#random());
    if (changed) {
      vl1.outbox.push({ kind: "configure", network: this.id, port: this.port() });
      this.#notify();
    }
    const isFirst = this.likeDueMs === Infinity;
    const added = this.groups().filter((group) => isFirst || !known.has(groupKey(group)));
    if (added.length > 0) this.onGroups(added);
    if (isFirst) this.likeDueMs = vl1.nowMs;
    this.onChange();
  }

  /** A configuration is in force, or another one; set by the owner of all networks. */
  onChange: () => void = () => {};

  /** New subscriptions of this machine; set by the owner of multicast. */
  onGroups: (groups: readonly MulticastGroup[]) => void = () => {};

  #random(): number {
    const bytes = new Uint8Array(4);
    this.vl1.config.random(bytes);
    return new DataView(bytes.buffer).getUint32(0);
  }

  /** The controller said no; a configuration held before stays in force. */
  refuse(refusal: Refusal, authentication: Uint8Array | undefined): void {
    const changed = this.refusal !== refusal;
    this.refusal = refusal;
    this.authentication = authentication?.slice();
    if (changed) this.#notify();
  }

  setPortFailed(failed: boolean): void {
    if (this.portFailed === failed) return;
    this.portFailed = failed;
    this.#notify();
  }

  #notify(): void {
    this.vl1.outbox.push({ kind: "event", event: { name: "network", network: this.id } });
  }

  /**
   * The dictionary of what is in force, without what frames do not depend on: names and how to sign
   * on are as long as a controller likes, and grow when they are written anew. Undefined when
   * nothing is in force.
   */
  dictionary(): Uint8Array | undefined {
    const { sso, names } = EMPTY_CONFIG;
    return this.config && encodeNetworkConfig({ ...this.config, sso, names });
  }

  port(): PortConfig {
    const { config } = this;
    return {
      mac: this.mac,
      mtu: config?.mtu ?? MTU_DEFAULT,
      name: config?.name ?? "",
      addresses: config?.staticIps ?? [],
      routes: config?.routes ?? [],
      dns: config?.dns ?? { domain: "", servers: [] },
      names: config?.names,
    };
  }

  // --- members

  membership(address: Address): Membership {
    const known = this.#memberships.get(address);
    if (known) return known;
    if (this.#memberships.size >= MEMBERSHIPS_MAX) dropOldest(this.#memberships);
    const membership = new Membership();
    this.#memberships.set(address, membership);
    return membership;
  }

  findMembership(address: Address): Membership | undefined {
    return this.#memberships.get(address);
  }

  /** Everyone we hold a record of. */
  members(): IterableIterator<Address> {
    return this.#memberships.keys();
  }

  /** The gate: whether this peer may talk on this network. */
  admits(peer: Peer): boolean {
    const { config } = this;
    if (!config) return false;
    if (config.type === "public") return true;
    const membership = this.#memberships.get(peer.address);
    if (!membership || !config.com) return false;
    return membership.agrees(this.vl1.config.primitives, config.com, peer.identity);
  }

  /** Members with a role, ourselves left out. */
  specialists(role: number): Address[] {
    return (this.config?.specialists ?? [])
      .filter((specialist) =>
        (specialist.roles & role) !== 0 && specialist.address !== this.vl1.address
      )
      .map((specialist) => specialist.address);
  }

  isActiveBridge(address: Address): boolean {
    return this.config?.specialists.some((specialist) =>
      specialist.address === address && (specialist.roles & Role.ACTIVE_BRIDGE) !== 0
    ) ?? false;
  }

  isReplicator(address: Address): boolean {
    return this.config?.specialists.some((specialist) =>
      specialist.address === address && (specialist.roles & Role.MULTICAST_REPLICATOR) !== 0
    ) ?? false;
  }

  /** Whether a MAC is some member's derived one, by its first octet. */
  isDerived(mac: Mac): boolean {
    return firstOctet(mac) === firstOctet(this.mac);
  }

  // --- bridging

  /** A host with this MAC sent something by way of a bridge. */
  learnBridged(mac: Mac, bridge: Address): void {
    this.#bridged.delete(mac);
    if (this.#bridged.size >= BRIDGE_ROUTES_MAX) dropOldest(this.#bridged);
    this.#bridged.set(mac, { bridge, atMs: this.vl1.nowMs });
  }

  /**
   * The bridge a MAC was last heard behind; undefined when that is unknown or long ago: every
   * bridge is to be asked.
   */
  bridgeOf(mac: Mac): Address | undefined {
    const learned = this.#bridged.get(mac);
    if (!learned || this.vl1.nowMs - learned.atMs < BRIDGE_ROUTE_MS) return learned?.bridge;
    this.#bridged.delete(mac);
    return undefined;
  }

  // --- multicast groups

  get broadcasts(): boolean {
    return ((this.config?.flags ?? 0) & ConfigFlag.BROADCAST) !== 0;
  }

  /** What the TAP subscribes to now. @returns what is new */
  setTapGroups(groups: readonly MulticastGroup[]): MulticastGroup[] {
    const known = new Set(this.groups().map(groupKey));
    this.#tapGroups = new Map(
      groups.slice(0, GROUPS_MAX).map((group) => [groupKey(group), group]),
    );
    return this.groups().filter((group) => !known.has(groupKey(group)));
  }

  /** A host behind us sent to a group: hosts there are taken to be in it, and a new one is announced at once. */
  learnBridgedGroup(group: MulticastGroup): void {
    const key = groupKey(group);
    const isNew = !this.subscribes(group);
    this.#bridgedGroups.delete(key);
    if (this.#bridgedGroups.size >= GROUPS_MAX) dropOldest(this.#bridgedGroups);
    this.#bridgedGroups.set(key, { group, atMs: this.vl1.nowMs });
    if (isNew) this.onGroups([group]);
  }

  /** Every group this machine subscribes to: its own, those behind it, broadcast where it is allowed. */
  groups(): MulticastGroup[] {
    const groups = new Map(this.#tapGroups);
    for (const [key, { group, atMs }] of this.#bridgedGroups) {
      if (this.vl1.nowMs - atMs < BRIDGED_GROUP_MS) groups.set(key, group);
    }
    for (const { ip } of this.config?.staticIps ?? []) {
      const group = addressResolutionGroup(ip);
      groups.set(groupKey(group), group);
    }
    if (this.broadcasts) groups.set(groupKey(BROADCAST_GROUP), BROADCAST_GROUP);
    return [...groups.values()];
  }

  subscribes(group: MulticastGroup): boolean {
    const key = groupKey(group);
    return this.groups().some((own) => groupKey(own) === key);
  }
}

/** What our tags and capabilities say, without their times and signatures. */
function roleOf({ tags, capabilities }: NetworkConfig): string {
  const values = tags.map(({ id, value }) => `${id}=${value}`);
  return [...values, ...capabilities.map(({ id }) => `may ${id}`)].join();
}

/** Whether anything but times and certificates differs: those change with every refresh. */
function differs(a: NetworkConfig, b: NetworkConfig): boolean {
  return shape(a) !== shape(b);
}

function shape(config: NetworkConfig): string {
  const names = config.names?.hash; // stands for the list
  const stable = {
    ...config,
    names,
    timestampMs: 0,
    com: 0,
    capabilities: 0,
    tags: 0,
    ownerships: 0,
  };
  return JSON.stringify(stable, (_, value) => {
    if (typeof value === "bigint") return value.toString();
    return value instanceof Uint8Array ? value.join(",") : value;
  });
}

/** What is written where a network was joined and no configuration has come yet. */
export const EMPTY_DICTIONARY = utf8("\n");
