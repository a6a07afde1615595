/**
 * Multicast: telling others what we subscribe to, finding who subscribes, and sending a copy to each. ARP goes to the
 * group of the one address it asks for, so on a large network only its owner is troubled.
 *
 * Source: spec 04 section 12.
 * @module
 */
import { Writer } from "../base/bytes.ts";
import { type Address, BROADCAST_MAC, NIL_ADDRESS } from "../base/ids.ts";
import { groupKey, type MulticastGroup } from "../base/multicast_group.ts";
import { dropOldest } from "../base/oldest.ts";
import { ConfigFlag } from "../credential/network_config.ts";
import { Role } from "../credential/network_config_binary.ts";
import type { Vl1 } from "../node/vl1.ts";
import type { Peer } from "../peer/peer.ts";
import { encodeMulticastFrame } from "../wire/multicast_frame.ts";
import { encodeMulticastGather } from "../wire/multicast_gather.ts";
import { encodeMulticastLike, LIKE_LENGTH } from "../wire/multicast_like.ts";
import { PAYLOAD_LENGTH_MAX, Verb } from "../wire/packet.ts";
import type { Credentials } from "./credentials.ts";
import { type EthernetFrame, ETHERTYPE_ARP } from "./ethernet.ts";
import type { GroupMembers } from "./group_members.ts";
import { emulateNdp } from "./ndp.ts";
import type { Network } from "./network.ts";

const LIKE_EVERY_MS = 60_000; // reference ZT_MULTICAST_ANNOUNCE_PERIOD
/**
 * In low bandwidth mode: roots remember an announcement for ten minutes, and one of two may be
 * lost. The reference makes no more of them then, and is not found by ARP after those.
 */
const LIKE_EVERY_LOW_MS = 270_000;
const GATHER_EVERY_MS = 60_000; // explicit gather of a group that has members already
const GATHER_EVERY_LOW_MS = 180_000; // in low bandwidth mode, as the reference
const GATHER_AGAIN_MS = 1_000; // of a group nobody is known in: the reference asks with every frame
const PENDING_LIFE_MS = 5_000; // a frame waits this long for members to become known
const PENDING_PER_GROUP_MAX = 32; // oldest dropped first; reference ZT_TX_QUEUE_SIZE
const GROUPS_MAX = 1_024; // groups sent to and remembered, per node
const GATHER_TARGETS_MAX = 16; // who is asked at once

/** A frame on its way to a group that has fewer members known than it may have. */
interface Pending {
  readonly network: Network;
  readonly frame: EthernetFrame;
  readonly group: MulticastGroup;
  readonly bridged: boolean;
  readonly sinceMs: number;
  /** How many members each receiver is asked to name. */
  readonly gatherLimit: number;
  /** Who gets it no more: who has it, we ourselves, and whom it came from. */
  readonly sentTo: Set<Address>;
  readonly sentToMax: number;
}

interface GroupState {
  lastGatherMs: number;
  pending: Pending[];
}

/** Whether a frame may be sent to an address (nil: to anybody). */
export type MayLeave = (
  network: Network,
  frame: EthernetFrame,
  to: Address,
  teeEnabled: boolean,
) => boolean;

export class Multicast {
  readonly #groups = new Map<string, GroupState>();
  /** The rules; set by the owner of frames. */
  mayLeave: MayLeave = () => false;

  constructor(
    readonly vl1: Vl1,
    readonly members: GroupMembers,
    readonly credentials: Credentials,
  ) {}

  // --- announcing

  /** Tells of new subscriptions at once: upstreams, controller, specialists and members. */
  announce(network: Network, groups: readonly MulticastGroup[]): void {
    const told = new Set(this.#authorities(network));
    for (const address of network.members()) {
      const peer = this.vl1.peers.get(address);
      if (peer && network.admits(peer)) told.add(address);
    }
    for (const address of told) this.#like(network, address, groups);
    network.announcements.add(groups, this.vl1.nowMs);
  }

  /** Tells upstreams and controller again of what was new. */
  announceAgain(network: Network): void {
    const groups = network.announcements.take(this.vl1.nowMs);
    for (const address of new Set(this.#authorities(network))) this.#like(network, address, groups);
  }

  /** The periodic round to upstreams and controller. */
  announceAll(network: Network): void {
    network.likeDueMs = this.vl1.nowMs + this.#likeEveryMs;
    const groups = network.groups();
    const authorities = new Set(this.#authorities(network));
    for (const address of authorities) this.#like(network, address, groups);
    for (const address of network.members()) {
      const peer = this.vl1.peers.get(address);
      if (!authorities.has(address) && peer?.isActive(this.vl1.nowMs)) {
        this.announceTo(network, address);
      }
    }
  }

  /** Tells one member of all our groups, at most once a minute, or less often in low bandwidth mode. */
  announceTo(network: Network, address: Address): void {
    const membership = network.membership(address);
    if (this.vl1.nowMs - membership.lastLikeMs < this.#likeEveryMs) return;
    const peer = this.vl1.peers.get(address);
    if (!peer || !network.admits(peer)) return;
    membership.lastLikeMs = this.vl1.nowMs;
    this.#like(network, address, network.groups());
  }

  get #isLow(): boolean {
    return this.vl1.settings.isLowBandwidth?.() ?? false;
  }

  get #likeEveryMs(): number {
    return this.#isLow ? LIKE_EVERY_LOW_MS : LIKE_EVERY_MS;
  }

  #authorities(network: Network): Address[] {
    const all = [
      ...this.vl1.upstreams.addresses,
      network.controller,
      ...network.specialists(Role.ANCHOR | Role.MULTICAST_REPLICATOR),
    ];
    return all.filter((address) => address !== this.vl1.address);
  }

  #like(network: Network, to: Address, groups: readonly MulticastGroup[]): void {
    const perPacket = Math.floor(PAYLOAD_LENGTH_MAX / LIKE_LENGTH);
    for (let at = 0; at < groups.length; at += perPacket) {
      const w = new Writer(256);
      const part = groups.slice(at, at + perPacket);
      encodeMulticastLike(part.map((group) => ({ networkId: network.id, group })), w);
      this.vl1.send(to, Verb.MULTICAST_LIKE, w.finish(), { compress: true });
    }
  }

  // --- sending

  /** A frame for a multicast address, from the TAP. */
  send(network: Network, frame: EthernetFrame, bridged: boolean): void {
    const { config } = network;
    if (!config) return;
    const group = groupOf(frame);
    if (frame.destination === BROADCAST_MAC && group.adi === 0 && !network.broadcasts) return;
    if ((config.flags & ConfigFlag.NDP_EMULATION) !== 0 && frame.destination !== BROADCAST_MAC) {
      const { staticIps } = config;
      const host = { networkId: network.id, self: this.vl1.address, staticIps };
      const answer = emulateNdp(host, frame);
      if (answer) {
        this.vl1.outbox.push({ kind: "deliver", network: network.id, bytes: answer });
        return;
      }
    }
    if (config.multicastLimit === 0) return;
    if (bridged) network.learnBridgedGroup(group);
    if (!this.mayLeave(network, frame, NIL_ADDRESS, true)) return;
    if (this.#askReplicator(network, frame, group)) return;
    const kept = { ...frame, payload: frame.payload.slice() };
    this.replicate(network, kept, group, bridged, undefined);
  }

  /**
   * Leaves the copies to the nearest replicator, if the network has one we reach directly and we
   * are none ourselves.
   */
  #askReplicator(network: Network, frame: EthernetFrame, group: MulticastGroup): boolean {
    const { address, peers, nowMs } = this.vl1;
    if (network.isActiveBridge(address) || network.isReplicator(address)) return false;
    let nearest: Peer | undefined;
    for (const replicator of network.specialists(Role.MULTICAST_REPLICATOR)) {
      const peer = peers.get(replicator);
      if (!peer?.best(nowMs)) continue;
      if (!nearest || distanceMs(peer, nowMs) < distanceMs(nearest, nowMs)) nearest = peer;
    }
    if (!nearest) return false;
    this.#sendFrame(network, nearest.address, frame, group, { replicate: true });
    return true;
  }

  /**
   * Sends a copy to every known member of the group, and looks for more.
   * @param frame Given away
   * @param origin Whom not to send it back to, when we replicate for somebody else
   */
  replicate(
    network: Network,
    frame: EthernetFrame,
    group: MulticastGroup,
    bridged: boolean,
    origin: Address | undefined,
  ): void {
    const limit = network.config?.multicastLimit ?? 0;
    const known = this.members.count(network.id, group);
    const missing = limit - known;
    const sentTo = new Set<Address>([this.vl1.address]);
    if (origin !== undefined) sentTo.add(origin);
    const gatherLimit = missing > 0 ? missing + 1 : 1;
    const pending: Pending = {
      network,
      frame,
      group,
      bridged,
      sinceMs: this.vl1.nowMs,
      gatherLimit,
      sentTo,
      sentToMax: sentTo.size + limit,
    };
    const bridges = network.specialists(Role.ACTIVE_BRIDGE);
    const recipients = [
      ...bridges,
      ...(known === 0 ? this.#reachableMembers(network) : []),
      ...this.members.next(network.id, group, pending.sentToMax + bridges.length),
    ];
    for (const address of recipients) this.#copy(pending, address);
    if (missing <= 0) return;
    const state = this.#state(`${network.id}|${groupKey(group)}`);
    const usualMs = this.#isLow ? GATHER_EVERY_LOW_MS : GATHER_EVERY_MS;
    const spacingMs = known === 0 ? GATHER_AGAIN_MS : usualMs;
    if (this.vl1.nowMs - state.lastGatherMs >= spacingMs) {
      state.lastGatherMs = this.vl1.nowMs;
      this.#gather(network, group, missing + 1);
    }
    state.pending.push(pending);
    if (state.pending.length > PENDING_PER_GROUP_MAX) state.pending.shift();
  }

  /** Nobody is known in a group and no upstream can be asked: members we reach directly get the frame. */
  #reachableMembers(network: Network): Address[] {
    const { upstreams, peers, nowMs } = this.vl1;
    if (upstreams.amUpstream || upstreams.best()?.best(nowMs)) return [];
    return [...network.members()].filter((address) => peers.get(address)?.best(nowMs));
  }

  #copy(pending: Pending, to: Address): void {
    const { network, frame, group, bridged, gatherLimit, sentTo } = pending;
    if (sentTo.has(to) || sentTo.size >= pending.sentToMax) return;
    sentTo.add(to);
    if (!this.mayLeave(network, frame, to, false)) return;
    this.credentials.pushIfDue(network, to);
    this.#sendFrame(network, to, frame, group, { gatherLimit, bridged });
  }

  #sendFrame(
    network: Network,
    to: Address,
    frame: EthernetFrame,
    group: MulticastGroup,
    how: { gatherLimit?: number; bridged?: boolean; replicate?: boolean },
  ): void {
    const { gatherLimit, bridged = false, replicate = false } = how;
    const w = new Writer(64 + frame.payload.length);
    encodeMulticastFrame({
      networkId: network.id,
      com: undefined,
      gatherLimit,
      source: bridged || replicate ? frame.source : undefined,
      replicate,
      group,
      etherType: frame.etherType,
      frame: frame.payload,
    }, w);
    const compress = ((network.config?.flags ?? 0) & ConfigFlag.NO_COMPRESSION) === 0;
    this.vl1.send(to, Verb.MULTICAST_FRAME, w.finish(), { compress });
  }

  #gather(network: Network, group: MulticastGroup, limit: number): void {
    const upstream = this.vl1.upstreams.best();
    const targets = new Set<Address>([
      ...(upstream ? [upstream.address] : []),
      network.controller,
      ...this.#shuffled(network.specialists(Role.ANCHOR | Role.MULTICAST_REPLICATOR)),
    ]);
    targets.delete(this.vl1.address);
    const w = new Writer(512);
    encodeMulticastGather({ networkId: network.id, group, limit, com: network.config?.com }, w);
    const payload = w.finish();
    for (const address of [...targets].slice(0, GATHER_TARGETS_MAX)) {
      this.vl1.send(address, Verb.MULTICAST_GATHER, payload);
    }
  }

  /** Members of a group became known: what waits for them goes out. */
  gathered(network: Network, group: MulticastGroup, addresses: readonly Address[]): void {
    for (const address of addresses) {
      if (address !== this.vl1.address) {
        this.members.add(network.id, group, address, this.vl1.nowMs);
      }
    }
    const state = this.#groups.get(`${network.id}|${groupKey(group)}`);
    if (!state) return;
    state.pending = state.pending.filter((pending) => this.#isFresh(pending));
    for (const pending of state.pending) {
      for (const address of addresses) this.#copy(pending, address);
    }
  }

  #state(key: string): GroupState {
    let state = this.#groups.get(key);
    if (!state) {
      if (this.#groups.size >= GROUPS_MAX) dropOldest(this.#groups);
      this.#groups.set(key, state = { lastGatherMs: -Infinity, pending: [] });
    }
    return state;
  }

  #isFresh(pending: Pending): boolean {
    return this.vl1.nowMs - pending.sinceMs < PENDING_LIFE_MS;
  }

  /** Forgets frames nobody was found for, and groups not sent to for long. */
  expire(): void {
    for (const [key, state] of this.#groups) {
      state.pending = state.pending.filter((pending) => this.#isFresh(pending));
      const idleMs = this.vl1.nowMs - state.lastGatherMs;
      if (state.pending.length === 0 && idleMs > GATHER_EVERY_LOW_MS) this.#groups.delete(key);
    }
  }

  #shuffled(addresses: Address[]): Address[] {
    const bytes = new Uint8Array(addresses.length * 2);
    this.vl1.config.random(bytes);
    for (let i = addresses.length - 1; i > 0; i--) {
      const j = ((bytes[2 * i] << 8) | bytes[2 * i + 1]) % (i + 1);
      [addresses[i], addresses[j]] = [addresses[j], addresses[i]];
    }
    return addresses;
  }
}

/** Of two replicators the one with the lower number is asked; one not measured yet comes last. */
function distanceMs(peer: Peer, nowMs: number): number {
  return peer.latencyMs(nowMs) ?? Infinity;
}

/** The group a frame is sent to: ARP requests go to the group of the address they ask for. */
export function groupOf(frame: EthernetFrame): MulticastGroup {
  const { payload } = frame;
  const isArpRequest = frame.destination === BROADCAST_MAC && frame.etherType === ETHERTYPE_ARP &&
    payload.length >= 28 && payload[2] === 0x08 && payload[3] === 0x00 && payload[4] === 6 &&
    payload[5] === 4 && payload[7] === 1;
  if (!isArpRequest) return { mac: frame.destination, adi: 0 };
  const adi = new DataView(payload.buffer, payload.byteOffset).getUint32(24);
  return { mac: frame.destination, adi };
}
