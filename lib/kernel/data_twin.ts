/**
 * The slow and obvious twins of the data plane's kernel: one array per frame, every checksum from scratch.
 *
 * Source: spec 07 sections 2.1, 2.2 and 5.
 * @module
 */
import { concat } from "../base/bytes.ts";

const ETHERNET_BYTES = 14;
const VNET_BYTES = 10;
const TYPE_IPV4 = 0x0800;
const TYPE_IPV6 = 0x86dd;
const VLAN_TYPES = [0x8100, 0x88a8];
const TCP = 6;
const UDP = 17;
const FIN = 0x01;
const PSH = 0x08;
const ACK = 0x10;
const CWR = 0x80;
const GSO = { NONE: 0, TCPV4: 1, TCPV6: 4, UDP_L4: 5 };
const FRAME_BYTES_MAX = 65_535;
const UDP_SEGMENTS_MAX = 64;

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Ones' complement sum of big-endian 16-bit words, folded, not complemented. */
export function sumTwin(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i] << 8 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return sum;
}

function checksum(...parts: Uint8Array[]): number {
  return (~sumTwin(concat(...parts)) & 0xffff) || 0xffff;
}

/** A virtio header's fields. Source: spec 07 section 5. */
export interface VnetHeader {
  readonly flags: number;
  readonly gsoType: number;
  readonly headerBytes: number;
  readonly gsoSize: number;
  readonly checksumStart: number;
  readonly checksumOffset: number;
}

/** @param bytes 10 bytes or more */
export function decodeVnet(bytes: Uint8Array): VnetHeader {
  const v = view(bytes);
  return {
    flags: bytes[0],
    gsoType: bytes[1] & 0x7f,
    headerBytes: v.getUint16(2, true),
    gsoSize: v.getUint16(4, true),
    checksumStart: v.getUint16(6, true),
    checksumOffset: v.getUint16(8, true),
  };
}

export function encodeVnet(header: VnetHeader): Uint8Array {
  const bytes = new Uint8Array(VNET_BYTES);
  bytes[0] = header.flags;
  bytes[1] = header.gsoType;
  view(bytes).setUint16(2, header.headerBytes, true);
  view(bytes).setUint16(4, header.gsoSize, true);
  view(bytes).setUint16(6, header.checksumStart, true);
  view(bytes).setUint16(8, header.checksumOffset, true);
  return bytes;
}

/** Where the parts of an IP packet in an Ethernet frame begin. */
export interface Layers {
  readonly ip: number;
  readonly transport: number;
  readonly body: number;
  readonly ipv6: boolean;
  readonly protocol: number;
}

/** @returns undefined unless it is TCP or UDP in IP, possibly in up to two VLAN tags, with whole headers */
export function layersOf(frame: Uint8Array): Layers | undefined {
  let at = 12;
  for (let tags = 0; tags < 2 && VLAN_TYPES.includes(view(frame).getUint16(at)); tags++) at += 4;
  const ip = at + 2;
  const type = view(frame).getUint16(at);
  const ipv6 = type === TYPE_IPV6;
  if (!ipv6 && type !== TYPE_IPV4) return undefined;
  if (frame.length < ip + (ipv6 ? 40 : 20) || frame[ip] >> 4 !== (ipv6 ? 6 : 4)) return undefined;
  const protocol = frame[ip + (ipv6 ? 6 : 9)];
  const transport = ip + (ipv6 ? 40 : (frame[ip] & 0x0f) * 4);
  if (protocol !== TCP && protocol !== UDP) return undefined;
  if (frame.length < transport + (protocol === TCP ? 20 : 8)) return undefined;
  const body = transport + (protocol === TCP ? (frame[transport + 12] >> 4) * 4 : 8);
  return body > frame.length ? undefined : { ip, transport, body, ipv6, protocol };
}

function pseudoHeader(frame: Uint8Array, layers: Layers): Uint8Array {
  const { ip, ipv6, protocol, transport } = layers;
  const addresses = ipv6 ? frame.subarray(ip + 8, ip + 40) : frame.subarray(ip + 12, ip + 20);
  const length = frame.length - transport;
  return concat(addresses, Uint8Array.of(0, protocol, length >> 8, length & 0xff));
}

/** Whether the checksums of IPv4, TCP and UDP are right. */
export function checksumsHold(frame: Uint8Array): boolean {
  const layers = layersOf(frame);
  if (!layers) return false;
  const header = frame.subarray(layers.ip, layers.transport);
  if (!layers.ipv6 && sumTwin(header) !== 0xffff) return false;
  return sumTwin(concat(pseudoHeader(frame, layers), frame.subarray(layers.transport))) === 0xffff;
}

/** Sets the lengths and checksums of an IP packet, TCP or UDP in it, from what the frame is. */
export function finishFrame(frame: Uint8Array): void {
  const layers = layersOf(frame)!;
  const { ip, ipv6, transport, protocol } = layers;
  const v = view(frame);
  if (ipv6) {
    v.setUint16(ip + 4, frame.length - ip - 40);
  } else {
    v.setUint16(ip + 2, frame.length - ip);
    v.setUint16(ip + 10, 0);
    v.setUint16(ip + 10, ~sumTwin(frame.subarray(ip, transport)) & 0xffff);
  }
  if (protocol === UDP) v.setUint16(transport + 4, frame.length - transport);
  const field = transport + (protocol === TCP ? 16 : 6);
  v.setUint16(field, 0);
  v.setUint16(field, checksum(pseudoHeader(frame, layers), frame.subarray(transport)));
}

/**
 * Twin of `splitFrame()` for well-formed frames.
 * @param bodyMax Longest body of a segment; by default what the header says
 */
export function splitTwin(frame: Uint8Array, vnet: VnetHeader, bodyMax?: number): Uint8Array[] {
  if (vnet.gsoType === GSO.NONE) {
    const copy = frame.slice();
    if (vnet.flags & 1) {
      const { checksumStart, checksumOffset } = vnet;
      view(copy).setUint16(checksumStart + checksumOffset, checksum(frame.subarray(checksumStart)));
    }
    return [copy];
  }
  const { ip, transport, body, ipv6, protocol } = layersOf(frame)!;
  const size = bodyMax ?? vnet.gsoSize;
  const frames: Uint8Array[] = [];
  for (let from = body; from < frame.length || frames.length === 0; from += size) {
    const end = Math.min(from + size, frame.length);
    const segment = concat(frame.subarray(0, body), frame.subarray(from, end));
    const v = view(segment);
    if (!ipv6) v.setUint16(ip + 4, v.getUint16(ip + 4) + frames.length);
    if (protocol === TCP) {
      v.setUint32(transport + 4, v.getUint32(transport + 4) + from - body);
      if (end < frame.length) segment[transport + 13] &= ~(FIN | PSH);
      if (from > body) segment[transport + 13] &= ~CWR;
    }
    finishFrame(segment);
    frames.push(segment);
  }
  return frames;
}

/**
 * Twin of the choice of segment size: the longest body with which a packet's datagrams are all of one size.
 * @param datagrams How many a packet of so many bytes takes
 */
export function evenBodyTwin(
  headerBytes: number,
  bodyMax: number,
  datagrams: (packetBytes: number) => number,
): number {
  let body = bodyMax;
  while (
    (headerBytes + body + 16 * (datagrams(headerBytes + body) - 1)) % datagrams(headerBytes + body)
  ) {
    body--;
  }
  return body;
}

/** A frame for a TAP. */
export interface TapFrame {
  readonly tapTag: number;
  readonly frame: Uint8Array;
}

/** Twin of `deliver()`: what is written, virtio headers included. */
export function coalesceTwin(frames: readonly TapFrame[], uso: boolean): TapFrame[] {
  const groups: TapFrame[][] = [];
  let open = false;
  for (const next of frames) {
    const group = groups.at(-1);
    const begins = canMerge(next.frame, uso);
    if (open && begins && group && belongs(group, next)) {
      group.push(next);
    } else {
      groups.push([next]);
      open = begins;
    }
    const current = groups.at(-1)!;
    if (open && (isPushed(next.frame) || bodyOf(next.frame) < bodyOf(current[0].frame))) {
      open = false;
    }
  }
  return groups.map((group) => ({
    tapTag: group[0].tapTag,
    frame: group.length === 1
      ? concat(new Uint8Array(VNET_BYTES), group[0].frame)
      : merge(group.map((member) => member.frame)),
  }));
}

function bodyOf(frame: Uint8Array): number {
  return frame.length - layersOf(frame)!.body;
}

function isPushed(frame: Uint8Array): boolean {
  const { protocol, transport } = layersOf(frame)!;
  return protocol === TCP && (frame[transport + 13] & PSH) !== 0;
}

/** Whether a frame may be part of a super-frame at all. */
function canMerge(frame: Uint8Array, uso: boolean): boolean {
  const layers = layersOf(frame);
  if (!layers || layers.ip !== ETHERNET_BYTES || layers.body >= frame.length) return false;
  const { ip, transport, ipv6, protocol } = layers;
  const v = view(frame);
  const length = ipv6 ? v.getUint16(ip + 4) + 40 : v.getUint16(ip + 2);
  if (length !== frame.length - ip) return false;
  if (!ipv6 && (frame[ip] !== 0x45 || (v.getUint16(ip + 6) & 0x3fff) !== 0)) return false;
  if (protocol === TCP) {
    if ((frame[transport + 13] & ~PSH) !== ACK || (frame[transport + 12] & 0x0f) !== 0) {
      return false;
    }
  } else if (
    !uso || v.getUint16(transport + 4) !== frame.length - transport ||
    v.getUint16(transport + 6) === 0
  ) return false;
  return checksumsHold(frame);
}

/** Headers with everything blanked that may differ from segment to segment. */
function flow(frame: Uint8Array): string {
  const { ip, transport, body, ipv6, protocol } = layersOf(frame)!;
  const headers = frame.slice(0, body);
  if (ipv6) headers.fill(0, ip + 4, ip + 6);
  else headers.fill(0, ip + 2, ip + 6).fill(0, ip + 10, ip + 12);
  if (protocol === UDP) return headers.fill(0, transport + 4).toString();
  headers.fill(0, transport + 4, transport + 8).fill(0, transport + 16, transport + 18);
  headers[transport + 13] &= ~PSH;
  return headers.toString();
}

function belongs(group: readonly TapFrame[], next: TapFrame): boolean {
  const first = group[0];
  if (next.tapTag !== first.tapTag || flow(next.frame) !== flow(first.frame)) return false;
  if (bodyOf(next.frame) > bodyOf(first.frame)) return false;
  const before = group.reduce((sum, member) => sum + bodyOf(member.frame), 0);
  const { body, transport, protocol } = layersOf(first.frame)!;
  if (body + before + bodyOf(next.frame) > FRAME_BYTES_MAX) return false;
  if (protocol === UDP) return group.length < UDP_SEGMENTS_MAX;
  const expected = (view(first.frame).getUint32(transport + 4) + before) >>> 0;
  return view(next.frame).getUint32(transport + 4) === expected;
}

function merge(frames: readonly Uint8Array[]): Uint8Array {
  const { transport, body, ipv6, protocol } = layersOf(frames[0])!;
  const frame = concat(frames[0], ...frames.slice(1).map((other) => other.subarray(body)));
  if (isPushed(frames.at(-1)!)) frame[transport + 13] |= PSH;
  finishFrame(frame);
  const checksumOffset = protocol === TCP ? 16 : 6;
  const pseudo = sumTwin(pseudoHeader(frame, layersOf(frame)!));
  view(frame).setUint16(transport + checksumOffset, pseudo);
  const header = encodeVnet({
    flags: 1,
    gsoType: protocol === UDP ? GSO.UDP_L4 : ipv6 ? GSO.TCPV6 : GSO.TCPV4,
    headerBytes: body,
    gsoSize: frames[0].length - body,
    checksumStart: transport,
    checksumOffset,
  });
  return concat(header, frame);
}
