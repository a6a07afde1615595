/**
 * Bytes of frames that are described in words: headers the rules look at are right, checksums and the like are zero.
 * @module
 */
import type { Ip } from "../../base/ip.ts";
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "../../network/ethernet.ts";

/** What a frame carries. */
export interface Traffic {
  readonly version: 4 | 6;
  readonly source: Ip;
  readonly destination: Ip;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** By number; "icmp" is that of the IP version; missing: one for experiments, which no rule names */
  readonly protocol?: number | "icmp";
  /** Other than IP: what follows is zeros, except for ARP */
  readonly etherType?: number;
  /** Bits as in characteristics; missing: SYN */
  readonly tcpFlags?: number;
  /** Missing: echo request */
  readonly icmpType?: number;
  readonly icmpCode?: number;
  readonly tos?: number;
  /** Of the payload, with IP header; shorter than the headers means as long as they are */
  readonly sizeBytes?: number;
}

const EXPERIMENTAL_PROTOCOL = 253; // RFC 3692
const OTHER_LENGTH = 46; // shortest payload of Ethernet
const TCP_SYN = 0x02;

/** The ethertype the frame has. */
export function etherTypeOf({ etherType, version }: Traffic): number {
  return etherType ?? (version === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
}

/** What follows the Ethernet header. */
export function buildPayload(traffic: Traffic): Uint8Array {
  const etherType = etherTypeOf(traffic);
  let headers: number[];
  if (etherType === ETHERTYPE_ARP) headers = arp(traffic);
  else if (etherType === ETHERTYPE_IPV4 && traffic.version === 4) headers = ipv4(traffic);
  else if (etherType === ETHERTYPE_IPV6 && traffic.version === 6) headers = ipv6(traffic);
  else headers = new Array<number>(OTHER_LENGTH).fill(0);
  const payload = new Uint8Array(Math.max(headers.length, traffic.sizeBytes ?? 0));
  payload.set(headers);
  return payload;
}

function u16(value: number): [number, number] {
  return [value >> 8, value & 0xff];
}

function arp({ source, destination }: Traffic): number[] {
  const [sender, target] = [source, destination].map((ip) =>
    ip.length === 4 ? [...ip] : [0, 0, 0, 0]
  );
  const mac = [0, 0, 0, 0, 0, 0];
  return [0, 1, 8, 0, 6, 4, 0, 1, ...mac, ...sender, ...mac, ...target];
}

function protocolOf({ protocol, version }: Traffic): number {
  if (protocol === "icmp") return version === 4 ? 1 : 0x3a;
  return protocol ?? EXPERIMENTAL_PROTOCOL;
}

function ipv4(traffic: Traffic): number[] {
  const inside = transport(traffic);
  const length = u16(Math.max(20 + inside.length, traffic.sizeBytes ?? 0));
  const fixed = [0x45, traffic.tos ?? 0, ...length, 0, 1, 0, 0, 64, protocolOf(traffic), 0, 0];
  return [...fixed, ...traffic.source, ...traffic.destination, ...inside];
}

function ipv6(traffic: Traffic): number[] {
  const inside = transport(traffic);
  const tos = traffic.tos ?? 0;
  const length = u16(Math.max(inside.length, (traffic.sizeBytes ?? 0) - 40));
  const fixed = [0x60 | (tos >> 4), (tos << 4) & 0xff, 0, 0, ...length, protocolOf(traffic), 64];
  return [...fixed, ...traffic.source, ...traffic.destination, ...inside];
}

function transport(traffic: Traffic): number[] {
  const ports = [...u16(traffic.sourcePort), ...u16(traffic.destinationPort)];
  const protocol = protocolOf(traffic);
  switch (protocol) {
    case 6: {
      const flags = traffic.tcpFlags ?? TCP_SYN;
      return [
        ...ports,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0x50 | (flags >> 8),
        flags & 0xff,
        0xff,
        0xff,
        0,
        0,
        0,
        0,
      ];
    }
    case 1:
    case 0x3a: {
      const echo = protocol === 1 ? 8 : 128;
      return [traffic.icmpType ?? echo, traffic.icmpCode ?? 0, 0, 0, 0, 0, 0, 0];
    }
    default:
      return [...ports, 0, 8, 0, 0];
  }
}
