/**
 * The data plane's kernel at bulk work, both ways, without any system call: a super-frame as the
 * TAP gives it to sealed runs, and those runs to the super-frames the TAP of the other end gets.
 * @module
 */
import { FULL, RESULT_BYTES, VNET_BYTES } from "../../lib/kernel/data_kernel.ts";
import { Arena, noise, PEER, SELF } from "../unit/lib/kernel/arena.ts";
import { makeFrame, superHeader, withVnet } from "../unit/lib/kernel/frames.ts";
import type { Address } from "../../lib/base/ids.ts";
import { buildPacket, setCipher, Verb } from "../../lib/wire/packet.ts";

/** What an MTU of 2,800 leaves to TCP with timestamps: 22 segments of it fill a super-frame. */
const GSO_BYTES = 2_748;
const BODY_BYTES = 22 * GSO_BYTES;
const MTU = 1_432;

/** One end, with a super-frame to send and a way to hand its own datagrams back to it. */
export class Pipeline {
  readonly payloadBytes = BODY_BYTES;
  readonly #arena = new Arena();
  readonly #frameBytes: number;
  readonly #runs: { at: number; length: number; size: number }[] = [];

  constructor() {
    const arena = this.#arena;
    // Sent to ourselves under the peer's name: the key is the same both ways.
    arena.addSession(0, PEER);
    const id = new Uint8Array(8);
    const [destination, source] = [SELF as Address, PEER as Address];
    const template = buildPacket({ id, destination, source, verb: Verb.FRAME }, noise(8, 2));
    setCipher(template, 1);
    arena.put("template", template);
    arena.put("macs", noise(12, 5));
    const shape = { options: 12 };
    const frame = makeFrame({ ...shape, body: noise(BODY_BYTES, 1) });
    const bytes = withVnet(frame, superHeader(frame, shape, GSO_BYTES));
    arena.put("frame", bytes);
    this.#frameBytes = bytes.length;
    const runs = this.transmit();
    for (let i = 0; i < runs; i++) {
      const [at, size, length] = [0, 4, 8]
        .map((offset) => arena.view.getUint32(arena.at.runs + 16 * i + offset, true));
      this.#runs.push({ at, size, length });
    }
  }

  /** Super-frame to runs. */
  transmit(): number {
    const { kernel, at } = this.#arena;
    this.#arena.txBegin();
    kernel.transmit(at.frame, this.#frameBytes, VNET_BYTES, at.template, at.session, MTU, 1);
    return kernel.txEnd();
  }

  /** Puts the datagrams where they are received: opening them wrote over them. */
  restore(): void {
    const { bytes, at } = this.#arena;
    for (const run of this.#runs) {
      bytes.copyWithin(at.input + run.at - at.out, run.at, run.at + run.length);
    }
  }

  /** Runs to super-frames; after {@linkcode restore}. @returns writes to the TAP */
  receive(): number {
    const { kernel, at, view } = this.#arena;
    kernel.rxFramesBegin(at.frames, this.#arena.size("frames"), at.writes, 256, VNET_BYTES);
    for (const run of this.#runs) {
      this.#arena.rxBegin();
      const count = kernel.receive(at.input + run.at - at.out, run.length, run.size, 1);
      if (count === FULL) throw new Error("results do not fit");
      for (let i = 0, from = at.results; i < count; i++, from += RESULT_BYTES) {
        const payload = view.getUint32(from + 4, true);
        const length = view.getUint32(from + 8, true);
        kernel.deliver(payload, length, view.getUint32(from + 28, true), at.macs, 1);
      }
    }
    return kernel.rxFramesEnd();
  }
}
