/**
 * The slow and obvious twins of the kernel: what its tests compare with, and what a machine without
 * WebAssembly would run.
 * @module
 */
import { poly1305 } from "@noble/ciphers/_poly1305.js";
import { equalSecret } from "../base/bytes.ts";
import { Salsa20 } from "./salsa20.ts";

const AT_FLAGS = 18;
const AT_MAC = 19;
const AT_VERB = 27;
const MAC_LENGTH = 8;
const MEMORY_BYTES = 2_097_152;

/** Ciphers 0 and 1 on whole packets, and the stream cipher HELLO is masked with. */
export interface PacketCipher {
  /** Encrypts from the verb byte on when asked to and writes the MAC, in place; the rest of the header is final. */
  seal(packet: Uint8Array, salsaKey: Uint8Array, encrypt: boolean): void;
  /** @returns false when the MAC is wrong; else the packet is decrypted in place when asked to */
  open(packet: Uint8Array, salsaKey: Uint8Array, encrypted: boolean): boolean;
  /** Exclusive-or, in place, with Salsa20/12 from block 0. */
  salsa12(data: Uint8Array, salsaKey: Uint8Array, nonce: Uint8Array): void;
}

/** The key of one packet: session key mixed with its ids, addresses, flags without the hop count, and size. */
export function mangledKey(packet: Uint8Array, salsaKey: Uint8Array): Uint8Array {
  const mangled = salsaKey.slice();
  for (let i = 0; i < AT_FLAGS; i++) mangled[i] ^= packet[i];
  mangled[18] ^= packet[AT_FLAGS] & 0xf8;
  mangled[19] ^= packet.length & 0xff;
  mangled[20] ^= (packet.length >> 8) & 0xff;
  return mangled;
}

/** Slow twin of `PacketKernel`. Source: spec 01 section 6.2. */
export class PacketTwin implements PacketCipher {
  seal(packet: Uint8Array, salsaKey: Uint8Array, encrypt: boolean): void {
    const { polyKey, stream } = this.#begin(packet, salsaKey);
    const envelope = packet.subarray(AT_VERB);
    if (encrypt) envelope.set(stream.crypt(envelope));
    packet.set(poly1305(envelope, polyKey).subarray(0, MAC_LENGTH), AT_MAC);
  }

  open(packet: Uint8Array, salsaKey: Uint8Array, encrypted: boolean): boolean {
    const { polyKey, stream } = this.#begin(packet, salsaKey);
    const envelope = packet.subarray(AT_VERB);
    const mac = poly1305(envelope, polyKey).subarray(0, MAC_LENGTH);
    if (!equalSecret(mac, packet.subarray(AT_MAC, AT_VERB))) return false;
    if (encrypted) envelope.set(stream.crypt(envelope));
    return true;
  }

  salsa12(data: Uint8Array, salsaKey: Uint8Array, nonce: Uint8Array): void {
    data.set(new Salsa20(12, salsaKey, nonce).crypt(data));
  }

  /** Block 0 gives the Poly1305 key; the stream then stands at block 1. */
  #begin(packet: Uint8Array, salsaKey: Uint8Array): { polyKey: Uint8Array; stream: Salsa20 } {
    const stream = new Salsa20(12, mangledKey(packet, salsaKey), packet.subarray(0, 8));
    return { polyKey: stream.crypt(new Uint8Array(64)).slice(0, 32), stream };
  }
}

/** What the work function passes through, for tests against recorded intermediate values. */
export interface WorkTrace {
  filled?(memory: Uint8Array): void;
  swapped?(step: { iteration: number; a: number; b: number; digest: Uint8Array }): void;
  encrypted?(iteration: number, digest: Uint8Array): void;
  done?(memory: Uint8Array): void;
}

/**
 * Slow twin of `WorkKernel`: about a second.
 * @param publicKey Combined public key, 64 bytes
 * @returns 64-byte digest
 *
 * Source: spec 01 section 4.1.
 */
export function workTwin(
  sha512: (message: Uint8Array) => Uint8Array,
  publicKey: Uint8Array,
  trace: WorkTrace = {},
): Uint8Array {
  let digest = sha512(publicKey);
  const cipher = new Salsa20(20, digest.slice(0, 32), digest.slice(32, 40));
  const memory = new Uint8Array(MEMORY_BYTES);
  memory.set(cipher.crypt(new Uint8Array(64)));
  for (let at = 64; at < MEMORY_BYTES; at += 64) {
    memory.set(cipher.crypt(memory.subarray(at - 64, at)), at);
  }
  trace.filled?.(memory);
  for (let at = 0; at < MEMORY_BYTES; at += 16) {
    const a = memory[at + 7] & 7;
    const b = ((memory[at + 13] & 3) << 16) | (memory[at + 14] << 8) | memory[at + 15];
    const word = digest.slice(a * 8, a * 8 + 8);
    digest.set(memory.subarray(b * 8, b * 8 + 8), a * 8);
    memory.set(word, b * 8);
    trace.swapped?.({ iteration: at / 16, a, b, digest });
    digest = cipher.crypt(digest);
    trace.encrypted?.(at / 16, digest);
  }
  trace.done?.(memory);
  return digest;
}
