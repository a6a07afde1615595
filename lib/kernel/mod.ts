/**
 * What is hot, in WebAssembly: packet sealing and opening, and the work function of node addresses.
 * Sources are in `assembly/` (AssemblyScript), the built bytes in `kernel_wasm.ts`, the slow and
 * obvious twins in `twin.ts` and `data_twin.ts`; what the data plane calls is in `data_kernel.ts`,
 * AES-GMAC-SIV in `aes_kernel.ts`. Leans on nothing. Read `assembly/armor.ts` first.
 * @module
 */
import { PACKET_WASM, WORK_WASM } from "./kernel_wasm.ts";
import type { PacketCipher } from "./twin.ts";

/** Bytes at the start of the memory that belong to the kernel itself. */
export const KERNEL_BYTES = 12_288;
/** Most bytes of one packet {@linkcode PacketKernel} takes: what fits behind the kernel's own in its one page. */
export const KERNEL_PACKET_MAX = 65_536 - KERNEL_BYTES - 64;
const AT_KEY = KERNEL_BYTES;
const AT_NONCE = KERNEL_BYTES + 32;
const AT_PACKET = KERNEL_BYTES + 64;
const PAGES = 1;

/** The packet kernel's functions. Lengths are in bytes, everything else is an address in the memory it was given. */
export interface PacketExports {
  /** Encrypts when asked to and writes the MAC; the rest of the header must be final. */
  seal(packet: number, length: number, key: number, encrypt: number): void;
  /** @returns 1 when authentic (then decrypted when asked to), else 0 and the packet is as it was */
  open(packet: number, length: number, key: number, encrypted: number): number;
  /** Exclusive-or with Salsa20/12 from block 0; 32-byte key, 8-byte nonce. */
  salsa12(data: number, length: number, key: number, nonce: number): void;
  /** First 8 bytes of the tag, little-endian, as a signed 64-bit integer; 32-byte key. */
  poly1305(key: number, message: number, length: number): bigint;
}

let packetModule: WebAssembly.Module | undefined; // compiled at first use, shared by every instance of a thread
let workModule: WebAssembly.Module | undefined;

/** @param base64 A constant of `kernel_wasm.ts` */
export function compileKernel(base64: string): WebAssembly.Module {
  const binary = atob(base64);
  return new WebAssembly.Module(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
}

/**
 * AES-GMAC-SIV on packets where they lie in a kernel's memory, under the keys of a session. Neither
 * allocates nor throws.
 */
export interface PacketAes {
  /** Encrypts from the verb on and writes the tag; the rest of the header must be final. */
  seal(packet: number, length: number, session: number): void;
  /** @returns 1 when authentic, then decrypted; else 0 and the packet is as it was */
  open(packet: number, length: number, session: number): number;
}

/** For kernels whose sessions have no AES keys: what is to be sealed must not go out as it is. */
const NO_AES: PacketAes = {
  seal: () => {
    throw new Error("a session with AES in a kernel without it");
  },
  open: () => 0,
};

/**
 * The packet kernel over a memory of the caller's: packets are sealed and opened where they lie.
 * @param memory One page or more, never grown; its first {@linkcode KERNEL_BYTES} are the kernel's
 * @param aes For sessions that have keys for it
 */
export function packetExports(memory: WebAssembly.Memory, aes = NO_AES): PacketExports {
  packetModule ??= compileKernel(PACKET_WASM);
  const instance = new WebAssembly.Instance(packetModule, {
    env: { memory },
    aes_calls: {
      aesSeal: (packet: number, length: number, slot: number) => aes.seal(packet, length, slot),
      aesOpen: (packet: number, length: number, slot: number) => aes.open(packet, length, slot),
    },
  });
  return instance.exports as unknown as PacketExports;
}

/** Seals and opens packets that live in ordinary arrays, by copying them in and out. */
export class PacketKernel implements PacketCipher {
  readonly #bytes: Uint8Array;
  readonly #exports: PacketExports;

  constructor() {
    const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
    this.#bytes = new Uint8Array(memory.buffer);
    this.#exports = packetExports(memory);
  }

  /**
   * Writes the MAC and, when asked to, encrypts from the verb byte on.
   * @param packet Changed in place, 28 bytes or more; its header must be final but for the MAC
   * @param salsaKey 32 bytes
   */
  seal(packet: Uint8Array, salsaKey: Uint8Array, encrypt: boolean): void {
    this.#copyIn(packet, salsaKey);
    this.#exports.seal(AT_PACKET, packet.length, AT_KEY, Number(encrypt));
    this.#copyOut(packet);
  }

  /**
   * Checks the MAC and, when the packet is encrypted, decrypts it in place.
   * @returns false when it is not authentic; the packet is then unchanged
   */
  open(packet: Uint8Array, salsaKey: Uint8Array, encrypted: boolean): boolean {
    this.#copyIn(packet, salsaKey);
    const authentic = this.#exports.open(AT_PACKET, packet.length, AT_KEY, Number(encrypted)) === 1;
    if (authentic && encrypted) this.#copyOut(packet);
    return authentic;
  }

  /** Exclusive-or of `data`, in place, with Salsa20/12 from block 0; 32-byte key, 8-byte nonce. */
  salsa12(data: Uint8Array, salsaKey: Uint8Array, nonce: Uint8Array): void {
    this.#copyIn(data, salsaKey);
    this.#bytes.set(nonce, AT_NONCE);
    this.#exports.salsa12(AT_PACKET, data.length, AT_KEY, AT_NONCE);
    this.#copyOut(data);
  }

  #copyIn(packet: Uint8Array, key: Uint8Array): void {
    if (packet.length > KERNEL_PACKET_MAX) {
      throw new RangeError(`packet of ${packet.length} bytes, at most ${KERNEL_PACKET_MAX}`);
    }
    this.#bytes.set(key, AT_KEY);
    this.#bytes.set(packet, AT_PACKET);
  }

  #copyOut(packet: Uint8Array): void {
    packet.set(this.#bytes.subarray(AT_PACKET, AT_PACKET + packet.length));
  }
}

/** The functions and memory of the work module. */
interface WorkExports {
  readonly memory: WebAssembly.Memory;
  readonly DIGEST: WebAssembly.Global;
  work(): void;
}

/** The memory-hard work function; holds 2 MiB, so keep one and let it go when done. */
export class WorkKernel {
  /** All it holds: who lets it go may give this back at once. */
  readonly memory: Uint8Array;
  readonly #digest: Uint8Array;
  readonly #run: () => void;

  /** @param sha512 From the primitives at hand */
  constructor(readonly sha512: (message: Uint8Array) => Uint8Array) {
    workModule ??= compileKernel(WORK_WASM);
    const exports = new WebAssembly.Instance(workModule).exports as unknown as WorkExports;
    this.memory = new Uint8Array(exports.memory.buffer);
    this.#digest = new Uint8Array(exports.memory.buffer, exports.DIGEST.value, 64);
    this.#run = exports.work;
  }

  /**
   * @param publicKey Combined public key, 64 bytes
   * @returns 64-byte digest, a new array
   *
   * Source: spec 01 section 4.1.
   */
  work(publicKey: Uint8Array): Uint8Array {
    this.#digest.set(this.sha512(publicKey));
    this.#run();
    return this.#digest.slice();
  }
}
