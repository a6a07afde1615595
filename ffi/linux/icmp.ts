/**
 * ICMP echo, IPv4 and IPv6, over raw sockets: what ping does. Needs root or cap_net_raw.
 *
 *     type u8 @0, code u8 @1, checksum u16 @2, identifier u16 @4, sequence u16 @6, payload @8
 *
 * Source: RFC 792, RFC 4443; `raw(7)`: an IPv4 raw socket hands out the IP header too, an IPv6 one
 * does not and makes and checks the checksum itself.
 * @module
 */
import type { Ip } from "../../lib/base/ip.ts";
import { check, EAGAIN, EINTR, errno, errnoName, type Remedies, systemError } from "./errno.ts";
import { libc } from "./libc.ts";
import { encodeSockaddr, familyOf, sockaddrLength } from "./sockaddr.ts";
import { closeFd, O_CLOEXEC, O_NONBLOCK } from "./system.ts";

/** Most payload bytes of one echo: what fits the largest IPv4 packet. */
export const ECHO_PAYLOAD_LENGTH_MAX = 65_507;

const SOCK_RAW = 3;
const MSG_DONTWAIT = 0x40;
const ICMP_HEADER_LENGTH = 8;
const IPV4_HEADER_LENGTH_MIN = 20;
const PACKET_LENGTH_MAX = 65_535;

interface Family {
  readonly protocol: number;
  readonly request: number;
  readonly reply: number;
}
const IPV4: Family = { protocol: 1, request: 8, reply: 0 };
const IPV6: Family = { protocol: 58, request: 128, reply: 129 };

const REMEDIES: Remedies = { EPERM: "raw sockets need root or cap_net_raw" };

/** An answer to one of our echoes. */
export interface EchoReply {
  readonly sequence: number;
  /** Lent until the next receive. */
  readonly payload: Uint8Array;
}

/** Sends echo requests and hands out the replies to them. Never blocks. */
export class EchoSocket {
  readonly fd: number;
  readonly #family: Family;
  readonly #ipLength: number;
  readonly #buffer = new Uint8Array(new ArrayBuffer(PACKET_LENGTH_MAX));

  /**
   * @param ipLength 4 or 16: the family
   * @param identifier 16 bits that tell our replies from those of other programs
   * @throws {SystemError} when raw sockets are not permitted
   */
  constructor(ipLength: number, readonly identifier: number) {
    this.#ipLength = ipLength;
    this.#family = ipLength === 4 ? IPV4 : IPV6;
    const type = SOCK_RAW | O_NONBLOCK | O_CLOEXEC;
    this.fd = check(
      "open a raw ICMP socket",
      libc().socket(familyOf(ipLength), type, this.#family.protocol),
      REMEDIES,
    );
  }

  /**
   * Sends one echo request.
   * @param sequence 16 bits
   * @returns undefined when it went out, else the name of the error: no route yet, no neighbour, full queue
   */
  send(to: Ip, sequence: number, payload: Uint8Array): string | undefined {
    if (to.length !== this.#ipLength) throw new TypeError("the target is of another IP family");
    if (payload.length > ECHO_PAYLOAD_LENGTH_MAX) {
      throw new RangeError(`echo of ${payload.length} bytes is over ${ECHO_PAYLOAD_LENGTH_MAX}`);
    }
    const packet = new Uint8Array(new ArrayBuffer(ICMP_HEADER_LENGTH + payload.length));
    const view = new DataView(packet.buffer);
    packet[0] = this.#family.request;
    view.setUint16(4, this.identifier);
    view.setUint16(6, sequence);
    packet.set(payload, ICMP_HEADER_LENGTH);
    if (this.#family === IPV4) view.setUint16(2, internetChecksum(packet));
    const sent = libc().sendto(
      this.fd,
      packet,
      BigInt(packet.length),
      MSG_DONTWAIT,
      encodeSockaddr({ ip: to, port: 0 }),
      sockaddrLength(to.length),
    );
    return sent < 0 ? errnoName(errno()) : undefined;
  }

  /** @returns the next reply to one of our echoes, undefined when none waits */
  receive(): EchoReply | undefined {
    for (;;) {
      const room = BigInt(PACKET_LENGTH_MAX);
      const length = libc().recv(this.fd, this.#buffer, room, MSG_DONTWAIT);
      if (length < 0) {
        const number = errno();
        if (number === EAGAIN) return undefined;
        // An ICMP error about an earlier echo surfaces here: the reply is then simply missing.
        if (number === EINTR || SURFACING.has(errnoName(number))) continue;
        throw systemError("receive from a raw ICMP socket", number);
      }
      const reply = this.#parse(this.#buffer.subarray(0, length));
      if (reply) return reply;
    }
  }

  /** @returns undefined for what is no reply to us: raw sockets see all ICMP of the host */
  #parse(packet: Uint8Array): EchoReply | undefined {
    const at = this.#family === IPV4 ? (packet[0] & 15) * 4 : 0;
    if (this.#family === IPV4 && at < IPV4_HEADER_LENGTH_MIN) return undefined;
    if (packet.length < at + ICMP_HEADER_LENGTH || packet[at] !== this.#family.reply) {
      return undefined;
    }
    const message = packet.subarray(at);
    if (this.#family === IPV4 && internetChecksum(message) !== 0) return undefined;
    const view = new DataView(message.buffer, message.byteOffset);
    if (view.getUint16(4) !== this.identifier) return undefined;
    return { sequence: view.getUint16(6), payload: message.subarray(ICMP_HEADER_LENGTH) };
  }

  close(): void {
    closeFd(this.fd);
  }
}

const SURFACING: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EMSGSIZE",
  "ENETDOWN",
]);

/**
 * The checksum of the Internet protocols: 0 over a message that carries its own means it is intact.
 *
 * Source: RFC 1071.
 */
export function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at + 1 < bytes.length; at += 2) sum += (bytes[at] << 8) | bytes[at + 1];
  if (bytes.length % 2 === 1) sum += bytes[bytes.length - 1] << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
