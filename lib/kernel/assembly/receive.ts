/**
 * From the wire: datagrams in, results out. What is sealed for us by a known peer is put together, authenticated and decrypted
 * where it lies; everything else is named and left alone.
 *
 *     offset  bytes  field of a result
 *     0       1      kind
 *     1       1      verb byte
 *     2       1      hops
 *     3       1      0
 *     4       4      where it is
 *     8       4      bytes
 *     12      4      session slot, or 0xffffffff
 *     16      4      tag of the path it came by, its head if it was in pieces
 *     20      8      network id of a FRAME, high half first
 *     28      4      EtherType of a FRAME
 *
 * Source: spec 02 sections 2.5, 3.3 and 4.
 */
import { aesOpen } from "./aes_calls";
import { open } from "./armor";
import {
  AT_DESTINATION,
  AT_FLAGS,
  AT_HOPS,
  AT_NUMBERS,
  AT_SOURCE,
  AT_VERB,
  CIPHER_AES,
  CIPHER_SALSA,
  FLAG_FRAGMENTED,
  FRAGMENT_HEADER_BYTES,
  FRAGMENT_MARKER,
  FRAGMENTS_MAX,
  FRAME_HEADER_BYTES,
  HEADER_BYTES,
  MASK_CIPHER,
  MASK_HOPS,
  PACKET_BYTES_MAX,
  VERB_FRAME,
} from "./layout";
import {
  addPiece,
  assembledAt,
  assembledBytes,
  assembledPath,
  mustDrain,
  takeBack,
} from "./reassembly";
import {
  findSession,
  NO_SLOT,
  noteFailed,
  noteFrame,
  noteOpened,
  opensAes,
  opensHere,
  sessionKey,
} from "./sessions";

const RESULT_BYTES: usize = 32;
const FRAME: u8 = 1;
const OPENED: u8 = 2;
const SEALED: u8 = 3;
const FOREIGN: u8 = 4;
const FAILED: u8 = 5;
const MASK_VERB: u8 = 0x9f; // with the bit that says compressed, without the two that say nothing
const FULL: i32 = -1;

let selfHigh: u32 = 0;
let selfLow: u32 = 0;
let tick: u32 = 0;
let results: usize = 0;
let resultsMax: i32 = 0;
let resultCount: i32 = 0;
let resumeAt: i32 = 0;

export function setSelf(high: u32, low: u32): void {
  selfHigh = high;
  selfLow = low;
}

/** Sets the clock, in milliseconds, for stamps and expiry. */
export function setTick(now: u32): void {
  tick = now;
}

/** Begins a list of results; what earlier ones pointed to may be overwritten from now on. */
export function rxBegin(list: usize, max: i32): void {
  results = list;
  resultsMax = max;
  resultCount = 0;
  takeBack();
}

/** Results since rxBegin(). */
export function rxCount(): i32 {
  return resultCount;
}

/** Offset of the first datagram the last call of {@link receive} did not handle. */
export function rxResumeAt(): i32 {
  return resumeAt;
}

/**
 * Walks the datagrams of one super-datagram.
 * @param segment Bytes of each datagram; the last may be shorter
 * @returns results since rxBegin(); -1 when they have to be drained first
 */
export function receive(at: usize, length: i32, segment: i32, path: u32): i32 {
  const size = segment > 0 ? segment : length;
  let offset = 0;
  while (offset < length) {
    if (resultCount >= resultsMax || mustDrain()) {
      resumeAt = offset;
      return FULL;
    }
    offset += handle(at + <usize> offset, length - offset, size, path);
  }
  resumeAt = length;
  return resultCount;
}

/**
 * Handles the first datagram of what is left, with the fragments behind it when it is a head.
 * @returns bytes dealt with
 */
function handle(at: usize, left: i32, segment: i32, path: u32): i32 {
  const length = min(left, segment);
  if (length <= FRAGMENT_HEADER_BYTES || length > PACKET_BYTES_MAX) {
    result(SEALED, 0, 0, at, length, NO_SLOT, path);
    return length;
  }
  const isFragment = load<u8>(at, AT_SOURCE) == FRAGMENT_MARKER;
  if (!isFragment && length < HEADER_BYTES) {
    result(SEALED, 0, 0, at, length, NO_SLOT, path);
  } else if (!isFragment && isSelf(at + AT_SOURCE)) {
    result(FAILED, 0, load<u8>(at, AT_FLAGS) & MASK_HOPS, at, length, NO_SLOT, path);
  } else if (!isSelf(at + AT_DESTINATION)) {
    const hops = load<u8>(at + (isFragment ? AT_HOPS : AT_FLAGS)) & MASK_HOPS;
    result(FOREIGN, 0, hops, at, length, NO_SLOT, path);
  } else if (isFragment) {
    handleFragment(at, length, path);
  } else if ((load<u8>(at, AT_FLAGS) & FLAG_FRAGMENTED) == 0) {
    handlePacket(at, length, path);
  } else {
    return handleHead(at, left, segment, path);
  }
  return length;
}

function isSelf(address: usize): bool {
  return <u32> load<u8>(address) == selfHigh && bswap<u32>(load<u32>(address, 1)) == selfLow;
}

function handleFragment(at: usize, length: i32, path: u32): void {
  const numbers = <i32> load<u8>(at, AT_NUMBERS);
  const total = numbers >> 4;
  const number = numbers & 0x0f;
  if (total < 2 || total > FRAGMENTS_MAX || number < 1 || number >= total) {
    result(SEALED, 0, load<u8>(at, AT_HOPS) & MASK_HOPS, at, length, NO_SLOT, path);
    return;
  }
  const body = at + <usize> FRAGMENT_HEADER_BYTES;
  if (addPiece(load<u64>(at), number, total, body, length - FRAGMENT_HEADER_BYTES, tick, path)) {
    handlePacket(assembledAt, assembledBytes, assembledPath);
  }
}

/** @returns bytes dealt with: more than the head when all fragments follow it */
function handleHead(at: usize, left: i32, segment: i32, path: u32): i32 {
  const length = min(left, segment);
  const pieces = piecesBehind(at, left, segment);
  if (pieces == 0) {
    if (addPiece(load<u64>(at), 0, 0, at, length, tick, path)) {
      handlePacket(assembledAt, assembledBytes, assembledPath);
    }
    return length;
  }
  let end = length;
  for (let i = 1, from = segment; i < pieces; i++, from += segment) {
    const body = min(left - from, segment) - FRAGMENT_HEADER_BYTES;
    memory.copy(at + <usize> end, at + <usize> (from + FRAGMENT_HEADER_BYTES), <usize> body);
    end += body;
  }
  handlePacket(at, end, path);
  return min(left, segment * pieces);
}

/** @returns pieces in all when every fragment of this head lies behind it in order, else 0 */
function piecesBehind(at: usize, left: i32, segment: i32): i32 {
  if (left <= segment + FRAGMENT_HEADER_BYTES) return 0;
  const total = <i32> load<u8>(at + <usize> segment, AT_NUMBERS) >> 4;
  if (total < 2 || total > FRAGMENTS_MAX || left <= segment * (total - 1) + FRAGMENT_HEADER_BYTES) {
    return 0;
  }
  const length = min(left, segment * total) - FRAGMENT_HEADER_BYTES * (total - 1);
  if (length > PACKET_BYTES_MAX) return 0;
  for (let i = 1; i < total; i++) {
    const piece = at + <usize> (i * segment);
    // Bytes 0 to 12: id and destination.
    const same = load<u64>(piece) == load<u64>(at) && load<u64>(piece, 5) == load<u64>(at, 5);
    const numbers = <i32> load<u8>(piece, AT_NUMBERS);
    if (!same || load<u8>(piece, AT_SOURCE) != FRAGMENT_MARKER || numbers != ((total << 4) | i)) {
      return 0;
    }
  }
  return total;
}

/** A complete packet for us. */
function handlePacket(at: usize, length: i32, path: u32): void {
  const flags = load<u8>(at, AT_FLAGS);
  const hops = flags & MASK_HOPS;
  const source = at + AT_SOURCE;
  const slot = findSession(<u32> load<u8>(source), bswap<u32>(load<u32>(source, 1)));
  const cipher = flags & MASK_CIPHER;
  if (slot == NO_SLOT || !opens(slot, cipher)) {
    result(SEALED, load<u8>(at, AT_VERB), hops, at, length, slot, path);
    return;
  }
  const authentic = cipher == CIPHER_AES
    ? aesOpen(at, length, slot)
    : open(at, length, sessionKey(slot), true);
  if (!authentic) {
    noteFailed(slot);
    result(FAILED, 0, hops, at, length, slot, path);
    return;
  }
  noteOpened(slot, length);
  const verb = load<u8>(at, AT_VERB);
  if ((verb & MASK_VERB) != VERB_FRAME || length < FRAME_HEADER_BYTES) {
    result(OPENED, verb, hops, at, length, slot, path);
  } else if (length > FRAME_HEADER_BYTES) {
    noteFrame(slot, hops, tick, path);
    const payload = at + <usize> FRAME_HEADER_BYTES;
    const entry = result(FRAME, verb, hops, payload, length - FRAME_HEADER_BYTES, slot, path);
    store<u32>(entry, bswap<u32>(load<u32>(at, 28)), 20);
    store<u32>(entry, bswap<u32>(load<u32>(at, 32)), 24);
    store<u32>(entry, <u32> bswap<u16>(load<u16>(at, 36)), 28);
  }
}

/** Whether packets of a session under this cipher are opened here. */
function opens(slot: u32, cipher: u8): bool {
  if (cipher == CIPHER_AES) return opensAes(slot);
  return cipher == CIPHER_SALSA && opensHere(slot);
}

/** Appends a result. @returns where it is */
function result(
  kind: u8,
  verb: u8,
  hops: u8,
  at: usize,
  length: i32,
  slot: u32,
  path: u32,
): usize {
  const entry = results + <usize> resultCount * RESULT_BYTES;
  resultCount++;
  store<u32>(entry, <u32> kind | (<u32> verb << 8) | (<u32> hops << 16), 0);
  store<u32>(entry, <u32> at, 4);
  store<u32>(entry, <u32> length, 8);
  store<u32>(entry, slot, 12);
  store<u32>(entry, path, 16);
  store<u64>(entry, 0, 20);
  store<u32>(entry, 0, 28);
  return entry;
}
