/**
 * Who is known goes first: packets of senders the node does not know may take two milliseconds at a time, then they wait
 * until whatever else came had its turn. A flood of strangers thus costs honest peers milliseconds, also in the first
 * moments, when handling one takes ten times as long because nothing is compiled for it.
 * @module
 */
import type { Address } from "../../lib/base/ids.ts";
import type { Endpoint } from "../../lib/base/ip.ts";
import { HEADER_LENGTH, isFragment, sourceOf } from "../../lib/wire/packet.ts";
import { type SliceClock, Slices } from "./slices.ts";

/** Packets: 50 ms of work once code is compiled. With four times as many a flood cost 39 MB instead of 27 to 31. */
const WAITING_MAX = 1_024;
const WAITING_BYTES_MAX = 262_144;

/** What it needs of the outside. */
export interface StrangersWaitOptions {
  /** Whether the sender is a peer; what it says of itself, so a forged one goes first too and fails as fast. */
  readonly isKnown: (source: Address) => boolean;
  /** Takes a packet: bytes are lent. */
  readonly handle: (socket: number, from: Endpoint, bytes: Uint8Array) => void;
  /** Hears of each packet that found no room to wait. */
  readonly onDropped: () => void;
}

interface Waiting {
  readonly socket: number;
  readonly from: Endpoint;
  readonly bytes: Uint8Array;
}

export class StrangersWait {
  readonly #options: StrangersWaitOptions;
  #waiting: Waiting[] = [];
  #next = 0; // index of the first that still waits
  #waitingBytes = 0;
  readonly #slices: Slices;

  constructor(options: StrangersWaitOptions, clock?: SliceClock) {
    this.#options = options;
    this.#slices = new Slices(() => this.#resume(), clock);
  }

  /** A packet came. @param bytes Lent */
  receive(socket: number, from: Endpoint, bytes: Uint8Array): void {
    const { isKnown, handle } = this.#options;
    if (bytes.length >= HEADER_LENGTH) {
      // A fragment does not say who sent it. Those for us come whole: this one is to be relayed, or refused, soon done.
      if (isFragment(bytes) || isKnown(sourceOf(bytes))) return handle(socket, from, bytes);
    }
    this.#slices.expect();
    // While time is left nobody waits: a slice ends when either is used up.
    if (!this.#slices.isOver) return this.#slices.do(() => handle(socket, from, bytes));
    this.#keep(socket, from, bytes);
  }

  #keep(socket: number, from: Endpoint, bytes: Uint8Array): void {
    const count = this.#waiting.length - this.#next;
    if (count >= WAITING_MAX || this.#waitingBytes + bytes.length > WAITING_BYTES_MAX) {
      return this.#options.onDropped();
    }
    this.#waitingBytes += bytes.length;
    this.#waiting.push({ socket, from, bytes: bytes.slice() });
  }

  #resume(): boolean {
    const { handle } = this.#options;
    while (!this.#slices.isOver && this.#next < this.#waiting.length) {
      const { socket, from, bytes } = this.#waiting[this.#next++];
      this.#waitingBytes -= bytes.length;
      this.#slices.do(() => handle(socket, from, bytes));
    }
    if (this.#next >= this.#waiting.length / 2) {
      this.#waiting = this.#waiting.slice(this.#next); // now and then, so that what was handled goes
      this.#next = 0;
    }
    return this.#next < this.#waiting.length;
  }
}
