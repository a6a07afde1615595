/**
 * Flows this node relays without asking control for each datagram: from one physical source to one
 * peer. Control lets a flow in once it has passed on some of it itself, and knows both ends; what
 * differs in anything from what it saw goes to control.
 *
 * A fragment does not name its sender, so a flow is known by where it comes from and whom it is
 * for; a packet's sender must be the flow's too. Looking up and counting allocate nothing.
 *
 * Source: spec 02 section 8, spec 03 section 14; limits as in `lib/root/relay.ts`.
 * @module
 */
import type { Address } from "../base/ids.ts";
import type { Ip } from "../base/ip.ts";
import { AT_DESTINATION, AT_FLAGS, AT_SOURCE, HOPS_MAX, MASK_HOPS } from "../wire/packet.ts";
import { pathTag } from "./path_tag.ts";
import type { Source } from "./plane.ts";
import type { Route } from "./table_records.ts";

/** Flows at a time. */
export const RELAYS_MAX = 4_096;
const INDEX_SIZE = 8_192; // twice as many as flows, so that probing stays short
const INDEX_MASK = INDEX_SIZE - 1;
const NONE = -1;
const AT_FRAGMENT_HOPS = 15;
const FRAGMENT_MARKER = 0xff;

/** What control says of a flow. */
export interface RelayFlow {
  readonly slot: number;
  /** Where its datagrams come from. */
  readonly from: { readonly socket: number; readonly ip: Ip; readonly port: number };
  readonly source: Address;
  readonly destination: Address;
  readonly route: Route;
  /** Number of the budget its physical source's flows share, below {@linkcode RELAYS_MAX}. */
  readonly budget: number;
  /** That budget; as much may come at once. */
  readonly bytesPerSecond: number;
}

interface Flow extends RelayFlow {
  readonly tag: number;
  readonly sourceHigh: number;
  readonly sourceLow: number;
  readonly destinationHigh: number;
  readonly destinationLow: number;
}

export class Relays {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #flows: (Flow | undefined)[] = [];
  /** Slots by tag and destination: open addressing with linear probing. */
  readonly #index = new Int32Array(INDEX_SIZE).fill(NONE);
  readonly #packets = new Float64Array(RELAYS_MAX);
  readonly #relayedBytes = new Float64Array(RELAYS_MAX);
  readonly #tokens = new Float64Array(RELAYS_MAX); // bytes, by budget
  readonly #filledMs = new Float64Array(RELAYS_MAX);
  /** Flows there are: none is asked for where there are none. */
  count = 0;

  /** @param memory The arena */
  constructor(memory: ArrayBufferLike) {
    this.#bytes = new Uint8Array(memory);
    this.#view = new DataView(memory);
  }

  set(flow: RelayFlow): void {
    this.remove(flow.slot);
    const { from: { socket, ip, port }, source, destination, slot } = flow;
    const made: Flow = {
      ...flow,
      tag: pathTag(socket, ip, 0, ip.length, port),
      sourceHigh: Math.floor(source / 0x1_0000_0000),
      sourceLow: (source % 0x1_0000_0000) | 0,
      destinationHigh: Math.floor(destination / 0x1_0000_0000),
      destinationLow: (destination % 0x1_0000_0000) | 0,
    };
    this.#flows[slot] = made;
    this.#packets[slot] = 0;
    this.#relayedBytes[slot] = 0;
    let i = homeOf(made);
    while (this.#index[i] !== NONE) i = (i + 1) & INDEX_MASK;
    this.#index[i] = slot;
    this.count++;
  }

  remove(slot: number): void {
    const flow = this.#flows[slot];
    if (!flow) return;
    this.#leave(flow);
    this.#flows[slot] = undefined;
    this.count--;
  }

  /** Takes a flow out of the index, moving later entries of its run up so that no probe ends too early. */
  #leave(flow: Flow): void {
    const index = this.#index;
    let hole = homeOf(flow);
    while (index[hole] !== flow.slot) hole = (hole + 1) & INDEX_MASK;
    for (let i = (hole + 1) & INDEX_MASK; index[i] !== NONE; i = (i + 1) & INDEX_MASK) {
      const distance = (i - homeOf(this.#flows[index[i]]!)) & INDEX_MASK;
      if (distance < ((i - hole) & INDEX_MASK)) continue; // it would move before its home
      index[hole] = index[i];
      hole = i;
    }
    index[hole] = NONE;
  }

  /**
   * The flow of a datagram for somebody else, its hops counted up if there is one.
   * @param at Where the datagram is, at least 17 bytes
   * @returns its slot, or -1: control is to decide
   */
  admit(at: number, source: Source): number {
    const bytes = this.#bytes;
    const high = bytes[at + AT_DESTINATION];
    const low = this.#view.getInt32(at + AT_DESTINATION + 1);
    const slot = this.#find(source, high, low);
    if (slot < 0) return NONE;
    const flow = this.#flows[slot]!;
    const isFragment = bytes[at + AT_SOURCE] === FRAGMENT_MARKER;
    if (!isFragment) {
      if (bytes[at + AT_SOURCE] !== flow.sourceHigh) return NONE;
      if (this.#view.getInt32(at + AT_SOURCE + 1) !== flow.sourceLow) return NONE;
    }
    const hopsAt = at + (isFragment ? AT_FRAGMENT_HOPS : AT_FLAGS);
    const hops = isFragment ? bytes[hopsAt] : bytes[hopsAt] & MASK_HOPS;
    if (hops >= HOPS_MAX) return NONE;
    bytes[hopsAt]++; // below the limit, so that no other bit changes
    return slot;
  }

  #find({ tag, socketId, ip, ipAt, ipLength, port }: Source, high: number, low: number): number {
    for (let i = indexOf(tag, low);; i = (i + 1) & INDEX_MASK) {
      const slot = this.#index[i];
      if (slot === NONE) return NONE;
      const flow = this.#flows[slot]!;
      if (flow.tag !== tag || flow.destinationLow !== low || flow.destinationHigh !== high) {
        continue;
      }
      const { from } = flow;
      if (from.socket !== socketId || from.port !== port || from.ip.length !== ipLength) continue;
      if (sameBytes(from.ip, ip, ipAt)) return slot;
    }
  }

  /** Takes a datagram's bytes from its source's budget, and counts it. @returns false when there is nothing left */
  take(slot: number, length: number, nowMs: number): boolean {
    const { budget, bytesPerSecond } = this.#flows[slot]!;
    // The clock may wrap: then nothing is earned once.
    const elapsedMs = Math.max(0, nowMs - this.#filledMs[budget]);
    const tokens = this.#tokens[budget] + elapsedMs * (bytesPerSecond / 1_000);
    this.#filledMs[budget] = nowMs;
    this.#tokens[budget] = Math.min(bytesPerSecond, tokens);
    if (this.#tokens[budget] < length) return false;
    this.#tokens[budget] -= length;
    this.#packets[slot]++;
    this.#relayedBytes[slot] += length;
    return true;
  }

  route(slot: number): Route | undefined {
    return this.#flows[slot]?.route;
  }

  /** Datagrams and bytes passed on since the flow was set. */
  packets(slot: number): number {
    return this.#packets[slot];
  }

  bytes(slot: number): number {
    return this.#relayedBytes[slot];
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array, at: number): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[at + i]) return false;
  return true;
}

function homeOf({ tag, destinationLow }: Flow): number {
  return indexOf(tag, destinationLow);
}

function indexOf(tag: number, low: number): number {
  return Math.imul(tag ^ low, 0x9e37_79b1 | 0) >>> 19 & INDEX_MASK;
}
