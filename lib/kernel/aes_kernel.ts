/**
 * AES-GMAC-SIV in WebAssembly, constant in time, one call a packet. Sources are
 * `assembly/gmac_siv.ts` and what it imports; the slow twin is `lib/crypto/gmac_siv.ts` on
 * `@noble/ciphers`. Instantiated when the first key of a thread is set up: most nodes never see
 * such a packet.
 *
 * Source: spec 01 section 6.3.
 * @module
 */
import type { AesPair } from "../crypto/primitives.ts";
import { AES_WASM } from "./kernel_wasm.ts";
import { compileKernel, KERNEL_BYTES } from "./mod.ts";

/** The AES module's functions. Lengths are in bytes, everything else is an address in the memory it was given. */
export interface AesExports {
  /** {@linkcode AES_PAIR_BYTES} */
  readonly PAIR_BYTES: WebAssembly.Global;
  /** Fills the module's own tables; to be called first, once. */
  setup(): void;
  /** Makes a pair of two keys of 32 bytes. */
  expandPair(k0: number, k1: number, pair: number): void;
  /** Encrypts and writes the tag; the rest of the header must be final. */
  seal(packet: number, length: number, pair: number): void;
  /** @returns 1 when authentic, then decrypted; else 0 and the packet is as it was */
  open(packet: number, length: number, pair: number): number;
  /** @param nonce 12 bytes, replaced by the 16 of the tag */
  gmac(nonce: number, data: number, length: number, pair: number): void;
  encryptBlock(block: number, pair: number): void;
  decryptBlock(block: number, pair: number): void;
  ctr(data: number, length: number, counter: number, pair: number): void;
}

/** Bytes of a pair of expanded keys. */
export const AES_PAIR_BYTES = 2_896;
const KEY_BYTES = 32;
const BLOCK_BYTES = 16;
const NONCE_BYTES = 12;
const PAGE_BYTES = 65_536;
const AT_BLOCK = KERNEL_BYTES;
const AT_PAIR = AT_BLOCK + BLOCK_BYTES;

let aesModule: WebAssembly.Module | undefined;
let shared: AesMemory | undefined; // one for all pairs of a thread

/**
 * The AES kernel over a memory of the caller's, its tables filled.
 * @param memory One page or more, never grown; its first {@linkcode KERNEL_BYTES} are the kernels'
 */
export function aesExports(memory: WebAssembly.Memory): AesExports {
  aesModule ??= compileKernel(AES_WASM);
  const instance = new WebAssembly.Instance(aesModule, { env: { memory } });
  const exports = instance.exports as unknown as AesExports;
  exports.setup();
  return exports;
}

/** A page with the pair in use and what is worked on. */
class AesMemory {
  readonly bytes: Uint8Array;
  readonly exports: AesExports;
  readonly pairBytes: number;
  readonly atData: number;
  #current: AesKernel | undefined;

  constructor() {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    this.bytes = new Uint8Array(memory.buffer);
    this.exports = aesExports(memory);
    this.pairBytes = this.exports.PAIR_BYTES.value;
    this.atData = AT_PAIR + this.pairBytes;
  }

  /** Expands two keys. @returns a copy of the pair */
  expand(k0: Uint8Array, k1: Uint8Array): Uint8Array {
    this.#current = undefined;
    this.bytes.set(k0, this.atData);
    this.bytes.set(k1, this.atData + KEY_BYTES);
    this.exports.expandPair(this.atData, this.atData + KEY_BYTES, AT_PAIR);
    this.bytes.fill(0, this.atData, this.atData + 2 * KEY_BYTES);
    return this.bytes.slice(AT_PAIR, this.atData);
  }

  /** Puts a pair and data in their places. */
  load(owner: AesKernel, pair: Uint8Array, data: Uint8Array): void {
    if (data.length > PAGE_BYTES - this.atData) {
      throw new RangeError(`${data.length} bytes, at most ${PAGE_BYTES - this.atData}`);
    }
    if (this.#current !== owner) {
      this.bytes.set(pair, AT_PAIR);
      this.#current = owner;
    }
    this.bytes.set(data, this.atData);
  }
}

/** {@linkcode AesPair} in WebAssembly; data longer than 48 KB is refused with a RangeError. */
export class AesKernel implements AesPair {
  readonly #memory: AesMemory;
  readonly #pair: Uint8Array;

  /**
   * @param k0 32 bytes: authenticates
   * @param k1 32 bytes: encrypts
   */
  constructor(k0: Uint8Array, k1: Uint8Array) {
    if (k0.length !== KEY_BYTES || k1.length !== KEY_BYTES) {
      throw new RangeError(`AES keys of ${k0.length} and ${k1.length} bytes, ${KEY_BYTES} wanted`);
    }
    this.#memory = shared ??= new AesMemory();
    this.#pair = this.#memory.expand(k0, k1);
  }

  seal(packet: Uint8Array): void {
    const { bytes, exports, atData } = this.#memory;
    this.#memory.load(this, this.#pair, packet);
    exports.seal(atData, packet.length, AT_PAIR);
    packet.set(bytes.subarray(atData, atData + packet.length));
  }

  open(packet: Uint8Array): boolean {
    const { bytes, exports, atData } = this.#memory;
    this.#memory.load(this, this.#pair, packet);
    if (exports.open(atData, packet.length, AT_PAIR) === 0) return false;
    packet.set(bytes.subarray(atData, atData + packet.length));
    return true;
  }

  gmac(nonce: Uint8Array, data: Uint8Array): Uint8Array {
    this.#memory.load(this, this.#pair, data);
    this.#memory.bytes.set(nonce.subarray(0, NONCE_BYTES), AT_BLOCK);
    this.#memory.exports.gmac(AT_BLOCK, this.#memory.atData, data.length, AT_PAIR);
    return this.#memory.bytes.slice(AT_BLOCK, AT_BLOCK + BLOCK_BYTES);
  }

  encryptBlock(block: Uint8Array): Uint8Array {
    this.#memory.load(this, this.#pair, block);
    this.#memory.exports.encryptBlock(this.#memory.atData, AT_PAIR);
    return this.#result(BLOCK_BYTES);
  }

  decryptBlock(block: Uint8Array): Uint8Array {
    this.#memory.load(this, this.#pair, block);
    this.#memory.exports.decryptBlock(this.#memory.atData, AT_PAIR);
    return this.#result(BLOCK_BYTES);
  }

  ctr(counter: Uint8Array, data: Uint8Array): Uint8Array {
    this.#memory.load(this, this.#pair, data);
    this.#memory.bytes.set(counter.subarray(0, BLOCK_BYTES), AT_BLOCK);
    this.#memory.exports.ctr(this.#memory.atData, data.length, AT_BLOCK, AT_PAIR);
    return this.#result(data.length);
  }

  #result(lengthBytes: number): Uint8Array {
    const { bytes, atData } = this.#memory;
    return bytes.slice(atData, atData + lengthBytes);
  }
}
