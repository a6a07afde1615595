/**
 * The packets that came lately, so that a copy of one is told from a new one: a bond that broadcasts sends every frame by all
 * its paths, and anybody may send what he overheard once more. Bounded, for all peers together: an id is forgotten when
 * newer ones need its place.
 *
 * Source: spec 03 section 28 item 15. Ids are as good as random, each sender's own, so two peers' do not meet.
 * @module
 */

const WAYS = 2; // places an id may have: with one, a busy table forgets too soon
/** Ids of a counter, whatever its step, spread over all places: as in MurmurHash3. */
const MIX = 0x9e37_79b1 | 0;
const MIX_AGAIN = 0x85eb_ca6b | 0;

export class SeenPackets {
  /** High and low half of an id each, `WAYS` of them side by side. */
  readonly #ids: Int32Array;
  readonly #mask: number;

  /** @param count Ids remembered, a power of two; eight bytes each */
  constructor(count: number) {
    this.#ids = new Int32Array(2 * count);
    this.#mask = count / WAYS - 1;
  }

  /**
   * Notes a packet. @param packet With its id in the first eight bytes
   * @returns whether it came before
   */
  isRepeated(packet: Uint8Array): boolean {
    return this.isRepeatedId(wordAt(packet, 0), wordAt(packet, 4));
  }

  /** The same by the halves of the id, signed. Allocates nothing. */
  isRepeatedId(high: number, low: number): boolean {
    const ids = this.#ids;
    const mixed = Math.imul(low ^ (high >>> 7), MIX);
    const at = (Math.imul(mixed ^ (mixed >>> 15), MIX_AGAIN) >>> 9 & this.#mask) * 2 * WAYS;
    if (ids[at + 1] === low && ids[at] === high) return true;
    if (ids[at + 3] === low && ids[at + 2] === high) return true;
    ids[at + 2] = ids[at]; // the older one of the two goes
    ids[at + 3] = ids[at + 1];
    ids[at] = high;
    ids[at + 1] = low;
    return false;
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}
