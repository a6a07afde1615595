/**
 * Packets whose pieces did not come side by side: put together in slots, in any order, from any path.
 *
 *     offset  bytes     of the area given to setup()
 *     0       64 * 8    packet ids
 *     512     64 * 64   slots
 *     4608    64 * 10240  pieces, in the order they came
 *
 *     offset  bytes  field of a slot
 *     0       4      state: 0 free, 1 waiting for pieces, 2 complete and lent out
 *     4       4      tag of the path the first piece came by, whose share it counts against
 *     8       4      tick of the first piece
 *     12      4      number of the opening: a lower one is older
 *     16      4      pieces at hand, bit 0 the head
 *     20      4      pieces in all, 0 until a fragment told
 *     24      4      bytes at hand
 *     28      4      tag of the path the head came by
 *     32      28     offset and length of each piece, 2 bytes each
 *
 * Source: spec 02 section 3.3; slow twin `Reassembler` in `lib/wire/fragment.ts`.
 */
import { PACKET_BYTES_MAX } from "./layout";

const SLOTS: i32 = 64;
/** Of one path: a flooder evicts its own packets, not an honest newcomer's. */
const SLOTS_PER_PATH_MAX: i32 = 8;
/** So that packets not drained yet do not take all the room for those still incomplete. */
const LENT_MAX: i32 = 32;
const EXPIRY_TICKS: u32 = 2_000;
const SLOTS_AT: usize = 512;
const SLOT_BYTES: usize = 64;
const PIECES_AT: usize = 4_608;
const PIECES_BYTES: usize = 10_240;
/** Size of the area. */
export const REASSEMBLY_BYTES: i32 = 659_968;
/** Scratch space needed to sort pieces. */
export const SCRATCH_BYTES: i32 = 10_240;

const FREE: u32 = 0;
const WAITING: u32 = 1;
const LENT: u32 = 2;
const AT_PATH: usize = 4;
const AT_TICK: usize = 8;
const AT_ORDER: usize = 12;
const AT_HAVE: usize = 16;
const AT_TOTAL: usize = 20;
const AT_LENGTH: usize = 24;
const AT_HEAD_PATH: usize = 28;
const AT_PIECES: usize = 32;

let area: usize = 0;
let scratch: usize = 0;
let openings: u32 = 0;
let lent: i32 = 0;
/** The packet {@link addPiece} completed. */
export let assembledAt: usize = 0;
export let assembledBytes: i32 = 0;
export let assembledPath: u32 = 0;

export function setReassembly(at: usize, scratchAt: usize): void {
  area = at;
  scratch = scratchAt;
  lent = 0;
  memory.fill(at, 0, PIECES_AT);
}

/** Whether packets lent out have to be drained before more may be completed. */
export function mustDrain(): bool {
  return lent >= LENT_MAX;
}

/** Takes back the packets lent out. */
export function takeBack(): void {
  if (lent == 0) return;
  for (let i = 0; i < SLOTS; i++) {
    if (load<u32>(slotAt(i)) == LENT) store<u32>(slotAt(i), FREE);
  }
  lent = 0;
}

function slotAt(i: i32): usize {
  return area + SLOTS_AT + <usize> i * SLOT_BYTES;
}

/**
 * Takes one piece: the head (number 0, total 0) or a fragment.
 * @returns whether it was the last one missing; the packet is then lent out until {@link takeBack}
 */
export function addPiece(
  id: u64,
  number: i32,
  total: i32,
  body: usize,
  length: i32,
  tick: u32,
  path: u32,
): bool {
  let i = find(id, tick);
  if (i < 0) i = begin(id, tick, path);
  const slot = slotAt(i);
  const have = load<u32>(slot, AT_HAVE);
  if (((have >> number) & 1) != 0) return false; // a duplicate, or a second head
  const used = <i32> load<u32>(slot, AT_LENGTH);
  if (used + length > PACKET_BYTES_MAX) {
    store<u32>(slot, FREE);
    return false;
  }
  memory.copy(piecesAt(i) + <usize> used, body, <usize> length);
  const entry = slot + AT_PIECES + (<usize> number << 2);
  store<u16>(entry, <u16> used, 0);
  store<u16>(entry, <u16> length, 2);
  store<u32>(slot, <u32> (used + length), AT_LENGTH);
  store<u32>(slot, have | (1 << number), AT_HAVE);
  if (number == 0) store<u32>(slot, path, AT_HEAD_PATH);
  else store<u32>(slot, <u32> total, AT_TOTAL);
  return complete(i);
}

function piecesAt(i: i32): usize {
  return area + PIECES_AT + <usize> i * PIECES_BYTES;
}

/** @returns the waiting slot of this packet, or -1 */
function find(id: u64, tick: u32): i32 {
  for (let i = 0; i < SLOTS; i++) {
    if (load<u64>(area + (<usize> i << 3)) != id) continue;
    const slot = slotAt(i);
    if (load<u32>(slot) != WAITING) continue;
    if (tick - load<u32>(slot, AT_TICK) < EXPIRY_TICKS) return i;
    store<u32>(slot, FREE);
  }
  return -1;
}

/** @returns a fresh slot: of this path's own when its share is used up, else a free one, else the largest share's oldest */
function begin(id: u64, tick: u32, path: u32): i32 {
  let free = -1;
  for (let i = 0; i < SLOTS; i++) {
    const slot = slotAt(i);
    if (load<u32>(slot) == WAITING && tick - load<u32>(slot, AT_TICK) >= EXPIRY_TICKS) {
      store<u32>(slot, FREE);
    }
    if (load<u32>(slot) == FREE) free = i;
  }
  let chosen = free;
  if (share(path) >= SLOTS_PER_PATH_MAX) chosen = oldest(path);
  else if (free < 0) chosen = oldest(largestShare());
  store<u64>(area + (<usize> chosen << 3), id);
  const slot = slotAt(chosen);
  memory.fill(slot, 0, SLOT_BYTES);
  store<u32>(slot, WAITING);
  store<u32>(slot, path, AT_PATH);
  store<u32>(slot, tick, AT_TICK);
  store<u32>(slot, openings++, AT_ORDER);
  return chosen;
}

/** Packets waiting that this path began. */
function share(path: u32): i32 {
  let count = 0;
  for (let i = 0; i < SLOTS; i++) {
    const slot = slotAt(i);
    if (load<u32>(slot) == WAITING && load<u32>(slot, AT_PATH) == path) count++;
  }
  return count;
}

/** The path with most packets waiting; called only when no slot is free, and at most half of them are lent out. */
function largestShare(): u32 {
  let path: u32 = 0;
  let largest = 0;
  for (let i = 0; i < SLOTS; i++) {
    const slot = slotAt(i);
    if (load<u32>(slot) != WAITING) continue;
    const count = share(load<u32>(slot, AT_PATH));
    if (count > largest) {
      largest = count;
      path = load<u32>(slot, AT_PATH);
    }
  }
  return path;
}

function oldest(path: u32): i32 {
  let found = 0;
  let age: u32 = 0;
  for (let i = 0; i < SLOTS; i++) {
    const slot = slotAt(i);
    if (load<u32>(slot) != WAITING || load<u32>(slot, AT_PATH) != path) continue;
    const its = openings - load<u32>(slot, AT_ORDER);
    if (its > age) {
      age = its;
      found = i;
    }
  }
  return found;
}

/** @returns false while a piece is missing; else the slot is lent out */
function complete(i: i32): bool {
  const slot = slotAt(i);
  const total = <i32> load<u32>(slot, AT_TOTAL);
  const all: u32 = (1 << total) - 1;
  if (total == 0 || (load<u32>(slot, AT_HAVE) & all) != all) return false;
  assembledAt = piecesAt(i);
  assembledBytes = sort(slot, total);
  assembledPath = load<u32>(slot, AT_HEAD_PATH);
  store<u32>(slot, LENT);
  lent++;
  return true;
}

/** Puts the pieces at {@link assembledAt} in order. @returns bytes of the packet */
function sort(slot: usize, total: i32): i32 {
  let at: usize = 0;
  let ordered = true;
  for (let number = 0; number < total; number++) {
    const entry = slot + AT_PIECES + (<usize> number << 2);
    if (<usize> load<u16>(entry, 0) != at) ordered = false;
    at += <usize> load<u16>(entry, 2);
  }
  if (ordered) return <i32> at;
  let to = scratch;
  for (let number = 0; number < total; number++) {
    const entry = slot + AT_PIECES + (<usize> number << 2);
    const length = <usize> load<u16>(entry, 2);
    memory.copy(to, assembledAt + <usize> load<u16>(entry, 0), length);
    to += length;
  }
  memory.copy(assembledAt, scratch, at);
  return <i32> at;
}
