/**
 * The AES module: seals and opens packets with AES-GMAC-SIV (cipher 3), and what that is made of. Instantiated only when a packet
 * asks for it. A pair is two keys, expanded, {@link PAIR_BYTES} anywhere in the memory.
 *
 * Source: spec 01 section 6.3; slow twin `lib/crypto/gmac_siv.ts`.
 */
import { crypt, decrypt, encrypt, expandKeys } from "./aes";
import { GHASH, HEAD, K0, K1, K1_INVERSE, PAIR_BYTES } from "./aes_layout";
import { fillTables } from "./aes_tables";
import { fillGhash, ghash } from "./ghash";
import { AT_DESTINATION, AT_VERB } from "./layout";

export { PAIR_BYTES };

const AT_MAC: usize = 19;

/** Fills the module's tables; before anything else. */
export function setup(): void {
  fillTables();
}

/** Makes a pair of K0, which authenticates, and K1, which encrypts; 32 bytes each. */
export function expandPair(k0: usize, k1: usize, pair: usize): void {
  expandKeys(k0, k1, pair);
  fillGhash(pair + GHASH, encrypt(i64x2.splat(0), pair + K0));
}

/** GMAC of a block, if there is one, and data; the nonce is 96 bits in front of a 1. */
function tagOf(nonce: v128, first: usize, data: usize, length: i32, pair: usize): v128 {
  const mask = encrypt(i32x4.replace_lane(nonce, 3, 0x0100_0000), pair + K0);
  return v128.xor(ghash(pair + GHASH, first, data, length), mask);
}

/** The same for a packet, folded to 8 bytes. Addresses, and flags without hops, are what is authenticated besides the envelope. */
function macOf(iv: u64, packet: usize, length: i32, pair: usize): u64 {
  const mask = i64x2(-1, 0xf8ffff);
  v128.store(HEAD, v128.and(v128.load(packet, AT_DESTINATION), mask));
  const nonce = i64x2.replace_lane(i64x2.splat(0), 0, iv);
  const tag = tagOf(nonce, HEAD, packet + AT_VERB, length - <i32> AT_VERB, pair);
  return i64x2.extract_lane(tag, 0) ^ i64x2.extract_lane(tag, 1);
}

/** The tag with the top bit of its last word cleared, so that counting never carries out of it. */
function counterOf(tag: v128): v128 {
  return v128.and(tag, i64x2(-1, 0xffff_ff7f_ffff_ffff));
}

/**
 * Encrypts from the verb on and writes the tag over the packet id and the MAC. The rest of the header must be final.
 * @param packet Any alignment
 * @param length 28 or more
 */
export function seal(packet: usize, length: i32, pair: usize): void {
  const iv = load<u64>(packet);
  const mac = macOf(iv, packet, length, pair);
  const tag = encrypt(i64x2.replace_lane(i64x2.splat(iv), 1, mac), pair + K1);
  crypt(packet + AT_VERB, length - <i32> AT_VERB, counterOf(tag), pair + K1);
  store<u64>(packet, i64x2.extract_lane(tag, 0));
  store<u64>(packet, i64x2.extract_lane(tag, 1), AT_MAC);
}

/**
 * Decrypts from the verb on, then checks; the header stays as received. A packet that fails is left as it was.
 * @returns whether the packet is authentic
 */
export function open(packet: usize, length: i32, pair: usize): bool {
  const tag = i64x2.replace_lane(i64x2.splat(load<u64>(packet)), 1, load<u64>(packet, AT_MAC));
  const envelope = packet + AT_VERB;
  const size = length - <i32> AT_VERB;
  crypt(envelope, size, counterOf(tag), pair + K1);
  const block = decrypt(tag, pair + K1_INVERSE);
  const mac = macOf(i64x2.extract_lane(block, 0), packet, length, pair);
  if (mac == i64x2.extract_lane(block, 1)) return true;
  crypt(envelope, size, counterOf(tag), pair + K1);
  return false;
}

/** GMAC under K0. @param nonce 12 bytes, replaced by the 16 bytes of the tag */
export function gmac(nonce: usize, data: usize, length: i32, pair: usize): void {
  v128.store(nonce, tagOf(v128.load(nonce), 0, data, length, pair));
}

/** One block under K1, in place. */
export function encryptBlock(block: usize, pair: usize): void {
  v128.store(block, encrypt(v128.load(block), pair + K1));
}

/** The reverse. */
export function decryptBlock(block: usize, pair: usize): void {
  v128.store(block, decrypt(v128.load(block), pair + K1_INVERSE));
}

/** CTR under K1, in place, from a 16-byte counter block whose last 32 bits count. */
export function ctr(data: usize, length: i32, counter: usize, pair: usize): void {
  crypt(data, length, v128.load(counter), pair + K1);
}
