/**
 * Socket addresses as C keeps them.
 *
 *     sockaddr_in (16)    family u16 @0, port u16 @2 big-endian, address @4, zeros
 *     sockaddr_in6 (28)   family u16 @0, port u16 @2 big-endian, flow u32 @4, address @8 (16), scope u32 @24
 *
 * Source: spec 07 section 5; `netinet/in.h`.
 * @module
 */
import type { Endpoint } from "../../lib/base/ip.ts";

export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
/** Room for either family, rounded up so that tables stay aligned. */
export const SOCKADDR_ROOM = 32;

const IPV4_AT = 4;
const IPV6_AT = 8;

/** Bytes of a socket address with an IP of `ipLength` bytes. */
export function sockaddrLength(ipLength: number): number {
  return ipLength === 4 ? 16 : 28;
}

/** AF_INET or AF_INET6 for an IP of `ipLength` bytes. */
export function familyOf(ipLength: number): number {
  return ipLength === 4 ? AF_INET : AF_INET6;
}

/**
 * Writes a socket address; allocates nothing.
 * @param out At least {@linkcode SOCKADDR_ROOM} bytes from `at`
 * @param ip Bytes holding the IP at `ipAt`
 * @returns length in bytes of what was written
 */
export function putSockaddr(
  out: Uint8Array,
  at: number,
  ip: Uint8Array,
  ipAt: number,
  ipLength: number,
  port: number,
): number {
  const length = sockaddrLength(ipLength);
  for (let i = at; i < at + length; i++) out[i] = 0; // fill() is a call into the runtime
  out[at] = familyOf(ipLength);
  out[at + 2] = port >> 8;
  out[at + 3] = port & 0xff;
  const to = at + (ipLength === 4 ? IPV4_AT : IPV6_AT);
  for (let i = 0; i < ipLength; i++) out[to + i] = ip[ipAt + i];
  return length;
}

/** A fresh socket address for an endpoint, with room to spare; pass it with {@linkcode sockaddrLength}. */
export function encodeSockaddr(endpoint: Endpoint): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(new ArrayBuffer(SOCKADDR_ROOM));
  putSockaddr(out, 0, endpoint.ip, 0, endpoint.ip.length, endpoint.port);
  return out;
}

/** Length of the IP in the socket address at `at`: 4, 16, or 0 for a family that is neither. */
export function sockaddrIpLength(bytes: Uint8Array, at: number): number {
  return bytes[at] === AF_INET ? 4 : bytes[at] === AF_INET6 ? 16 : 0;
}

/** Where in a socket address the IP of `ipLength` bytes begins. */
export function sockaddrIpAt(ipLength: number): number {
  return ipLength === 4 ? IPV4_AT : IPV6_AT;
}

/** Port of the socket address at `at`. */
export function sockaddrPort(bytes: Uint8Array, at: number): number {
  return (bytes[at + 2] << 8) | bytes[at + 3];
}

/** The socket address at `at` as an endpoint of its own. */
export function decodeSockaddr(bytes: Uint8Array, at = 0): Endpoint {
  const ipLength = sockaddrIpLength(bytes, at);
  const ipAt = at + sockaddrIpAt(ipLength);
  return { ip: bytes.slice(ipAt, ipAt + ipLength), port: sockaddrPort(bytes, at) };
}
