/**
 * Machines in memory on one network without loss: datagrams arrive at the next microtask, in order.
 * @module
 */
import type { Endpoint, Ip } from "../../lib/base/ip.ts";
import type { MemoryMachine } from "./mod.ts";

const IN_FLIGHT_MAX = 10_000; // bounds two engines that answer each other for ever

interface Datagram {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
}

/** What joins {@linkcode MemoryMachine}s. */
export class MemoryNetwork {
  readonly #machines = new Set<MemoryMachine>();
  readonly #inFlight: Datagram[] = [];

  /** Connects a machine; it is reached by the addresses its settings list at that moment of sending. */
  join(machine: MemoryMachine): void {
    this.#machines.add(machine);
  }

  /** Disconnects a machine: what is sent to it is lost. */
  leave(machine: MemoryMachine): void {
    this.#machines.delete(machine);
  }

  /** @returns false when too much is in flight */
  carry(from: Endpoint, to: Endpoint, bytes: Uint8Array): boolean {
    if (this.#inFlight.length >= IN_FLIGHT_MAX) return false;
    this.#inFlight.push({ from, to, bytes: bytes.slice() });
    queueMicrotask(() => this.#deliverOne());
    return true;
  }

  #deliverOne(): void {
    const { from, to, bytes } = this.#inFlight.shift()!;
    for (const machine of this.#machines) {
      if (machine.hasAddress(to.ip)) return machine.receive(from, to, bytes);
    }
  }
}

/** Whether two addresses are the same. */
export function sameIp(a: Ip, b: Ip): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Whether an address stands for all addresses of its family. */
export function isAny(ip: Ip): boolean {
  return ip.every((byte) => byte === 0);
}
