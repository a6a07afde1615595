/**
 * GHASH, four blocks at a time: ((y + b0) H^4) + (b1 H^3) + (b2 H^2) + (b3 H), reduced once.
 *
 * A product with a constant P is a sum over the 32 nibbles of the other factor, each times P shifted to the nibble's place. For all 16
 * high nibbles at once, a swizzle looks up byte k of nibble times P in a table of 16, and the result belongs k bytes further on; low
 * nibbles likewise. So a power of H has 17 tables for high and 17 for low nibbles. No address depends on a secret.
 *
 *     offset in the tables of a pair        bytes  what
 *     ((16 - k) * 4 + power) * 32           16     byte k of n P, n being a high nibble; power 0 is H^4, power 3 is H
 *     the same + 16                         16     the same, n being a low nibble
 *
 * Source: NIST SP 800-38D section 6.4; slow twin `@noble/ciphers`.
 */
import { GHASH_BYTES, SCRATCH } from "./aes_layout";
import { FOLD, NIBBLES } from "./aes_tables";

const STRIDE: usize = 128;

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

/** All bytes one place further on, the first one being the last of `before`. */
// @ts-ignore: decorator

function further(before: v128, x: v128): v128 {
  return v128.shuffle<i8>(
    before,
    x,
    15,
    16,
    17,
    18,
    19,
    20,
    21,
    22,
    23,
    24,
    25,
    26,
    27,
    28,
    29,
    30,
  );
}

/** @returns b0 H^4 + b1 H^3 + b2 H^2 + b3 H */
function multiply(tables: usize, b0: v128, b1: v128, b2: v128, b3: v128): v128 {
  const zero = i64x2.splat(0);
  const high0 = highNibbles(b0);
  const high1 = highNibbles(b1);
  const high2 = highNibbles(b2);
  const high3 = highNibbles(b3);
  const low0 = lowNibbles(b0);
  const low1 = lowNibbles(b1);
  const low2 = lowNibbles(b2);
  const low3 = lowNibbles(b3);
  let first = zero; // bytes 0 to 15 of the product
  let second = zero; // the other 16
  for (let at = tables; at < tables + GHASH_BYTES; at += STRIDE) {
    second = further(first, second);
    first = further(zero, first);
    const ab = v128.xor(
      v128.xor(look(at, high0), look(at + 16, low0)),
      v128.xor(look(at + 32, high1), look(at + 48, low1)),
    );
    const cd = v128.xor(
      v128.xor(look(at + 64, high2), look(at + 80, low2)),
      v128.xor(look(at + 96, high3), look(at + 112, low3)),
    );
    first = v128.xor(first, v128.xor(ab, cd));
  }
  // The rest of the bytes past the end, 7 bits, is folded with what folding pushes out.
  const folded = v128.xor(first, fold(second));
  const carried = v128.shuffle<i8>(
    carry(second),
    zero,
    15,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
  );
  return v128.xor(folded, fold(carried));
}

/** What spills from each byte into the one after it. */
// @ts-ignore: decorator

function carry(x: v128): v128 {
  return v128.xor(look(FOLD + 16, highNibbles(x)), look(FOLD + 48, lowNibbles(x)));
}

/** x times x^128, but for what spills from its last byte. */
// @ts-ignore: decorator

function fold(x: v128): v128 {
  const own = v128.xor(look(FOLD, highNibbles(x)), look(FOLD + 32, lowNibbles(x)));
  return v128.xor(own, further(i64x2.splat(0), carry(x)));
}

/** Tables of one power, at its place. */
function fillPower(tables: usize, power: usize, value: v128): void {
  v128.store(SCRATCH, value, 1);
  store<u8>(SCRATCH, 0);
  store<u8>(SCRATCH, 0, 17);
  for (let k: usize = 0; k <= 16; k++) {
    const at = tables + (((16 - k) << 2) + power) * 32;
    // Bit 3 - s of a high nibble is x^s: the value moved on by s bits, of which byte k is wanted.
    const bits = (<u32> load<u8>(SCRATCH + k) << 8) | load<u8>(SCRATCH + k, 1);
    for (let n: usize = 1; n < 16; n++) {
      const rest = n & (n - 1);
      const lowest = 3 - ctz<u32>(<u32> n);
      store<u8>(at + n, load<u8>(at + rest) ^ <u8> (bits >> lowest));
      store<u8>(at + n, load<u8>(at + rest, 16) ^ <u8> (bits >> (lowest + 4)), 16);
    }
  }
}

/** Fills the tables of a pair from H. */
export function fillGhash(tables: usize, h: v128): void {
  const zero = i64x2.splat(0);
  memory.fill(tables, 0, GHASH_BYTES);
  fillPower(tables, 3, h);
  const square = multiply(tables, zero, zero, zero, h);
  fillPower(tables, 2, square);
  const cube = multiply(tables, zero, zero, zero, square);
  fillPower(tables, 1, cube);
  fillPower(tables, 0, multiply(tables, zero, zero, zero, cube));
  memory.fill(SCRATCH, 0, 32);
}

/** The last, partial block, padded with zeros. */
function padded(from: usize, length: i32): v128 {
  v128.store(SCRATCH, i64x2.splat(0));
  memory.copy(SCRATCH, from, length);
  return v128.load(SCRATCH);
}

/** One message as a sequence of blocks: a head if there is one, the data, the length. */
let head: usize = 0;
let data: usize = 0;
let size: i32 = 0;
let headBlocks: i32 = 0;

/** Block `index`; what comes before the first and after the data is zero and the length. */
function blockAt(index: i32): v128 {
  if (index < 0) return i64x2.splat(0);
  if (index < headBlocks) return v128.load(head);
  const done = (index - headBlocks) << 4;
  if (done + 16 <= size) return v128.load(data + <usize> done);
  if (done < size) return padded(data + <usize> done, size - done);
  const bits = <u64> (size + (headBlocks << 4)) << 3;
  return i64x2.replace_lane(i64x2.splat(0), 0, bswap<u64>(bits));
}

/**
 * GHASH of additional data and no ciphertext.
 * @param first Address of a block before the data, or 0
 * @param message The data, `length` bytes, padded to whole blocks
 */
export function ghash(tables: usize, first: usize, message: usize, length: i32): v128 {
  head = first;
  headBlocks = i32(first != 0);
  data = message;
  size = length;
  const blocks = headBlocks + ((length + 15) >> 4) + 1;
  const whole = headBlocks + (length >> 4);
  let y = i64x2.splat(0);
  // Zero blocks before the first change nothing and make the number a multiple of four.
  for (let index = -(-blocks & 3); index < blocks; index += 4) {
    if (index >= headBlocks && index + 4 <= whole) {
      const at = message + (<usize> (index - headBlocks) << 4);
      const b0 = v128.xor(y, v128.load(at, 0));
      y = multiply(tables, b0, v128.load(at, 16), v128.load(at, 32), v128.load(at, 48));
    } else {
      const b0 = v128.xor(y, blockAt(index));
      y = multiply(tables, b0, blockAt(index + 1), blockAt(index + 2), blockAt(index + 3));
    }
  }
  return y;
}
