/**
 * Frames of one network, both ways: what the TAP gives goes to the right members, what members send goes to the TAP,
 * both only as far as the rules allow.
 *
 * Source: spec 04 sections 11 and 12.4 to 12.5.
 * @module
 */
import { Writer } from "../base/bytes.ts";
import {
  type Address,
  addressOfMac,
  isMulticast,
  type Mac,
  macOf,
  NIL_ADDRESS,
} from "../base/ids.ts";
import { Role } from "../credential/network_config_binary.ts";
import type { Vl1 } from "../node/vl1.ts";
import type { Peer } from "../peer/peer.ts";
import { encodeExtFrame, type ExtFrame } from "../wire/ext_frame.ts";
import { encodeFrame, type Frame } from "../wire/frame.ts";
import type { MulticastFrame } from "../wire/multicast_frame.ts";
import { Verb } from "../wire/packet.ts";
import type { Credentials } from "./credentials.ts";
import { flowOf } from "./flow_id.ts";
import { buildFrame, type EthernetFrame, parseFrame } from "./ethernet.ts";
import type { Multicast } from "./multicast.ts";
import type { Network } from "./network.ts";
import { type FilterPeer, Verdict } from "./rules/mod.ts";

// Reference ZT_MAX_BRIDGE_SPAM: copies of a frame for a MAC nobody has been seen to have
const BRIDGES_PER_FRAME_MAX = 32;
const FRAME_PAYLOAD_MAX = 10_000;

/** What handling a member's frame came to. */
export type FrameOutcome = "accepted" | "ignored" | "acknowledge";

export class Frames {
  /** A plain frame went to or came from a member; set by the node, which lets the data plane take over. */
  onExchange: (network: Network, peer: Peer) => void = () => {};

  constructor(
    readonly vl1: Vl1,
    readonly credentials: Credentials,
    readonly multicast: Multicast,
  ) {}

  /** One Ethernet frame read from the TAP. Lent. */
  fromTap(network: Network, bytes: Uint8Array): void {
    const frame = parseFrame(bytes);
    if (!frame || !network.config || !network.filter) return;
    if (frame.payload.length > network.config.mtu) return;
    const bridged = frame.source !== network.mac;
    if (bridged && !network.isActiveBridge(this.vl1.address)) return;
    if (isMulticast(frame.destination)) return this.multicast.send(network, frame, bridged);
    if (frame.destination === network.mac) return this.#deliver(network, frame);
    if (network.isDerived(frame.destination)) {
      const to = addressOfMac(frame.destination, network.id);
      return this.#toMember(network, frame, to, bridged);
    }
    this.#toBridges(network, frame);
  }

  #toMember(network: Network, frame: EthernetFrame, to: Address, bridged: boolean): void {
    if (!this.mayLeave(network, frame, to, true)) return;
    this.credentials.pushIfDue(network, to);
    if (bridged) this.#sendExt(network, frame, to);
    else this.#sendPlain(network, frame, to);
  }

  #toBridges(network: Network, frame: EthernetFrame): void {
    if (!this.mayLeave(network, frame, NIL_ADDRESS, true)) return;
    const learned = network.bridgeOf(frame.destination);
    const bridges = learned !== undefined && network.isActiveBridge(learned)
      ? [learned]
      : network.specialists(Role.ACTIVE_BRIDGE).slice(0, BRIDGES_PER_FRAME_MAX);
    for (const bridge of bridges) {
      if (bridge === this.vl1.address) continue;
      if (this.mayLeave(network, frame, bridge, false)) this.#sendExt(network, frame, bridge);
    }
  }

  #sendPlain(network: Network, frame: EthernetFrame, to: Address): void {
    const w = new Writer(16 + frame.payload.length);
    encodeFrame({ networkId: network.id, etherType: frame.etherType, frame: frame.payload }, w);
    this.vl1.send(to, Verb.FRAME, w.finish(), { flow: this.#flow(frame, to) });
    const peer = this.vl1.peers.get(to);
    if (peer) this.onExchange(network, peer);
  }

  /** Only where a bond wants to know. */
  #flow({ payload, etherType }: EthernetFrame, to: Address): number | undefined {
    if (!this.vl1.peers.get(to)?.bond) return undefined;
    return flowOf(payload, 0, payload.length, etherType);
  }

  #sendExt(network: Network, frame: EthernetFrame, to: Address): void {
    const w = new Writer(32 + frame.payload.length);
    encodeExtFrame(extFrame(network, frame), w);
    this.vl1.send(to, Verb.EXT_FRAME, w.finish(), { flow: this.#flow(frame, to) });
  }

  /**
   * Runs the rules on a frame about to be sent, and sends the copies they ask for.
   * @param to The receiver; nil on the first pass of multicast and of unknown unicast
   */
  mayLeave(network: Network, frame: EthernetFrame, to: Address, teeEnabled: boolean): boolean {
    const { filter } = network;
    if (!filter) return false;
    this.#load(network, frame);
    const verdict = filter.outbound(this.#filterPeer(network, to), teeEnabled);
    this.#sendCopies(network, frame);
    if (verdict === Verdict.DROP) network.counts.sentRefused++;
    else network.counts.sentAccepted++;
    return verdict !== Verdict.DROP;
  }

  #mayEnter(network: Network, frame: EthernetFrame, from: Address): Verdict {
    const { filter } = network;
    if (!filter) return Verdict.DROP;
    this.#load(network, frame);
    const verdict = filter.inbound(this.#filterPeer(network, from));
    this.#sendCopies(network, frame);
    if (verdict === Verdict.DROP) network.counts.receivedRefused++;
    else network.counts.receivedAccepted++;
    return verdict;
  }

  #load(network: Network, frame: EthernetFrame): void {
    const view = network.filter!.frame;
    view.load(frame.payload, 0, frame.payload.length, frame.etherType);
    view.setMacs(frame.source, frame.destination);
  }

  #filterPeer(network: Network, address: Address): FilterPeer {
    const filter = network.filter!;
    const membership = network.findMembership(address);
    const peer = this.vl1.peers.get(address);
    return membership && peer ? membership.filterPeer(filter, peer.identity) : filter.peer(address);
  }

  #sendCopies(network: Network, frame: EthernetFrame): void {
    const { filter } = network;
    for (let i = 0; i < filter!.copyCount; i++) {
      const { to, flags, lengthBytes } = filter!.copies[i];
      const cut = { ...frame, payload: frame.payload.subarray(0, lengthBytes) };
      const w = new Writer(32 + lengthBytes);
      const acknowledge = (flags & 0x10) !== 0;
      encodeExtFrame({ ...extFrame(network, cut), subtype: (flags >> 1) & 7, acknowledge }, w);
      this.vl1.send(to, Verb.EXT_FRAME, w.finish(), { compress: true });
    }
  }

  /** FRAME from a member that passed the gate. */
  plain(network: Network, from: Peer, received: Frame): void {
    if (received.frame.length === 0 || received.frame.length > FRAME_PAYLOAD_MAX) return;
    const frame = {
      destination: network.mac,
      source: macOf(from.address, network.id),
      etherType: received.etherType,
      payload: received.frame,
    };
    if (this.#mayEnter(network, frame, from.address) !== Verdict.DROP) {
      this.#deliver(network, frame);
    }
    this.onExchange(network, from);
  }

  /** EXT_FRAME from a member that passed the gate. */
  ext(network: Network, from: Peer, received: ExtFrame): FrameOutcome {
    const done: FrameOutcome = received.acknowledge ? "acknowledge" : "accepted";
    if (received.frame.length === 0) return done;
    const { source, destination } = received;
    if (source === 0 || source === network.mac) return "ignored";
    const frame = { destination, source, etherType: received.etherType, payload: received.frame };
    const verdict = this.#mayEnter(network, frame, from.address);
    if (verdict === Verdict.DROP) return done;
    if (verdict === Verdict.ACCEPT && !this.#mayCarry(network, from.address, source, destination)) {
      return "ignored";
    }
    this.#deliver(network, frame);
    return done;
  }

  /** Whether a member may bring a frame with these addresses: its own, or any if it is a bridge. */
  #mayCarry(network: Network, from: Address, source: Mac, destination: Mac): boolean {
    if (source !== macOf(from, network.id)) {
      if (!network.isActiveBridge(from)) return false;
      network.learnBridged(source, from);
    }
    // The reference skips this check for bridged frames, and so delivers foreign unicast to everybody.
    if (destination === network.mac) return true;
    if (isMulticast(destination)) return (network.config?.multicastLimit ?? 0) > 0;
    return network.isActiveBridge(this.vl1.address);
  }

  /**
   * MULTICAST_FRAME from a member that passed the gate.
   * @returns false when it broke a rule of the protocol and gets no answer
   */
  group(network: Network, from: Peer, received: MulticastFrame): boolean {
    const { frame: payload, group } = received;
    if (payload.length === 0 || payload.length > FRAME_PAYLOAD_MAX) return true;
    const derived = macOf(from.address, network.id);
    const source = received.source ?? derived;
    if (!isMulticast(group.mac) || source === 0 || isMulticast(source)) return false;
    if (source === network.mac) return false;
    if (source !== derived) {
      if (!network.isActiveBridge(from.address)) return false;
      network.learnBridged(source, from.address);
    }
    const frame = { destination: group.mac, source, etherType: received.etherType, payload };
    if (received.replicate && network.isReplicator(this.vl1.address)) {
      // The reference spreads frames before it looks whether the sender may use that source.
      const copy = { ...frame, payload: payload.slice() };
      this.multicast.replicate(network, copy, group, true, from.address);
    }
    if (this.#mayEnter(network, frame, from.address) !== Verdict.DROP) {
      this.#deliver(network, frame);
    }
    return true;
  }

  #deliver(network: Network, frame: EthernetFrame): void {
    if (frame.payload.length > (network.config?.mtu ?? 0)) return;
    this.vl1.outbox.push({ kind: "deliver", network: network.id, bytes: buildFrame(frame) });
  }
}

function extFrame(network: Network, frame: EthernetFrame): ExtFrame {
  return {
    networkId: network.id,
    subtype: 0,
    acknowledge: false,
    com: undefined,
    destination: frame.destination,
    source: frame.source,
    etherType: frame.etherType,
    frame: frame.payload,
  };
}
