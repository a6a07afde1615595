/**
 * From the TAP to the wire: frames and super-frames in, sealed datagrams of equal size out, in runs the system sends with one
 * call each.
 *
 *     offset  bytes  field of a run
 *     0       4      where its first datagram is
 *     4       4      bytes of each datagram; the last may be shorter
 *     8       4      bytes in all
 *     12      4      tag of the path it goes to
 *
 * Source: spec 02 sections 2 and 3, spec 07 sections 2.1 and 2.2; slow twins `lib/wire/fragment.ts` and
 * `lib/kernel/data_twin.ts`.
 */
import { aesSeal } from "./aes_calls";
import { nextId } from "./ids";
import {
  AT_FLAGS,
  AT_NUMBERS,
  AT_SOURCE,
  CIPHER_AES,
  CIPHER_SALSA,
  ETHERNET_BYTES,
  FLAG_ENCRYPTED,
  FLAG_FRAGMENTED,
  FRAGMENT_HEADER_BYTES,
  FRAGMENT_MARKER,
  FRAGMENTS_MAX,
  FRAME_HEADER_BYTES,
  PACKET_BYTES_MAX,
} from "./layout";
import { seal } from "./armor";
import { bodyBytes, bodyMax, headerBytes, isStream, parseFrame, writeSegment } from "./segment";
import { keyOf, sealsAes, slotOf } from "./sessions";

const RUN_BYTES: usize = 16;
/** The system's own bound on the datagrams of one send. */
const RUN_DATAGRAMS_MAX: i32 = 64;
/** Below 65,507, what one IPv4 packet may carry: a super-datagram is one to the system. */
const RUN_LENGTH_MAX: i32 = 65_000;
const LIST_BYTES: usize = 8;
const TEMPLATE_BYTES: usize = 36;
const FULL: i32 = -1;
const MALFORMED: i32 = -2;

let out: usize = 0;
let outEnd: usize = 0;
let runs: usize = 0;
let runsMax: i32 = 0;
let runCount: i32 = 0;
let runDatagrams: i32 = 0; // of the last run
let runClosed: bool = true; // whether its last datagram is a shorter one

/** Begins a batch: datagrams go to `bytes` bytes at `at`, runs to `max` entries at `list`. */
export function txBegin(at: usize, bytes: i32, list: usize, max: i32): void {
  out = at;
  outEnd = at + <usize> bytes;
  runs = list;
  runsMax = max;
  runCount = 0;
  runClosed = true;
}

/** Ends the batch. @returns number of runs */
export function txEnd(): i32 {
  return runCount;
}

/** Datagrams a packet takes, 0 when more than receivers would put together. */
function datagramCount(length: i32, mtu: i32): i32 {
  if (length > PACKET_BYTES_MAX) return 0;
  for (let count = 1; count <= FRAGMENTS_MAX; count++) {
    if (datagramBytes(length, count) <= mtu) return count;
  }
  return 0;
}

/** Bytes of all datagrams of a packet together. */
function wireBytes(length: i32, count: i32): i32 {
  return length + FRAGMENT_HEADER_BYTES * (count - 1);
}

/** Bytes of every datagram but possibly the last. */
function datagramBytes(length: i32, count: i32): i32 {
  return (wireBytes(length, count) + count - 1) / count;
}

/**
 * Longest body with which all datagrams of a full segment have one size: it is what lets them all go with one call. A few bytes
 * less than the local stack asked for at most.
 */
function evenBody(limit: i32, mtu: i32): i32 {
  for (let body = limit; body > 0; body--) {
    const length = FRAME_HEADER_BYTES + headerBytes + body;
    const count = datagramCount(length, mtu);
    if (count == 0) return limit;
    if (wireBytes(length, count) % count == 0) return body;
  }
  return limit;
}

/**
 * Turns one frame into FRAME packets, seals them and cuts them into datagrams.
 * @param frame Virtio header, if any, then the frame; only read
 * @param template First 36 bytes of the packet: id, MAC and cipher are filled in, flag 0x40 set where needed
 * @param session Address of its entry
 * @param mtu Longest datagram of the path
 * @returns packets made; -1 when there is no room left for all of them, -2 when the frame is malformed or does not
 * fit however much room there is
 */
export function transmit(
  frame: usize,
  length: i32,
  vnet: i32,
  template: usize,
  session: usize,
  mtu: i32,
  pathTag: u32,
): i32 {
  if (!parseFrame(frame, length, vnet)) return MALFORMED;
  if (headerBytes + bodyBytes == 0) return 0; // an empty frame means nothing to anyone
  const etherType = load<u16>(frame + <usize> vnet, 12);
  let body = bodyMax;
  if (isStream && body < bodyBytes) body = evenBody(body, mtu);
  const count = body < bodyBytes ? (bodyBytes + body - 1) / body : 1;
  const lastBody = bodyBytes - (count - 1) * body;
  const overhead = FRAME_HEADER_BYTES + headerBytes;
  const pieces = count > 1 ? datagramCount(overhead + body, mtu) : 1;
  const lastPieces = datagramCount(overhead + lastBody, mtu);
  if (pieces == 0 || lastPieces == 0) return MALFORMED;
  const bytes = (count - 1) * wireBytes(overhead + body, pieces) +
    wireBytes(overhead + lastBody, lastPieces);
  if (
    <usize> bytes > outEnd - out ||
    runCount + runsNeeded(count - 1, overhead + body, pieces) > runsMax
  ) {
    return runCount == 0 ? MALFORMED : FULL;
  }
  let from = 0;
  for (let i = 1; i < count; i++, from += body) {
    makePacket(i - 1, from, body, pieces, template, session, etherType, pathTag);
  }
  makePacket(count - 1, from, lastBody, lastPieces, template, session, etherType, pathTag);
  return count;
}

/** Runs that so many equal packets and one more may have to begin. */
function runsNeeded(packets: i32, length: i32, pieces: i32): i32 {
  if (packets == 0) return 1;
  const uneven = pieces > 1 && wireBytes(length, pieces) % pieces != 0;
  const datagrams = min(RUN_DATAGRAMS_MAX, RUN_LENGTH_MAX / datagramBytes(length, pieces));
  const perRun = uneven ? 1 : datagrams / pieces;
  return (packets + perRun - 1) / perRun + 1;
}

function makePacket(
  number: i32,
  from: i32,
  body: i32,
  pieces: i32,
  template: usize,
  session: usize,
  etherType: u16,
  pathTag: u32,
): void {
  const packet = out;
  const length = FRAME_HEADER_BYTES + headerBytes + body;
  v128.store(packet, v128.load(template, 0), 0);
  v128.store(packet, v128.load(template, 16), 16);
  store<u32>(packet, load<u32>(template, TEMPLATE_BYTES - 4), TEMPLATE_BYTES - 4);
  nextId(packet);
  const aes = sealsAes(session, length);
  let flags = load<u8>(packet, AT_FLAGS) | (aes ? CIPHER_AES : FLAG_ENCRYPTED | CIPHER_SALSA);
  if (pieces > 1) flags |= FLAG_FRAGMENTED;
  store<u8>(packet, flags, AT_FLAGS);
  store<u16>(packet, etherType, TEMPLATE_BYTES);
  writeSegment(packet + <usize> FRAME_HEADER_BYTES, from, body, number);
  if (aes) aesSeal(packet, length, slotOf(session));
  else seal(packet, length, keyOf(session), true);
  const size = datagramBytes(length, pieces);
  if (pieces > 1) cut(packet, length, pieces, size);
  const bytes = wireBytes(length, pieces);
  addToRun(packet, size, bytes, pieces, pathTag);
  out += <usize> bytes;
}

/** Makes room for the fragment headers between the pieces, from the last piece on, and writes them. */
function cut(packet: usize, length: i32, pieces: i32, size: i32): void {
  const piece = size - FRAGMENT_HEADER_BYTES;
  const start = load<u64>(packet);
  const destination = load<u64>(packet, 5); // bytes 5 to 12: the last five are the destination
  for (let i = pieces - 1; i > 0; i--) {
    const from = size + (i - 1) * piece;
    const at = packet + <usize> (i * size);
    memory.copy(
      at + <usize> FRAGMENT_HEADER_BYTES,
      packet + <usize> from,
      <usize> min(piece, length - from),
    );
    store<u64>(at, start);
    store<u64>(at, destination, 5);
    store<u8>(at, FRAGMENT_MARKER, AT_SOURCE);
    store<u16>(at, <u16> ((pieces << 4) | i), AT_NUMBERS); // and hops 0 behind it
  }
}

/**
 * Appends the datagrams of one packet to the last run, or begins another one. They stay together, so that the receiver finds
 * them side by side.
 */
function addToRun(at: usize, size: i32, bytes: i32, pieces: i32, pathTag: u32): void {
  const short = bytes < size * pieces;
  if (!runClosed && runDatagrams + pieces <= RUN_DATAGRAMS_MAX) {
    const run = runs + <usize> (runCount - 1) * RUN_BYTES;
    const total = <i32> load<u32>(run, 8) + bytes;
    const runSize = <i32> load<u32>(run, 4);
    const fits = size == runSize || (pieces == 1 && size < runSize);
    if (fits && total <= RUN_LENGTH_MAX && load<u32>(run, 12) == pathTag) {
      store<u32>(run, <u32> total, 8);
      runDatagrams += pieces;
      runClosed = short || size < runSize;
      return;
    }
  }
  const run = runs + <usize> runCount * RUN_BYTES;
  runCount++;
  store<u32>(run, <u32> at, 0);
  store<u32>(run, <u32> size, 4);
  store<u32>(run, <u32> bytes, 8);
  store<u32>(run, pathTag, 12);
  runDatagrams = pieces;
  runClosed = short;
}

/**
 * Turns one frame into plain Ethernet frames, checksums complete, for whoever takes them one by one.
 * @param list Gets where each frame is and how long
 * @returns frames made; -1 when `to` or `list` has no room for all of them, -2 when the frame is malformed
 */
export function splitFrame(
  frame: usize,
  length: i32,
  vnet: i32,
  to: usize,
  toBytes: i32,
  list: usize,
  listMax: i32,
): i32 {
  if (!parseFrame(frame, length, vnet)) return MALFORMED;
  const body = bodyMax;
  const count = body < bodyBytes ? (bodyBytes + body - 1) / body : 1;
  if (count > listMax || (ETHERNET_BYTES + headerBytes) * count + bodyBytes > toBytes) return FULL;
  let at = to;
  for (let i = 0, from = 0; i < count; i++, from += body) {
    const piece = min(body, bodyBytes - from);
    const size = ETHERNET_BYTES + headerBytes + piece;
    memory.copy(at, frame + <usize> vnet, <usize> ETHERNET_BYTES);
    writeSegment(at + <usize> ETHERNET_BYTES, from, piece, i);
    const entry = list + <usize> i * LIST_BYTES;
    store<u32>(entry, <u32> at, 0);
    store<u32>(entry, <u32> size, 4);
    at += <usize> size;
  }
  return count;
}
