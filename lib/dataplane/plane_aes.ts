/**
 * AES-GMAC-SIV for the sessions of the data plane. The system's library does it with the
 * processor's own instructions, where an engine brings one; else our WebAssembly does, which has
 * none: five times slower than Salsa20/12.
 * @module
 */
import { AES_PAIR_BYTES, type AesExports, aesExports } from "../kernel/aes_kernel.ts";
import type { PacketAes } from "../kernel/mod.ts";
import { AES_PAIRS_AT, AES_SESSIONS_MAX, SCRATCH_AT } from "./arena.ts";

const KEY_BYTES = 32;

/** {@linkcode PacketAes} and the keys it uses. */
export interface PlaneAes extends PacketAes {
  /** @param session 0 to {@linkcode AES_SESSIONS_MAX} - 1 */
  setKeys(session: number, k0: Uint8Array, k1: Uint8Array): void;
  /** Forgets a session's keys, if it has any. */
  removeKeys(session: number): void;
}

/** In WebAssembly, which is compiled when the first keys are set: most nodes need none of it. */
export class KernelAes implements PlaneAes {
  readonly #memory: WebAssembly.Memory;
  readonly #bytes: Uint8Array;
  #exports: AesExports | undefined;

  /** @param memory The arena */
  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
  }

  setKeys(session: number, k0: Uint8Array, k1: Uint8Array): void {
    this.#exports ??= aesExports(this.#memory);
    this.#bytes.set(k0, SCRATCH_AT);
    this.#bytes.set(k1, SCRATCH_AT + KEY_BYTES);
    this.#exports.expandPair(SCRATCH_AT, SCRATCH_AT + KEY_BYTES, pairAt(session));
    this.#bytes.fill(0, SCRATCH_AT, SCRATCH_AT + 2 * KEY_BYTES);
  }

  removeKeys(session: number): void {
    if (this.#exports && session < AES_SESSIONS_MAX) {
      this.#bytes.fill(0, pairAt(session), pairAt(session + 1));
    }
  }

  seal(packet: number, length: number, session: number): void {
    this.#exports!.seal(packet, length, pairAt(session));
  }

  open(packet: number, length: number, session: number): number {
    return this.#exports!.open(packet, length, pairAt(session));
  }
}

function pairAt(session: number): number {
  return AES_PAIRS_AT + session * AES_PAIR_BYTES;
}
