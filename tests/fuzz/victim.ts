/**
 * A node under attack by somebody who holds a key: the attacker may be a mere peer, a root, or the
 * controller of a network the node is on. Whatever it sends, the node must go on, keep its tables
 * within their bounds, and answer an honest peer.
 * @module
 */
import assert from "node:assert/strict";
import { concat, Reader, Writer } from "../../lib/base/bytes.ts";
import { formatNetworkId, macOf, type NetworkId } from "../../lib/base/ids.ts";
import { parseIp, sixPlane } from "../../lib/base/ip.ts";
import { Controller } from "../../lib/controller/mod.ts";
import {
  type CertificateOfMembership,
  decodeCom,
  issueCom,
  signCom,
} from "../../lib/credential/certificate_of_membership.ts";
import { encodeChunk } from "../../lib/credential/config_chunk.ts";
import { signChunks } from "../../lib/credential/config_chunks.ts";
import { EMPTY_CONFIG, type NetworkConfig } from "../../lib/credential/network_config.ts";
import { Role } from "../../lib/credential/network_config_binary.ts";
import { RuleType } from "../../lib/credential/rule_codec.ts";
import { deriveSessionKeys, type SessionKeys } from "../../lib/crypto/session_keys.ts";
import type { Identity } from "../../lib/identity/identity.ts";
import { agree, sign } from "../../lib/identity/sign.ts";
import { decodeWorld, encodeWorld, signWorld } from "../../lib/identity/world.ts";
import type { Action, Input } from "../../lib/node/machine.ts";
import { putMac } from "../../lib/network/ethernet.ts";
import { Node } from "../../lib/node/node.ts";
import { Armor } from "../../lib/wire/armor.ts";
import { compress } from "../../lib/wire/compress.ts";
import { split } from "../../lib/wire/fragment.ts";
import { encodeOkHello } from "../../lib/wire/hello.ts";
import { encodeInRe } from "../../lib/wire/ok.ts";
import { encodeNetworkCredentials } from "../../lib/wire/network_credentials.ts";
import {
  AT_FLAGS,
  AT_VERB,
  buildPacket,
  Cipher,
  destinationOf,
  FLAG_FRAGMENTED,
  HEADER_LENGTH,
  isFragment,
  packetId,
  PAYLOAD_LENGTH_MAX,
  sourceOf,
  Verb,
  VERB_COMPRESSED,
  verbOf,
} from "../../lib/wire/packet.ts";
import { machinePrimitives } from "../../cli/engine/primitives.ts";
import type { Rng } from "../sim/rng.ts";
import {
  ALICE,
  BOB,
  CAROL,
  configOf,
  endpoint,
  kernel,
  planetOf,
  ROOT,
  ROOT2,
  WHERE,
} from "../unit/lib/node/harness.ts";

/** Kinds of input beyond the verbs, chosen by the first byte. */
export const Extra = {
  /** The rest is a dictionary: the attacker signs it as chunks. */
  SIGNED_CONFIG: 0xf0,
  /** The rest is a certificate of membership: the attacker signs it anew. */
  SIGNED_COM: 0xf1,
  /** The rest is a world: the attacker signs it anew, and tells of it in OK(HELLO). */
  SIGNED_WORLD: 0xf2,
  /** The rest is a frame from the TAP. */
  FRAME: 0xf3,
  /** The rest is a cached configuration to join with. */
  JOIN: 0xf4,
  /** The rest is a request to the controller's API. */
  API: 0xf5,
} as const;

export type AttackerRole = "peer" | "root" | "controller";

const BOUNDS = { actions: 20_000, paths: 4_096, peers: 1_024, members: 8_192 };
const QUESTIONS_MAX = 64; // of the victim to the attacker, remembered
const HONEST_EVERY = 256; // inputs between two checks that an honest peer is served
const ATTACKER = CAROL;
const NETWORK = (BigInt(ATTACKER.address) << 24n | 7n) as NetworkId;

/** Of the victim, where it is a controller. */
const OWN_NETWORK = (BigInt(ALICE.address) << 24n | 9n) as NetworkId;
const TIMESTAMP_MS = 1_790_000_000_000;

function comFor(member: Identity): CertificateOfMembership {
  const fields = { networkId: NETWORK, timestampMs: TIMESTAMP_MS, maxDeltaMs: 1e12, member };
  return issueCom(machinePrimitives, ATTACKER, fields);
}

/** What a member of the attacker's network may be configured with. */
export function goodConfig(member: Identity = ALICE): NetworkConfig {
  return {
    ...EMPTY_CONFIG,
    networkId: NETWORK,
    issuedTo: member.address,
    timestampMs: TIMESTAMP_MS,
    multicastLimit: 32,
    flags: 6,
    rules: Uint8Array.of(RuleType.ACTION_ACCEPT, 0),
    staticIps: [{ ip: parseIp("10.9.0.1")!, bits: 24 }, sixPlane(NETWORK, member.address)],
    specialists: [
      { address: ATTACKER.address, roles: Role.ACTIVE_BRIDGE | Role.ANCHOR },
      { address: member.address, roles: Role.MULTICAST_REPLICATOR },
    ],
    com: comFor(member),
  };
}

/** Verbs whose payload begins with a network's id. */
const OF_A_NETWORK = new Set<number>([
  Verb.FRAME,
  Verb.EXT_FRAME,
  Verb.MULTICAST_LIKE,
  Verb.MULTICAST_GATHER,
  Verb.MULTICAST_FRAME,
  Verb.NETWORK_CONFIG,
  Verb.NETWORK_CONFIG_REQUEST,
]);

export class Victim {
  readonly node: Node;
  nowMs = 1_000_000;
  readonly #armor = new Armor(kernel);
  readonly #keys: SessionKeys;
  readonly #honestKeys: SessionKeys;
  readonly #questions: { verb: number; id: bigint }[] = [];
  #honestAnswers = 0;
  /** Packets in which the victim asks the honest peer whether it is where it seems to be. */
  #honestQuestions: Uint8Array[] = [];
  #inputs = 0;

  /** @param isRoot Whether the victim is one */
  constructor(readonly role: AttackerRole, readonly isRoot = false, hasController = false) {
    const identity: Identity = isRoot ? ROOT : ALICE;
    const roots = role === "root" ? [ROOT, ATTACKER] : [ROOT, ROOT2];
    const config = configOf(identity, {
      planet: planetOf(roots, { signer: ATTACKER }),
      primitives: machinePrimitives,
    });
    const { primitives, random } = config;
    const controller = hasController ? new Controller({ identity, primitives, random }) : undefined;
    this.node = new Node({ ...config, controller });
    this.#keys = this.#keysOf(ATTACKER);
    this.#honestKeys = this.#keysOf(BOB);
    this.#start(hasController);
  }

  #keysOf(other: Identity): SessionKeys {
    const key = agree(machinePrimitives, other, this.node.vl1.identity.publicKey)!;
    return deriveSessionKeys(machinePrimitives, key);
  }

  #start(hasController: boolean): void {
    const { ip, port } = WHERE.get(this.node.address)!;
    this.hand({ kind: "links", sockets: [{ id: 1, ip, port }], own: [] });
    if (hasController) {
      this.hand({ kind: "controller", input: { kind: "load", networks: [], members: [] } });
      const pool = { ipRangeStart: "10.8.0.1", ipRangeEnd: "10.8.255.254" };
      const record = { private: false, v4AssignMode: { zt: true }, ipAssignmentPools: [pool] };
      const path = `/controller/network/${formatNetworkId(OWN_NETWORK)}`;
      const request = { method: "POST", path, body: JSON.stringify(record) };
      this.hand({ kind: "controller", input: { kind: "api", ticket: 1, ...request } });
    }
    for (const identity of [ATTACKER, BOB]) this.node.vl1.addPeer(identity.publicOnly());
    if (this.role !== "controller") return;
    this.hand({ kind: "command", command: { kind: "join", network: NETWORK } });
    this.#configure();
    const network = this.node.networks.find(NETWORK)!;
    for (const member of [ATTACKER, BOB]) {
      network.membership(member.address).takeCom(comFor(member));
    }
  }

  /** A good configuration, so that frames are not dropped for ever after a bad one. */
  #configure(): void {
    this.node.networks.find(NETWORK)?.apply(goodConfig(this.node.vl1.identity));
  }

  /** One input: the first byte says what it is, the rest is its payload. */
  attack(bytes: Uint8Array, rng: Rng): void {
    this.nowMs += rng.below(rng.chance(0.01) ? 60_000 : 50);
    const kind = bytes[0] ?? 0;
    const payload = bytes.subarray(1);
    if (rng.chance(0.02)) this.#configure();
    switch (kind) {
      case Extra.SIGNED_CONFIG:
        this.#signedConfig(payload, rng);
        break;
      case Extra.SIGNED_COM:
        this.#signedCom(payload, rng);
        break;
      case Extra.SIGNED_WORLD:
        this.#signedWorld(payload, rng);
        break;
      case Extra.FRAME:
        this.#frame(payload, rng);
        break;
      case Extra.JOIN:
        this.#join(payload, rng);
        break;
      case Extra.API:
        this.#api(payload, rng);
        break;
      default:
        this.#answerOrAsk(kind & 0x1f, payload, rng);
    }
    for (let i = 0; i < 4 && this.node.deadlineMs <= this.nowMs; i++) {
      this.hand({ kind: "timeout" });
    }
    if (++this.#inputs % HONEST_EVERY === 0) this.#serveHonest(rng);
  }

  /** Hands raw bytes in, as they come from the network. */
  datagram(bytes: Uint8Array, from = WHERE.get(ATTACKER.address)!): void {
    this.hand({ kind: "datagram", socket: 1, from, bytes });
  }

  // --- what the attacker sends

  #answerOrAsk(verb: number, payload: Uint8Array, rng: Rng): void {
    const question = this.#questions.length > 0 ? rng.pick(this.#questions) : undefined;
    if (question && rng.chance(0.3)) {
      const w = new Writer();
      encodeInRe({ inReVerb: question.verb, inRePacketId: question.id }, w);
      if (rng.chance(0.3)) this.#send(Verb.ERROR, concat(w.finish(), payload), rng);
      else this.#send(Verb.OK, concat(w.finish(), payload), rng);
    } else this.#send(verb, payload, rng);
  }

  #send(verb: number, payload: Uint8Array, rng: Rng): void {
    const network = verb === Verb.NETWORK_CONFIG_REQUEST ? OWN_NETWORK : NETWORK;
    if (OF_A_NETWORK.has(verb) && payload.length >= 8 && rng.chance(0.9)) {
      payload = payload.slice();
      new DataView(payload.buffer).setBigUint64(0, network);
    }
    const packed = rng.chance(0.2) ? compress(payload) : undefined;
    const packet = buildPacket({
      id: rng.bytes(8),
      destination: rng.chance(0.95) ? this.node.address : BOB.address, // else to be relayed
      source: ATTACKER.address,
      verb: verb as Verb,
    }, (packed ?? payload).subarray(0, PAYLOAD_LENGTH_MAX));
    if (packed || rng.chance(0.02)) packet[AT_VERB] |= VERB_COMPRESSED;
    const isLong = packet.length > 1_500;
    if (isLong) packet[AT_FLAGS] |= FLAG_FRAGMENTED;
    const cipher = rng.pick([1, 1, 1, 3, 0] as const);
    this.#armor.seal(packet, this.#keys, cipher);
    if (rng.chance(0.2)) packet[AT_FLAGS] |= rng.below(4);
    const home = WHERE.get(ATTACKER.address)!;
    const from = rng.chance(0.9) ? home : endpoint(`44.0.${rng.below(256)}.5/${rng.below(65_536)}`);
    for (const piece of isLong ? split(packet, 1_500) : [packet]) this.datagram(piece, from);
  }

  #signedConfig(dictionary: Uint8Array, rng: Rng): void {
    if (dictionary.length === 0) return;
    const update = { networkId: NETWORK, updateId: BigInt(rng.u32() + 1), dictionary };
    for (const chunk of signChunks(update, (m) => sign(machinePrimitives, ATTACKER, m), 4_096)) {
      const w = new Writer();
      encodeChunk(chunk, chunk.signature, w);
      this.#send(Verb.NETWORK_CONFIG, w.finish(), rng);
    }
  }

  #signedCom(bytes: Uint8Array, rng: Rng): void {
    const { qualifiers } = decodeCom(new Reader(bytes, "COM"));
    const com = signCom(machinePrimitives, ATTACKER, qualifiers);
    const w = new Writer();
    const nothing = { capabilities: [], tags: [], revocations: [], ownerships: [] };
    encodeNetworkCredentials({ ...nothing, coms: [com] }, w);
    this.#send(Verb.NETWORK_CREDENTIALS, w.finish(), rng);
  }

  #signedWorld(bytes: Uint8Array, rng: Rng): void {
    const world = decodeWorld(new Reader(bytes, "world"));
    const question = this.#questions.find(({ verb }) => verb === Verb.HELLO);
    const worlds = new Writer();
    encodeWorld(signWorld(machinePrimitives, ATTACKER, world), worlds);
    const w = new Writer();
    encodeInRe({ inReVerb: Verb.HELLO, inRePacketId: question?.id ?? 0n }, w);
    const version = { protocol: 11, major: 1, minor: 14, revision: 1 };
    encodeOkHello({ timestampMs: 0, version, surface: undefined, worlds: worlds.finish() }, w);
    this.#send(Verb.OK, w.finish(), rng);
  }

  /** From the victim's own TAP: mostly with its own MAC, often to a member. */
  #frame(bytes: Uint8Array, rng: Rng): void {
    if (bytes.length >= 14 && rng.chance(0.9)) {
      putMac(bytes, 6, macOf(this.node.address, NETWORK));
      const to = rng.pick([ATTACKER, BOB, ROOT]);
      if (rng.chance(0.5)) putMac(bytes, 0, macOf(to.address, NETWORK));
    }
    this.hand({ kind: "frame", network: NETWORK, bytes });
  }

  #join(config: Uint8Array, rng: Rng): void {
    const network = (BigInt(ATTACKER.address) << 24n | BigInt(rng.below(4))) as NetworkId;
    this.hand({ kind: "command", command: { kind: "join", network, config } });
    this.hand({ kind: "command", command: { kind: "leave", network } });
  }

  #api(body: Uint8Array, rng: Rng): void {
    const own = `/network/${formatNetworkId(OWN_NETWORK)}`;
    const path = rng.pick(["", "/network", own, `${own}/member/4555555555`]);
    const input = {
      kind: "api" as const,
      ticket: rng.u32(),
      method: rng.pick(["GET", "POST", "DELETE"]),
      path: `/controller${path}`,
      body: new TextDecoder().decode(body),
    };
    this.hand({ kind: "controller", input });
  }

  // --- the victim

  /** Hands an input in, drains the actions, checks the bounds. */
  hand(input: Input): void {
    this.node.handle(input, { nowMs: this.nowMs, wallMs: 1_790_000_000_000 + this.nowMs });
    const later: Input[] = [];
    let actions = 0;
    for (let action = this.node.poll(); action; action = this.node.poll()) {
      actions++;
      this.#note(action, later);
    }
    const { vl1, networks, deadlineMs } = this.node;
    assert.ok(actions <= BOUNDS.actions, `${actions} actions of one input`);
    assert.ok(!Number.isNaN(deadlineMs), "the deadline is a number");
    assert.ok(vl1.paths.size <= BOUNDS.paths, `${vl1.paths.size} paths`);
    assert.ok(vl1.peers.size <= BOUNDS.peers, `${vl1.peers.size} peers`);
    assert.ok(vl1.expected.size <= 8_192 && vl1.queue.size <= 1_024);
    assert.ok(networks.members.size <= BOUNDS.members, `${networks.members.size} subscriptions`);
    for (const next of later) this.hand(next);
  }

  #note(action: Action, later: Input[]): void {
    if (action.kind === "validate") {
      later.push({ kind: "validated", ticket: action.ticket, valid: action.ticket % 2 === 0 });
    } else if (action.kind === "controller" && action.action.kind === "store") {
      const { ticket } = action.action;
      later.push({ kind: "controller", input: { kind: "stored", ticket, result: "ok" } });
    } else if (action.kind === "send") this.#overhear(action.bytes);
  }

  /** The attacker reads what is sealed for it; the honest peer counts its answers. */
  #overhear(bytes: Uint8Array): void {
    if (bytes.length < HEADER_LENGTH || isFragment(bytes)) return;
    if (sourceOf(bytes) !== this.node.address) return;
    const packet = bytes.slice();
    if (destinationOf(bytes) === BOB.address && this.#armor.open(packet, this.#honestKeys)) {
      if (verbOf(packet) === Verb.OK) this.#honestAnswers++;
      if (verbOf(packet) === Verb.ECHO) this.#honestQuestions.push(packet);
    }
    if (destinationOf(bytes) !== ATTACKER.address || !this.#armor.open(packet, this.#keys)) return;
    this.#questions.push({ verb: verbOf(packet), id: packetId(bytes) });
    if (this.#questions.length > QUESTIONS_MAX) this.#questions.shift();
  }

  /** An honest peer asks by ECHO, from where it always is, and must be answered. */
  #serveHonest(rng: Rng): void {
    this.nowMs += 1_000;
    this.node.vl1.addPeer(BOB.publicOnly()); // forgotten when it was silent for long; a root would name it
    const before = this.#honestAnswers;
    this.#honestQuestions = [];
    this.#fromHonest(rng, Verb.ECHO, new Uint8Array(8));
    for (const question of this.#honestQuestions.splice(0)) {
      const w = new Writer();
      encodeInRe({ inReVerb: Verb.ECHO, inRePacketId: packetId(question) }, w);
      w.raw(question.subarray(HEADER_LENGTH));
      this.#fromHonest(rng, Verb.OK, w.finish());
    }
    assert.ok(this.#honestAnswers > before, "an honest peer is still answered");
  }

  #fromHonest(rng: Rng, verb: Verb, payload: Uint8Array): void {
    const header = { id: rng.bytes(8), destination: this.node.address, source: BOB.address, verb };
    const packet = buildPacket(header, payload);
    this.#armor.seal(packet, this.#honestKeys, Cipher.POLY1305_SALSA2012);
    this.datagram(packet, WHERE.get(BOB.address)!);
  }
}
