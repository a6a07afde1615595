/**
 * Packets longer than a datagram may be: cut into a head and fragments, and put together again.
 *
 *     offset  bytes  field of a fragment
 *     0       8      packet id of the head, as on the wire
 *     8       5      destination of the head
 *     13      1      0xff
 *     14      1      number of pieces, head included (high four bits); which one this is, from 1 (low four bits)
 *     15      1      hops
 *     16      n      piece
 *
 * The head is the beginning of the packet itself, with flag 0x40. The reference fills the head and
 * every fragment but the last; we cut into pieces of equal size, which receivers take as well,
 * because the kernel sends datagrams of one size in one go. Source: spec 02 section 3, spec 07
 * section 2.1.
 *
 * @module
 */
import {
  AT_FLAGS,
  AT_SOURCE,
  FLAG_FRAGMENTED,
  FRAGMENT_HEADER_LENGTH,
  FRAGMENT_MARKER,
  FRAGMENTS_MAX,
  HEADER_LENGTH,
  isFragment,
  MASK_HOPS,
  PACKET_LENGTH_MAX,
  packetId,
} from "./packet.ts";

const AT_NUMBERS = 14;
const AT_HOPS = 15;

/**
 * Datagrams a packet takes. Decide before sealing: flag 0x40, set when it is more than one, is authenticated.
 * @param mtu Longest datagram of the path, in bytes
 * @returns undefined when it would take more than seven: receivers drop such a packet, so do not make it
 */
export function fragmentCount(lengthBytes: number, mtu: number): number | undefined {
  for (let count = 1; count <= FRAGMENTS_MAX; count++) {
    if (datagramLength(lengthBytes, count) <= mtu) return count;
  }
  return undefined;
}

/** Bytes of every datagram but possibly the last. */
function datagramLength(lengthBytes: number, count: number): number {
  return Math.ceil((lengthBytes + FRAGMENT_HEADER_LENGTH * (count - 1)) / count);
}

/**
 * The datagrams of a sealed packet, head first; all of one size, the last possibly shorter.
 * @param packet Lent. The head is a view into it, and so is the only datagram of a packet that fits
 * @throws {RangeError} when it takes more than seven, or flag 0x40 does not say what is done
 */
export function split(packet: Uint8Array, mtu: number): Uint8Array[] {
  const count = fragmentCount(packet.length, mtu);
  if (count === undefined) {
    throw new RangeError(`packet: ${packet.length} bytes are too many for an MTU of ${mtu}`);
  }
  if (((packet[AT_FLAGS] & FLAG_FRAGMENTED) !== 0) !== (count > 1)) {
    throw new RangeError(`packet: sealed for another number of datagrams than ${count}`);
  }
  const length = datagramLength(packet.length, count);
  const datagrams = [packet.subarray(0, length)];
  const pieceLength = length - FRAGMENT_HEADER_LENGTH;
  for (let number = 1, at = length; number < count; number++, at += pieceLength) {
    const piece = packet.subarray(at, at + pieceLength);
    const datagram = new Uint8Array(FRAGMENT_HEADER_LENGTH + piece.length);
    datagram.set(packet.subarray(0, AT_SOURCE)); // packet id and destination
    datagram[AT_SOURCE] = FRAGMENT_MARKER;
    datagram[AT_NUMBERS] = (count << 4) | number;
    datagram.set(piece, FRAGMENT_HEADER_LENGTH);
    datagrams.push(datagram);
  }
  return datagrams;
}

/** Hops of a fragment. */
export function fragmentHops(fragment: Uint8Array): number {
  return fragment[AT_HOPS] & MASK_HOPS;
}

/** A packet put together. */
export interface Assembled<S = string> {
  readonly packet: Uint8Array;
  /** Where the head came from: the packet counts as coming from there. */
  readonly source: S;
}

/** How much a {@linkcode Reassembler} keeps. */
export interface ReassemblyLimits {
  /** Packets under assembly in all. */
  readonly slotsMax: number;
  /** Packets under assembly that one source began. */
  readonly slotsPerSourceMax: number;
  /** A packet not complete this long after its first piece is given up. */
  readonly expiryMs: number;
}

const DEFAULT_LIMITS: ReassemblyLimits = {
  slotsMax: 256, // ours: at most 2.5 MB of pieces, whatever strangers send
  slotsPerSourceMax: 16, // ours: a flooder evicts its own packets, not an honest newcomer's
  expiryMs: 2_000, // spec 02 section 3.3 calls 1 to 2 s fine; the reference has no expiry but a ring of 32
};

interface Slot<S> {
  readonly id: bigint;
  /** Whose share it is counted against: whoever sent the first piece. */
  readonly opener: string;
  readonly firstMs: number;
  /** Head at 0, fragments at their numbers. */
  readonly pieces: (Uint8Array | undefined)[];
  source: S;
  /** 0 until a fragment told. */
  total: number;
  lengthBytes: number;
}

/**
 * Puts packets together from pieces in any order. Pieces of one packet may come from different sources; duplicates are
 * harmless. Memory is bounded in all and per share; time is handed in.
 */
export class Reassembler<S = string> {
  /** In the order their first pieces came. */
  readonly #slots = new Map<bigint, Slot<S>>();
  readonly #bySource = new Map<string, Set<Slot<S>>>();

  constructor(readonly limits: ReassemblyLimits = DEFAULT_LIMITS) {}

  /** Packets under assembly. */
  get size(): number {
    return this.#slots.size;
  }

  /**
   * Takes a fragment, or a head, addressed to this node.
   * @param source Where it came from; handed back with the packet
   * @param datagram Lent; copied when it has to stay
   * @param share Whose share of the slots is used: the source's, or one for all sources that proved nothing yet
   * @returns the packet when this piece was the last one missing
   */
  add(
    source: S,
    datagram: Uint8Array,
    nowMs: number,
    share = String(source),
  ): Assembled<S> | undefined {
    this.#expire(nowMs);
    const piece = parsePiece(datagram);
    if (!piece) return undefined;
    const id = packetId(datagram);
    const slot = this.#slots.get(id) ?? this.#open(id, source, share, nowMs);
    if (slot.pieces[piece.number]) return undefined; // a duplicate, or a second head
    if (slot.lengthBytes + piece.body.length > PACKET_LENGTH_MAX) {
      this.#close(slot);
      return undefined;
    }
    slot.pieces[piece.number] = piece.body.slice();
    slot.lengthBytes += piece.body.length;
    if (piece.number === 0) slot.source = source;
    else slot.total = piece.total;
    const packet = assemble(slot);
    if (!packet) return undefined;
    this.#close(slot);
    return { packet, source: slot.source };
  }

  #open(id: bigint, source: S, opener: string, nowMs: number): Slot<S> {
    const own = this.#bySource.get(opener);
    if (own && own.size >= this.limits.slotsPerSourceMax) this.#close(first(own));
    else if (this.#slots.size >= this.limits.slotsMax) this.#close(first(this.#largestShare()));
    const slot: Slot<S> = {
      id,
      opener,
      firstMs: nowMs,
      pieces: [],
      source,
      total: 0,
      lengthBytes: 0,
    };
    this.#slots.set(id, slot);
    const share = this.#bySource.get(opener);
    if (share) share.add(slot);
    else this.#bySource.set(opener, new Set([slot]));
    return slot;
  }

  #close(slot: Slot<S>): void {
    this.#slots.delete(slot.id);
    const share = this.#bySource.get(slot.opener);
    share?.delete(slot);
    if (share?.size === 0) this.#bySource.delete(slot.opener);
  }

  /** Slots of the source that has most, oldest first. */
  #largestShare(): Set<Slot<S>> {
    let largest = new Set<Slot<S>>();
    for (const share of this.#bySource.values()) if (share.size > largest.size) largest = share;
    return largest;
  }

  #expire(nowMs: number): void {
    for (const slot of this.#slots.values()) {
      if (nowMs < slot.firstMs + this.limits.expiryMs) return; // those after it came later
      this.#close(slot);
    }
  }
}

function first<S>(slots: Set<Slot<S>>): Slot<S> {
  return slots.values().next().value!;
}

interface Piece {
  /** 0 for the head. */
  readonly number: number;
  /** 0 when this is the head, which does not know. */
  readonly total: number;
  readonly body: Uint8Array;
}

/** @returns undefined for what no sender of ours or the reference makes */
function parsePiece(datagram: Uint8Array): Piece | undefined {
  if (datagram.length <= FRAGMENT_HEADER_LENGTH) return undefined;
  if (!isFragment(datagram)) {
    const isHead = datagram.length >= HEADER_LENGTH && (datagram[AT_FLAGS] & FLAG_FRAGMENTED) !== 0;
    return isHead ? { number: 0, total: 0, body: datagram } : undefined;
  }
  const total = datagram[AT_NUMBERS] >> 4;
  const number = datagram[AT_NUMBERS] & 0x0f;
  // The reference takes a number beyond the total and assembles garbage, which fails authentication; we do not.
  if (total < 2 || total > FRAGMENTS_MAX || number < 1 || number >= total) return undefined;
  return { number, total, body: datagram.subarray(FRAGMENT_HEADER_LENGTH) };
}

/** @returns undefined while a piece is missing */
function assemble(slot: Slot<unknown>): Uint8Array | undefined {
  if (slot.total === 0) return undefined;
  for (let i = 0; i < slot.total; i++) if (!slot.pieces[i]) return undefined;
  const packet = new Uint8Array(slot.lengthBytes);
  let at = 0;
  for (let i = 0; i < slot.total; i++) {
    packet.set(slot.pieces[i]!, at);
    at += slot.pieces[i]!.length;
  }
  return packet.subarray(0, at);
}
