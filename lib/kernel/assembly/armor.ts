/**
 * Seals and opens packets in place: ciphers 0 (Poly1305 alone) and 1 (Salsa20/12 and Poly1305).
 *
 * Source: spec 01 section 6.2; slow twin `lib/kernel/twin.ts`.
 */
import { keystreamAndMac } from "./fused";
import { AT_FLAGS, AT_VERB, MANGLED, POLY_KEY, STREAM, STREAM_BYTES } from "./layout";
import { poly1305, polyBegin, polyEnd } from "./poly1305";
import { keystream, salsaInit, xorStream } from "./salsa";

const SALSA12: i32 = 6;
const AT_MAC: usize = 19;
/** Bytes of the envelope that the first four blocks of keystream, less the one the Poly1305 key is from, are for. */
const FIRST: i32 = 192;
/** Bytes of every four blocks after those. */
const BATCH: i32 = 256;
const BLOCKS_OF_FIRST: i32 = 12;
const BLOCKS_OF_BATCH: i32 = 16;

/** Mixes ids, addresses, flags without the hop count and the size into the key, and derives the first four blocks. */
function begin(packet: usize, length: i32, key: usize): void {
  v128.store(MANGLED, v128.xor(v128.load(key), v128.load(packet)));
  v128.store(MANGLED, v128.load(key, 16), 16);
  store<u16>(MANGLED, load<u16>(MANGLED, 16) ^ load<u16>(packet, 16), 16);
  store<u8>(MANGLED, load<u8>(MANGLED, 18) ^ (load<u8>(packet, AT_FLAGS) & 0xf8), 18);
  store<u16>(MANGLED, load<u16>(MANGLED, 19) ^ <u16> length, 19);
  salsaInit(MANGLED, packet);
  keystream(0, SALSA12, STREAM);
  v128.store(POLY_KEY, v128.load(STREAM, 0), 0);
  v128.store(POLY_KEY, v128.load(STREAM, 16), 16);
}

/**
 * Writes the MAC, after encrypting when asked to. The header must be final (cipher and flags set).
 * @param packet Address of the packet, any alignment
 * @param length Packet length, 28 or more
 * @param key Address of the 32-byte session key
 */
export function seal(packet: usize, length: i32, key: usize, encrypt: bool): void {
  begin(packet, length, key);
  const envelope = packet + AT_VERB;
  const size = length - <i32> AT_VERB;
  const mac = encrypt ? encryptAndMac(envelope, size) : poly1305(POLY_KEY, envelope, size);
  store<u64>(packet, mac, AT_MAC);
}

/** Each batch of keystream is made while the batch encrypted before it goes into the MAC. */
function encryptAndMac(envelope: usize, size: i32): u64 {
  polyBegin();
  let done = min(size, FIRST);
  let authenticated = 0;
  xorStream(envelope, STREAM + 64, done);
  for (let counter: u32 = 4; done < size; counter += 4) {
    const more = authenticated == 0 ? 0 : BLOCKS_OF_BATCH - BLOCKS_OF_FIRST;
    keystreamAndMac(counter, STREAM, envelope + <usize> authenticated, more);
    authenticated = done;
    const piece = min(size - done, BATCH);
    xorStream(envelope + <usize> done, STREAM, piece);
    done += piece;
  }
  return polyEnd(POLY_KEY, envelope + <usize> authenticated, size - authenticated);
}

/**
 * Checks the MAC, then decrypts when the packet is encrypted; a packet that fails is left as it was.
 * @returns whether the packet is authentic
 */
export function open(packet: usize, length: i32, key: usize, encrypted: bool): bool {
  begin(packet, length, key);
  const envelope = packet + AT_VERB;
  const size = length - <i32> AT_VERB;
  if (!encrypted) return poly1305(POLY_KEY, envelope, size) == load<u64>(packet, AT_MAC);
  if (<usize> size > STREAM_BYTES - 64) return openLong(packet, envelope, size);
  polyBegin();
  let authenticated = 0;
  let counter: u32 = 4;
  let stream = STREAM + <usize> BATCH;
  for (let done = FIRST; done < size; done += BATCH, counter += 4, stream += <usize> BATCH) {
    // More than FIRST bytes are left for the MAC here, since it takes in a batch for every batch done.
    const blocks = min(BLOCKS_OF_BATCH, (size - authenticated) >> 4);
    keystreamAndMac(counter, stream, envelope + <usize> authenticated, blocks - BLOCKS_OF_FIRST);
    authenticated += blocks << 4;
  }
  const mac = polyEnd(POLY_KEY, envelope + <usize> authenticated, size - authenticated);
  if (mac != load<u64>(packet, AT_MAC)) return false;
  xorStream(envelope, STREAM + 64, size);
  return true;
}

/** For what is longer than any packet on the wire: one after the other. */
function openLong(packet: usize, envelope: usize, size: i32): bool {
  if (poly1305(POLY_KEY, envelope, size) != load<u64>(packet, AT_MAC)) return false;
  xorStream(envelope, STREAM + 64, FIRST);
  let counter: u32 = 4;
  for (let done = FIRST; done < size; done += BATCH, counter += 4) {
    keystream(counter, SALSA12, STREAM);
    xorStream(envelope + <usize> done, STREAM, min(size - done, BATCH));
  }
  return true;
}

/** Exported for its own test vectors. */
export { poly1305 };

/** Salsa20/12 over any bytes from block 0: the masked part of HELLO. */
export function salsa12(data: usize, length: i32, key: usize, nonce: usize): void {
  salsaInit(key, nonce);
  let at = data;
  let left = length;
  for (let counter: u32 = 0; left > 0; counter += 4) {
    keystream(counter, SALSA12, STREAM);
    const piece = min(left, 256);
    xorStream(at, STREAM, piece);
    at += piece;
    left -= piece;
  }
}
