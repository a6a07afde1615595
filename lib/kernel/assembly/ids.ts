/**
 * Packet ids: a counter through Speck64/128, as `lib/node/packet_ids.ts` makes them.
 *
 *     offset  bytes  of the area given to setup()
 *     0       108    27 round keys
 *     108     4      counter, low half
 *     112     4      counter, high half
 */

const ROUNDS: usize = 27;
const AT_LOW: usize = 108;
const AT_HIGH: usize = 112;

let area: usize = 0;

export function setIds(ids: usize): void {
  area = ids;
}

/** Writes the next id, 8 bytes, to the beginning of a packet. */
export function nextId(packet: usize): void {
  const low = load<u32>(area, AT_LOW) + 1;
  let high = load<u32>(area, AT_HIGH);
  store<u32>(area, low, AT_LOW);
  if (low == 0) store<u32>(area, ++high, AT_HIGH);
  let x = high;
  let y = low;
  const end = area + ROUNDS * 4;
  for (let at = area; at < end; at += 4) {
    x = (rotr<u32>(x, 8) + y) ^ load<u32>(at);
    y = rotl<u32>(y, 3) ^ x;
  }
  store<u32>(packet, bswap<u32>(x), 0);
  store<u32>(packet, bswap<u32>(y), 4);
}
