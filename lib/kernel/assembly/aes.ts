/**
 * AES-256 on vectors of nibbles, constant in time: see `aes_tables.ts`. Between the rounds a block is in pairs over the field of
 * 16 elements, and so are the round keys; the constant of the S-box is in them too.
 *
 * Source: FIPS 197; slow twin `@noble/ciphers`.
 */
import { K0, K1, K1_INVERSE, SCRATCH, WORKSPACE } from "./aes_layout";
import {
  DOUBLE,
  INPUT,
  INVERSE_INPUT,
  INVERSE_OUTPUT,
  INVERSE_SHIFTS,
  NIBBLES,
  OUTPUT,
  PRODUCTS,
  QUOTIENT,
  RECIPROCAL,
  SHIFTS,
  SINGLE,
} from "./aes_tables";
import { xorStream } from "./salsa";

const ROUNDS: usize = 14;
const LAST_KEY: usize = ROUNDS * 16;
/** The constant of the S-box, 16 times. */
const BOX_CONSTANT: u8 = 0x63;

/** Looks up the lanes of `at`, each below 16 or above 127, which gives 0. What a swizzle does in between is left open. */
// @ts-ignore: decorator

function look(table: usize, at: v128): v128 {
  return i8x16.relaxed_swizzle(v128.load(table), at);
}

// @ts-ignore: decorator

function lowNibbles(x: v128): v128 {
  return v128.and(x, v128.load(NIBBLES));
}

// @ts-ignore: decorator

function highNibbles(x: v128): v128 {
  return v128.and(i16x8.shr_u(x, 4), v128.load(NIBBLES));
}

/** Takes lanes in the order a vector in memory says. */
// @ts-ignore: decorator

function shifted(x: v128, order: usize): v128 {
  return i8x16.relaxed_swizzle(x, v128.load(order));
}

/** A linear map of bytes, as two tables: of the low nibble, of the high nibble. */
// @ts-ignore: decorator

function mapped(x: v128, table: usize): v128 {
  return v128.xor(look(table, lowNibbles(x)), look(table + 16, highNibbles(x)));
}

/** The quantity u (from `sum`) or v (from `high`) of `aes_tables.ts`: the other of i and j comes first. */
// @ts-ignore: decorator

function half(inverted: v128, quotient: v128, added: v128): v128 {
  return v128.xor(look(RECIPROCAL, v128.xor(look(RECIPROCAL, inverted), quotient)), added);
}

/** Two tables of a couple, one for u and one for v. */
// @ts-ignore: decorator

function joined(table: usize, u: v128, v: v128): v128 {
  return v128.xor(look(table, u), look(table + 16, v));
}

/** SubBytes, ShiftRows, MixColumns, AddRoundKey. */
// @ts-ignore: decorator

function round(x: v128, key: v128): v128 {
  const low = lowNibbles(x);
  const high = highNibbles(x);
  const sum = v128.xor(low, high);
  const quotient = look(QUOTIENT, low);
  const u = half(high, quotient, sum);
  const v = half(sum, quotient, high);
  const single = joined(SINGLE, u, v);
  const double = joined(DOUBLE, u, v);
  const first = v128.xor(shifted(double, SHIFTS), key);
  const second = shifted(v128.xor(double, single), SHIFTS + 16);
  const third = v128.xor(shifted(single, SHIFTS + 32), shifted(single, SHIFTS + 48));
  return v128.xor(v128.xor(first, second), third);
}

/** The S-box, or its inverse, of bytes in pairs; as bytes, without the constant. */
// @ts-ignore: decorator

function substituted(x: v128, output: usize): v128 {
  const low = lowNibbles(x);
  const high = highNibbles(x);
  const sum = v128.xor(low, high);
  const quotient = look(QUOTIENT, low);
  return joined(output, half(high, quotient, sum), half(sum, quotient, high));
}

/** SubBytes, ShiftRows, AddRoundKey. */
// @ts-ignore: decorator

function lastRound(x: v128, key: v128): v128 {
  return v128.xor(shifted(substituted(x, OUTPUT), SHIFTS), key);
}

/** InvSubBytes, InvShiftRows, InvMixColumns, AddRoundKey. */
function inverseRound(x: v128, key: v128): v128 {
  const low = lowNibbles(x);
  const high = highNibbles(x);
  const sum = v128.xor(low, high);
  const quotient = look(QUOTIENT, low);
  const u = half(high, quotient, sum);
  const v = half(sum, quotient, high);
  let y = key;
  for (let turn: usize = 0; turn < 4; turn++) {
    const product = joined(PRODUCTS + (turn << 5), u, v);
    y = v128.xor(y, shifted(product, INVERSE_SHIFTS + (turn << 4)));
  }
  return y;
}

/** One block. @param schedule Round keys */
export function encrypt(block: v128, schedule: usize): v128 {
  let x = v128.xor(mapped(block, INPUT), v128.load(schedule));
  for (let at: usize = 16; at < LAST_KEY; at += 16) x = round(x, v128.load(schedule + at));
  return lastRound(x, v128.load(schedule, LAST_KEY));
}

/** One block. @param schedule Round keys for decryption */
export function decrypt(block: v128, schedule: usize): v128 {
  let x = v128.xor(mapped(block, INVERSE_INPUT), v128.load(schedule));
  for (let at: usize = 16; at < LAST_KEY; at += 16) x = inverseRound(x, v128.load(schedule + at));
  const y = substituted(x, INVERSE_OUTPUT);
  return v128.xor(shifted(y, INVERSE_SHIFTS), v128.load(schedule, LAST_KEY));
}

// @ts-ignore: decorator

function counted(block: v128, by: u32): v128 {
  const count = bswap<u32>(i32x4.extract_lane(block, 3)) + by;
  return i32x4.replace_lane(block, 3, bswap<u32>(count));
}

/** Exclusive-or of 64 bytes with the four blocks `counter` to `counter + 3`, encrypted. */
function ctr4(data: usize, counter: v128, schedule: usize): void {
  const key = v128.load(schedule);
  let a = v128.xor(mapped(counter, INPUT), key);
  let b = v128.xor(mapped(counted(counter, 1), INPUT), key);
  let c = v128.xor(mapped(counted(counter, 2), INPUT), key);
  let d = v128.xor(mapped(counted(counter, 3), INPUT), key);
  for (let at: usize = 16; at < LAST_KEY; at += 16) {
    const roundKey = v128.load(schedule + at);
    a = round(a, roundKey);
    b = round(b, roundKey);
    c = round(c, roundKey);
    d = round(d, roundKey);
  }
  const lastKey = v128.load(schedule, LAST_KEY);
  v128.store(data, v128.xor(v128.load(data, 0), lastRound(a, lastKey)), 0);
  v128.store(data, v128.xor(v128.load(data, 16), lastRound(b, lastKey)), 16);
  v128.store(data, v128.xor(v128.load(data, 32), lastRound(c, lastKey)), 32);
  v128.store(data, v128.xor(v128.load(data, 48), lastRound(d, lastKey)), 48);
}

/** Exclusive-or of `length` bytes with the key stream from `counter` on. The last 32 bits count, and must not come round. */
export function crypt(data: usize, length: i32, counter: v128, schedule: usize): void {
  let at = data;
  let left = length;
  for (; left >= 64; left -= 64, at += 64) {
    ctr4(at, counter, schedule);
    counter = counted(counter, 4);
  }
  if (left == 0) return;
  memory.fill(SCRATCH, 0, 64);
  ctr4(SCRATCH, counter, schedule);
  xorStream(at, SCRATCH, left);
}

/** S-box of bytes. */
function subBytes(x: v128): v128 {
  return v128.xor(substituted(mapped(x, INPUT), OUTPUT), i8x16.splat(BOX_CONSTANT));
}

/** Exclusive-or of each word with all words before it. */
function accumulated(x: v128): v128 {
  const zero = i32x4.splat(0);
  const once = v128.xor(x, v128.shuffle<i32>(zero, x, 0, 4, 5, 6));
  return v128.xor(once, v128.shuffle<i32>(zero, once, 0, 1, 4, 5));
}

/** Fifteen round keys as FIPS 197 has them, to {@link WORKSPACE}. */
function expand(key: usize): void {
  v128.store(WORKSPACE, v128.load(key, 0), 0);
  v128.store(WORKSPACE, v128.load(key, 16), 16);
  let constant: u32 = 1;
  for (let at = WORKSPACE + 32; at <= WORKSPACE + LAST_KEY; at += 16) {
    let word = i32x4.extract_lane(subBytes(v128.load(at - 16)), 3);
    if (((at - WORKSPACE) & 16) == 0) {
      word = rotr(word, 8) ^ constant;
      constant <<= 1;
    }
    v128.store(at, v128.xor(accumulated(v128.load(at - 32)), i32x4.splat(word)));
  }
}

/** The round keys in {@link WORKSPACE}, the way {@link encrypt} wants them. */
function forEncryption(schedule: usize): void {
  const constant = i8x16.splat(BOX_CONSTANT);
  v128.store(schedule, mapped(v128.load(WORKSPACE), INPUT));
  for (let at: usize = 16; at < LAST_KEY; at += 16) {
    v128.store(schedule + at, mapped(v128.xor(v128.load(WORKSPACE + at), constant), INPUT));
  }
  v128.store(schedule, v128.xor(v128.load(WORKSPACE, LAST_KEY), constant), LAST_KEY);
}

/**
 * The same for {@link decrypt}: in reverse, and through InvMixColumns but for the first and the last. An inverse round of what SubBytes
 * and ShiftRows undo beforehand is just that.
 */
function forDecryption(schedule: usize): void {
  const constant = i8x16.splat(BOX_CONSTANT);
  const added = mapped(constant, INVERSE_INPUT);
  v128.store(schedule, v128.xor(mapped(v128.load(WORKSPACE, LAST_KEY), INVERSE_INPUT), added));
  for (let at: usize = 16; at < LAST_KEY; at += 16) {
    const key = subBytes(shifted(v128.load(WORKSPACE + LAST_KEY - at), SHIFTS));
    const before = mapped(v128.xor(key, constant), INVERSE_INPUT);
    v128.store(schedule + at, inverseRound(before, added));
  }
  v128.store(schedule, v128.load(WORKSPACE), LAST_KEY);
}

/** Expands both keys of a pair; what is left of them in the kernel's memory is erased. */
export function expandKeys(k0: usize, k1: usize, pair: usize): void {
  expand(k0);
  forEncryption(pair + K0);
  expand(k1);
  forEncryption(pair + K1);
  forDecryption(pair + K1_INVERSE);
  memory.fill(WORKSPACE, 0, 256);
}
