/**
 * The names things have: node addresses (40 bits), network ids (64 bits), MAC addresses (48 bits), and how one follows
 * from the other. Addresses and MACs fit a JavaScript number exactly; network ids are `bigint`.
 *
 * Source: spec 01 sections 1.1 to 1.3, spec 04 section 1.
 * @module
 */

declare const brand: unique symbol;
/** A 40-bit node address. Printed as 10 hexadecimal digits. */
export type Address = number & { readonly [brand]: "Address" };
/** A 48-bit Ethernet address. */
export type Mac = number & { readonly [brand]: "Mac" };
/** A 64-bit network id: controller address (40 bits), then the network's number there (24 bits). */
export type NetworkId = bigint & { readonly [brand]: "NetworkId" };

/** No address at all: "unknown", "nobody". */
export const NIL_ADDRESS = 0 as Address;
/** The Ethernet broadcast address. */
export const BROADCAST_MAC = 0xffff_ffff_ffff as Mac;

const ADDRESS_FIRST_BYTE = 0x1_0000_0000; // divide by it to get the most significant of the five bytes

/** Whether an address may belong to nobody: 0, or first byte 0xff, which marks fragments on the wire. */
export function isReservedAddress(address: Address): boolean {
  return address === 0 || Math.floor(address / ADDRESS_FIRST_BYTE) === 0xff;
}

/** Ten lower-case hexadecimal digits. */
export function formatAddress(address: Address): string {
  return address.toString(16).padStart(10, "0");
}

/** @returns undefined unless `text` is exactly ten hexadecimal digits */
export function parseAddress(text: string): Address | undefined {
  return /^[0-9a-fA-F]{10}$/.test(text) ? parseInt(text, 16) as Address : undefined;
}

/** Sixteen lower-case hexadecimal digits. */
export function formatNetworkId(id: NetworkId): string {
  return id.toString(16).padStart(16, "0");
}

/** @returns undefined unless `text` is exactly sixteen hexadecimal digits */
export function parseNetworkId(text: string): NetworkId | undefined {
  return /^[0-9a-fA-F]{16}$/.test(text) ? BigInt(`0x${text}`) as NetworkId : undefined;
}

/** The node that says who is a member: the upper 40 bits. */
export function controllerOf(id: NetworkId): Address {
  return Number(id >> 24n) as Address;
}

/** Whether no controller owns the network: its members make the config up themselves (spec 04 section 2). */
export function isAdHoc(id: NetworkId): boolean {
  return id >> 56n === 0xffn;
}

/** Lower-case hexadecimal pairs joined by colons. */
export function formatMac(mac: Mac): string {
  return mac.toString(16).padStart(12, "0").replace(/(..)(?=.)/g, "$1:");
}

/** @returns undefined unless there are exactly twelve hexadecimal digits once ":" and "-" are taken out */
export function parseMac(text: string): Mac | undefined {
  const digits = text.replace(/[:-]/g, "");
  return /^[0-9a-fA-F]{12}$/.test(digits) ? parseInt(digits, 16) as Mac : undefined;
}

/** The most significant of a MAC's six bytes. */
export function firstOctet(mac: Mac): number {
  return Math.floor(mac / 0x100_0000_0000);
}

/** Group address: broadcast included. */
export function isMulticast(mac: Mac): boolean {
  return (firstOctet(mac) & 1) !== 0;
}

/** First octet of every derived MAC on a network; 0x52 is left to virtual machines. */
function networkOctet(id: NetworkId): number {
  const octet = (Number(id & 0xfen)) | 0x02;
  return octet === 0x52 ? 0x32 : octet;
}

/** The five network octets a node address is mixed with: bytes 1 to 5 of the id, least significant first. */
function macMask(id: NetworkId): number {
  let mask = 0;
  for (let i = 0n; i < 5n; i++) mask = mask * 256 + Number((id >> (8n + 8n * i)) & 0xffn);
  return mask;
}

/** Exclusive or of two 40-bit numbers: JavaScript's own works on 32 bits. */
function xor40(a: number, b: number): number {
  const high = Math.floor(a / ADDRESS_FIRST_BYTE) ^ Math.floor(b / ADDRESS_FIRST_BYTE);
  const low = ((a % ADDRESS_FIRST_BYTE) ^ (b % ADDRESS_FIRST_BYTE)) >>> 0;
  return high * ADDRESS_FIRST_BYTE + low;
}

/** The MAC a member has on a network. */
export function macOf(address: Address, id: NetworkId): Mac {
  return networkOctet(id) * 0x100_0000_0000 + xor40(address, macMask(id)) as Mac;
}

/** The member a derived MAC belongs to; the first octet is not looked at. */
export function addressOfMac(mac: Mac, id: NetworkId): Address {
  return xor40(mac % 0x100_0000_0000, macMask(id)) as Address;
}
