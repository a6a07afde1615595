/**
 * A machine in memory, for tests of the engine: the interfaces of `machine.ts` without a kernel. Its clock stands still
 * until told, its datagrams travel over a {@linkcode MemoryNetwork}, and what would be read from a descriptor is
 * handed to whoever registered for it (`cli/engine/memory_mover.ts` does).
 * @module
 */
import type { Endpoint, Ip } from "../../lib/base/ip.ts";
import { SystemError } from "../../lib/base/errors.ts";
import type {
  Machine,
  NetworkSettings,
  SendHow,
  Tap,
  TapOptions,
  UdpOptions,
  UdpSocket,
} from "../machine.ts";
import { isAny, type MemoryNetwork, sameIp } from "./network.ts";
import { MemorySettings } from "./settings.ts";

export { MemoryNetwork } from "./network.ts";
export { MemorySettings } from "./settings.ts";

const FIRST_FD = 1_000;
const FIRST_CHOSEN_PORT = 40_000;

/** Takes what arrives at a descriptor: a datagram with its sender, or a frame without. */
export type Receiver = (bytes: Uint8Array, from?: Endpoint) => void;

/** A machine whose devices and sockets are objects. */
export class MemoryMachine implements Machine {
  /** Open ports by name. */
  readonly taps = new Map<string, MemoryTap>();
  readonly #sockets = new Set<MemoryUdp>();
  readonly #receivers = new Map<number, Receiver>();
  #nextFd = FIRST_FD;
  #nextIndex = 1;
  #nextPort = FIRST_CHOSEN_PORT;
  /** What its clock shows; the test moves it. */
  clockMs = 0;
  readonly settings = new MemorySettings(
    () => this.#newFd(),
    (fd) => this.arrive(fd, new Uint8Array(0)),
  );

  /** @param ips Addresses it has on its one device, "eth0", from the start */
  constructor(readonly network: MemoryNetwork, ips: readonly Ip[]) {
    const index = this.addDevice("eth0", { mtu: 1500 });
    for (const ip of ips) {
      this.settings.addAddress(index, { ip, bits: ip.length === 4 ? 24 : 64 });
    }
    network.join(this);
  }

  #newFd(): number {
    return this.#nextFd++;
  }

  nowMs(): number {
    return this.clockMs;
  }

  /** Adds a network device. @returns its index */
  addDevice(name: string, link: { mtu: number; mac?: TapOptions["mac"]; kind?: string }): number {
    const index = this.#nextIndex++;
    const state = { flags: 0x1043, up: true, running: true, loopback: false };
    this.settings.addLink({ index, name, ...state, ...link });
    return index;
  }

  openTap(options: TapOptions): Tap {
    if (this.deviceExists(options.name)) {
      throw new SystemError(`create network device ${options.name}`, "EBUSY");
    }
    const { name, mac, mtu } = options;
    const index = this.addDevice(name, { mac, mtu, kind: "tun" });
    const tap = new MemoryTap(this, this.#newFd(), name, index, mtu);
    this.taps.set(name, tap);
    return tap;
  }

  deviceExists(name: string): boolean {
    return this.settings.links().some((link) => link.name === name);
  }

  openUdp(options: UdpOptions): UdpSocket {
    const port = options.port || this.#nextPort++;
    const taken = [...this.#sockets].some((one) =>
      one.port === port && one.ip.length === options.ip.length &&
      (isAny(one.ip) || isAny(options.ip) || sameIp(one.ip, options.ip))
    );
    if (taken && !options.reuse) {
      throw new SystemError(`bind UDP port ${port}`, "EADDRINUSE", "choose another port");
    }
    if (!isAny(options.ip) && !this.hasAddress(options.ip)) {
      throw new SystemError(`bind UDP port ${port}`, "EADDRNOTAVAIL");
    }
    const socket = new MemoryUdp(this, this.#newFd(), options.ip.slice(), port);
    this.#sockets.add(socket);
    return socket;
  }

  openSettings(): NetworkSettings {
    return this.settings;
  }

  /** Whether the machine has that address now. */
  hasAddress(ip: Ip): boolean {
    return this.settings.addresses().some((one) => sameIp(one.prefix.ip, ip));
  }

  /** First address of the family, if any: the source of what an unbound socket sends. */
  addressLike(ip: Ip): Ip | undefined {
    return this.settings.addresses().find((one) => one.prefix.ip.length === ip.length)?.prefix.ip;
  }

  /** A datagram arrives from the network. */
  receive(from: Endpoint, to: Endpoint, bytes: Uint8Array): void {
    for (const socket of this.#sockets) {
      const bound = isAny(socket.ip) ? socket.ip.length === to.ip.length : sameIp(socket.ip, to.ip);
      if (bound && socket.port === to.port) return this.arrive(socket.fd, bytes, from);
    }
  }

  /** Something can be read from a descriptor; lost when nobody reads it. */
  arrive(fd: number, bytes: Uint8Array, from?: Endpoint): void {
    this.#receivers.get(fd)?.(bytes, from);
  }

  /** Starts reading a descriptor, or stops when `receiver` is absent. */
  read(fd: number, receiver: Receiver | undefined): void {
    if (receiver) this.#receivers.set(fd, receiver);
    else this.#receivers.delete(fd);
  }

  /** The socket with that descriptor. */
  socketOf(fd: number): UdpSocket | undefined {
    return [...this.#sockets].find((socket) => socket.fd === fd);
  }

  /** The port with that descriptor. */
  tapOf(fd: number): MemoryTap | undefined {
    return [...this.taps.values()].find((tap) => tap.fd === fd);
  }

  /** A socket or port is closed. */
  forget(closed: MemoryUdp | MemoryTap): void {
    this.#receivers.delete(closed.fd);
    if (closed instanceof MemoryUdp) {
      this.#sockets.delete(closed);
    } else {
      this.taps.delete(closed.name);
      this.settings.removeLink(closed.index);
    }
  }
}

class MemoryUdp implements UdpSocket {
  constructor(
    readonly machine: MemoryMachine,
    readonly fd: number,
    readonly ip: Ip,
    readonly port: number,
  ) {}

  sendTo(bytes: Uint8Array, to: Endpoint, { ttl }: SendHow = {}): boolean {
    if (to.ip.length !== this.ip.length) return false;
    const ip = isAny(this.ip) ? this.machine.addressLike(to.ip) : this.ip;
    if (!ip) return false;
    // One hop is all there is: a short-lived datagram does not get past it, as a NAT-opening one should not.
    if (ttl !== undefined && ttl < 2) return true;
    return this.machine.network.carry({ ip, port: this.port }, to, bytes);
  }

  /** There are no buffers. */
  setBuffers(): void {}

  close(): void {
    this.machine.forget(this);
  }
}

/** A port whose far side is the test. */
export class MemoryTap implements Tap {
  readonly offload = "none";
  /** Called with every frame written; lent. */
  onWrite: (frame: Uint8Array) => void = () => {};
  #closed = false;

  constructor(
    readonly machine: MemoryMachine,
    readonly fd: number,
    readonly name: string,
    readonly index: number,
    public mtu: number,
  ) {}

  setMtu(mtu: number): void {
    this.mtu = mtu;
  }

  write(frame: Uint8Array): boolean {
    if (this.#closed) return false;
    this.onWrite(frame);
    return true;
  }

  /** The machine's network stack sends a frame. */
  emit(frame: Uint8Array): void {
    if (!this.#closed) this.machine.arrive(this.fd, frame);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.machine.forget(this);
  }
}
