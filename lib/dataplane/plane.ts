/**
 * The data plane: frames of known sessions, in and out, without allocation. Whoever drives it puts
 * bytes into the arena, says where, and carries out what it leaves there; what it does not handle
 * itself goes out through {@linkcode Escape}. Its tables change only by {@linkcode Plane.apply},
 * between batches.
 *
 * A frame takes this way only when everything the slow path would check is in the tables: a session
 * with a route, a member of a network whose rules let it pass, own source address. Anything else
 * escapes, whole.
 *
 * Source: DESIGN.md section 3, spec 07.
 * @module
 */
import type { Address } from "../base/ids.ts";
import {
  dataExports,
  type DataKernel,
  FULL,
  LIST_BYTES,
  Result,
  RESULT_BYTES,
  ResultKind,
} from "../kernel/data_kernel.ts";
import type { PacketAes } from "../kernel/mod.ts";
import { flowOf } from "../network/flow_id.ts";
import { Verdict } from "../network/rules/mod.ts";
import { NO_FLOW } from "../peer/bond_flows.ts";
import { SeenPackets } from "../wire/seen_packets.ts";
import {
  IDS_AT,
  INDEX_AT,
  INDEX_SIZE,
  MEMBER_BYTES,
  MEMBER_MACS_AT,
  MEMBERS_AT,
  REASSEMBLY_AT,
  RESULTS_AT,
  RESULTS_MAX,
  RUNS_AT,
  RUNS_MAX,
  SCRATCH_AT,
  SESSIONS_AT,
  SESSIONS_MAX,
  SPLIT_AT,
  SPLIT_BYTES,
  SPLIT_LIST_AT,
  SPLIT_MAX,
  TAP_OUT_AT,
  TAP_OUT_BYTES,
  UDP_OUT_AT,
  UDP_OUT_BYTES,
  WRITES_AT,
  WRITES_MAX,
} from "./arena.ts";
import type { PlaneMember, PlaneNetwork } from "./members.ts";
import { KernelAes, type PlaneAes } from "./plane_aes.ts";
import { PlaneTables } from "./plane_tables.ts";
import { PACKET_ROOM } from "./records.ts";
import { RelayRuns } from "./relay_runs.ts";
import type { Relays } from "./relays.ts";
import { Sessions } from "./sessions.ts";
import { Stat } from "./stats.ts";
import type { Route, TableRecord } from "./table_records.ts";

const ETHERNET_HEADER_LENGTH = 14;
/** Fields of a virtio header; source: spec 07 section 5. */
const VNET_GSO_TYPE = 1;
const VNET_GSO_SIZE = 4;
const VNET_CHECKSUM_START = 6;
const GSO_UDP = 5;
/** Network id and ethertype between the verb byte and the frame's payload. */
const FRAME_HEADER_LENGTH = 38;
/**
 * Ids of frames remembered, to drop copies: some 30 ms of the fastest stream, a second of others; a
 * quarter of a megabyte.
 */
const SEEN_PACKETS = 32_768;
const DATAGRAM_MIN = 17; // shorter ones are no packets: they opened a NAT

/** Where a datagram came from. One object, refilled, lent; so that no packet costs an allocation. */
export interface Source {
  /** Socket it was received on. */
  socketId: number;
  /** Holds the sender's IP at `ipAt`. */
  ip: Uint8Array;
  ipAt: number;
  /** 4 or 16 */
  ipLength: number;
  port: number;
  /** Names socket and endpoint in 32 bits, signed. */
  tag: number;
}

/** The way out of the data plane to the control thread: a ring in production, a direct call in the simulator. */
export interface Escape {
  /** A packet or datagram still sealed. Bytes of the arena are lent. */
  sealed(at: number, length: number, source: Source): void;
  /** A packet that was authentic, decrypted in place. */
  opened(at: number, length: number, source: Source): void;
  /** A frame from this machine's own network stack. */
  frame(at: number, length: number, port: number): void;
}

/** Carries out what a batch came to; called when an area is full, and at the end. */
export interface Output {
  /** Datagrams to send: `count` runs at {@linkcode RUNS_AT}; their tags are for {@linkcode Plane.route}. */
  datagrams(count: number): void;
  /**
   * Datagrams of others to pass on, side by side in the arena until the batch ends.
   * @param segment Bytes of each but possibly the last
   * @param flow Slot, see {@linkcode Relays.route}
   */
  relayed(at: number, length: number, segment: number, flow: number): void;
  /** Frames to write: `count` entries at {@linkcode WRITES_AT}; their tags are port ids. */
  frames(count: number): void;
}

/** What a plane is made with. */
export interface PlaneSetup {
  readonly memory: WebAssembly.Memory;
  readonly self: Address;
  /** Fills the packet ids' key and counter: 116 bytes, see `ids` of the kernel. */
  readonly ids: Uint8Array;
  readonly random: () => number;
  /** {@linkcode KernelAes} when absent. */
  readonly aes?: PlaneAes;
  readonly escape: Escape;
  readonly output: Output;
  /** Page it counts in, indexed by {@linkcode Stat}. */
  readonly stats: Float64Array;
}

export class Plane {
  readonly sessions: Sessions;
  readonly relays: Relays;
  readonly #relayRuns: RelayRuns;
  readonly #setup: PlaneSetup;
  readonly #kernel: DataKernel;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #tables: PlaneTables;
  readonly #seen = new SeenPackets(SEEN_PACKETS);
  #copying = false; // something that is broadcast is to be sent
  readonly #sentPackets = new Float64Array(SESSIONS_MAX);
  readonly #deliveredFrames = new Float64Array(SESSIONS_MAX);
  readonly #vnet: (number | undefined)[] = []; // bytes of virtio header, by port
  #vnetOut = 0;
  #tick = 0;

  constructor(setup: PlaneSetup) {
    this.#setup = setup;
    const { buffer } = setup.memory;
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    const aes = setup.aes ?? new KernelAes(setup.memory);
    this.#tables = new PlaneTables(buffer, setup.self, setup.random, aes);
    this.sessions = this.#tables.sessions;
    this.relays = this.#tables.relays;
    this.#relayRuns = new RelayRuns(this.relays, setup.output, setup.stats);
    this.#kernel = dataExports(setup.memory, countingAes(aes, setup.stats));
    this.setIds(setup.ids);
    this.#kernel.setup(
      Math.floor(setup.self / 0x1_0000_0000),
      setup.self % 0x1_0000_0000,
      IDS_AT,
      SESSIONS_AT,
      INDEX_AT,
      INDEX_SIZE - 1,
      REASSEMBLY_AT,
      SCRATCH_AT,
    );
  }

  // --- tables

  /** Goes on with other packet ids. @param ids As in {@linkcode PlaneSetup} */
  setIds(ids: Uint8Array): void {
    this.#bytes.set(ids, IDS_AT);
  }

  apply(record: TableRecord): void {
    this.#tables.apply(record);
    if (record.kind !== "session") return;
    this.#sentPackets[record.slot] = 0;
    this.#deliveredFrames[record.slot] = 0;
  }

  /** Where a run goes. @param tag A session's slot, or what stands for one of the paths of a bonded one */
  route(tag: number): Route | undefined {
    return this.#tables.route(tag);
  }

  /** Packets sealed for a session since it was set. */
  sent(session: number): number {
    return this.#sentPackets[session];
  }

  /** Frames of a session delivered since it was set. */
  delivered(session: number): number {
    return this.#deliveredFrames[session];
  }

  /**
   * All ports are opened alike: what one can, all can.
   * @param vnetBytes Virtio header in front of every frame of this port: 0 or 10
   * @param joinsUdp Whether it takes several UDP frames as one; TCP it takes so whenever it has a header
   */
  setPort(port: number, vnetBytes: number, joinsUdp = false): void {
    this.#vnet[port] = vnetBytes;
    this.#vnetOut = vnetBytes;
    this.#kernel.setUso(joinsUdp ? 1 : 0);
  }

  // --- batches

  /** @param tick Milliseconds, 32 bits; 0 stands for never */
  beginTap(tick: number): void {
    this.#tick = tick;
    this.#kernel.setTick(tick);
    this.#kernel.txBegin(UDP_OUT_AT, UDP_OUT_BYTES, RUNS_AT, RUNS_MAX);
  }

  /** One read from a port: virtio header, Ethernet header, frame or super-frame. */
  fromTap(at: number, length: number, port: number): void {
    this.#setup.stats[Stat.FRAMES_IN]++;
    const vnet = this.#vnet[port] ?? 0;
    const frame = at + vnet;
    const frameLength = length - vnet;
    if (frameLength < ETHERNET_HEADER_LENGTH) {
      this.#setup.stats[Stat.DROPPED_LENGTH]++;
      return;
    }
    const network = this.#tables.networkAt(port);
    const member = network && this.#memberFor(network, frame);
    if (!network || !member || !this.#tables.routes[member.session]) {
      return this.#escapeFrame(at, length, port, vnet);
    }
    const isSuper = vnet > 0 && this.#bytes[at + VNET_GSO_TYPE] !== 0;
    const longest = isSuper ? this.#segmentLength(at, frame) : frameLength - ETHERNET_HEADER_LENGTH;
    if (longest > network.mtu) {
      this.#setup.stats[Stat.DROPPED_LENGTH]++;
      return;
    }
    if (!network.acceptsAll) {
      if (isSuper && network.perSegment) return this.#tapSegments(at, length, port, member, vnet);
      const verdict = this.#mayLeave(network, member, frame, frameLength);
      if (verdict === Verdict.DROP || network.filter.copyCount > 0) {
        return this.#refused(network, at, length, port, vnet);
      }
    }
    this.#transmit(at, length, vnet, member);
  }

  /** Longest frame a super-frame stands for, without Ethernet header. */
  #segmentLength(at: number, frame: number): number {
    const transport = this.#view.getUint16(at + VNET_CHECKSUM_START, true);
    const isUdp = this.#bytes[at + VNET_GSO_TYPE] === GSO_UDP;
    const header = isUdp ? 8 : (this.#bytes[frame + transport + 12] >> 4) * 4;
    const body = this.#view.getUint16(at + VNET_GSO_SIZE, true);
    return transport - ETHERNET_HEADER_LENGTH + header + body;
  }

  /** The member a frame is for; undefined also when the frame is not our own machine's. */
  #memberFor(network: PlaneNetwork, frame: number): PlaneMember | undefined {
    const view = this.#view;
    if (view.getInt32(frame + 8) !== network.macLow) return undefined;
    if (view.getUint16(frame + 6) !== network.macHigh) return undefined;
    return this.#tables.members.byMac(
      network.port,
      view.getUint16(frame),
      view.getInt32(frame + 2),
    );
  }

  #mayLeave(network: PlaneNetwork, member: PlaneMember, frame: number, length: number): Verdict {
    const { filter } = network;
    filter.frame.loadEthernet(this.#bytes, frame, length);
    return filter.outbound(member.filterPeer, true);
  }

  /** The rules did not simply accept: copies are control's to make, everything else ends here. */
  #refused(network: PlaneNetwork, at: number, length: number, port: number, vnet: number): void {
    if (network.filter.copyCount > 0) return this.#escapeFrame(at, length, port, vnet);
    this.#setup.stats[Stat.DROPPED_RULES]++;
  }

  /** A super-frame whose segments the rules may judge differently. */
  #tapSegments(at: number, length: number, port: number, member: PlaneMember, vnet: number): void {
    const count = this.#split(at, length, vnet);
    for (let i = 0; i < count; i++) {
      const entry = SPLIT_LIST_AT + i * LIST_BYTES;
      const piece = this.#view.getUint32(entry, true);
      const pieceLength = this.#view.getUint32(entry + 4, true);
      const verdict = this.#mayLeave(member.network, member, piece, pieceLength);
      if (verdict === Verdict.ACCEPT && member.network.filter.copyCount === 0) {
        this.#transmit(piece, pieceLength, 0, member);
      } else if (member.network.filter.copyCount > 0) {
        this.#setup.escape.frame(piece, pieceLength, port);
      } else {
        this.#setup.stats[Stat.DROPPED_RULES]++;
      }
    }
  }

  #transmit(at: number, length: number, vnet: number, member: PlaneMember): void {
    const { session } = member;
    const template = MEMBERS_AT + member.slot * MEMBER_BYTES;
    const entry = Sessions.at(session);
    let { mtu } = this.#tables.routes[session]!;
    let tag = session;
    const { bond } = this.#tables.routes[session]!;
    if (bond) {
      const path = bond.choose(
        bond.isByFlow ? this.#flowOf(at, length, vnet) : NO_FLOW,
        this.#tick,
      );
      mtu = bond.broadcasts ? bond.mtu : bond.routes[path].mtu;
      tag = bond.firstTag + path;
    }
    let made = this.#kernel.transmit(at, length, vnet, template, entry, mtu, tag);
    if (made === FULL) {
      this.#flushDatagrams();
      made = this.#kernel.transmit(at, length, vnet, template, entry, mtu, tag);
    }
    if (made < 0) {
      this.#setup.stats[Stat.DROPPED_LENGTH]++;
      return;
    }
    if (bond) {
      bond.sent(made);
      if (bond.broadcasts) this.#copying = true;
    }
    this.#sentPackets[session] += made;
    this.#setup.stats[Stat.PACKETS_SEALED] += made;
  }

  #flowOf(at: number, length: number, vnet: number): number {
    const frame = at + vnet;
    const payload = frame + ETHERNET_HEADER_LENGTH;
    const etherType = this.#view.getUint16(payload - 2);
    return flowOf(this.#bytes, payload, length - vnet - ETHERNET_HEADER_LENGTH, etherType);
  }

  /** Hands the datagrams over, and once more for each further path of those that are broadcast. */
  #handDatagrams(): void {
    let runs = this.#kernel.txEnd();
    if (runs > 0) this.#setup.output.datagrams(runs);
    if (!this.#copying) return;
    this.#copying = false;
    for (let link = 1; (runs = this.#tables.bonds.copies(runs, link)) > 0; link++) {
      this.#setup.output.datagrams(runs);
    }
  }

  #flushDatagrams(): void {
    this.#handDatagrams();
    this.#kernel.txBegin(UDP_OUT_AT, UDP_OUT_BYTES, RUNS_AT, RUNS_MAX);
  }

  /** Hands frames to control as the network would carry them: whole, of at most the MTU, checksums complete. */
  #escapeFrame(at: number, length: number, port: number, vnet: number): void {
    if (vnet === 0) return this.#setup.escape.frame(at, length, port);
    const count = this.#split(at, length, vnet);
    for (let i = 0; i < count; i++) {
      const entry = SPLIT_LIST_AT + i * LIST_BYTES;
      const piece = this.#view.getUint32(entry, true);
      this.#setup.escape.frame(piece, this.#view.getUint32(entry + 4, true), port);
    }
  }

  #split(at: number, length: number, vnet: number): number {
    const count = this.#kernel.splitFrame(
      at,
      length,
      vnet,
      SPLIT_AT,
      SPLIT_BYTES,
      SPLIT_LIST_AT,
      SPLIT_MAX,
    );
    if (count < 0) this.#setup.stats[Stat.DROPPED_LENGTH]++;
    return Math.max(0, count);
  }

  endTap(): void {
    this.#handDatagrams();
  }

  /** @param tick As for {@linkcode beginTap} */
  beginUdp(tick: number): void {
    this.#tick = tick;
    this.#kernel.setTick(tick);
    this.#kernel.rxFramesBegin(TAP_OUT_AT, TAP_OUT_BYTES, WRITES_AT, WRITES_MAX, this.#vnetOut);
  }

  /**
   * One receive: a datagram, or several of one sender side by side.
   * @param segment Length of each but possibly the last
   */
  fromUdp(at: number, length: number, segment: number, source: Source): void {
    const { stats } = this.#setup;
    stats[Stat.DATAGRAMS_IN] += length > segment ? Math.ceil(length / segment) : 1;
    if (length < DATAGRAM_MIN || source.ipLength === 0) {
      stats[Stat.DROPPED_LENGTH]++;
      return;
    }
    stats[Stat.BYTES_IN] += length;
    let from = at;
    const end = at + length;
    while (from < end) {
      this.#kernel.rxBegin(RESULTS_AT, RESULTS_MAX);
      const count = this.#kernel.receive(from, end - from, segment, source.tag);
      const results = count === FULL ? this.#kernel.rxCount() : count;
      for (let i = 0; i < results; i++) this.#result(RESULTS_AT + i * RESULT_BYTES, source);
      this.#relayRuns.flush();
      if (count !== FULL) return;
      from += this.#kernel.rxResumeAt();
    }
  }

  #result(entry: number, source: Source): void {
    const view = this.#view;
    const at = view.getUint32(entry + Result.POINTER, true);
    const length = view.getUint32(entry + Result.LENGTH, true);
    switch (view.getUint8(entry + Result.KIND)) {
      case ResultKind.FRAME:
        this.#setup.stats[Stat.PACKETS_OPENED]++;
        return this.#frame(entry, at, length, source);
      case ResultKind.OPENED:
        this.#setup.stats[Stat.PACKETS_OPENED]++;
        return this.#setup.escape.opened(at, length, source);
      case ResultKind.FOREIGN:
        if (!this.#relayRuns.take(at, length, source, this.#tick)) this.#sealed(at, length, source);
        return;
      case ResultKind.SEALED:
        return this.#sealed(at, length, source);
      default:
        this.#setup.stats[Stat.DROPPED_UNAUTHENTIC]++;
    }
  }

  #sealed(at: number, length: number, source: Source): void {
    if (length > PACKET_ROOM) this.#setup.stats[Stat.DROPPED_LENGTH]++;
    else this.#setup.escape.sealed(at, length, source);
  }

  /** A frame that was authentic: is its sender a member, and do the rules let it in? */
  #frame(entry: number, at: number, length: number, source: Source): void {
    const view = this.#view;
    const member = this.#tables.members.bySession(
      view.getUint32(entry + Result.SLOT, true),
      view.getInt32(entry + Result.NETWORK_HIGH, true),
      view.getInt32(entry + Result.NETWORK_LOW, true),
    );
    if (!member?.admitted) {
      return this.#setup.escape.opened(
        at - FRAME_HEADER_LENGTH,
        length + FRAME_HEADER_LENGTH,
        source,
      );
    }
    const { network } = member;
    if (length > network.mtu) {
      this.#setup.stats[Stat.DROPPED_LENGTH]++;
      return;
    }
    const id = at - FRAME_HEADER_LENGTH; // the packet's first bytes
    if (this.#seen.isRepeatedId(view.getInt32(id), view.getInt32(id + 4), member.session)) {
      this.#setup.stats[Stat.DROPPED_DUPLICATE]++;
      return;
    }
    const etherType = view.getUint32(entry + Result.ETHER_TYPE, true);
    const bond = this.#tables.routes[member.session]?.bond;
    if (bond?.isByFlow) {
      bond.heard(flowOf(this.#bytes, at, length, etherType), source.tag, this.#tick);
    }
    const macs = MEMBERS_AT + member.slot * MEMBER_BYTES + MEMBER_MACS_AT;
    if (!network.acceptsAll) {
      const { filter } = network;
      filter.frame.load(this.#bytes, at, length, etherType);
      filter.frame.loadMacs(this.#bytes, macs + 6, macs);
      const verdict = filter.inbound(member.filterPeer);
      if (filter.copyCount > 0) {
        const whole = length + FRAME_HEADER_LENGTH;
        return this.#setup.escape.opened(at - FRAME_HEADER_LENGTH, whole, source);
      }
      if (verdict === Verdict.DROP) {
        this.#setup.stats[Stat.DROPPED_RULES]++;
        return;
      }
    }
    this.#deliveredFrames[member.session]++;
    if (this.#kernel.deliver(at, length, etherType, macs, network.port) === FULL) {
      this.#flushFrames();
      this.#kernel.deliver(at, length, etherType, macs, network.port);
    }
  }

  #flushFrames(): void {
    const count = this.#kernel.rxFramesEnd();
    if (count > 0) this.#setup.output.frames(count);
    this.#kernel.rxFramesBegin(TAP_OUT_AT, TAP_OUT_BYTES, WRITES_AT, WRITES_MAX, this.#vnetOut);
  }

  endUdp(): void {
    const count = this.#kernel.rxFramesEnd();
    if (count > 0) this.#setup.output.frames(count);
  }
}

/** What it does is counted. */
function countingAes(aes: PlaneAes, stats: Float64Array): PacketAes {
  return {
    seal(packet, length, session) {
      stats[Stat.AES_SEALED]++;
      aes.seal(packet, length, session);
    },
    open(packet, length, session) {
      const authentic = aes.open(packet, length, session);
      stats[Stat.AES_OPENED] += authentic;
      return authentic;
    },
  };
}
