/**
 * The memory-hard function every node address comes from: 2 MiB filled with chained Salsa20/20, then shuffled through
 * a 64-byte digest. The keystream depends on nothing but the key, so it is made four blocks at a time throughout.
 *
 * Source: spec 01 section 4.1; slow twin `lib/kernel/twin.ts`.
 */
import { KERNEL_BYTES, STREAM } from "./layout";
import { keystream, salsaInit } from "./salsa";

const SALSA20: i32 = 10;
const MEMORY_BYTES: usize = 2_097_152;
/** SHA-512 of the public key goes in here, the digest comes out: 64 bytes. */
export const DIGEST: usize = KERNEL_BYTES;
const MEMORY: usize = KERNEL_BYTES + 1024;

/** Fills the memory: block n is block n - 1 exclusive-or keystream block n. */
function fill(): void {
  let a = i64x2.splat(0), b = a, c = a, d = a;
  let at = MEMORY;
  for (let counter: u32 = 0; counter < 32_768; counter += 4) {
    keystream(counter, SALSA20, STREAM);
    for (let from = STREAM; from < STREAM + 256; from += 64, at += 64) {
      a = v128.xor(a, v128.load(from, 0));
      b = v128.xor(b, v128.load(from, 16));
      c = v128.xor(c, v128.load(from, 32));
      d = v128.xor(d, v128.load(from, 48));
      v128.store(at, a, 0);
      v128.store(at, b, 16);
      v128.store(at, c, 32);
      v128.store(at, d, 48);
    }
  }
}

/** One iteration: a word of the digest and a word of the memory change places, then the digest is encrypted. */
function step(at: usize, stream: usize): void {
  const a = DIGEST + ((<usize> load<u8>(at, 7) & 7) << 3);
  const b = MEMORY + ((<usize> bswap<u32>(load<u32>(at, 12)) & 0x3ffff) << 3);
  const word = load<u64>(a);
  store<u64>(a, load<u64>(b));
  store<u64>(b, word);
  store<u64>(DIGEST, load<u64>(DIGEST, 0) ^ load<u64>(stream, 0), 0);
  store<u64>(DIGEST, load<u64>(DIGEST, 8) ^ load<u64>(stream, 8), 8);
  store<u64>(DIGEST, load<u64>(DIGEST, 16) ^ load<u64>(stream, 16), 16);
  store<u64>(DIGEST, load<u64>(DIGEST, 24) ^ load<u64>(stream, 24), 24);
  store<u64>(DIGEST, load<u64>(DIGEST, 32) ^ load<u64>(stream, 32), 32);
  store<u64>(DIGEST, load<u64>(DIGEST, 40) ^ load<u64>(stream, 40), 40);
  store<u64>(DIGEST, load<u64>(DIGEST, 48) ^ load<u64>(stream, 48), 48);
  store<u64>(DIGEST, load<u64>(DIGEST, 56) ^ load<u64>(stream, 56), 56);
}

/** Turns the 64 bytes at DIGEST into the digest of the work function. */
export function work(): void {
  salsaInit(DIGEST, DIGEST + 32);
  fill();
  let counter: u32 = 32_768;
  for (let at = MEMORY; at < MEMORY + MEMORY_BYTES; at += 64) {
    keystream(counter, SALSA20, STREAM);
    step(at, STREAM);
    step(at + 16, STREAM + 64);
    step(at + 32, STREAM + 128);
    step(at + 48, STREAM + 192);
    counter += 4;
  }
}
