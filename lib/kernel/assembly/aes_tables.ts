/**
 * The vectors AES works with: tables of 16 bytes that a swizzle looks up 16 at a time, in registers, so that no address and no
 * branch depends on a secret. They are computed here, when the module starts, rather than written down.
 *
 * The S-box is an inversion in GF(2^8) and an affine map. GF(2^8) is seen as pairs over its subfield F of 16 elements:
 * x = k + i t, where t^2 = a t + a; a byte holds i in its high and k in its low nibble, each as coordinates in the powers of a, which
 * generates F. With j = i + k and the norm N = k^2 + a i k + a i^2, which is in F,
 *
 *     u = j + 1 / (1/i + a/k) = N / (k + a i)            v = i + 1 / (1/j + a/k) = N / (k + a i + a k)
 *
 * so 1/u and 1/v are linear in x/N, and 1/x = conjugate(x) / N is linear in them: 1/x = U (1/u) + V (1/v) for two constants of
 * GF(2^8). A nibble is enough to look up all of that and whatever linear map follows. What is infinite has its highest bit set,
 * which exclusive-or with a nibble keeps and for which a swizzle gives 0.
 *
 * Source: FIPS 197 sections 4 and 5; the idea of nibbles in vectors: M. Hamburg, "Accelerating AES with vector permute instructions".
 */
import { TABLES, WORKSPACE } from "./aes_layout";

/** Each 16 bytes from {@link TABLES} on. */
export const NIBBLES: usize = TABLES;
/** Bytes to pairs: low nibble, high nibble. */
export const INPUT: usize = TABLES + 16;
/** The same after the inverse of the affine map: the beginning of decryption. */
export const INVERSE_INPUT: usize = TABLES + 48;
/** 1/n and a/n in F. */
export const RECIPROCAL: usize = TABLES + 80;
export const QUOTIENT: usize = TABLES + 96;
/** S-box of u and v, as pairs: once and twice; and as bytes, for the last round. */
export const SINGLE: usize = TABLES + 112;
export const DOUBLE: usize = TABLES + 144;
export const OUTPUT: usize = TABLES + 176;
/** Inverse S-box of u and v, then InvMixColumns' four products, as what the next inversion takes; and as bytes. */
export const PRODUCTS: usize = TABLES + 208;
export const INVERSE_OUTPUT: usize = TABLES + 336;
/** ShiftRows and a turn of each column by 0 to 3 bytes; the same for InvShiftRows. */
export const SHIFTS: usize = TABLES + 368;
export const INVERSE_SHIFTS: usize = TABLES + 432;
/** What bytes above 2^128 fold to in GHASH: high nibbles to their byte and the one after, low nibbles likewise. */
export const FOLD: usize = TABLES + 496;

const A: u32 = 0xe1;
const T: u32 = 0x4b;

/** Product in GF(2^8). */
function multiply(a: u32, b: u32): u32 {
  let product: u32 = 0;
  for (let i = 0; i < 8; i++) {
    product ^= a & (0 - (b & 1));
    a = (a << 1) ^ ((a >> 7) * 0x11b);
    b >>= 1;
  }
  return product;
}

function power(a: u32, exponent: i32): u32 {
  let product: u32 = 1;
  for (let i = 0; i < exponent; i++) product = multiply(product, a);
  return product;
}

function inverse(a: u32): u32 {
  return power(a, 254);
}

/** The element of F a nibble stands for. */
function element(nibble: u32): u32 {
  let sum: u32 = 0;
  for (let i = 0; i < 4; i++) if ((nibble >> i) & 1) sum ^= power(A, i);
  return sum;
}

function turned(x: u32, bits: u32): u32 {
  return ((x << bits) | (x >> (8 - bits))) & 0xff;
}

/** The affine map of the S-box without its constant, which is in the round keys. */
function affine(x: u32): u32 {
  return x ^ turned(x, 1) ^ turned(x, 2) ^ turned(x, 3) ^ turned(x, 4);
}

function inverseAffine(x: u32): u32 {
  return turned(x, 1) ^ turned(x, 3) ^ turned(x, 6);
}

/** A byte as a pair. */
function paired(x: u32): u8 {
  return load<u8>(WORKSPACE + x);
}

function fillPairings(): void {
  for (let nibbles: u32 = 0; nibbles < 256; nibbles++) {
    const x = element(nibbles & 15) ^ multiply(element(nibbles >> 4), T);
    store<u8>(WORKSPACE + x, <u8> nibbles);
  }
}

function fillInputs(): void {
  for (let n: u32 = 0; n < 16; n++) {
    store<u8>(NIBBLES + n, 15);
    store<u8>(INPUT + n, paired(n));
    store<u8>(INPUT + 16 + n, paired(n << 4));
    store<u8>(INVERSE_INPUT + n, paired(inverseAffine(n)));
    store<u8>(INVERSE_INPUT + 16 + n, paired(inverseAffine(n << 4)));
  }
}

/** What depends on 1/n. Where n is 0 the quotients are infinite; what is made of u and v never asks. */
function fillQuotients(): void {
  const perA = inverse(A);
  store<u8>(RECIPROCAL, 0x80);
  store<u8>(QUOTIENT, 0x80);
  for (let n: u32 = 1; n < 16; n++) {
    const reciprocal = inverse(element(n));
    store<u8>(RECIPROCAL + n, paired(reciprocal));
    store<u8>(QUOTIENT + n, paired(multiply(A, reciprocal)));
    const u = multiply(reciprocal, 1 ^ multiply(T, multiply(1 ^ perA, perA)));
    const v = multiply(reciprocal, multiply(T, multiply(perA, perA)));
    fillOutputs(n, u);
    fillOutputs(n + 16, v);
  }
}

/** @param n Where in a couple of tables @param part The part of an inverse that u or v contributes */
function fillOutputs(n: usize, part: u32): void {
  const box = affine(part);
  store<u8>(SINGLE + n, paired(box));
  store<u8>(DOUBLE + n, paired(multiply(box, 2)));
  store<u8>(OUTPUT + n, <u8> box);
  store<u8>(PRODUCTS + n, paired(inverseAffine(multiply(part, 14))));
  store<u8>(PRODUCTS + 32 + n, paired(inverseAffine(multiply(part, 11))));
  store<u8>(PRODUCTS + 64 + n, paired(inverseAffine(multiply(part, 13))));
  store<u8>(PRODUCTS + 96 + n, paired(inverseAffine(multiply(part, 9))));
  store<u8>(INVERSE_OUTPUT + n, <u8> part);
}

/** The state is in columns of four bytes; row r moves by r columns. */
function fillShifts(): void {
  for (let turn: usize = 0; turn < 4; turn++) {
    for (let n: usize = 0; n < 16; n++) {
      const row = (n + turn) & 3;
      const column = n >> 2;
      const at = (turn << 4) + n;
      store<u8>(SHIFTS + at, <u8> ((((column + row) & 3) << 2) + row));
      store<u8>(INVERSE_SHIFTS + at, <u8> ((((column - row) & 3) << 2) + row));
    }
  }
}

/** GHASH counts bits from the highest of the first byte: x^128 = 1 + x + x^2 + x^7 is 0xe1 and a bit of the next byte, or 0xe10 >> 4. */
function fillFold(): void {
  for (let n: u32 = 0; n < 16; n++) {
    let high: u32 = 0;
    for (let bit = 0; bit < 4; bit++) if ((n >> bit) & 1) high ^= 0xe100 >> (3 - bit);
    store<u8>(FOLD + n, <u8> (high >> 8));
    store<u8>(FOLD + 16 + n, <u8> high);
    store<u8>(FOLD + 32 + n, <u8> (high >> 12));
    store<u8>(FOLD + 48 + n, <u8> (high >> 4));
  }
}

/** Fills all tables; to be called once for a memory. */
export function fillTables(): void {
  fillPairings();
  fillInputs();
  fillQuotients();
  fillShifts();
  fillFold();
}
