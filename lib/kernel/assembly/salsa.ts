/**
 * Salsa20 with any number of rounds, four blocks at a time: each of the 16 state words of four consecutive blocks is one
 * vector. The counter is 64 bits as in the original, but must not cross 2^32 within one message: none here is that long.
 *
 * Source: spec 01 section 2.1; slow twin `lib/kernel/salsa20.ts`.
 */
import { STATE } from "./layout";

export function rotl(v: v128, n: i32): v128 {
  return v128.or(i32x4.shl(v, n), i32x4.shr_u(v, 32 - n));
}

/** Sets key (32 bytes) and nonce (8 bytes); the counter is given with every call of {@link keystream}. */
export function salsaInit(key: usize, nonce: usize): void {
  store<u32>(STATE, 0x61707865, 0);
  store<u64>(STATE, load<u64>(key, 0), 4);
  store<u64>(STATE, load<u64>(key, 8), 12);
  store<u32>(STATE, 0x3320646e, 20);
  store<u64>(STATE, load<u64>(nonce), 24);
  store<u64>(STATE, 0, 32);
  store<u32>(STATE, 0x79622d32, 40);
  store<u64>(STATE, load<u64>(key, 16), 44);
  store<u64>(STATE, load<u64>(key, 24), 52);
  store<u32>(STATE, 0x6b206574, 60);
}

/** Turns four words of four blocks from rows into columns and stores them: 16 bytes of each block. */
export function emit(at: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
  const ab2 = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
  const cd2 = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
  v128.store(at, v128.shuffle<i64>(ab, cd, 0, 2), 0);
  v128.store(at, v128.shuffle<i64>(ab, cd, 1, 3), 64);
  v128.store(at, v128.shuffle<i64>(ab2, cd2, 0, 2), 128);
  v128.store(at, v128.shuffle<i64>(ab2, cd2, 1, 3), 192);
}

/** A word of the state before the rounds, for all four blocks. */
export function word(i: usize): v128 {
  return v128.load32_splat(STATE + i * 4);
}

/**
 * Writes the keystream of blocks `counter` to `counter + 3`, 256 bytes, to `to`.
 * @param doubleRounds 6 for Salsa20/12, 10 for Salsa20/20
 */
export function keystream(counter: u32, doubleRounds: i32, to: usize): void {
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
  for (let i = 0; i < doubleRounds; i++) {
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
  }
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

/** Exclusive-ors `length` bytes at `data` with the keystream from `stream` on; both may have any alignment. */
export function xorStream(data: usize, stream: usize, length: i32): void {
  let at = data;
  let from = stream;
  let left = length;
  for (; left >= 16; left -= 16, at += 16, from += 16) {
    v128.store(at, v128.xor(v128.load(at), v128.load(from)));
  }
  if (left >= 8) {
    store<u64>(at, load<u64>(at) ^ load<u64>(from));
    left -= 8;
    at += 8;
    from += 8;
  }
  for (; left > 0; left--, at++, from++) store<u8>(at, load<u8>(at) ^ load<u8>(from));
}
