/**
 * What an operating system does with a TAP: addresses, ARP, and answering pings. IPv4 only; enough to be a host on a
 * network and to measure how long it is cut off.
 * @module
 */
import { BROADCAST_MAC, type Mac } from "../../lib/base/ids.ts";
import type { Ip } from "../../lib/base/ip.ts";
import type { MulticastGroup } from "../../lib/base/multicast_group.ts";
import {
  buildFrame,
  type EthernetFrame,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  parseFrame,
  putMac,
} from "../../lib/network/ethernet.ts";
import type { PortConfig } from "../../lib/network/network.ts";

const ARP_RETRY_MS = 1_000; // Linux: retrans_time_ms
const ARP_TRIES = 3; // Linux: mcast_solicit
const ARP_QUEUE_MAX = 64; // packets that wait for one neighbour
const ICMP = 1;
const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;
const PING_ID = 0x7a74;
const IPV4_HEADER_LENGTH = 20;
const ICMP_HEADER_LENGTH = 8;

/** What a stack needs of the machine it runs on. */
export interface StackHost {
  nowMs(): number;
  after(delayMs: number, run: () => void): void;
  /** Gives a frame to the node, as the TAP does. */
  send(frame: Uint8Array): void;
}

/** One ping and, once it came, its answer. */
export interface Ping {
  readonly sentMs: number;
  readonly lengthBytes: number;
  receivedMs: number | undefined;
}

interface Neighbour {
  mac: Mac | undefined;
  waiting: Uint8Array[];
  tries: number;
}

/** An IPv4 address as a number, for maps. */
export function ipv4Number(ip: Ip): number {
  return ((ip[0] << 24) | (ip[1] << 16) | (ip[2] << 8) | ip[3]) >>> 0;
}

export class Stack {
  port: PortConfig | undefined;
  /** Pings received whole, whoever sent them. */
  answered = 0;
  readonly #neighbours = new Map<number, Neighbour>();
  readonly #pings = new Map<number, Ping>();
  #sequence = 0;

  constructor(readonly host: StackHost) {}

  /** Our IPv4 address on this network, once there is one. */
  get ip(): Ip | undefined {
    return this.port?.addresses.find((address) => address.ip.length === 4)?.ip;
  }

  /** Groups a Linux interface with these addresses subscribes to: all hosts, all IPv6 nodes. */
  groups(): MulticastGroup[] {
    return [{ mac: 0x01005e000001 as Mac, adi: 0 }, { mac: 0x333300000001 as Mac, adi: 0 }];
  }

  configure(port: PortConfig): void {
    this.port = port;
  }

  /** Sends one ping. The result fills in when the answer comes. */
  ping(to: Ip, lengthBytes = 64): Ping {
    const sequence = this.#sequence++ & 0xffff;
    const ping: Ping = { sentMs: this.host.nowMs(), lengthBytes, receivedMs: undefined };
    this.#pings.set(sequence, ping);
    const icmp = new Uint8Array(Math.max(ICMP_HEADER_LENGTH, lengthBytes - IPV4_HEADER_LENGTH));
    icmp[0] = ECHO_REQUEST;
    icmp.set([PING_ID >> 8, PING_ID & 0xff, sequence >> 8, sequence & 0xff], 4);
    for (let i = ICMP_HEADER_LENGTH; i < icmp.length; i++) icmp[i] = i + sequence;
    this.#sendIp(to, icmp);
    return ping;
  }

  #sendIp(to: Ip, icmp: Uint8Array): void {
    const { ip } = this;
    if (!ip) return;
    const packet = new Uint8Array(IPV4_HEADER_LENGTH + icmp.length);
    packet.set([0x45, 0, packet.length >> 8, packet.length & 0xff]);
    packet[8] = 64;
    packet[9] = ICMP;
    packet.set(ip, 12);
    packet.set(to, 16);
    packet.set(icmp, IPV4_HEADER_LENGTH);
    const key = ipv4Number(to);
    const neighbour = this.#neighbours.get(key) ?? { mac: undefined, waiting: [], tries: 0 };
    this.#neighbours.set(key, neighbour);
    if (neighbour.mac !== undefined) return this.#transmit(neighbour.mac, ETHERTYPE_IPV4, packet);
    neighbour.waiting.push(packet);
    if (neighbour.waiting.length > ARP_QUEUE_MAX) neighbour.waiting.shift();
    if (neighbour.waiting.length === 1) this.#solicit(to, neighbour);
  }

  #solicit(to: Ip, neighbour: Neighbour): void {
    if (neighbour.mac !== undefined || neighbour.waiting.length === 0) return;
    if (neighbour.tries++ === ARP_TRIES) {
      neighbour.waiting = [];
      neighbour.tries = 0;
      return;
    }
    this.#arp(1, to, BROADCAST_MAC);
    this.host.after(ARP_RETRY_MS, () => this.#solicit(to, neighbour));
  }

  #arp(operation: number, to: Ip, toMac: Mac): void {
    const { ip, port } = this;
    if (!ip || !port) return;
    const arp = new Uint8Array(28);
    arp.set([0, 1, 8, 0, 6, 4, 0, operation]);
    putMac(arp, 8, port.mac);
    arp.set(ip, 14);
    if (operation === 2) putMac(arp, 18, toMac);
    arp.set(to, 24);
    this.#transmit(toMac, ETHERTYPE_ARP, arp);
  }

  #transmit(destination: Mac, etherType: number, payload: Uint8Array): void {
    const { port } = this;
    if (!port) return;
    this.host.send(buildFrame({ destination, source: port.mac, etherType, payload }));
  }

  /** A frame from the node. */
  receive(bytes: Uint8Array): void {
    const frame = parseFrame(bytes);
    if (!frame || !this.ip) return;
    if (frame.etherType === ETHERTYPE_ARP) this.#receiveArp(frame, this.ip);
    else if (frame.etherType === ETHERTYPE_IPV4) this.#receiveIp(frame.payload, this.ip);
  }

  #receiveArp({ payload }: EthernetFrame, own: Ip): void {
    if (payload.length < 28) return;
    const sender = payload.slice(14, 18);
    if (ipv4Number(payload.subarray(24, 28)) !== ipv4Number(own)) return;
    let mac = 0;
    for (let i = 8; i < 14; i++) mac = mac * 256 + payload[i];
    this.#learn(sender, mac as Mac);
    if (payload[7] === 1) this.#arp(2, sender, mac as Mac);
  }

  #learn(ip: Ip, mac: Mac): void {
    const key = ipv4Number(ip);
    const neighbour = this.#neighbours.get(key) ?? { mac: undefined, waiting: [], tries: 0 };
    this.#neighbours.set(key, neighbour);
    neighbour.mac = mac;
    neighbour.tries = 0;
    for (const packet of neighbour.waiting.splice(0)) this.#transmit(mac, ETHERTYPE_IPV4, packet);
  }

  #receiveIp(packet: Uint8Array, own: Ip): void {
    if (packet.length < IPV4_HEADER_LENGTH + ICMP_HEADER_LENGTH || packet[9] !== ICMP) return;
    if (ipv4Number(packet.subarray(16, 20)) !== ipv4Number(own)) return;
    const icmp = packet.slice(IPV4_HEADER_LENGTH);
    if (icmp[0] === ECHO_REQUEST) {
      this.answered++;
      icmp[0] = ECHO_REPLY;
      this.#sendIp(packet.slice(12, 16), icmp);
    } else if (icmp[0] === ECHO_REPLY) {
      const sequence = (icmp[6] << 8) | icmp[7];
      const ping = this.#pings.get(sequence);
      this.#pings.delete(sequence);
      if (ping && packet.length === Math.max(28, ping.lengthBytes) && isIntact(icmp, sequence)) {
        ping.receivedMs = this.host.nowMs();
      }
    }
  }

  /** A static entry: no ARP is needed for it. */
  addNeighbour(ip: Ip, mac: Mac): void {
    this.#learn(ip, mac);
  }
}

function isIntact(icmp: Uint8Array, sequence: number): boolean {
  for (let i = ICMP_HEADER_LENGTH; i < icmp.length; i++) {
    if (icmp[i] !== ((i + sequence) & 0xff)) return false;
  }
  return true;
}
