/**
 * The packets that came lately, so that a copy of one is told from a new one: a bond that
 * broadcasts sends every frame by all its paths, and anybody may send what he overheard once more.
 * Bounded, for all peers together: an id is forgotten when newer ones need its place.
 *
 * An id counts for its sender only: who overhears a packet could send one of its own under the same
 * id, and sooner where the other comes by a detour.
 *
 * Source: spec 03 section 28 item 15.
 * @module
 */
import { AT_SOURCE } from "./packet.ts";

const WAYS = 2; // places an id may have: with one, a busy table forgets too soon
const WORDS = 3;
/** The last four of five bytes: an address that agrees with another's in these takes four billion proofs of work. */
const AT_SENDER = AT_SOURCE + 1;
/** Ids of a counter, whatever its step, spread over all places: as in MurmurHash3. */
const MIX = 0x9e37_79b1 | 0;
const MIX_AGAIN = 0x85eb_ca6b | 0;

export class SeenPackets {
  /** High and low half of an id and its sender each, `WAYS` of them side by side. */
  readonly #ids: Int32Array;
  readonly #mask: number;

  /** @param count Ids remembered, a power of two; twelve bytes each */
  constructor(count: number) {
    this.#ids = new Int32Array(WORDS * count);
    this.#mask = count / WAYS - 1;
  }

  /**
   * Notes a packet. @param packet With its id in the first eight bytes, and proved to be of the sender in its header
   * @returns whether it came before
   */
  isRepeated(packet: Uint8Array): boolean {
    return this.isRepeatedId(wordAt(packet, 0), wordAt(packet, 4), wordAt(packet, AT_SENDER));
  }

  /** The same by the halves of the id, signed, and whatever tells senders apart. Allocates nothing. */
  isRepeatedId(high: number, low: number, sender: number): boolean {
    const ids = this.#ids;
    const mixed = Math.imul(low ^ (high >>> 7), MIX);
    const at = (Math.imul(mixed ^ (mixed >>> 15), MIX_AGAIN) >>> 9 & this.#mask) * WORDS * WAYS;
    if (ids[at + 1] === low && ids[at] === high && ids[at + 2] === sender) return true;
    if (ids[at + 4] === low && ids[at + 3] === high && ids[at + 5] === sender) return true;
    ids[at + 3] = ids[at]; // the older one of the two goes
    ids[at + 4] = ids[at + 1];
    ids[at + 5] = ids[at + 2];
    ids[at] = high;
    ids[at + 1] = low;
    ids[at + 2] = sender;
    return false;
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}
