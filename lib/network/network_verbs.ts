/**
 * What each VL2 verb does once its packet is open, and what answers and refusals to ours come to:
 * also at a node that is not on the network in question, such as a root.
 *
 * Source: spec 02 sections 10.7 to 10.15, spec 04.
 * @module
 */
import { Writer } from "../base/bytes.ts";
import type { Address, NetworkId } from "../base/ids.ts";
import type { MulticastGroup } from "../base/multicast_group.ts";
import { Waiting } from "../base/waiting.ts";
import { decodeChunk, type ReceivedChunk } from "../credential/config_chunk.ts";
import type { Outcome, Received } from "../node/node.ts";
import type { Vl1 } from "../node/vl1.ts";
import type { Peer } from "../peer/peer.ts";
import {
  decodeAuthenticationRequired,
  decodeErrorNetwork,
  decodeUnwantedMulticast,
  encodeError,
  encodeErrorNetwork,
  type ErrorReply,
} from "../wire/error.ts";
import { decodeExtFrame, encodeOkExtFrame } from "../wire/ext_frame.ts";
import { decodeFrame } from "../wire/frame.ts";
import type { GatherResult } from "../wire/gather_result.ts";
import {
  decodeMulticastFrame,
  decodeOkMulticastFrame,
  encodeOkMulticastFrame,
} from "../wire/multicast_frame.ts";
import {
  decodeMulticastGather,
  decodeOkMulticastGather,
  encodeOkMulticastGather,
} from "../wire/multicast_gather.ts";
import { decodeMulticastLike } from "../wire/multicast_like.ts";
import {
  decodeNetworkConfig,
  decodeOkNetworkConfig,
  encodeOkNetworkConfig,
} from "../wire/network_config.ts";
import { decodeNetworkConfigRequest } from "../wire/network_config_request.ts";
import { decodeNetworkCredentials } from "../wire/network_credentials.ts";
import { encodeInRe, type Ok } from "../wire/ok.ts";
import { ErrorCode, Verb } from "../wire/packet.ts";
import type { Network } from "./network.ts";
import type { Networks } from "./networks.ts";

const REFUSAL_EVERY_MS = 1_000; // one ERROR per member and network in this time (spec 03 section 28 item 23)
const AUTHORIZED_MS = 180_000; // a member the controller just served may ask it about groups
const GATHERED_MAX = 200; // addresses in one answer: fits a datagram after any header
/** Frames of members whose certificate is on its way; reference 32 packets for 5 s. */
const HELD = { perKeyMax: 32, keysMax: 256, lifeMs: 5_000 };
const ACKNOWLEDGEMENT_LENGTH = 16; // network and update id

export class NetworkVerbs {
  /** Handles a packet again; set by the node, which also runs what follows a packet that counts. */
  redispatch: (received: Received) => void = () => {};
  readonly #held = new Waiting<string, Received>(HELD);
  readonly #authorized = new Map<string, number>(); // members of our own networks, by network and address

  constructor(readonly vl1: Vl1, readonly networks: Networks) {}

  /** Forgets what has waited, or been allowed, for too long. */
  expire(): void {
    const { nowMs } = this.vl1;
    this.#held.expire(nowMs);
    for (const [key, atMs] of this.#authorized) {
      if (nowMs - atMs >= AUTHORIZED_MS) this.#authorized.delete(key);
    }
  }

  /** An identity became known: credentials signed by it can be checked now. */
  met(peer: Peer): void {
    for (const network of this.networks.all()) {
      if (network.controller === peer.address) this.#retryHeld(network.id);
    }
  }

  /** @throws {WireError} when the payload is malformed */
  handle(received: Received): Outcome {
    const { payload } = received;
    switch (received.verb) {
      case Verb.FRAME:
        return this.#frame(received);
      case Verb.EXT_FRAME:
        return this.#extFrame(received);
      case Verb.MULTICAST_FRAME:
        return this.#multicastFrame(received);
      case Verb.MULTICAST_LIKE:
        return this.#like(received);
      case Verb.MULTICAST_GATHER:
        return this.#gather(received);
      case Verb.NETWORK_CREDENTIALS:
        return this.#credentials(received);
      case Verb.NETWORK_CONFIG_REQUEST:
        return this.#configRequest(received);
      case Verb.NETWORK_CONFIG:
        return this.#chunk(received, decodeNetworkConfig(payload), "push");
      default:
        return "received"; // NOP, verbs nobody assigned, and those only an application cares for
    }
  }

  #frame(received: Received): Outcome {
    const frame = decodeFrame(received.payload);
    const network = this.networks.find(frame.networkId);
    if (!network) return "received";
    if (!this.#admit(network, received)) return "dropped";
    this.networks.frames.plain(network, received.peer, frame);
    return "trusted";
  }

  #extFrame(received: Received): Outcome {
    const frame = decodeExtFrame(received.payload);
    const network = this.networks.find(frame.networkId);
    if (!network) return "received";
    if (frame.com) this.networks.credentials.takeCom(received.peer, frame.com);
    if (!this.#admit(network, received)) return "dropped";
    if (this.networks.frames.ext(network, received.peer, frame) === "acknowledge") {
      this.#ok(received, Verb.EXT_FRAME, (w) => encodeOkExtFrame(network.id, w));
    }
    return "trusted";
  }

  #multicastFrame(received: Received): Outcome {
    const frame = decodeMulticastFrame(received.payload);
    const network = this.networks.find(frame.networkId);
    if (!network) return "dropped";
    if (frame.com) this.networks.credentials.takeCom(received.peer, frame.com);
    if (!this.#admit(network, received)) return "dropped";
    if ((network.config?.multicastLimit ?? 0) === 0) return "received";
    const { peer } = received;
    if (!this.networks.frames.group(network, peer, frame)) return "trusted";
    if (frame.gatherLimit !== undefined && frame.gatherLimit > 0) {
      const result = this.#listMembers(network.id, frame.group, frame.gatherLimit, peer.address);
      if (result.members.length > 0) {
        this.#ok(received, Verb.MULTICAST_FRAME, (w) =>
          encodeOkMulticastFrame(
            { networkId: network.id, group: frame.group, com: undefined, result },
            w,
          ));
      }
    }
    return "trusted";
  }

  /** The gate. Whoever fails it is told once a second, and its frames wait for its certificate. */
  #admit(network: Network, received: Received): boolean {
    const { peer, verb, id } = received;
    if (network.admits(peer)) {
      this.networks.multicast.announceTo(network, peer.address);
      return true;
    }
    this.vl1.counters.drop("not-member");
    network.counts.receivedRefused++;
    if (!network.config) return false;
    const membership = network.membership(peer.address);
    const { nowMs } = this.vl1;
    if (nowMs - membership.lastRefusalMs >= REFUSAL_EVERY_MS) {
      membership.lastRefusalMs = nowMs;
      const body = new Writer(8);
      encodeErrorNetwork(network.id, body);
      const w = new Writer(32);
      const code = ErrorCode.NEED_MEMBERSHIP_CERTIFICATE;
      encodeError({ inReVerb: verb, inRePacketId: id, code, body: body.finish() }, w);
      this.vl1.reply(peer, received.path, Verb.ERROR, w.finish());
    }
    this.#hold(`${network.id}|${peer.address}`, received);
    return false;
  }

  #hold(key: string, received: Received): void {
    const copy = { ...received, payload: received.payload.slice() };
    this.#held.push(key, copy, this.vl1.nowMs);
  }

  /** What was held for a member, or for a controller's identity (`address` undefined), is tried again. */
  #retryHeld(network: NetworkId, address?: Address): void {
    const key = address === undefined ? `${network}|signer` : `${network}|${address}`;
    for (const received of this.#held.take(key, this.vl1.nowMs)) this.redispatch(received);
  }

  #like(received: Received): Outcome {
    const { items, complete } = decodeMulticastLike(received.payload);
    const { peer } = received;
    let current: NetworkId | undefined;
    let allowed = false;
    for (const { networkId, group } of items) {
      if (networkId !== current) {
        current = networkId;
        allowed = this.#mayAskAbout(networkId, peer);
      }
      if (!allowed) continue;
      const network = this.networks.find(networkId);
      if (network) this.networks.multicast.gathered(network, group, [peer.address]);
      else if (!this.networks.members.add(networkId, group, peer.address, this.vl1.nowMs)) break;
    }
    return complete ? "received" : "dropped";
  }

  /** Members of networks we are on; anybody at a root; whom our controller has just served. */
  #mayAskAbout(id: NetworkId, peer: Peer): boolean {
    if (this.vl1.upstreams.amUpstream || this.networks.find(id)?.admits(peer)) return true;
    const servedMs = this.#authorized.get(`${id}|${peer.address}`) ?? -Infinity;
    return this.vl1.nowMs - servedMs < AUTHORIZED_MS;
  }

  /** The controller sent this member its configuration just now. */
  authorized(id: NetworkId, address: Address): void {
    this.#authorized.set(`${id}|${address}`, this.vl1.nowMs);
  }

  #gather(received: Received): Outcome {
    const gather = decodeMulticastGather(received.payload);
    const { peer } = received;
    const network = this.networks.find(gather.networkId);
    if (gather.com && network) this.networks.credentials.takeCom(peer, gather.com);
    const member = network?.admits(peer) ?? false;
    if (gather.limit > 0 && (member || this.#mayAskAbout(gather.networkId, peer))) {
      const { networkId, group } = gather;
      const result = this.#listMembers(networkId, group, gather.limit, peer.address);
      if (result.members.length > 0) {
        this.#ok(
          received,
          Verb.MULTICAST_GATHER,
          (w) => encodeOkMulticastGather({ networkId, group, result }, w),
        );
      }
    }
    return member ? "trusted" : "received";
  }

  #listMembers(
    id: NetworkId,
    group: MulticastGroup,
    limit: number,
    except: Address,
  ): GatherResult {
    const own = this.networks.find(id)?.subscribes(group) ? [this.vl1.address] : [];
    const most = Math.min(limit, GATHERED_MAX);
    const others = this.networks.members.next(id, group, most + 1).filter((address) =>
      address !== except
    );
    return {
      totalKnown: own.length + this.networks.members.count(id, group),
      members: [...own, ...others].slice(0, most),
    };
  }

  #credentials(received: Received): Outcome {
    const { peer } = received;
    const credentials = decodeNetworkCredentials(received.payload);
    if (!peer.budgets.credentials.take(this.vl1.nowMs)) {
      this.vl1.counters.drop("rate");
      return "dropped";
    }
    const { trusted, deferred } = this.networks.credentials.receive(peer, credentials);
    for (const network of this.networks.all()) {
      if (deferred) this.#hold(`${network.id}|signer`, received);
      this.#retryHeld(network.id, peer.address);
    }
    if (!credentials.complete) return "dropped";
    return trusted ? "trusted" : "received";
  }

  #configRequest(received: Received): Outcome {
    const { networkId, metadata } = decodeNetworkConfigRequest(received.payload);
    if (this.networks.authority) this.networks.authority.request(networkId, metadata, received);
    else this.#refuseRequest(received, networkId, ErrorCode.UNSUPPORTED_OPERATION);
    return "received";
  }

  /** Tells a member that it gets no configuration, and why. */
  #refuseRequest(received: Received, network: NetworkId, code: ErrorCode): void {
    const body = new Writer(8);
    encodeErrorNetwork(network, body);
    const w = new Writer(32);
    const inReVerb = Verb.NETWORK_CONFIG_REQUEST;
    encodeError({ inReVerb, inRePacketId: received.id, code, body: body.finish() }, w);
    this.vl1.reply(received.peer, received.path, Verb.ERROR, w.finish());
  }

  #chunk(received: Received, chunk: ReceivedChunk, origin: "answer" | "push"): Outcome {
    const network = this.networks.find(chunk.networkId);
    if (!network) return "received";
    const { peer } = received;
    const fromController = peer.address === network.controller;
    if (!fromController && origin === "answer") {
      // We ask the controller alone, and what it answers counts for more than what others pass on.
      this.vl1.counters.drop("unexpected-ok");
      return "dropped";
    }
    if (!fromController && !peer.budgets.signatures.take(this.vl1.nowMs)) {
      this.vl1.counters.drop("rate");
      return "dropped";
    }
    const result = network.takeChunk(chunk, { fromController, packetId: received.id }, origin);
    if (result && chunk.kind === "signed" && chunk.fastPropagate) {
      this.#propagate(network, chunk.bytes, received.peer.address);
    }
    if (result && result !== "new" && origin === "push") {
      const { updateId } = result;
      // As in the reference, the acknowledgement names ECHO as the verb it answers.
      this.#ok(
        received,
        Verb.ECHO,
        (w) => encodeOkNetworkConfig({ networkId: network.id, updateId }, w),
      );
    }
    return "received";
  }

  #propagate(network: Network, chunk: Uint8Array, from: Address): void {
    for (const member of network.members()) {
      if (member === from || member === network.controller) continue;
      this.vl1.send(member, Verb.NETWORK_CONFIG, chunk.slice());
    }
  }

  #ok(received: Received, inReVerb: Verb, body: (w: Writer) => void): void {
    const w = new Writer(256);
    encodeInRe({ inReVerb, inRePacketId: received.id }, w);
    body(w);
    this.vl1.reply(received.peer, received.path, Verb.OK, w.finish());
  }

  // --- replies

  /** VL2's part of an expected OK. */
  handleOk(received: Received, ok: Ok): Outcome {
    switch (ok.inReVerb) {
      case Verb.NETWORK_CONFIG_REQUEST:
        return this.#chunk(received, decodeChunk(ok.body), "answer");
      case Verb.ECHO: // so a reference acknowledges a pushed configuration, too
      case Verb.NETWORK_CONFIG:
        if (this.networks.authority && ok.body.length === ACKNOWLEDGEMENT_LENGTH) {
          const { networkId, updateId } = decodeOkNetworkConfig(ok.body);
          this.networks.authority.acknowledged(networkId, received.peer.address, updateId);
        }
        return "received";
      case Verb.MULTICAST_GATHER: {
        const { networkId, group, result } = decodeOkMulticastGather(ok.body);
        const network = this.networks.find(networkId);
        if (network) this.networks.multicast.gathered(network, group, result.members);
        return "received";
      }
      case Verb.MULTICAST_FRAME: {
        const { networkId, group, com, result } = decodeOkMulticastFrame(ok.body);
        const network = this.networks.find(networkId);
        if (network && com) this.networks.credentials.takeCom(received.peer, com);
        if (network && result) this.networks.multicast.gathered(network, group, result.members);
        return "received";
      }
      default:
        return "received";
    }
  }

  /** VL2's errors: refusals of the controller, missing certificates. */
  handleError(received: Received, error: ErrorReply): void {
    const { peer } = received;
    switch (error.code) {
      case ErrorCode.OBJECT_NOT_FOUND:
      case ErrorCode.UNSUPPORTED_OPERATION:
        return this.#ofController(peer, error)?.refuse("NOT_FOUND", undefined);
      case ErrorCode.NETWORK_ACCESS_DENIED:
        return this.#ofController(peer, error)?.refuse("ACCESS_DENIED", undefined);
      case ErrorCode.NETWORK_AUTHENTICATION_REQUIRED: {
        const { details } = decodeAuthenticationRequired(error.body);
        return this.#ofController(peer, error)?.refuse("AUTHENTICATION_REQUIRED", details);
      }
      case ErrorCode.NEED_MEMBERSHIP_CERTIFICATE: {
        const network = this.networks.find(decodeErrorNetwork(error.body));
        if (network) this.networks.credentials.requested(network, peer.address);
        return;
      }
      case ErrorCode.UNWANTED_MULTICAST: {
        const { networkId, group } = decodeUnwantedMulticast(error.body);
        if (this.networks.find(networkId)?.admits(peer)) {
          this.networks.members.remove(networkId, group, peer.address);
        }
      }
    }
  }

  /**
   * The network an error is about, if its controller answers with it what we asked lately: one that
   * somebody kept says nothing any more.
   */
  #ofController(peer: Peer, error: ErrorReply): Network | undefined {
    const question = this.vl1.expected.find(error.inRePacketId, peer.address, this.vl1.nowMs);
    if (question?.verb !== Verb.NETWORK_CONFIG_REQUEST) return undefined;
    const network = this.networks.find(decodeErrorNetwork(error.body));
    return network?.controller === peer.address ? network : undefined;
  }
}
