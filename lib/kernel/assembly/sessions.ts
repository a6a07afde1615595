/**
 * Who we share a key with: entries of 128 bytes and an index over them, both written by JavaScript.
 *
 *     offset  bytes  field of an entry
 *     0       8      address of the peer, 0 when free
 *     8       32     Salsa20 key
 *     40      4      flags: bit 0, packets from it may be opened here; bit 1, AES-GMAC-SIV too
 *     44      4      not ours
 *     48      4      packets opened
 *     52      4      packets that failed authentication
 *     56      8      bytes opened (f64)
 *     64      4      tick of the last packet that came directly
 *     68      4      tick of the last one that came through a relay
 *     72      4      tag of the path the last direct one came by
 *     76      4      length from which on packets to it are sealed with AES-GMAC-SIV, 0 for none
 *     80      4      tag of the path the last relayed one came by
 *
 * The index is open addressing with linear probing, an entry being slot + 1, or 0 for none.
 */

const SESSION_BYTES: usize = 128;
const AT_KEY: usize = 8;
const AT_FLAGS: usize = 40;
const AT_OPENED: usize = 48;
const AT_FAILED: usize = 52;
const AT_BYTES: usize = 56;
const AT_DIRECT: usize = 64;
const AT_RELAYED: usize = 68;
const AT_PATH: usize = 72;
const AT_AES_FROM: usize = 76;
const AT_RELAYED_PATH: usize = 80;
const OPEN_HERE: u32 = 1;
const OPEN_AES: u32 = 2;
export const NO_SLOT: u32 = 0xffffffff;

let sessions: usize = 0;
let index: usize = 0;
let mask: u32 = 0;

export function setSessions(entries: usize, table: usize, indexMask: u32): void {
  sessions = entries;
  index = table;
  mask = indexMask;
}

/** Where the search for an address begins in the index; exported for the tests of who writes it. */
export function sessionHash(high: u32, low: u32, indexMask: u32): u32 {
  return ((low * 0x9e3779b1) ^ high) & indexMask;
}

/** @returns slot of the entry, or NO_SLOT */
export function findSession(high: u32, low: u32): u32 {
  const address = (<u64> high << 32) | <u64> low;
  let at = sessionHash(high, low, mask);
  // At most as many steps as there are entries: a full index must not hold us for ever.
  for (let steps: u32 = 0; steps <= mask; steps++) {
    const entry = load<u32>(index + (<usize> at << 2));
    if (entry == 0) break;
    if (load<u64>(sessions + <usize> (entry - 1) * SESSION_BYTES) == address) return entry - 1;
    at = (at + 1) & mask;
  }
  return NO_SLOT;
}

export function sessionKey(slot: u32): usize {
  return sessions + <usize> slot * SESSION_BYTES + AT_KEY;
}

/** Key of an entry given by its address. */
export function keyOf(session: usize): usize {
  return session + AT_KEY;
}

/** Slot of an entry given by its address. */
export function slotOf(session: usize): u32 {
  return <u32> ((session - sessions) / SESSION_BYTES);
}

/** Whether a packet of this length to an entry, given by its address, is sealed with AES-GMAC-SIV. */
export function sealsAes(session: usize, length: i32): bool {
  const from = load<u32>(session, AT_AES_FROM);
  return from != 0 && <u32> length >= from;
}

/** Whether packets of this session are opened here rather than by the control plane. */
export function opensHere(slot: u32): bool {
  return (load<u32>(sessions + <usize> slot * SESSION_BYTES, AT_FLAGS) & OPEN_HERE) != 0;
}

/** Whether that goes for those under AES-GMAC-SIV too. */
export function opensAes(slot: u32): bool {
  return (load<u32>(sessions + <usize> slot * SESSION_BYTES, AT_FLAGS) & OPEN_AES) != 0;
}

export function noteFailed(slot: u32): void {
  const entry = sessions + <usize> slot * SESSION_BYTES;
  store<u32>(entry, load<u32>(entry, AT_FAILED) + 1, AT_FAILED);
}

export function noteOpened(slot: u32, length: i32): void {
  const entry = sessions + <usize> slot * SESSION_BYTES;
  store<u32>(entry, load<u32>(entry, AT_OPENED) + 1, AT_OPENED);
  store<f64>(entry, load<f64>(entry, AT_BYTES) + <f64> length, AT_BYTES);
}

/** Frames alone: of what else is opened control is told packet by packet, and makes of each what its verb says. */
export function noteFrame(slot: u32, hops: i32, tick: u32, pathTag: u32): void {
  const entry = sessions + <usize> slot * SESSION_BYTES;
  if (hops == 0) {
    store<u32>(entry, tick, AT_DIRECT);
    store<u32>(entry, pathTag, AT_PATH);
  } else {
    store<u32>(entry, tick, AT_RELAYED);
    store<u32>(entry, pathTag, AT_RELAYED_PATH);
  }
}
