/**
 * Frames as the TAP gives them: checksums left to us to finish, and super-frames to be cut into segments.
 *
 * Everything here is input of local programs that may be hostile: offsets are checked against the frame before anything
 * is read through them, and a frame that lies is refused whole.
 *
 * Source: spec 07 sections 2.2 and 5 (virtio_net_hdr); slow twin `lib/kernel/data_twin.ts`.
 */
import { copyAndSum, fold, pseudoHeader, sumWords, swap16 } from "./checksum";
import { ETHERNET_BYTES, VNET_BYTES } from "./layout";

const NEEDS_CSUM: u8 = 1;
const GSO_NONE: i32 = 0;
const GSO_TCPV4: i32 = 1;
const GSO_TCPV6: i32 = 4;
const GSO_UDP_L4: i32 = 5;
const MASK_GSO: i32 = 0x7f; // 0x80 says that ECN is in use, which changes nothing here

const TYPE_IPV4: u32 = 0x0008; // EtherTypes as a little-endian load sees them
const TYPE_IPV6: u32 = 0xdd86;
const TYPE_VLAN: u32 = 0x0081;
const TYPE_SERVICE_VLAN: u32 = 0xa888;
const VLAN_TAGS_MAX: i32 = 2;

const TCP: i32 = 6;
const UDP: i32 = 17;
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;
const AT_TCP_FLAGS: usize = 13;
const ONLY_LAST: u8 = 0x09; // FIN and PSH
const ONLY_FIRST: u8 = 0x80; // CWR

/** Where {@link parseFrame} found what; offsets count from behind the Ethernet header. */
let afterEthernet: usize = 0;
let protocol: i32 = 0; // TCP or UDP: a super-frame
let ipv6: bool = false;
let atIp: usize = 0;
let atTransport: usize = 0;
let finishChecksum: bool = false; // of a frame that is no super-frame
let checksumStart: usize = 0;
let checksumField: usize = 0;
/** Bytes every segment begins with, behind the Ethernet header; 0 for what is no super-frame. */
export let headerBytes: i32 = 0;
/** Bytes behind those: what is cut. */
export let bodyBytes: i32 = 0;
/** Longest body of a segment. */
export let bodyMax: i32 = 0;
/** Whether shorter bodies would do as well: a stream may be cut anywhere, datagrams may not. */
export let isStream: bool = false;

/**
 * Looks at a frame, the virtio header included.
 * @returns false when it is malformed
 */
export function parseFrame(frame: usize, length: i32, vnet: i32): bool {
  const size = length - vnet - ETHERNET_BYTES;
  if ((vnet != 0 && vnet != VNET_BYTES) || size < 0) return false;
  afterEthernet = frame + <usize> (vnet + ETHERNET_BYTES);
  protocol = 0;
  finishChecksum = false;
  headerBytes = 0;
  bodyBytes = size;
  bodyMax = size;
  isStream = false;
  if (vnet == 0) return true;
  const needsChecksum = (load<u8>(frame, 0) & NEEDS_CSUM) != 0;
  const type = <i32> load<u8>(frame, 1) & MASK_GSO;
  const start = <i32> load<u16>(frame, 6) - ETHERNET_BYTES;
  if (type != GSO_NONE) {
    return parseSuperFrame(type, <i32> load<u16>(frame, 4), needsChecksum ? start : 0);
  }
  if (!needsChecksum) return true;
  const field = start + <i32> load<u16>(frame, 8);
  if (start < 0 || field + 2 > size) return false;
  finishChecksum = true;
  checksumStart = <usize> start;
  checksumField = <usize> field;
  return true;
}

/** @param start Where the transport header begins as the sender says, or 0 when it does not say */
function parseSuperFrame(type: i32, bodyLimit: i32, start: i32): bool {
  const size = bodyBytes;
  let etherType = <u32> load<u16>(afterEthernet - 2);
  let ip = 0;
  for (let tags = 0; etherType == TYPE_VLAN || etherType == TYPE_SERVICE_VLAN; tags++, ip += 4) {
    if (tags == VLAN_TAGS_MAX || ip + 4 > size) return false;
    etherType = <u32> load<u16>(afterEthernet + <usize> ip, 2);
  }
  ipv6 = etherType == TYPE_IPV6;
  if (!ipv6 && etherType != TYPE_IPV4) return false;
  if (type == GSO_UDP_L4) protocol = UDP;
  else if (type == (ipv6 ? GSO_TCPV6 : GSO_TCPV4)) protocol = TCP;
  else return false;
  const transport = ipv6 ? transportOfIpv6(ip, size, start) : transportOfIpv4(ip, size);
  if (transport < 0) return false;
  if (start > 0 && start != transport) return false;
  const header = protocol == TCP ? tcpHeaderBytes(transport, size) : 8;
  if (header < 0 || transport + header > size || bodyLimit == 0) return false;
  atIp = <usize> ip;
  atTransport = <usize> transport;
  headerBytes = transport + header;
  bodyBytes = size - headerBytes;
  bodyMax = bodyLimit;
  isStream = protocol == TCP;
  return true;
}

/** @returns offset of the transport header, or -1 */
function transportOfIpv4(ip: i32, size: i32): i32 {
  if (ip + 20 > size) return -1;
  const at = afterEthernet + <usize> ip;
  const first = <i32> load<u8>(at);
  const header = (first & 0x0f) << 2;
  if (first >> 4 != 4 || header < 20 || <i32> load<u8>(at, 9) != protocol) return -1;
  return ip + header;
}

/**
 * Extension headers are not walked: with any, the sender's word is taken for where they end.
 * @returns offset of the transport header, or -1
 */
function transportOfIpv6(ip: i32, size: i32, start: i32): i32 {
  if (ip + 40 > size) return -1;
  const at = afterEthernet + <usize> ip;
  if (<i32> load<u8>(at) >> 4 != 6) return -1;
  if (<i32> load<u8>(at, 6) == protocol) return ip + 40;
  return start > ip + 40 ? start : -1;
}

function tcpHeaderBytes(transport: i32, size: i32): i32 {
  if (transport + 20 > size) return -1;
  const bytes = <i32> (load<u8>(afterEthernet + <usize> transport, 12) >> 4) << 2;
  return bytes < 20 ? -1 : bytes;
}

/**
 * Writes what goes behind the Ethernet header of one segment, or of a frame that is no super-frame: {@link headerBytes}
 * and `length` bytes of the body from `from` on.
 */
export function writeSegment(to: usize, from: i32, length: i32, number: i32): void {
  if (protocol == 0) {
    memory.copy(to, afterEthernet, <usize> length);
    if (finishChecksum) finish(to, length);
    return;
  }
  memory.copy(to, afterEthernet, <usize> headerBytes);
  const body = afterEthernet + <usize> (headerBytes + from);
  const sum = copyAndSum(to + <usize> headerBytes, body, length);
  const ip = to + atIp;
  const ipLength = headerBytes - <i32> atIp + length;
  if (ipv6) {
    store<u16>(ip, <u16> swap16(ipLength - 40), 4);
  } else {
    store<u16>(ip, <u16> swap16(ipLength), 2);
    store<u16>(ip, <u16> swap16(<i32> swap16(<i32> load<u16>(ip, 4)) + number), 4);
    store<u16>(ip, 0, 10);
    store<u16>(ip, <u16> ~fold(sumWords(ip, <i32> (atTransport - atIp))), 10);
  }
  finishTransport(ip, to + atTransport, sum, from, length);
}

/** Sequence number, flags or length, then the checksum; `sum` is that of the body. */
function finishTransport(ip: usize, at: usize, sum: u64, from: i32, length: i32): void {
  const header = headerBytes - <i32> atTransport;
  const field = protocol == TCP ? TCP_CHECKSUM : UDP_CHECKSUM;
  if (protocol == TCP) {
    store<u32>(at, bswap<u32>(bswap<u32>(load<u32>(at, 4)) + <u32> from), 4);
    let flags = load<u8>(at, AT_TCP_FLAGS);
    if (from + length < bodyBytes) flags &= ~ONLY_LAST;
    if (from > 0) flags &= ~ONLY_FIRST;
    store<u8>(at, flags, AT_TCP_FLAGS);
  } else {
    store<u16>(at, <u16> swap16(header + length), 4);
  }
  store<u16>(at + field, 0);
  const total = sum + sumWords(at, header) + pseudoHeader(ip, ipv6, protocol, header + length);
  storeChecksum(at + field, total);
}

/** The checksum the local stack left to us: over everything from its start, with the field as it stands. */
function finish(to: usize, length: i32): void {
  storeChecksum(to + checksumField, sumWords(to + checksumStart, length - <i32> checksumStart));
}

/** 0 is sent as 0xffff, which is the same number: to UDP 0 means that there is none. */
function storeChecksum(field: usize, total: u64): void {
  const checksum = ~fold(total) & 0xffff;
  store<u16>(field, <u16> (checksum == 0 ? 0xffff : checksum));
}
