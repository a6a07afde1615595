/**
 * Bytes gone wrong: cut, stretched, spliced, flipped, with the numbers decoders get wrong put where
 * they may be lengths.
 * @module
 */
import type { Rng } from "../sim/rng.ts";

const LENGTH_MAX = 12_000; // longer than any packet
const CHANGES_MAX = 6;
const SOME_BYTES = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff];
const SOME_NUMBERS = [0n, 1n, 0x7fn, 0xffn, 0x7fffn, 0xffffn, 0x7fff_ffffn, 0xffff_ffffn, ~0n];

type Change = (bytes: Uint8Array, rng: Rng, other: Uint8Array) => Uint8Array;

/** Parts put together, cut at the most a target is given. */
function join(...parts: Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined.subarray(0, LENGTH_MAX);
}

/** Two places in the bytes, in order. */
function range(bytes: Uint8Array, rng: Rng): [number, number] {
  const [a, b] = [rng.below(bytes.length + 1), rng.below(bytes.length + 1)];
  return a < b ? [a, b] : [b, a];
}

function setNumber(bytes: Uint8Array, rng: Rng): Uint8Array {
  const size = rng.pick([1, 2, 4, 8]);
  if (bytes.length < size) return bytes;
  const value = rng.pick([...SOME_NUMBERS, BigInt(bytes.length), BigInt(bytes.length - 1)]);
  const at = rng.below(bytes.length - size + 1);
  for (let i = 0; i < size; i++) {
    bytes[at + i] = Number((value >> BigInt(8 * (size - 1 - i))) & 0xffn);
  }
  return bytes;
}

const CHANGES: Change[] = [
  (bytes, rng) => {
    if (bytes.length > 0) bytes[rng.below(bytes.length)] ^= 1 << rng.below(8);
    return bytes;
  },
  (bytes, rng) => {
    if (bytes.length > 0) bytes[rng.below(bytes.length)] = rng.pick(SOME_BYTES);
    return bytes;
  },
  setNumber,
  setNumber,
  (bytes, rng) => bytes.slice(0, rng.below(bytes.length + 1)),
  (bytes, rng) => {
    const [from, to] = range(bytes, rng);
    return join(bytes.subarray(0, from), bytes.subarray(to));
  },
  (bytes, rng) => {
    const [from, to] = range(bytes, rng);
    return join(bytes.subarray(0, to), bytes.subarray(from));
  },
  (bytes, rng) => {
    const at = rng.below(bytes.length + 1);
    return join(bytes.subarray(0, at), rng.bytes(1 + rng.below(16)), bytes.subarray(at));
  },
  (bytes, rng, other) => {
    const [from, to] = range(other, rng);
    const at = rng.below(bytes.length + 1);
    return join(bytes.subarray(0, at), other.subarray(from, to), bytes.subarray(at));
  },
];

/** Something like one of these, or nothing like them at all. */
export function mutated(corpus: readonly Uint8Array[], rng: Rng): Uint8Array {
  if (rng.chance(0.05)) return rng.bytes(rng.below(rng.chance(0.1) ? LENGTH_MAX : 300));
  let bytes = rng.pick(corpus).slice();
  for (let changes = rng.below(CHANGES_MAX); changes >= 0; changes--) {
    bytes = rng.pick(CHANGES)(bytes, rng, rng.pick(corpus)).slice();
  }
  return bytes;
}
