/**
 * One frame inside a larger buffer, its headers read once into fields: what compiled rules look at.
 * Made once, loaded for every frame; loading and reading allocate nothing.
 *
 * Source: spec 04b sections 2.4 and 2.6; its obvious twin is `headers.ts`.
 * @module
 */
import type { Mac } from "../../base/ids.ts";
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "../ethernet.ts";

const LOW_32 = 0x1_0000_0000; // divide a MAC or an address by it for the upper part
const EMPTY = new Uint8Array(0);

/** What a sender claims to be, see {@linkcode FrameView.claim}. */
export const Claim = { NOTHING: 0, ANYTHING: 1, IPV4: 4, IPV6: 6 } as const;
export type Claim = typeof Claim[keyof typeof Claim];

/** Four bytes as a signed number: signed, since V8 keeps those out of the heap. */
export function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}

/** Upper 16 bits of a MAC, upper 8 of an address. */
export function highOf(value: number): number {
  return Math.floor(value / LOW_32);
}

/** Lower 32 bits of a MAC or an address, signed. */
export function lowOf(value: number): number {
  return (value % LOW_32) | 0;
}

/** Fields are for reading; only the methods set them. */
export class FrameView {
  bytes: Uint8Array = EMPTY;
  /** Where the payload begins, after the Ethernet header */
  at = 0;
  /** Payload length in bytes */
  length = 0;
  etherType = 0;
  macSourceHigh = 0;
  macSourceLow = 0;
  macDestinationHigh = 0;
  macDestinationLow = 0;

  // Headers, valid after `readHeaders()`.
  /** 4, 6, or 0 for anything else */
  ipVersion = 0;
  /** Of the transport header; -1 when the frame is not IP or is cut short */
  protocol = -1;
  /** -1 when there is none */
  sourcePort = -1;
  /** -1 when there is none */
  destinationPort = -1;
  /** -1 when the frame is not ICMP */
  icmpType = -1;
  icmpCode = 0;
  /** -1 when the frame is not IP */
  typeOfService = -1;
  /** Bits 11 to 0 of the characteristics */
  tcpBits = 0;
  /** Where the address is that {@linkcode claim} speaks of */
  claimedAt = 0;
  #headersRead = false;

  /**
   * @param bytes Lent until the decision is made
   * @param at Offset of the payload
   * @param length Payload length in bytes
   */
  load(bytes: Uint8Array, at: number, length: number, etherType: number): void {
    this.bytes = bytes;
    this.at = at;
    this.length = length;
    this.etherType = etherType;
    this.#headersRead = false;
  }

  /**
   * Sets the MACs from numbers: allocates where the caller cannot be inlined; the data plane uses
   * {@linkcode loadMacs}.
   */
  setMacs(source: Mac, destination: Mac): void {
    this.macSourceHigh = highOf(source);
    this.macSourceLow = lowOf(source);
    this.macDestinationHigh = highOf(destination);
    this.macDestinationLow = lowOf(destination);
  }

  /** Reads both MACs, 6 bytes each, from anywhere in a buffer. */
  loadMacs(bytes: Uint8Array, sourceAt: number, destinationAt: number): void {
    this.macSourceHigh = (bytes[sourceAt] << 8) | bytes[sourceAt + 1];
    this.macSourceLow = wordAt(bytes, sourceAt + 2);
    this.macDestinationHigh = (bytes[destinationAt] << 8) | bytes[destinationAt + 1];
    this.macDestinationLow = wordAt(bytes, destinationAt + 2);
  }

  /** Loads a whole Ethernet frame: header at `at`, `length` bytes with it, at least 14. */
  loadEthernet(bytes: Uint8Array, at: number, length: number): void {
    this.loadMacs(bytes, at + 6, at);
    this.load(bytes, at + 14, length - 14, (bytes[at + 12] << 8) | bytes[at + 13]);
  }

  /** Fills the header fields, once a frame. */
  readHeaders(): void {
    if (this.#headersRead) return;
    this.#headersRead = true;
    this.ipVersion = 0;
    this.protocol = -1;
    this.sourcePort = -1;
    this.destinationPort = -1;
    this.icmpType = -1;
    this.icmpCode = 0;
    this.typeOfService = -1;
    this.tcpBits = 0;
    if (this.etherType === ETHERTYPE_IPV4) {
      if (this.length >= 20) this.#readIpv4();
    } else if (this.etherType === ETHERTYPE_IPV6) {
      if (this.length >= 40) this.#readIpv6();
    }
  }

  #readIpv4(): void {
    const { bytes, at } = this;
    this.ipVersion = 4;
    this.typeOfService = bytes[at + 1];
    const protocol = bytes[at + 9];
    this.protocol = protocol;
    const header = (bytes[at] & 0x0f) << 2;
    if (protocol === 1) {
      this.#readIcmp(header);
      return;
    }
    this.#readPorts(header);
    // The reference reads past the end of a short frame; missing bytes are 0 here.
    if (protocol === 6) this.#readTcpBits(header);
  }

  #readIpv6(): void {
    const { bytes, at, length } = this;
    this.ipVersion = 6;
    this.typeOfService = ((bytes[at] << 4) & 0xf0) | (bytes[at + 1] >> 4);
    let header = 40;
    let protocol = bytes[at + 6];
    while (protocol === 0 || protocol === 43 || protocol === 60 || protocol === 135) {
      if (header + 8 > length) return;
      protocol = bytes[at + header];
      header += (bytes[at + header + 1] << 3) + 8;
    }
    if (header > length) return;
    this.protocol = protocol;
    if (protocol === 0x3a) {
      this.#readIcmp(header);
      return;
    }
    this.#readPorts(header);
    // Quirk: the reference takes port 0 over IPv6 for no port.
    if (this.sourcePort === 0) this.sourcePort = -1;
    if (this.destinationPort === 0) this.destinationPort = -1;
    if (protocol === 6 && length > header + 14) this.#readTcpBits(header);
  }

  #readIcmp(header: number): void {
    if (this.length < header + 2) return;
    this.icmpType = this.bytes[this.at + header];
    this.icmpCode = this.bytes[this.at + header + 1];
  }

  #readPorts(header: number): void {
    const { protocol, bytes } = this;
    if (protocol !== 6 && protocol !== 17 && protocol !== 0x84 && protocol !== 0x88) return;
    if (this.length <= header + 4) return;
    const at = this.at + header;
    this.sourcePort = (bytes[at] << 8) | bytes[at + 1];
    this.destinationPort = (bytes[at + 2] << 8) | bytes[at + 3];
  }

  #readTcpBits(header: number): void {
    const { length, at, bytes } = this;
    const high = header + 12 < length ? bytes[at + header + 12] : 0;
    const low = header + 13 < length ? bytes[at + header + 13] : 0;
    this.tcpBits = ((high & 0x0f) << 8) | low;
  }

  /** Which address the sender claims; {@linkcode claimedAt} tells where it stands. */
  claim(): Claim {
    const { bytes, at, length, etherType } = this;
    if (etherType === ETHERTYPE_IPV4 && length >= 20) return this.#claimIpv4(at + 12);
    if (etherType === ETHERTYPE_ARP && length >= 28) return this.#claimIpv4(at + 14);
    if (etherType !== ETHERTYPE_IPV6 || length < 40) return Claim.NOTHING;
    let claimedAt = at + 8;
    if (length >= 64 && bytes[at + 6] === 0x3a) {
      if (bytes[at + 40] === 0x87) return Claim.ANYTHING; // neighbor solicitation
      if (bytes[at + 40] === 0x88) claimedAt = at + 48; // neighbor advertisement: its target
    }
    this.claimedAt = claimedAt;
    const any = wordAt(bytes, claimedAt) | wordAt(bytes, claimedAt + 4) |
      wordAt(bytes, claimedAt + 8) | wordAt(bytes, claimedAt + 12);
    return any === 0 ? Claim.NOTHING : Claim.IPV6;
  }

  #claimIpv4(at: number): Claim {
    this.claimedAt = at;
    return wordAt(this.bytes, at) === 0 ? Claim.NOTHING : Claim.IPV4;
  }
}
