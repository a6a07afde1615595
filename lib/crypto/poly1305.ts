/**
 * Poly1305, slow twin of the kernel's.
 *
 * Source: spec 01 section 2, RFC 8439 section 2.5.
 * @module
 */
import { poly1305 as noblePoly1305 } from "@noble/ciphers/_poly1305.js";

/**
 * @param key One-time key, 32 bytes
 * @returns 16-byte tag
 */
export function poly1305(key: Uint8Array, message: Uint8Array): Uint8Array {
  return noblePoly1305(message, key);
}
