/**
 * Salsa20/12 and Poly1305 side by side: the one works on vectors, the other on 64-bit integers, and neither fills the processor
 * alone. Statements of both alternate, one Poly1305 block to a round, so that they are close enough together to overlap.
 *
 * The text of `keystream()` in `salsa.ts` and of the loop in `poly1305.ts`, which explain them and are what stands alone; here to
 * be read next to those. Measured against one after the other: `tests/bench/kernel_bench.ts`.
 */
import { POLY_KEY, POLY_STATE } from "./layout";
import { emit, rotl, word } from "./salsa";

const LOW: u64 = 0xffffffff;
const DOUBLE_ROUNDS: i32 = 6;

/**
 * Writes the keystream of blocks `counter` to `counter + 3`, 256 bytes, to `to`, and takes 12 and `more` blocks of 16 bytes of a message
 * into the Poly1305 begun with `polyBegin()`, under the key at POLY_KEY.
 */
export function keystreamAndMac(counter: u32, to: usize, message: usize, more: i32): void {
  const r0 = <u64> load<u32>(POLY_KEY, 0) & 0x0fffffff;
  const r1 = <u64> load<u32>(POLY_KEY, 4) & 0x0ffffffc;
  const r2 = <u64> load<u32>(POLY_KEY, 8) & 0x0ffffffc;
  const r3 = <u64> load<u32>(POLY_KEY, 12) & 0x0ffffffc;
  const s1 = r1 + (r1 >> 2);
  const s2 = r2 + (r2 >> 2);
  const s3 = r3 + (r3 >> 2);
  let h0 = load<u64>(POLY_STATE, 0);
  let h1 = load<u64>(POLY_STATE, 8);
  let h2 = load<u64>(POLY_STATE, 16);
  let h3 = load<u64>(POLY_STATE, 24);
  let h4 = load<u64>(POLY_STATE, 32);
  let d0: u64, d1: u64, d2: u64, d3: u64, d4: u64;
  let at = message - 16;
  const counters = i32x4.add(i32x4.splat(counter), i32x4(0, 1, 2, 3));
  let x0 = word(0);
  let x1 = word(1);
  let x2 = word(2);
  let x3 = word(3);
  let x4 = word(4);
  let x5 = word(5);
  let x6 = word(6);
  let x7 = word(7);
  let x8 = counters;
  let x9 = word(9);
  let x10 = word(10);
  let x11 = word(11);
  let x12 = word(12);
  let x13 = word(13);
  let x14 = word(14);
  let x15 = word(15);
  for (let i = 0; i < DOUBLE_ROUNDS; i++) {
    x4 = v128.xor(x4, rotl(i32x4.add(x0, x12), 7));
    x9 = v128.xor(x9, rotl(i32x4.add(x5, x1), 7));
    x14 = v128.xor(x14, rotl(i32x4.add(x10, x6), 7));
    x3 = v128.xor(x3, rotl(i32x4.add(x15, x11), 7));
    x8 = v128.xor(x8, rotl(i32x4.add(x4, x0), 9));
    x13 = v128.xor(x13, rotl(i32x4.add(x9, x5), 9));
    x2 = v128.xor(x2, rotl(i32x4.add(x14, x10), 9));
    x7 = v128.xor(x7, rotl(i32x4.add(x3, x15), 9));
    x12 = v128.xor(x12, rotl(i32x4.add(x8, x4), 13));
    x1 = v128.xor(x1, rotl(i32x4.add(x13, x9), 13));
    x6 = v128.xor(x6, rotl(i32x4.add(x2, x14), 13));
    x11 = v128.xor(x11, rotl(i32x4.add(x7, x3), 13));
    x0 = v128.xor(x0, rotl(i32x4.add(x12, x8), 18));
    x5 = v128.xor(x5, rotl(i32x4.add(x1, x13), 18));
    x10 = v128.xor(x10, rotl(i32x4.add(x6, x2), 18));
    x15 = v128.xor(x15, rotl(i32x4.add(x11, x7), 18));
    at += 16;
    h0 += <u64> load<u32>(at, 0);
    h1 += <u64> load<u32>(at, 4);
    h2 += <u64> load<u32>(at, 8);
    h3 += <u64> load<u32>(at, 12);
    h4 += 1;
    d0 = h0 * r0 + h1 * s3 + h2 * s2 + h3 * s1;
    d1 = h0 * r1 + h1 * r0 + h2 * s3 + h3 * s2 + h4 * s1 + (d0 >> 32);
    d2 = h0 * r2 + h1 * r1 + h2 * r0 + h3 * s3 + h4 * s2 + (d1 >> 32);
    d3 = h0 * r3 + h1 * r2 + h2 * r1 + h3 * r0 + h4 * s3 + (d2 >> 32);
    d4 = h4 * r0 + (d3 >> 32);
    h0 = (d0 & LOW) + (d4 >> 2) + (d4 & ~(<u64> 3));
    h1 = d1 & LOW;
    h2 = d2 & LOW;
    h3 = d3 & LOW;
    h4 = d4 & 3;
    x1 = v128.xor(x1, rotl(i32x4.add(x0, x3), 7));
    x6 = v128.xor(x6, rotl(i32x4.add(x5, x4), 7));
    x11 = v128.xor(x11, rotl(i32x4.add(x10, x9), 7));
    x12 = v128.xor(x12, rotl(i32x4.add(x15, x14), 7));
    x2 = v128.xor(x2, rotl(i32x4.add(x1, x0), 9));
    x7 = v128.xor(x7, rotl(i32x4.add(x6, x5), 9));
    x8 = v128.xor(x8, rotl(i32x4.add(x11, x10), 9));
    x13 = v128.xor(x13, rotl(i32x4.add(x12, x15), 9));
    x3 = v128.xor(x3, rotl(i32x4.add(x2, x1), 13));
    x4 = v128.xor(x4, rotl(i32x4.add(x7, x6), 13));
    x9 = v128.xor(x9, rotl(i32x4.add(x8, x11), 13));
    x14 = v128.xor(x14, rotl(i32x4.add(x13, x12), 13));
    x0 = v128.xor(x0, rotl(i32x4.add(x3, x2), 18));
    x5 = v128.xor(x5, rotl(i32x4.add(x4, x7), 18));
    x10 = v128.xor(x10, rotl(i32x4.add(x9, x8), 18));
    x15 = v128.xor(x15, rotl(i32x4.add(x14, x13), 18));
    at += 16;
    h0 += <u64> load<u32>(at, 0);
    h1 += <u64> load<u32>(at, 4);
    h2 += <u64> load<u32>(at, 8);
    h3 += <u64> load<u32>(at, 12);
    h4 += 1;
    d0 = h0 * r0 + h1 * s3 + h2 * s2 + h3 * s1;
    d1 = h0 * r1 + h1 * r0 + h2 * s3 + h3 * s2 + h4 * s1 + (d0 >> 32);
    d2 = h0 * r2 + h1 * r1 + h2 * r0 + h3 * s3 + h4 * s2 + (d1 >> 32);
    d3 = h0 * r3 + h1 * r2 + h2 * r1 + h3 * r0 + h4 * s3 + (d2 >> 32);
    d4 = h4 * r0 + (d3 >> 32);
    h0 = (d0 & LOW) + (d4 >> 2) + (d4 & ~(<u64> 3));
    h1 = d1 & LOW;
    h2 = d2 & LOW;
    h3 = d3 & LOW;
    h4 = d4 & 3;
  }
  for (let i = 0; i < more; i++) {
    at += 16;
    h0 += <u64> load<u32>(at, 0);
    h1 += <u64> load<u32>(at, 4);
    h2 += <u64> load<u32>(at, 8);
    h3 += <u64> load<u32>(at, 12);
    h4 += 1;
    d0 = h0 * r0 + h1 * s3 + h2 * s2 + h3 * s1;
    d1 = h0 * r1 + h1 * r0 + h2 * s3 + h3 * s2 + h4 * s1 + (d0 >> 32);
    d2 = h0 * r2 + h1 * r1 + h2 * r0 + h3 * s3 + h4 * s2 + (d1 >> 32);
    d3 = h0 * r3 + h1 * r2 + h2 * r1 + h3 * r0 + h4 * s3 + (d2 >> 32);
    d4 = h4 * r0 + (d3 >> 32);
    h0 = (d0 & LOW) + (d4 >> 2) + (d4 & ~(<u64> 3));
    h1 = d1 & LOW;
    h2 = d2 & LOW;
    h3 = d3 & LOW;
    h4 = d4 & 3;
  }
  store<u64>(POLY_STATE, h0, 0);
  store<u64>(POLY_STATE, h1, 8);
  store<u64>(POLY_STATE, h2, 16);
  store<u64>(POLY_STATE, h3, 24);
  store<u64>(POLY_STATE, h4, 32);
  emit(
    to,
    i32x4.add(x0, word(0)),
    i32x4.add(x1, word(1)),
    i32x4.add(x2, word(2)),
    i32x4.add(x3, word(3)),
  );
  emit(
    to + 16,
    i32x4.add(x4, word(4)),
    i32x4.add(x5, word(5)),
    i32x4.add(x6, word(6)),
    i32x4.add(x7, word(7)),
  );
  emit(
    to + 32,
    i32x4.add(x8, counters),
    i32x4.add(x9, word(9)),
    i32x4.add(x10, word(10)),
    i32x4.add(x11, word(11)),
  );
  emit(
    to + 48,
    i32x4.add(x12, word(12)),
    i32x4.add(x13, word(13)),
    i32x4.add(x14, word(14)),
    i32x4.add(x15, word(15)),
  );
}
