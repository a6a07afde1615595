/**
 * From opened packets to the TAP: consecutive segments of one flow become one super-frame, so that the local stack is paid once
 * for all of them. What does not merge is written as it came.
 *
 *     offset  bytes  field of a write
 *     0       4      where it is: virtio header, if any, Ethernet header, payload
 *     4       4      bytes
 *     8       4      tag of the TAP
 *
 * A super-frame tells the stack that its checksum is right, so every segment is verified before it is merged; with a wrong one it
 * goes alone, for the stack to drop. Only the last write is ever added to, which keeps the order.
 *
 * Source: spec 07 section 2.2; slow twin `lib/kernel/data_twin.ts`.
 */
import { copyAndSum, fold, pseudoHeader, sumWords, swap16 } from "./checksum";
import { ETHERNET_BYTES } from "./layout";

const WRITE_BYTES: usize = 12;
/** Where writes begin, so that the stack finds the IP header on a 4-byte boundary. */
const ALIGNMENT: usize = 8;
/** Ethernet header and all: what the system takes in one write. */
const FRAME_BYTES_MAX: i32 = 65_535;
/** More segments than this in one UDP super-frame some systems refuse to cut again. */
const UDP_SEGMENTS_MAX: i32 = 64;
const FULL: i32 = -1;

const IPV4: u32 = 0x0800;
const IPV6: u32 = 0x86dd;
const TCP: i32 = 6;
const UDP: i32 = 17;
const TCP_FIXED_BYTES: i32 = 20;
const UDP_HEADER_BYTES: i32 = 8;
const IPV4_HEADER_BYTES: i32 = 20;
const IPV6_HEADER_BYTES: i32 = 40;
const ACK: u8 = 0x10;
const PSH: u8 = 0x08;
const AT_TCP_FLAGS: usize = 13;
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;

const NEEDS_CSUM: u8 = 1;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;

let out: usize = 0;
let outEnd: usize = 0;
let writes: usize = 0;
let writesMax: i32 = 0;
let writeCount: i32 = 0;
let vnet: i32 = 0;
let uso: bool = false;

/** The last write, while it may still be added to. */
let isOpen: bool = false;
let runIp: usize = 0; // its IP header; the Ethernet header is right before
let runTap: u32 = 0;
let runIpv6: bool = false;
let runProtocol: i32 = 0;
let runHeaders: i32 = 0; // IP and transport
let runUnit: i32 = 0; // body of the first segment
let runBody: i32 = 0; // bodies so far
let runSegments: i32 = 0;

/** The frame {@link looksMergeable} looked at. */
let ipv6: bool = false;
let protocol: i32 = 0;
let ipBytes: i32 = 0;
let headers: i32 = 0;

/** Whether the TAP takes UDP super-frames. */
export function setUso(on: i32): void {
  uso = on != 0;
}

/**
 * Begins a batch: frames go to `bytes` bytes at `at`, a multiple of 8, writes to `max` entries at `list`.
 * @param header Bytes of the virtio header the TAP wants: 10, or 0 for plain frames and no merging
 */
export function rxFramesBegin(at: usize, bytes: i32, list: usize, max: i32, header: i32): void {
  out = at;
  outEnd = at + <usize> bytes;
  writes = list;
  writesMax = max;
  writeCount = 0;
  vnet = header;
  isOpen = false;
}

/** Ends the batch. @returns number of writes */
export function rxFramesEnd(): i32 {
  close();
  return writeCount;
}

/**
 * Takes one frame for a TAP.
 * @param payload Ethernet payload; only read
 * @param macs Destination and source, 12 bytes
 * @returns 0, or -1 when there is no room for it: nothing has happened then
 */
export function deliver(
  payload: usize,
  length: i32,
  etherType: u32,
  macs: usize,
  tap: u32,
): i32 {
  const mergeable = vnet != 0 && looksMergeable(payload, length, etherType);
  if (mergeable && isOpen && continuesRun(payload, length, macs, tap)) {
    if (<usize> (length - headers) > outEnd - out) return FULL;
    if (append(payload, length)) return 0;
  }
  const start = (out + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
  const size = vnet + ETHERNET_BYTES + length;
  if (writeCount == writesMax || start + <usize> size > outEnd) return FULL;
  close();
  memory.fill(start, 0, <usize> vnet);
  const ethernet = start + <usize> vnet;
  store<u64>(ethernet, load<u64>(macs));
  store<u32>(ethernet, load<u32>(macs, 8), 8);
  store<u16>(ethernet, <u16> swap16(<i32> etherType), 12);
  const ip = ethernet + <usize> ETHERNET_BYTES;
  if (mergeable && copyVerified(ip, payload, length)) beginRun(ip, length, tap);
  else memory.copy(ip, payload, <usize> length);
  const entry = writes + <usize> writeCount * WRITE_BYTES;
  writeCount++;
  store<u32>(entry, <u32> start, 0);
  store<u32>(entry, <u32> size, 4);
  store<u32>(entry, tap, 8);
  out = start + <usize> size;
  return 0;
}

/** Whether a frame could be part of a super-frame, by its headers alone; fills in what they say. */
function looksMergeable(ip: usize, length: i32, etherType: u32): bool {
  if (etherType == IPV4) {
    if (length < IPV4_HEADER_BYTES + UDP_HEADER_BYTES || load<u8>(ip) != 0x45) return false;
    const fragment = swap16(<i32> load<u16>(ip, 6)) & 0x3fff; // more fragments, or an offset
    if (fragment != 0 || <i32> swap16(<i32> load<u16>(ip, 2)) != length) return false;
    ipv6 = false;
    ipBytes = IPV4_HEADER_BYTES;
    protocol = <i32> load<u8>(ip, 9);
  } else if (etherType == IPV6) {
    if (length < IPV6_HEADER_BYTES + UDP_HEADER_BYTES || load<u8>(ip) >> 4 != 6) return false;
    if (<i32> swap16(<i32> load<u16>(ip, 4)) != length - IPV6_HEADER_BYTES) return false;
    ipv6 = true;
    ipBytes = IPV6_HEADER_BYTES;
    protocol = <i32> load<u8>(ip, 6);
  } else {
    return false;
  }
  const transport = ip + <usize> ipBytes;
  if (protocol == TCP) return looksLikeSegment(transport, length - ipBytes);
  return protocol == UDP && uso && looksLikeDatagram(transport, length - ipBytes);
}

function looksLikeSegment(tcp: usize, length: i32): bool {
  if (length < TCP_FIXED_BYTES || (load<u8>(tcp, AT_TCP_FLAGS) & ~PSH) != ACK) return false;
  const header = <i32> (load<u8>(tcp, 12) >> 4) << 2;
  headers = ipBytes + header;
  return header >= TCP_FIXED_BYTES && header < length && (load<u8>(tcp, 12) & 0x0f) == 0;
}

/** Without a checksum there is nothing to verify. */
function looksLikeDatagram(udp: usize, length: i32): bool {
  headers = ipBytes + UDP_HEADER_BYTES;
  return <i32> swap16(<i32> load<u16>(udp, 4)) == length && length > UDP_HEADER_BYTES &&
    load<u16>(udp, <usize> UDP_CHECKSUM) != 0;
}

/** Whether the headers of a mergeable frame continue the open run. */
function continuesRun(ip: usize, length: i32, macs: usize, tap: u32): bool {
  const body = length - headers;
  const ethernet = runIp - <usize> ETHERNET_BYTES;
  if (
    tap != runTap || protocol != runProtocol || ipv6 != runIpv6 || headers != runHeaders ||
    body > runUnit || ETHERNET_BYTES + runHeaders + runBody + body > FRAME_BYTES_MAX ||
    load<u64>(ethernet) != load<u64>(macs) || load<u32>(ethernet, 8) != load<u32>(macs, 8)
  ) return false;
  const sameIp = ipv6 ? sameIpv6(ip) : sameIpv4(ip);
  if (!sameIp) return false;
  const at = ip + <usize> ipBytes;
  const first = runIp + <usize> ipBytes;
  if (load<u32>(at) != load<u32>(first)) return false; // ports
  if (protocol == UDP) return runSegments < UDP_SEGMENTS_MAX;
  return bswap<u32>(load<u32>(at, 4)) == bswap<u32>(load<u32>(first, 4)) + <u32> runBody &&
    load<u32>(at, 8) == load<u32>(first, 8) && // acknowledged up to
    load<u16>(at, 14) == load<u16>(first, 14) && // window
    load<u16>(at, 18) == load<u16>(first, 18) && // urgent pointer, meaningless here
    sameOptions(at + 20, first + 20, headers - ipBytes - TCP_FIXED_BYTES);
}

/** Service, don't fragment, lifetime, addresses; the header length is the same anyhow. */
function sameIpv4(ip: usize): bool {
  return load<u8>(ip, 1) == load<u8>(runIp, 1) && load<u8>(ip, 6) == load<u8>(runIp, 6) &&
    load<u8>(ip, 8) == load<u8>(runIp, 8) && load<u64>(ip, 12) == load<u64>(runIp, 12);
}

/** Class and flow label, hop limit, addresses. */
function sameIpv6(ip: usize): bool {
  return load<u32>(ip) == load<u32>(runIp) && load<u8>(ip, 7) == load<u8>(runIp, 7) &&
    !v128.any_true(v128.xor(v128.load(ip, 8), v128.load(runIp, 8))) &&
    !v128.any_true(v128.xor(v128.load(ip, 24), v128.load(runIp, 24)));
}

/** TCP options come in words of 4 bytes. */
function sameOptions(a: usize, b: usize, length: i32): bool {
  for (let i = 0; i < length; i += 4) {
    if (load<u32>(a + <usize> i) != load<u32>(b + <usize> i)) return false;
  }
  return true;
}

/** Sum over what the checksums of a frame cover; both are right when it is zero or all ones. */
function verified(ip: usize, bodySum: u64, length: i32): bool {
  if (!ipv6 && fold(sumWords(ip, IPV4_HEADER_BYTES)) != 0xffff) return false;
  const transport = sumWords(ip + <usize> ipBytes, headers - ipBytes);
  return fold(bodySum + transport + pseudoHeader(ip, ipv6, protocol, length - ipBytes)) == 0xffff;
}

/** @returns false when a checksum is wrong; what was copied counts for nothing then */
function append(ip: usize, length: i32): bool {
  const body = length - headers;
  const sum = copyAndSum(out, ip + <usize> headers, body);
  if (!verified(ip, sum, length)) return false;
  out += <usize> body;
  runBody += body;
  runSegments++;
  const pushed = protocol == TCP && (load<u8>(ip + <usize> ipBytes, AT_TCP_FLAGS) & PSH) != 0;
  if (pushed) {
    const flags = runIp + <usize> ipBytes;
    store<u8>(flags, load<u8>(flags, AT_TCP_FLAGS) | PSH, AT_TCP_FLAGS);
  }
  if (pushed || body < runUnit) close();
  return true;
}

/** Copies a mergeable frame. @returns whether its checksums are right */
function copyVerified(to: usize, ip: usize, length: i32): bool {
  memory.copy(to, ip, <usize> headers);
  const body = <usize> headers;
  const sum = copyAndSum(to + body, ip + body, length - headers);
  return verified(ip, sum, length);
}

function beginRun(ip: usize, length: i32, tap: u32): void {
  if (protocol == TCP && (load<u8>(ip + <usize> ipBytes, AT_TCP_FLAGS) & PSH) != 0) return;
  isOpen = true;
  runIp = ip;
  runTap = tap;
  runIpv6 = ipv6;
  runProtocol = protocol;
  runHeaders = headers;
  runUnit = length - headers;
  runBody = runUnit;
  runSegments = 1;
}

/** Ends the open run; one of several segments gets the headers of a super-frame. */
function close(): void {
  if (!isOpen) return;
  isOpen = false;
  if (runSegments == 1) return;
  const ipHeader = runIpv6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;
  const length = runHeaders + runBody;
  if (runIpv6) {
    store<u16>(runIp, <u16> swap16(length - IPV6_HEADER_BYTES), 4);
  } else {
    store<u16>(runIp, <u16> swap16(length), 2);
    store<u16>(runIp, 0, 10);
    store<u16>(runIp, <u16> ~fold(sumWords(runIp, IPV4_HEADER_BYTES)), 10);
  }
  const transport = runIp + <usize> ipHeader;
  const field = runProtocol == TCP ? TCP_CHECKSUM : <usize> UDP_CHECKSUM;
  if (runProtocol == UDP) store<u16>(transport, <u16> swap16(length - ipHeader), 4);
  const pseudo = pseudoHeader(runIp, runIpv6, runProtocol, length - ipHeader);
  store<u16>(transport + field, <u16> fold(pseudo));
  const header = runIp - <usize> (ETHERNET_BYTES + vnet);
  const type = runProtocol == UDP ? GSO_UDP_L4 : runIpv6 ? GSO_TCPV6 : GSO_TCPV4;
  store<u8>(header, NEEDS_CSUM, 0);
  store<u8>(header, type, 1);
  store<u16>(header, <u16> (ETHERNET_BYTES + runHeaders), 2);
  store<u16>(header, <u16> runUnit, 4);
  store<u16>(header, <u16> (ETHERNET_BYTES + ipHeader), 6);
  store<u16>(header, <u16> field, 8);
  const entry = writes + <usize> (writeCount - 1) * WRITE_BYTES;
  store<u32>(entry, <u32> (vnet + ETHERNET_BYTES + length), 4);
}
