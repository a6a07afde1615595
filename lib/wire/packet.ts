/**
 * What every packet begins with, and the numbers the protocol is made of.
 *
 *     offset  bytes    field
 *     0       8        packet id (also the nonce; AES-GMAC-SIV replaces it while sealing)
 *     8       5        destination address
 *     13      5        source address; 0xff in its first byte marks a fragment
 *     18      1        flags: 0x80 set with cipher 1 only, 0x40 fragmented, cipher << 3, hops
 *     19      8        message authentication code, or trusted path id
 *     27      1        verb, and 0x80 when the payload is compressed
 *     28      n        payload
 *
 * A fragment: packet id (8), destination (5), 0xff, total << 4 | number, hops, then its piece.
 *
 * Source: spec 02 sections 1 to 3; reference `Packet.hpp`.
 * @module
 */
import type { Address } from "../base/ids.ts";

export const HEADER_LENGTH = 28;
export const FRAGMENT_HEADER_LENGTH = 16;
/** Largest packet once assembled and decompressed: 7 fragments of 1432. */
export const PACKET_LENGTH_MAX = 10_024;
/** Largest payload after the verb byte. */
export const PAYLOAD_LENGTH_MAX = PACKET_LENGTH_MAX - HEADER_LENGTH;
export const FRAGMENTS_MAX = 7;
/** UDP payload of one datagram unless configured otherwise. */
export const DEFAULT_PHYSICAL_MTU = 1432;
/** A packet at this many hops is not forwarded again. */
export const HOPS_MAX = 3;
/** Who speaks less is not talked to. */
export const PROTOCOL_VERSION_MIN = 4;
/** Who speaks this or more understands AES-GMAC-SIV. What we announce is a setting, see `Settings.cipher`. */
export const PROTOCOL_VERSION_AES = 12;

const AT_ID = 0;
export const AT_DESTINATION = 8;
export const AT_SOURCE = 13;
export const AT_FLAGS = 18;
export const AT_MAC = 19;
export const AT_VERB = 27;
export const AT_PAYLOAD = 28;

export const FLAG_ENCRYPTED = 0x80;
export const FLAG_FRAGMENTED = 0x40;
export const MASK_CIPHER = 0x38;
export const MASK_HOPS = 0x07;
export const VERB_COMPRESSED = 0x80;
export const MASK_VERB = 0x1f;
export const FRAGMENT_MARKER = 0xff;

export const Cipher = {
  /** Poly1305, payload in the clear: HELLO */
  POLY1305_NONE: 0,
  POLY1305_SALSA2012: 1,
  /** Nothing at all, on paths configured so */
  TRUSTED_PATH: 2,
  AES_GMAC_SIV: 3,
} as const;
export type Cipher = typeof Cipher[keyof typeof Cipher];

export const Verb = {
  NOP: 0x00,
  HELLO: 0x01,
  ERROR: 0x02,
  OK: 0x03,
  WHOIS: 0x04,
  RENDEZVOUS: 0x05,
  FRAME: 0x06,
  EXT_FRAME: 0x07,
  ECHO: 0x08,
  MULTICAST_LIKE: 0x09,
  NETWORK_CREDENTIALS: 0x0a,
  NETWORK_CONFIG_REQUEST: 0x0b,
  NETWORK_CONFIG: 0x0c,
  MULTICAST_GATHER: 0x0d,
  MULTICAST_FRAME: 0x0e,
  PUSH_DIRECT_PATHS: 0x10,
  ACK: 0x12,
  QOS_MEASUREMENT: 0x13,
  USER_MESSAGE: 0x14,
  REMOTE_TRACE: 0x15,
  PATH_NEGOTIATION_REQUEST: 0x16,
} as const;
export type Verb = typeof Verb[keyof typeof Verb];

/** Name of a verb, e.g. "HELLO"; "VERB_0x1f" for one nobody assigned. */
export function verbName(verb: number): string {
  const entry = Object.entries(Verb).find(([, value]) => value === verb);
  return entry?.[0] ?? `VERB_0x${verb.toString(16).padStart(2, "0")}`;
}

export const ErrorCode = {
  NONE: 0x00,
  INVALID_REQUEST: 0x01,
  BAD_PROTOCOL_VERSION: 0x02,
  OBJECT_NOT_FOUND: 0x03,
  IDENTITY_COLLISION: 0x04,
  UNSUPPORTED_OPERATION: 0x05,
  NEED_MEMBERSHIP_CERTIFICATE: 0x06,
  NETWORK_ACCESS_DENIED: 0x07,
  UNWANTED_MULTICAST: 0x08,
  NETWORK_AUTHENTICATION_REQUIRED: 0x09,
} as const;
export type ErrorCode = typeof ErrorCode[keyof typeof ErrorCode];

/** 64-bit id of a packet as a number pair would allocate; control code takes it as `bigint`. */
export function packetId(packet: Uint8Array): bigint {
  return new DataView(packet.buffer, packet.byteOffset).getBigUint64(AT_ID);
}

export function destinationOf(packet: Uint8Array): Address {
  return addressAt(packet, AT_DESTINATION);
}

export function sourceOf(packet: Uint8Array): Address {
  return addressAt(packet, AT_SOURCE);
}

function addressAt(packet: Uint8Array, at: number): Address {
  const low = ((packet[at + 1] << 24) | (packet[at + 2] << 16) | (packet[at + 3] << 8) |
    packet[at + 4]) >>> 0;
  return packet[at] * 0x1_0000_0000 + low as Address;
}

export function cipherOf(packet: Uint8Array): number {
  return (packet[AT_FLAGS] & MASK_CIPHER) >> 3;
}

export function hopsOf(packet: Uint8Array): number {
  return packet[AT_FLAGS] & MASK_HOPS;
}

export function verbOf(packet: Uint8Array): number {
  return packet[AT_VERB] & MASK_VERB;
}

/** Whether a datagram of at least 16 bytes is a fragment rather than a packet or the head of one. */
export function isFragment(datagram: Uint8Array): boolean {
  return datagram[AT_SOURCE] === FRAGMENT_MARKER;
}

/** Writes cipher bits, and flag 0x80, which goes with cipher 1 and only with it. */
export function setCipher(packet: Uint8Array, cipher: Cipher): void {
  const rest = packet[AT_FLAGS] & ~(MASK_CIPHER | FLAG_ENCRYPTED);
  const encrypted = cipher === Cipher.POLY1305_SALSA2012 ? FLAG_ENCRYPTED : 0;
  packet[AT_FLAGS] = rest | (cipher << 3) | encrypted;
}

/** Header fields of a packet to be built. */
export interface PacketHeader {
  /** 8 fresh bytes, see `PacketIds` */
  readonly id: Uint8Array;
  readonly destination: Address;
  readonly source: Address;
  readonly verb: Verb;
}

/** A packet not sealed yet: header, verb, payload; MAC, flags and hops 0. */
export function buildPacket(header: PacketHeader, payload: Uint8Array): Uint8Array {
  const packet = new Uint8Array(HEADER_LENGTH + payload.length);
  packet.set(header.id, AT_ID);
  putAddress(packet, AT_DESTINATION, header.destination);
  putAddress(packet, AT_SOURCE, header.source);
  packet[AT_VERB] = header.verb;
  packet.set(payload, AT_PAYLOAD);
  return packet;
}

function putAddress(packet: Uint8Array, at: number, address: Address): void {
  packet[at] = Math.floor(address / 0x1_0000_0000);
  const low = address % 0x1_0000_0000;
  packet[at + 1] = low >>> 24;
  packet[at + 2] = low >>> 16;
  packet[at + 3] = low >>> 8;
  packet[at + 4] = low;
}
