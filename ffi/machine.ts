/**
 * What the engine needs of a machine, whatever it runs on: clocks, virtual Ethernet ports, UDP sockets, and the
 * configuration of links, addresses and routes. One folder per platform implements it; `memory/` does for tests.
 * @module
 */
import type { Mac } from "../lib/base/ids.ts";
import type { Endpoint, Ip, Prefix } from "../lib/base/ip.ts";

/** How a virtual Ethernet port is to be. */
export interface TapOptions {
  /** At most 15 bytes. */
  readonly name: string;
  readonly mac: Mac;
  /** Largest payload of a frame, without its 14 bytes of Ethernet header. */
  readonly mtu: number;
  /** Precede each frame with a 10-byte virtio header. It cannot be changed later. Default false. */
  readonly vnetHeader?: boolean;
}

/** What a port's system leaves to us, each with all before it: nothing, checksums, cutting of TCP, cutting of UDP. */
export type TapOffload = "none" | "checksum" | "tcp" | "udp";

/** A virtual Ethernet port. It vanishes, addresses and routes included, when closed. */
export interface Tap {
  readonly fd: number;
  readonly name: string;
  /** The system's number for the port. */
  readonly index: number;
  readonly mtu: number;
  /** "none" unless opened with a virtio header. */
  readonly offload: TapOffload;
  setMtu(mtu: number): void;
  /** Hands one frame to the system. @returns false when it was not taken: port down, queue full */
  write(frame: Uint8Array): boolean;
  close(): void;
}

/** How a UDP socket is to be. */
export interface UdpOptions {
  /** Local address; all zero bytes listen on every address of the family. */
  readonly ip: Ip;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Send and receive through this device only. */
  readonly device?: string;
  /** Let other sockets of ours bind to the same port. */
  readonly reuse?: boolean;
}

/** How one datagram travels; the system's defaults where nothing is said. */
export interface SendHow {
  /** Hops it may take. */
  readonly ttl?: number;
  /** Nobody on the way may fragment it, and what the system knows of the path's MTU does not count. */
  readonly whole?: boolean;
}

/** A UDP socket that never blocks. IPv6 sockets carry IPv6 only. Reading it is the data Worker's business. */
export interface UdpSocket {
  readonly fd: number;
  readonly ip: Ip;
  /** The port it got, also when 0 was asked for. */
  readonly port: number;
  /**
   * Sends one datagram at once.
   * @returns false when the system did not take it (no route, queue full, refused by a filter): it is lost, as UDP may
   */
  sendTo(bytes: Uint8Array, to: Endpoint, how?: SendHow): boolean;
  /** Asks for kernel buffers of this size each way; takes what the system allows. */
  setBuffers(lengthBytes: number): void;
  close(): void;
}

/** A network device of this machine. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** Absent on devices without an Ethernet address. */
  readonly mac?: Mac;
  readonly mtu: number;
  /** Raw IFF_ flags. */
  readonly flags: number;
  readonly up: boolean;
  readonly loopback: boolean;
  /** Carrier present and up: packets can flow. */
  readonly running: boolean;
  /** "veth", "bridge", "tun", ...; absent on physical devices. */
  readonly kind?: string;
  /** Index of the bridge or bond it belongs to. */
  readonly master?: number;
}

/** An address of this machine. */
export interface LinkAddress {
  /** Of the device that has it. */
  readonly index: number;
  readonly prefix: Prefix;
  /** IPv6 privacy address that will be replaced. */
  readonly temporary: boolean;
  /** Not to be used for new connections. */
  readonly deprecated: boolean;
  /** Duplicate detection still runs or has failed: not usable. */
  readonly tentative: boolean;
}

/** A route of the main table. */
export interface Route {
  readonly target: Prefix;
  /** Next hop; absent for a route to the device itself. */
  readonly gateway?: Ip;
  /** Index of the output device. */
  readonly index?: number;
  readonly metric?: number;
  /** Preferred source address. */
  readonly source?: Ip;
}

/** Something about links, addresses or routes changed; what exactly is for the lists to say. */
export type NetworkChange = "link" | "address" | "route";

/** Tells when the network configuration of the machine changes. */
export interface NetworkWatch {
  /** Becomes readable when there is something to {@linkcode NetworkWatch.read}. */
  readonly fd: number;
  /** What changed since last asked; empties the queue and never blocks. Says everything when the system lost count. */
  read(): Set<NetworkChange>;
  close(): void;
}

/** Links, addresses and routes: reading, changing, watching. All calls return at once. */
export interface NetworkSettings {
  links(): Link[];
  addresses(): LinkAddress[];
  routes(): Route[];
  /** Gives the device an address with its prefix; having it already is fine. */
  addAddress(index: number, prefix: Prefix): void;
  /** @returns false when the device had no such address */
  removeAddress(index: number, prefix: Prefix): boolean;
  /** Adds a route behind those to the same target with the same metric; having it already is fine. */
  addRoute(route: Route): void;
  /** Adds a route or takes the place of the one to the same target with the same metric. */
  replaceRoute(route: Route): void;
  /** @returns false when there was no such route */
  removeRoute(route: Route): boolean;
  watch(): NetworkWatch;
  close(): void;
}

/** A platform. */
export interface Machine {
  /** Milliseconds since boot, sleep included; never goes back. */
  nowMs(): number;
  openTap(options: TapOptions): Tap;
  /** Whether a network device of that name exists. */
  deviceExists(name: string): boolean;
  openUdp(options: UdpOptions): UdpSocket;
  openSettings(): NetworkSettings;
}
