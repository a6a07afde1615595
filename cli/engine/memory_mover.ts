/**
 * A packet mover without a Worker, over a machine in memory: for tests of the engine.
 * @module
 */
import type { MemoryMachine } from "../../ffi/memory/mod.ts";
import { assert } from "../../lib/base/errors.ts";
import type { Endpoint } from "../../lib/base/ip.ts";
import type { PacketEvents, PacketMover, TapFrames } from "./packet_mover.ts";

/** {@linkcode PacketMover} that calls straight through. */
export class MemoryMover implements PacketMover {
  readonly #sockets = new Map<number, number>();
  readonly #taps = new Map<number, number>();
  readonly #signals = new Map<number, number>();
  readonly #queue: (() => void)[] = [];
  #running = false;

  constructor(readonly machine: MemoryMachine, readonly events: PacketEvents) {}

  start(): void {
    this.#running = true;
  }

  addSocket(id: number, fd: number): void {
    assert(!this.#sockets.has(id), `socket ${id} is added once`);
    this.#sockets.set(id, fd);
    this.machine.read(fd, (bytes, from) => {
      if (!this.#running || !from) return;
      this.events.onDatagram(id, from, bytes);
      this.flush();
    });
  }

  removeSocket(id: number): Promise<void> {
    return this.#remove(this.#sockets, id);
  }

  addTap(id: number, fd: number, _frames?: TapFrames): void {
    assert(!this.#taps.has(id), `tap ${id} is added once`);
    this.#taps.set(id, fd);
    this.machine.read(fd, (bytes) => {
      if (!this.#running) return;
      this.events.onFrame(id, bytes);
      this.flush();
    });
  }

  removeTap(id: number): Promise<void> {
    return this.#remove(this.#taps, id);
  }

  addSignal(id: number, fd: number): void {
    assert(!this.#signals.has(id), `signal ${id} is added once`);
    this.#signals.set(id, fd);
    this.machine.read(fd, () => {
      this.removeSignal(id);
      if (this.#running) queueMicrotask(() => this.events.onSignal?.(id));
    });
  }

  removeSignal(id: number): Promise<void> {
    return this.#remove(this.#signals, id);
  }

  #remove(table: Map<number, number>, id: number): Promise<void> {
    const fd = table.get(id);
    if (fd !== undefined) this.machine.read(fd, undefined);
    table.delete(id);
    return Promise.resolve();
  }

  send(socketId: number, to: Endpoint, bytes: Uint8Array): boolean {
    const socket = this.machine.socketOf(this.#sockets.get(socketId) ?? -1);
    const copy = bytes.slice();
    this.#queue.push(() => socket?.sendTo(copy, to));
    return true;
  }

  writeFrame(tapId: number, bytes: Uint8Array): boolean {
    const tap = this.machine.tapOf(this.#taps.get(tapId) ?? -1);
    const copy = bytes.slice();
    this.#queue.push(() => tap?.write(copy));
    return true;
  }

  flush(): void {
    for (const move of this.#queue.splice(0)) move();
  }

  stop(): Promise<void> {
    this.#running = false;
    return Promise.resolve();
  }
}
