/**
 * All joined networks of a node: what users and their machines do with them, and their timers.
 *
 * Source: spec 04.
 * @module
 */
import type { Address, NetworkId } from "../base/ids.ts";
import type { MulticastGroup } from "../base/multicast_group.ts";
import { Role } from "../credential/network_config_binary.ts";
import type { Received } from "../node/node.ts";
import type { Vl1 } from "../node/vl1.ts";
import { Credentials } from "./credentials.ts";
import { Frames } from "./frames.ts";
import { GroupMembers } from "./group_members.ts";
import { Multicast } from "./multicast.ts";
import { EMPTY_DICTIONARY, Network } from "./network.ts";
import { NetworkVerbs } from "./network_verbs.ts";

const NETWORKS_MAX = 1_024; // joined at a time: bounds TAPs and timers
const REMEMBERED_MAX = 256; // members kept across restarts, a network
const REACHED_AGAIN_MS = 1_000; // several paths to upstreams open at a time: one round of announcements will do
const EXPIRE_EVERY_MS = 30_000; // reference ZT_HOUSEKEEPING_PERIOD

/** What a node with a controller does with requests; see `lib/node/authority.ts`. */
export interface Authority {
  /** A member, or we ourselves (`received` undefined), ask for a configuration. */
  request(network: NetworkId, metadata: Uint8Array, received: Received | undefined): void;
  seen(address: Address): void;
  /** A member has a configuration that was pushed to it. */
  acknowledged(network: NetworkId, from: Address, updateId: bigint): void;
}

export class Networks {
  readonly members = new GroupMembers();
  readonly credentials: Credentials;
  readonly multicast: Multicast;
  readonly frames: Frames;
  readonly verbs: NetworkVerbs;
  /** Who may say what on which network may have changed; set by who keeps the data plane's tables. */
  onChange: (member?: Address) => void = () => {};
  /** A member is to be known after a restart, even one without warning; set by the node, which keeps its identity. */
  onRemembered: (member: Address) => void = () => {};
  /** Set on a node that is a controller. */
  authority: Authority | undefined;
  readonly #networks = new Map<NetworkId, Network>();
  #expireMs = -Infinity;
  #reachedMs = -Infinity;

  constructor(readonly vl1: Vl1) {
    this.credentials = new Credentials(vl1, (id) => this.#networks.get(id));
    this.credentials.onChange = (member) => this.onChange(member);
    this.multicast = new Multicast(vl1, this.members, this.credentials);
    this.frames = new Frames(vl1, this.credentials, this.multicast);
    this.verbs = new NetworkVerbs(vl1, this);
    this.multicast.mayLeave = (...args) => this.frames.mayLeave(...args);
  }

  get deadlineMs(): number {
    let next = this.#networks.size > 0 ? this.#expireMs + EXPIRE_EVERY_MS : Infinity;
    for (const network of this.#networks.values()) {
      next = Math.min(next, network.requestDueMs, network.likeDueMs, network.announcements.dueMs);
    }
    return next;
  }

  find(id: NetworkId): Network | undefined {
    return this.#networks.get(id);
  }

  all(): Network[] {
    return [...this.#networks.values()];
  }

  /** @param cached The dictionary of an earlier run: in force until the controller answers */
  join(
    id: NetworkId,
    cached: Uint8Array | undefined,
    members: readonly Address[] = [],
  ): void {
    if (this.#networks.has(id) || this.#networks.size >= NETWORKS_MAX) return;
    const network = new Network(this.vl1, id);
    network.onGroups = (groups) => this.multicast.announce(network, groups);
    network.onChange = () => this.onChange();
    this.#networks.set(id, network);
    const usable = cached !== undefined && cached.length > 1 &&
      network.takeDictionary(cached, "cache");
    if (!usable) {
      this.vl1.outbox.push({ kind: "configure", network: id, port: network.port() });
      const record = { what: "network" as const, network: id, bytes: EMPTY_DICTIONARY };
      if (cached === undefined) this.vl1.outbox.push({ kind: "persist", record });
    }
    for (const member of members.slice(0, REMEMBERED_MAX)) {
      network.membership(member);
      this.vl1.whois(member);
    }
    network.rememberedMembers = members.join();
    network.requestDueMs = this.vl1.nowMs;
    this.handleTimeout();
  }

  /** Keeps whom we exchange frames with: after a restart they are found again without root and controller. */
  rememberMembers(): void {
    for (const network of this.#networks.values()) {
      const members = [...network.members()]
        .filter((address) => this.vl1.peers.get(address)?.isActive(this.vl1.nowMs))
        .slice(0, REMEMBERED_MAX);
      const key = members.join();
      if (members.length === 0 || key === network.rememberedMembers) continue;
      const known = new Set(network.rememberedMembers.split(","));
      for (const member of members) if (!known.has(String(member))) this.onRemembered(member);
      network.rememberedMembers = key;
      const record = { what: "members" as const, network: network.id, members };
      this.vl1.outbox.push({ kind: "persist", record });
    }
  }

  leave(id: NetworkId): void {
    if (!this.#networks.delete(id)) return;
    this.vl1.outbox.push({ kind: "unconfigure", network: id });
    const record = { what: "network" as const, network: id, bytes: undefined };
    this.vl1.outbox.push({ kind: "persist", record });
    this.onChange();
  }

  frame(id: NetworkId, bytes: Uint8Array): void {
    const network = this.#networks.get(id);
    if (network) this.frames.fromTap(network, bytes);
  }

  groups(id: NetworkId, groups: readonly MulticastGroup[]): void {
    const network = this.#networks.get(id);
    if (!network) return;
    const added = network.setTapGroups(groups);
    if (added.length > 0 && network.isUsable) this.multicast.announce(network, added);
  }

  port(id: NetworkId, failed: boolean): void {
    this.#networks.get(id)?.setPortFailed(failed);
  }

  handleTimeout(): void {
    const { nowMs } = this.vl1;
    for (const network of this.#networks.values()) {
      if (nowMs >= network.requestDueMs) this.#request(network);
      if (nowMs >= network.likeDueMs) this.multicast.announceAll(network);
      if (nowMs >= network.announcements.dueMs) this.multicast.announceAgain(network);
    }
    if (nowMs >= this.#expireMs + EXPIRE_EVERY_MS) {
      this.#expireMs = nowMs;
      this.members.expire(nowMs);
      this.multicast.expire();
      this.rememberMembers();
      this.verbs.expire();
    }
  }

  #request(network: Network): void {
    network.request((metadata) => {
      if (this.authority) this.authority.request(network.id, metadata, undefined);
      else network.refuse("NOT_FOUND", undefined);
    });
  }

  /** A way to an upstream opened: requests that could not be sent go now. */
  upstreamReached(): void {
    if (this.vl1.nowMs - this.#reachedMs < REACHED_AGAIN_MS) return;
    this.#reachedMs = this.vl1.nowMs;
    for (const network of this.#networks.values()) {
      if (!network.isUsable) network.requestDueMs = this.vl1.nowMs;
      if (network.likeDueMs === Infinity) continue; // nothing to tell yet
      network.likeDueMs = this.vl1.nowMs;
      network.announcements.add(network.groups(), this.vl1.nowMs);
    }
    this.handleTimeout();
  }

  /** Any authenticated packet of a peer: what a controller judges presence by. */
  seen(address: Address): void {
    this.authority?.seen(address);
  }

  /** Whether a peer must not be forgotten: a controller, or a specialist. */
  needs(address: Address): boolean {
    return this.keeps(address) || this.all().some(({ controller }) => controller === address);
  }

  /** Whether the way to a peer is kept open though nothing may go by it: anchors and replicators serve all members. */
  keeps(address: Address): boolean {
    const roles = Role.ANCHOR | Role.MULTICAST_REPLICATOR;
    return this.all().some((network) => network.specialists(roles).includes(address));
  }
}
