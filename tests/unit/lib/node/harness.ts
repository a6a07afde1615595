/**
 * Nodes and their parts on the bench: given clocks, given randomness, and packets caught as they leave.
 * @module
 */
import assert from "node:assert/strict";
import type { Address } from "../../../../lib/base/ids.ts";
import { type Endpoint, parseEndpoint, parseIp } from "../../../../lib/base/ip.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import type { Random } from "../../../../lib/crypto/primitives.ts";
import { Identity, publicKeyOf } from "../../../../lib/identity/identity.ts";
import { signWorld, type World, WorldType } from "../../../../lib/identity/world.ts";
import { PacketKernel } from "../../../../lib/kernel/mod.ts";
import type { Action, NodeConfig } from "../../../../lib/node/machine.ts";
import { Node } from "../../../../lib/node/node.ts";
import { Vl1 } from "../../../../lib/node/vl1.ts";
import type { Peer } from "../../../../lib/peer/peer.ts";
import { Armor } from "../../../../lib/wire/armor.ts";
import {
  AT_PAYLOAD,
  AT_VERB,
  destinationOf,
  packetId,
  VERB_COMPRESSED,
  verbOf,
} from "../../../../lib/wire/packet.ts";
import { decompress } from "../../../../lib/wire/compress.ts";

export const kernel = new PacketKernel();
export const START_MS = 1_000_000;
const SOCKET = 1;

/** The same bytes every run. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return (bytes) => {
    for (let i = 0; i < bytes.length; i++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      bytes[i] = state >>> 24;
    }
  };
}

const identities = new Map<number, Identity>();

/** An identity with real keys and any address; nobody checks its proof of work here. */
export function identityOf(address: number): Identity {
  const known = identities.get(address);
  if (known) return known;
  const secretKey = new Uint8Array(64);
  seeded(address)(secretKey);
  const publicKey = publicKeyOf(noblePrimitives, secretKey);
  const identity = new Identity({ address: address as Address, publicKey, secretKey });
  identities.set(address, identity);
  return identity;
}

export const ROOT = identityOf(0x1111111111);
export const ROOT2 = identityOf(0x1222222222);
export const ALICE = identityOf(0x2333333333);
export const BOB = identityOf(0x3444444444);
export const CAROL = identityOf(0x4555555555);

export function endpoint(text: string): Endpoint {
  return parseEndpoint(text)!;
}

/** Where each identity is found. */
export const WHERE = new Map<Address, Endpoint>([
  [ROOT.address, endpoint("44.0.0.1/9993")],
  [ROOT2.address, endpoint("44.0.0.2/9993")],
  [ALICE.address, endpoint("44.0.0.3/9993")],
  [BOB.address, endpoint("44.0.0.4/9993")],
  [CAROL.address, endpoint("44.0.0.5/9993")],
]);

/** A planet of these roots. */
export function planetOf(
  roots: readonly Identity[],
  changes: Partial<{ id: bigint; timestamp: bigint; type: WorldType; signer: Identity }> = {},
): World {
  const { signer = CAROL, ...content } = changes;
  return signWorld(noblePrimitives, signer, {
    type: WorldType.PLANET,
    id: 1n,
    timestamp: 1n,
    updatesMustBeSignedBy: CAROL.publicKey,
    ...content,
    roots: roots.map((identity) => ({
      identity: identity.publicOnly(),
      endpoints: [WHERE.get(identity.address)!],
    })),
  });
}

export function configOf(identity: Identity, changes: Partial<NodeConfig> = {}): NodeConfig {
  return {
    identity,
    planet: planetOf([ROOT]),
    primitives: noblePrimitives,
    random: seeded(identity.address),
    kernel,
    ...changes,
  };
}

/** VL1 alone, with one IPv4 socket. */
export function vl1Of(identity: Identity, changes: Partial<NodeConfig> = {}): Vl1 {
  const vl1 = new Vl1(configOf(identity, changes));
  vl1.time.nowMs = START_MS;
  vl1.time.wallMs = 1_790_000_000_000;
  vl1.sockets = [{ id: SOCKET, ip: parseIp("0.0.0.0")!, port: 9993 }];
  vl1.upstreams.install();
  return vl1;
}

/** Makes a peer with a proved path to where it is. */
export function peerWithPath(
  vl1: Vl1,
  identity: Identity,
  at = WHERE.get(identity.address)!,
): Peer {
  const peer = vl1.addPeer(identity.publicOnly())!;
  const path = vl1.paths.get(SOCKET, at);
  vl1.paths.keep(path);
  peer.learn(path, vl1.nowMs);
  return peer;
}

/** Everything to be done, taken out. */
export function actionsOf(from: { poll(): Action | undefined }): Action[] {
  const actions: Action[] = [];
  for (let action = from.poll(); action; action = from.poll()) actions.push(action);
  return actions;
}

/** A packet as its receiver reads it. */
export interface Sent {
  readonly to: Endpoint;
  readonly socket: number;
  readonly destination: Address;
  readonly verb: number;
  readonly id: bigint;
  readonly payload: Uint8Array;
}

/** The packets among the actions, opened with the sender's keys; datagrams that are no packets are left out. */
export function packetsOf(vl1: Vl1, actions: readonly Action[]): Sent[] {
  const packets: Sent[] = [];
  const armor = new Armor(kernel);
  for (const action of actions) {
    if (action.kind !== "send" || action.ttl !== undefined) continue;
    const packet = action.bytes.slice();
    const destination = destinationOf(packet);
    const peer = vl1.peers.get(destination);
    assert.ok(peer, "a packet goes to a peer");
    assert.ok(armor.open(packet, peer.keys), "a packet is sealed for its receiver");
    const payload = packet.subarray(AT_PAYLOAD);
    const isCompressed = (packet[AT_VERB] & VERB_COMPRESSED) !== 0;
    packets.push({
      to: action.to,
      socket: action.socket,
      destination,
      verb: verbOf(packet),
      id: packetId(packet),
      payload: isCompressed ? decompress(payload, 10_000)! : payload,
    });
  }
  return packets;
}

/** What VL1 has sent since last asked. */
export function sentBy(vl1: Vl1): Sent[] {
  return packetsOf(vl1, actionsOf(vl1.outbox));
}

/** Nodes that hear each other at once, every packet in its turn. */
export class Bench {
  nowMs = START_MS;
  readonly nodes = new Map<Address, Node>();
  /** Everything but datagrams, by who wants it. */
  readonly actions: { node: Node; action: Action }[] = [];
  /** Whether a datagram arrives. */
  passes: (from: Node, to: Endpoint, bytes: Uint8Array) => boolean = () => true;
  /** Whether a proof of work holds. */
  validate: () => boolean = () => true;
  datagrams = 0;

  add(identity: Identity, changes: Partial<NodeConfig> = {}): Node {
    const node = new Node(configOf(identity, changes));
    this.nodes.set(identity.address, node);
    const { ip, port } = WHERE.get(identity.address)!;
    this.hand(node, { kind: "links", sockets: [{ id: SOCKET, ip, port }], own: [] });
    return node;
  }

  hand(node: Node, input: Parameters<Node["handle"]>[0]): void {
    node.handle(input, { nowMs: this.nowMs, wallMs: 1_790_000_000_000 + this.nowMs });
    for (const action of actionsOf(node)) this.#carryOut(node, action);
  }

  #carryOut(node: Node, action: Action): void {
    if (action.kind === "validate") {
      this.hand(node, { kind: "validated", ticket: action.ticket, valid: this.validate() });
    } else if (action.kind === "send") this.#deliver(node, action);
    else this.actions.push({ node, action });
  }

  #deliver(from: Node, { to, bytes, ttl }: Action & { kind: "send" }): void {
    if (ttl !== undefined || !this.passes(from, to, bytes)) return;
    assert.ok(++this.datagrams < 100_000, "packets beget packets without end");
    const same = (where: Endpoint) => where.port === to.port && where.ip.join() === to.ip.join();
    const found = [...WHERE].find(([, where]) => same(where));
    const receiver = found && this.nodes.get(found[0]);
    const origin = WHERE.get(from.address)!;
    if (receiver) this.hand(receiver, { kind: "datagram", socket: SOCKET, from: origin, bytes });
  }

  /** Lets time pass, handing in timeouts when they are due. */
  run(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    for (;;) {
      const due = [...this.nodes.values()].sort((a, b) => a.deadlineMs - b.deadlineMs)[0];
      if (!due || due.deadlineMs > endMs) break;
      this.nowMs = Math.max(this.nowMs, due.deadlineMs);
      this.hand(due, { kind: "timeout" });
    }
    this.nowMs = endMs;
  }
}
