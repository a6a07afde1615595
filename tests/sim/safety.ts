/**
 * What must hold after every step, whatever the faults: checked from outside the nodes as far as possible.
 * @module
 */
import {
  type Address,
  formatAddress,
  formatNetworkId,
  type NetworkId,
} from "../../lib/base/ids.ts";
import { addressOfMac } from "../../lib/base/ids.ts";
import { type Endpoint, formatEndpoint } from "../../lib/base/ip.ts";
import { type EthernetFrame, parseFrame } from "../../lib/network/ethernet.ts";
import { endpointKey } from "../../lib/peer/path.ts";
import { HEADER_LENGTH, isFragment, packetId, sourceOf } from "../../lib/wire/packet.ts";
import type { SimHost } from "./host.ts";
import { IdSet } from "./id_set.ts";

/** A rule that must never be broken was. */
export class SafetyViolation extends Error {
  override name = "SafetyViolation";
}

/** Bounds of a node's tables; the constants are beside each table in `lib/`. */
const BOUNDS = {
  questions: 8_192 + 2_048, // to whom is proved, and to whom is not
  queuedDestinations: 1_024,
  paths: 262_144,
  peers: 262_144,
  pathsPerPeer: 16,
  groupRecords: 524_288,
  actionsPerStep: 20_000, // ours: no single input may cause more work than this
};
const PEERS_LOOKED_AT_EVERY = 256; // steps between looks at every peer of a node: costs too much at each
const REPEATED_TIMEOUTS_MAX = 64; // timeouts in a row at one time: more is a busy loop

/** Bytes between a host and an endpoint. */
interface Balance {
  inBytes: number;
  outBytes: number;
}

export class Safety {
  /** Ids each process has put on the wire. */
  readonly #ids = new Map<object, IdSet>();
  /** The last packet of each. */
  readonly #last = new Map<object, Uint8Array>();
  readonly #removals = new Map<string, number>();
  readonly #members = new Map<string, boolean>();
  readonly #admissions = new Map<string, number>();
  readonly #timeouts = new Map<SimHost, { atMs: number; count: number }>();
  /** By host, then by endpoint. */
  readonly #unproven = new Map<SimHost, Map<number | string, Balance>>();
  #steps = 0;
  /** A member that was removed may be heard this long: revocations need to travel. */
  removalGraceMs = 5_000;
  /** What else a delivered frame must not be, by the scenario's own words: says what is wrong with it. */
  forbids: (to: SimHost, network: NetworkId, frame: EthernetFrame) => string | undefined = () =>
    undefined;
  checks = 0;

  /** Most bytes sent to any address beyond those received from it, while it had not proved itself. */
  worstUnprovenExcess = { bytes: 0, where: "nowhere" };

  // --- what the scenario tells

  /** The controller's word: from now on this address is, or is no more, a member. */
  setMember(network: NetworkId, member: Address, authorized: boolean, nowMs: number): void {
    const key = `${network}|${member}`;
    if (authorized && this.#members.get(key) === false) this.#admissions.set(key, nowMs);
    this.#members.set(key, authorized);
    if (authorized) this.#removals.delete(key);
    else this.#removals.set(key, nowMs);
  }

  // --- checks

  /** A node hands a datagram to the world. */
  sent(host: SimHost, process: object, bytes: Uint8Array, to: Endpoint): void {
    if (bytes.length < HEADER_LENGTH || isFragment(bytes)) return;
    if (sourceOf(bytes) !== host.address) return; // relayed
    let ids = this.#ids.get(process);
    if (!ids) this.#ids.set(process, ids = new IdSet());
    const id = packetId(bytes);
    // A bond that broadcasts sends one packet several times, one right after the other.
    const isFine = ids.add(id) || sameBytes(this.#last.get(process), bytes);
    this.#check(isFine, host, () => `packet id ${id.toString(16)} used twice`);
    this.#last.set(process, bytes);
    this.#countUnproven(host, to, 0, bytes.length);
  }

  /** A datagram reaches a node. */
  arrived(host: SimHost, bytes: Uint8Array, from: Endpoint): void {
    this.#countUnproven(host, from, bytes.length, 0);
  }

  #countUnproven(host: SimHost, endpoint: Endpoint, inBytes: number, outBytes: number): void {
    let balances = this.#unproven.get(host);
    if (!balances) this.#unproven.set(host, balances = new Map());
    const key = endpointKey(endpoint);
    let balance = balances.get(key);
    if (!balance) balances.set(key, balance = { inBytes: 0, outBytes: 0 });
    balance.inBytes += inBytes;
    balance.outBytes += outBytes;
    const excess = balance.outBytes - balance.inBytes;
    if (excess <= this.worstUnprovenExcess.bytes || host.hasProved(endpoint)) return;
    const where = `${host.name}>${formatEndpoint(endpoint)}`;
    this.worstUnprovenExcess = { bytes: excess, where };
  }

  /** A node delivers a frame to its TAP. */
  delivered(host: SimHost, network: NetworkId, bytes: Uint8Array, nowMs: number): void {
    const frame = parseFrame(bytes);
    this.#check(frame !== undefined, host, () => "a delivered frame is too short");
    const joined = host.node.networks.find(network);
    this.#check(joined?.config !== undefined, host, () => "a frame on a network without a config");
    if (!this.#isBound(host, network, nowMs)) return;
    const wrong = this.forbids(host, network, frame!);
    this.#check(wrong === undefined, host, () => `a frame the rules forbid: ${wrong}`);
    const from = addressOfMac(frame!.source, network);
    if (joined!.config!.type === "public" || from === host.address) return;
    const name = () => `${formatAddress(from)} on ${formatNetworkId(network)}`;
    const peer = host.node.vl1.peers.get(from);
    const bridged = !joined!.isDerived(frame!.source);
    if (bridged) return;
    const emulated = peer === undefined; // NDP emulation speaks for members nobody met
    this.#check(
      emulated || joined!.admits(peer),
      host,
      () => `a frame of ${name()}, which the gate refuses`,
    );
    const key = `${network}|${from}`;
    const removedMs = this.#removals.get(key);
    this.#check(
      this.#members.get(key) !== false || nowMs - (removedMs ?? nowMs) <= this.removalGraceMs,
      host,
      () => `a frame of ${name()}, removed ${nowMs - removedMs!} ms ago`,
    );
  }

  /**
   * What one that was removed lets others tell it is nobody's business, nor until it has heard that
   * it is back; and who just started goes by what it knew before until its controller answers.
   */
  #isBound(host: SimHost, network: NetworkId, nowMs: number): boolean {
    const key = `${network}|${host.address}`;
    const admittedMs = this.#admissions.get(key) ?? -Infinity;
    const sinceMs = Math.max(admittedMs, host.bootedMs);
    return this.#members.get(key) !== false && nowMs - sinceMs > this.removalGraceMs;
  }

  /** A timeout was handed in. */
  timeout(host: SimHost, nowMs: number): void {
    const last = this.#timeouts.get(host);
    if (last?.atMs === nowMs) last.count++;
    else this.#timeouts.set(host, { atMs: nowMs, count: 1 });
    this.#check(
      (this.#timeouts.get(host)?.count ?? 0) <= REPEATED_TIMEOUTS_MAX,
      host,
      () => "asks for a timeout again and again at one moment",
    );
  }

  /** After a step in which this host did something. */
  step(host: SimHost, actions: number): void {
    const { vl1, networks } = host.node;
    const bound = (value: number, max: number, what: string) =>
      this.#check(value <= max, host, () => `${what}: ${value}, at most ${max}`);
    bound(actions, BOUNDS.actionsPerStep, "actions of one input");
    bound(vl1.expected.size, BOUNDS.questions, "open questions");
    bound(vl1.queue.size, BOUNDS.queuedDestinations, "destinations with queued packets");
    bound(vl1.paths.size, BOUNDS.paths, "paths");
    bound(vl1.peers.size, BOUNDS.peers, "peers");
    bound(networks.members.size, BOUNDS.groupRecords, "multicast records");
    if (this.#steps++ % PEERS_LOOKED_AT_EVERY !== 0) return;
    for (const peer of vl1.peers.values()) {
      bound(peer.paths.length, BOUNDS.pathsPerPeer, "paths of one peer");
    }
  }

  #check(holds: boolean, host: SimHost, what: () => string): void {
    this.checks++;
    if (!holds) throw new SafetyViolation(`${host.name}: ${what()}`);
  }
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && a.length === b.length && a.every((byte, i) => byte === b[i]);
}
