/**
 * Poly1305 in radix 2^32: four limbs of 32 bits and a small fifth, 20 multiplications of 64 bits a block, carries
 * propagated once a block.
 *
 * Why nothing overflows: r's limbs are below 2^28 and s = 5/4 r below 2^28.33 (clamping makes r1..r3 divisible by 4).
 * After a block h1..h3 are below 2^32, h0 below 2.6 * 2^32 (its carry is left in it), h4 below 4. With the next message word added, h0 is
 * below 2^33.9 and h1..h3 below 2^33, so a sum of five products and a carry stays below 2^63.4.
 *
 * Source: spec 01 section 2, RFC 8439 section 2.5; slow twin `lib/kernel/poly1305.ts`.
 */
import { POLY_BLOCK, POLY_STATE } from "./layout";

const LOW: u64 = 0xffffffff;

/**
 * @param key 32 bytes: r, then s
 * @returns the first 8 bytes of the tag as a little-endian integer: the protocol uses no more
 */
export function poly1305(key: usize, message: usize, length: i32): u64 {
  polyBegin();
  return polyEnd(key, message, length);
}

/** Begins a message of which the beginning, in whole blocks, is taken in by `keystreamAndMac()`. */
export function polyBegin(): void {
  memory.fill(POLY_STATE, 0, 40);
}

/** Takes in the rest of the message. @returns as {@link poly1305} */
export function polyEnd(key: usize, message: usize, length: i32): u64 {
  const r0 = <u64> load<u32>(key, 0) & 0x0fffffff;
  const r1 = <u64> load<u32>(key, 4) & 0x0ffffffc;
  const r2 = <u64> load<u32>(key, 8) & 0x0ffffffc;
  const r3 = <u64> load<u32>(key, 12) & 0x0ffffffc;
  const s1 = r1 + (r1 >> 2);
  const s2 = r2 + (r2 >> 2);
  const s3 = r3 + (r3 >> 2);
  let h0 = load<u64>(POLY_STATE, 0);
  let h1 = load<u64>(POLY_STATE, 8);
  let h2 = load<u64>(POLY_STATE, 16);
  let h3 = load<u64>(POLY_STATE, 24);
  let h4 = load<u64>(POLY_STATE, 32);

  let at = message;
  let left = length;
  let high: u64 = 1;
  while (left > 0) {
    if (left < 16) {
      at = padded(at, left);
      high = 0;
    }
    const low64 = load<u64>(at, 0);
    const high64 = load<u64>(at, 8);
    h0 += low64 & LOW;
    h1 += low64 >> 32;
    h2 += high64 & LOW;
    h3 += high64 >> 32;
    h4 += high;
    const d0 = h0 * r0 + h1 * s3 + h2 * s2 + h3 * s1;
    const d1 = h0 * r1 + h1 * r0 + h2 * s3 + h3 * s2 + h4 * s1 + (d0 >> 32);
    const d2 = h0 * r2 + h1 * r1 + h2 * r0 + h3 * s3 + h4 * s2 + (d1 >> 32);
    const d3 = h0 * r3 + h1 * r2 + h2 * r1 + h3 * r0 + h4 * s3 + (d2 >> 32);
    const d4 = h4 * r0 + (d3 >> 32);
    h0 = (d0 & LOW) + (d4 >> 2) + (d4 & ~(<u64> 3));
    h1 = d1 & LOW;
    h2 = d2 & LOW;
    h3 = d3 & LOW;
    h4 = d4 & 3;
    at += 16;
    left -= 16;
  }
  return finish(h0, h1, h2, h3, h4) + load<u64>(key, 16);
}

/** Copies the last 1 to 15 bytes, appends the 1 bit as a byte, and fills with zeros. */
function padded(from: usize, length: i32): usize {
  v128.store(POLY_BLOCK, i64x2.splat(0));
  for (let i = 0; i < length; i++) store<u8>(POLY_BLOCK + i, load<u8>(from + i));
  store<u8>(POLY_BLOCK + length, 1);
  return POLY_BLOCK;
}

/** h modulo 2^130 - 5, its low 64 bits. */
function finish(h0: u64, h1: u64, h2: u64, h3: u64, h4: u64): u64 {
  h1 += h0 >> 32;
  h2 += h1 >> 32;
  h3 += h2 >> 32;
  h4 += h3 >> 32;
  // h4 may have reached 4 or a little more: fold it once again, and let the comparison below see it in lowest terms
  h0 = (h0 & LOW) + (h4 >> 2) * 5;
  h1 = (h1 & LOW) + (h0 >> 32);
  h2 = (h2 & LOW) + (h1 >> 32);
  h3 = (h3 & LOW) + (h2 >> 32);
  h4 = (h4 & 3) + (h3 >> 32);
  h0 &= LOW;
  h1 &= LOW;
  // h + 5 reaches 2^130 exactly when h is at least the prime
  const g0 = h0 + 5;
  const g1 = h1 + (g0 >> 32);
  const g2 = (h2 & LOW) + (g1 >> 32);
  const g3 = (h3 & LOW) + (g2 >> 32);
  const above = <u64> 0 - ((h4 + (g3 >> 32)) >> 2);
  const low = h0 | (h1 << 32);
  const reduced = (g0 & LOW) | (g1 << 32);
  return (low & ~above) | (reduced & above);
}
