/**
 * Ethernet frames for the tests of the kernel.
 * @module
 */
import { concat } from "../../../../lib/base/bytes.ts";
import { encodeVnet, finishFrame, type VnetHeader } from "../../../../lib/kernel/data_twin.ts";
import { noise } from "./arena.ts";

export const TCP = 6;
export const UDP = 17;
export const ACK = 0x10;
export const PSH = 0x08;
export const NO_VNET: VnetHeader = {
  flags: 0,
  gsoType: 0,
  headerBytes: 0,
  gsoSize: 0,
  checksumStart: 0,
  checksumOffset: 0,
};

/** What a frame consists of, but for its body. */
export interface FrameShape {
  readonly ipv6?: boolean;
  readonly protocol?: number;
  /** Bytes of TCP options, a multiple of 4. */
  readonly options?: number;
  readonly sequence?: number;
  readonly acknowledged?: number;
  readonly flags?: number;
  readonly sourcePort?: number;
  readonly ipId?: number;
  /** VLAN tags in front of the IP header. */
  readonly tags?: number;
}

/** A frame with complete checksums. */
export function makeFrame(shape: FrameShape & { body: Uint8Array }): Uint8Array {
  const { ipv6 = false, protocol = TCP, body, tags = 0 } = shape;
  const ethernet = concat(
    noise(12, 5),
    ...Array.from({ length: tags }, () => Uint8Array.of(0x81, 0, 0, 7)),
    ipv6 ? Uint8Array.of(0x86, 0xdd) : Uint8Array.of(8, 0),
  );
  const ip = ipv6 ? noise(40, 6) : noise(20, 7);
  if (ipv6) {
    ip[0] = 0x60;
    ip[6] = protocol;
  } else {
    ip.set([0x45, 0]);
    ip.set([(shape.ipId ?? 9) >> 8, (shape.ipId ?? 9) & 0xff, 0x40, 0, 64, protocol], 4);
  }
  const frame = concat(ethernet, ip, protocol === TCP ? tcp(shape) : udp(shape), body);
  finishFrame(frame);
  return frame;
}

function tcp(shape: FrameShape): Uint8Array {
  const options = shape.options ?? 0;
  const header = concat(new Uint8Array(20), noise(options, 8));
  const view = new DataView(header.buffer);
  view.setUint16(0, shape.sourcePort ?? 40_000);
  view.setUint16(2, 443);
  view.setUint32(4, shape.sequence ?? 0xffff_f000);
  view.setUint32(8, shape.acknowledged ?? 77);
  header[12] = (20 + options) / 4 << 4;
  header[13] = shape.flags ?? ACK;
  view.setUint16(14, 5_000);
  return header;
}

function udp(shape: FrameShape): Uint8Array {
  const header = new Uint8Array(8);
  new DataView(header.buffer).setUint16(0, shape.sourcePort ?? 40_000);
  new DataView(header.buffer).setUint16(2, 53);
  return header;
}

/** The virtio header with which the local stack hands over a super-frame. */
export function superHeader(frame: Uint8Array, shape: FrameShape, gsoSize: number): VnetHeader {
  const { ipv6 = false, protocol = TCP, options = 0, tags = 0 } = shape;
  const checksumStart = 14 + 4 * tags + (ipv6 ? 40 : 20);
  return {
    flags: 1,
    gsoType: protocol === UDP ? 5 : ipv6 ? 4 : 1,
    headerBytes: Math.min(frame.length, checksumStart + (protocol === TCP ? 20 + options : 8)),
    gsoSize,
    checksumStart,
    checksumOffset: protocol === TCP ? 16 : 6,
  };
}

export function withVnet(frame: Uint8Array, vnet: VnetHeader): Uint8Array {
  return concat(encodeVnet(vnet), frame);
}
