/**
 * Ethernet frames as a TAP gives and takes them: destination (6), source (6), ethertype (2), payload.
 * @module
 */
import type { Mac } from "../base/ids.ts";

export const ETHERNET_HEADER_LENGTH = 14;
export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;

/** A frame's parts; the payload is a view. */
export interface EthernetFrame {
  readonly destination: Mac;
  readonly source: Mac;
  readonly etherType: number;
  readonly payload: Uint8Array;
}

/** @returns undefined when it is too short to be a frame */
export function parseFrame(bytes: Uint8Array): EthernetFrame | undefined {
  if (bytes.length < ETHERNET_HEADER_LENGTH) return undefined;
  return {
    destination: macAt(bytes, 0),
    source: macAt(bytes, 6),
    etherType: (bytes[12] << 8) | bytes[13],
    payload: bytes.subarray(ETHERNET_HEADER_LENGTH),
  };
}

export function buildFrame(frame: EthernetFrame): Uint8Array {
  const bytes = new Uint8Array(ETHERNET_HEADER_LENGTH + frame.payload.length);
  putMac(bytes, 0, frame.destination);
  putMac(bytes, 6, frame.source);
  bytes[12] = frame.etherType >>> 8;
  bytes[13] = frame.etherType;
  bytes.set(frame.payload, ETHERNET_HEADER_LENGTH);
  return bytes;
}

function macAt(bytes: Uint8Array, at: number): Mac {
  const high = (bytes[at] << 8) | bytes[at + 1];
  const low = ((bytes[at + 2] << 24) | (bytes[at + 3] << 16) | (bytes[at + 4] << 8) |
    bytes[at + 5]) >>> 0;
  return high * 0x1_0000_0000 + low as Mac;
}

/** Writes the six bytes of a MAC. */
export function putMac(bytes: Uint8Array, at: number, mac: Mac): void {
  const high = Math.floor(mac / 0x1_0000_0000);
  const low = mac % 0x1_0000_0000;
  bytes[at] = high >>> 8;
  bytes[at + 1] = high;
  bytes[at + 2] = low >>> 24;
  bytes[at + 3] = low >>> 16;
  bytes[at + 4] = low >>> 8;
  bytes[at + 5] = low;
}
