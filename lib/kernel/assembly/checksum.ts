/**
 * Internet checksums: sums of 16-bit words. Words are summed as they lie in memory, little-endian: ones' complement sums do not
 * mind, as long as the result is stored the same way.
 *
 * Source: RFC 1071; slow twin `lib/kernel/data_twin.ts`.
 */

/** Words of `length` bytes, a last odd byte padded with zero; up to 65,549 bytes, so that no lane overflows. */
export function sumWords(at: usize, length: i32): u64 {
  let a = i32x4.splat(0), b = a;
  let left = length;
  for (; left >= 32; left -= 32, at += 32) {
    a = i32x4.add(a, i32x4.extadd_pairwise_i16x8_u(v128.load(at, 0)));
    b = i32x4.add(b, i32x4.extadd_pairwise_i16x8_u(v128.load(at, 16)));
  }
  let total = lanes(i32x4.add(a, b));
  for (; left >= 4; left -= 4, at += 4) total += <u64> load<u32>(at);
  if (left >= 2) {
    total += <u64> load<u16>(at);
    at += 2;
    left -= 2;
  }
  return left > 0 ? total + <u64> load<u8>(at) : total;
}

/** Copies `length` bytes and returns their sum as {@link sumWords} does; the areas do not overlap. */
export function copyAndSum(to: usize, from: usize, length: i32): u64 {
  let a = i32x4.splat(0), b = a;
  let left = length;
  for (; left >= 32; left -= 32, from += 32, to += 32) {
    const first = v128.load(from, 0);
    const second = v128.load(from, 16);
    a = i32x4.add(a, i32x4.extadd_pairwise_i16x8_u(first));
    b = i32x4.add(b, i32x4.extadd_pairwise_i16x8_u(second));
    v128.store(to, first, 0);
    v128.store(to, second, 16);
  }
  let total = lanes(i32x4.add(a, b));
  for (; left >= 4; left -= 4, from += 4, to += 4) {
    const word = load<u32>(from);
    total += <u64> word;
    store<u32>(to, word);
  }
  for (let shift: u64 = 0; left > 0; left--, from++, to++, shift ^= 8) {
    const byte = load<u8>(from);
    total += <u64> byte << shift;
    store<u8>(to, byte);
  }
  return total;
}

function lanes(v: v128): u64 {
  const pairs = i64x2.add(
    i64x2.extend_low_i32x4_u(v),
    i64x2.extend_high_i32x4_u(v),
  );
  return i64x2.extract_lane(pairs, 0) + i64x2.extract_lane(pairs, 1);
}

/** Sum folded to 16 bits, not complemented; the same for words added as 32-bit ones. */
export function fold(total: u64): u32 {
  let sum = (total & 0xffffffff) + (total >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return <u32> sum;
}

/** A 16-bit number of ours as a word of a sum, or the other way round. */
export function swap16(value: i32): u32 {
  return <u32> (((value & 0xff) << 8) | ((value >> 8) & 0xff));
}

/** Sum of the pseudo-header of a packet, its transport part `length` bytes long. */
export function pseudoHeader(ip: usize, ipv6: bool, protocol: i32, length: i32): u64 {
  const addresses = ipv6 ? sumWords(ip + 8, 32) : sumWords(ip + 12, 8);
  return addresses + <u64> (protocol << 8) + <u64> swap16(length);
}
