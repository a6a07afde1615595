/**
 * What a tunnel carries, whichever way its messages are framed: one datagram and the endpoint it is for or from.
 *
 *     offset  bytes    field
 *     0       1        4 or 6; 0: nothing of use follows
 *     1       4 or 16  IP, network byte order
 *     5 or 17 2        UDP port, big-endian
 *     7 or 19 ...      one VL1 datagram
 *
 * Towards the relay the endpoint is the destination, from it the source. Source: spec 03 section 21.1.
 * @module
 */
import { WireError } from "../../../lib/base/errors.ts";
import type { Endpoint } from "../../../lib/base/ip.ts";

/** Largest message a tunnel takes: the largest VL1 datagram there is (10,324 bytes) and its endpoint, with room. */
export const MESSAGE_LENGTH_MAX = 16_384;

/** A datagram and whom it is for or from. */
export interface Tunnelled {
  readonly endpoint: Endpoint;
  /** Lent: part of the message. */
  readonly datagram: Uint8Array;
}

export function encodePayload({ endpoint, datagram }: Tunnelled): Uint8Array {
  const { ip, port } = endpoint;
  const message = new Uint8Array(1 + ip.length + 2 + datagram.length);
  message[0] = ip.length === 4 ? 4 : 6;
  message.set(ip, 1);
  message[1 + ip.length] = port >> 8;
  message[2 + ip.length] = port & 0xff;
  message.set(datagram, 3 + ip.length);
  return message;
}

/**
 * @returns undefined for a message to be skipped: type 0
 * @throws {WireError} when it is of another type or too short: the reference closes then, and so do we
 */
export function decodePayload(message: Uint8Array): Tunnelled | undefined {
  const type = message[0];
  if (type === 0) return undefined;
  if (type !== 4 && type !== 6) throw new WireError("tunnel message", `type ${type}`);
  const ipLength = type === 4 ? 4 : 16;
  if (message.length < ipLength + 3) throw new WireError("tunnel message", "truncated");
  const ip = message.slice(1, 1 + ipLength);
  const port = (message[1 + ipLength] << 8) | message[2 + ipLength];
  return { endpoint: { ip, port }, datagram: message.subarray(3 + ipLength) };
}
