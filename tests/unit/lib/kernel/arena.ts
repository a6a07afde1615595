/**
 * A memory with the data kernel over it and an area for everything it takes, the space between
 * filled with a canary: what the tests of the kernel share.
 * @module
 */
import assert from "node:assert/strict";
import { KERNEL_BYTES } from "../../../../lib/kernel/mod.ts";
import {
  dataExports,
  type DataKernel,
  IDS_BYTES,
  LIST_BYTES,
  REASSEMBLY_BYTES,
  Result,
  RESULT_BYTES,
  RUN_BYTES,
  SCRATCH_BYTES,
  Session,
  SESSION_BYTES,
  SESSION_OPENS,
  sessionHash,
  TEMPLATE_BYTES,
  WRITE_BYTES,
} from "../../../../lib/kernel/data_kernel.ts";
import { PacketIds, randomIdBlock, speckSchedule } from "../../../../lib/node/packet_ids.ts";

export const SELF = 0x89_e92c_eee5;
export const PEER = 0xde_adbe_ef01;
const CANARY = 0xa5;
const INDEX_ENTRIES = 16;
const RUNS_MAX = 256;
const RESULTS_MAX = 512;

/** Name, bytes; each begins 4,096 bytes behind the end of the one before. */
const AREAS = {
  ids: IDS_BYTES,
  sessions: 8 * SESSION_BYTES,
  index: INDEX_ENTRIES * 4,
  slots: REASSEMBLY_BYTES,
  scratch: SCRATCH_BYTES,
  template: TEMPLATE_BYTES,
  session: SESSION_BYTES,
  macs: 12,
  frame: 66_000,
  out: 200_000,
  runs: RUNS_MAX * RUN_BYTES,
  list: 200 * LIST_BYTES,
  input: 70_000,
  results: RESULTS_MAX * RESULT_BYTES,
  frames: 400_000,
  writes: 256 * WRITE_BYTES,
};
type Area = keyof typeof AREAS;

/** A generator of repeatable numbers below a bound. */
export function dice(seed: number): (bound: number) => number {
  let state = seed >>> 0 || 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

/** Bytes that look random and are the same in every run. */
export function noise(length: number, seed: number): Uint8Array {
  const roll = dice(seed + 1);
  return Uint8Array.from({ length }, () => roll(256));
}

/** A result, read. */
export interface Received {
  readonly kind: number;
  readonly verb: number;
  readonly hops: number;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly slot: number;
  readonly sourceTag: number;
  readonly networkId: bigint;
  readonly etherType: number;
}

/** A run, read. */
export interface Run {
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly pathTag: number;
}

export class Arena {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly kernel: DataKernel;
  readonly at = {} as Record<Area, number>;
  readonly key = noise(32, 77);

  constructor() {
    let at = KERNEL_BYTES + 4_096;
    for (const [name, length] of Object.entries(AREAS)) {
      this.at[name as Area] = at;
      at = (at + length + 8_191) & ~4_095; // a gap of 4,096 at least
    }
    const pages = Math.ceil(at / 65_536);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.bytes = new Uint8Array(memory.buffer).fill(CANARY);
    this.view = new DataView(memory.buffer);
    this.kernel = dataExports(memory);
    for (const name of ["ids", "sessions", "index", "session"] as const) this.clear(name);
    this.bytes.set(this.key, this.at.session + Session.KEY);
    this.setIds(1);
    this.setup();
  }

  setup(): void {
    const { ids, sessions, index, slots, scratch } = this.at;
    const [high, low] = halves(SELF);
    this.kernel.setup(high, low, ids, sessions, index, INDEX_ENTRIES - 1, slots, scratch);
    this.kernel.setTick(1_000);
  }

  clear(area: Area): void {
    this.bytes.fill(0, this.at[area], this.at[area] + AREAS[area]);
  }

  size(area: Area): number {
    return AREAS[area];
  }

  /** Round keys and counter drawn from a seed; a twin drawn from the same. */
  setIds(seed: number): PacketIds {
    const random = (bytes: Uint8Array) => bytes.set(noise(bytes.length, seed));
    const words = new Uint32Array(noise(24, seed).buffer);
    speckSchedule(words.subarray(0, 4)).forEach((word, i) => this.#putId(4 * i, word));
    this.#putId(108, words[4]);
    this.#putId(112, words[5]);
    return new PacketIds(() => randomIdBlock(random));
  }

  #putId(offset: number, word: number): void {
    this.view.setUint32(this.at.ids + offset, word, true);
  }

  addSession(slot: number, address: number, flags = SESSION_OPENS, key = this.key): void {
    const [high, low] = halves(address);
    const at = this.at.sessions + slot * SESSION_BYTES;
    this.view.setUint32(at + Session.ADDRESS, low, true);
    this.view.setUint32(at + Session.ADDRESS + 4, high, true);
    this.bytes.set(key, at + Session.KEY);
    this.view.setUint32(at + Session.FLAGS, flags, true);
    let entry = sessionHash(high, low, INDEX_ENTRIES - 1);
    while (this.view.getUint32(this.at.index + 4 * entry, true) !== 0) {
      entry = (entry + 1) & (INDEX_ENTRIES - 1);
    }
    this.view.setUint32(this.at.index + 4 * entry, slot + 1, true);
  }

  session(slot: number, field: number): number {
    return this.view.getUint32(this.at.sessions + slot * SESSION_BYTES + field, true);
  }

  /** Copies bytes into an area. @returns where they are */
  put(area: Area, bytes: Uint8Array, offset = 0): number {
    assert.ok(offset + bytes.length <= AREAS[area], "fits the area");
    this.bytes.set(bytes, this.at[area] + offset);
    return this.at[area] + offset;
  }

  runs(count: number): Run[] {
    return Array.from({ length: count }, (_, i) => {
      const at = this.at.runs + i * RUN_BYTES;
      const [from, size, length, pathTag] = [0, 4, 8, 12]
        .map((offset) => this.view.getUint32(at + offset, true));
      return { size, bytes: this.bytes.slice(from, from + length), pathTag };
    });
  }

  results(count: number): Received[] {
    return Array.from({ length: count }, (_, i) => {
      const base = this.at.results + i * RESULT_BYTES;
      const u32 = (offset: number) => this.view.getUint32(base + offset, true);
      const at = u32(Result.POINTER);
      return {
        kind: this.bytes[base + Result.KIND],
        verb: this.bytes[base + Result.VERB],
        hops: this.bytes[base + Result.HOPS],
        at,
        bytes: this.bytes.slice(at, at + u32(Result.LENGTH)),
        slot: u32(Result.SLOT),
        sourceTag: u32(Result.SOURCE_TAG),
        networkId: (BigInt(u32(Result.NETWORK_HIGH)) << 32n) | BigInt(u32(Result.NETWORK_LOW)),
        etherType: u32(Result.ETHER_TYPE),
      };
    });
  }

  rxBegin(max = RESULTS_MAX): void {
    this.kernel.rxBegin(this.at.results, max);
  }

  txBegin(outBytes = AREAS.out, runsMax = RUNS_MAX): void {
    this.kernel.txBegin(this.at.out, outBytes, this.at.runs, runsMax);
  }

  /** Receives one super-datagram, draining as often as asked. @returns all results */
  receive(bytes: Uint8Array, segment: number, sourceTag = 1): Received[] {
    const at = this.put("input", bytes);
    const received: Received[] = [];
    this.rxBegin();
    for (let from = 0;;) {
      const count = this.kernel.receive(at + from, bytes.length - from, segment, sourceTag);
      if (count >= 0) return received.concat(this.results(count));
      received.push(...this.results(this.kernel.rxCount()));
      from += this.kernel.rxResumeAt();
      this.rxBegin();
    }
  }

  writes(count: number): { tapTag: number; frame: Uint8Array }[] {
    return Array.from({ length: count }, (_, i) => {
      const at = this.at.writes + i * WRITE_BYTES;
      const from = this.view.getUint32(at, true);
      const length = this.view.getUint32(at + 4, true);
      return {
        tapTag: this.view.getUint32(at + 8, true),
        frame: this.bytes.slice(from, from + length),
      };
    });
  }

  /** Fails when a byte between the areas changed. */
  assertContained(): void {
    let from = KERNEL_BYTES;
    const ends = Object.entries(AREAS).map(([name, length]) => [this.at[name as Area], length]);
    for (const [at, length] of [...ends, [this.bytes.length, 0]]) {
      const gap = this.bytes.subarray(from, at);
      const changed = gap.findIndex((byte) => byte !== CANARY);
      assert.equal(changed, -1, `wrote at ${from + changed}`);
      from = at + length;
    }
  }
}

export function halves(address: number): [high: number, low: number] {
  return [Math.floor(address / 2 ** 32), address % 2 ** 32];
}
