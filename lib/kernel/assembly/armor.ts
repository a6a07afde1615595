/**
 * Seals and opens packets in place: ciphers 0 (Poly1305 alone) and 1 (Salsa20/12 and Poly1305).
 *
 * Source: spec 01 section 6.2; slow twin `lib/kernel/twin.ts`.
 */
import { MANGLED, POLY_KEY, STREAM } from "./layout";
import { poly1305 } from "./poly1305";
import { keystream, salsaInit, xorStream } from "./salsa";

const SALSA12: i32 = 6;
const AT_FLAGS: usize = 18;
const AT_MAC: usize = 19;
const AT_VERB: usize = 27;

/** Mixes ids, addresses, flags without the hop count and the size into the key, and derives the first four blocks. */
function begin(packet: usize, length: i32, key: usize): void {
  v128.store(MANGLED, v128.xor(v128.load(key), v128.load(packet)));
  v128.store(MANGLED, v128.load(key, 16), 16);
  store<u16>(MANGLED, load<u16>(MANGLED, 16) ^ load<u16>(packet, 16), 16);
  store<u8>(MANGLED, load<u8>(MANGLED, 18) ^ (load<u8>(packet, AT_FLAGS) & 0xf8), 18);
  store<u16>(MANGLED, load<u16>(MANGLED, 19) ^ <u16> length, 19);
  salsaInit(MANGLED, packet);
  keystream(0, SALSA12);
  v128.store(POLY_KEY, v128.load(STREAM, 0), 0);
  v128.store(POLY_KEY, v128.load(STREAM, 16), 16);
}

/** Encrypts or decrypts from the verb byte on, with the keystream from block 1; STREAM holds blocks 0 to 3. */
function crypt(packet: usize, length: i32): void {
  let at = packet + AT_VERB;
  let left = length - <i32> AT_VERB;
  const first = min(left, 192);
  xorStream(at, STREAM + 64, first);
  at += first;
  left -= first;
  for (let counter: u32 = 4; left > 0; counter += 4) {
    keystream(counter, SALSA12);
    const piece = min(left, 256);
    xorStream(at, STREAM, piece);
    at += piece;
    left -= piece;
  }
}

/**
 * Writes the MAC, after encrypting when asked to. The header must be final (cipher and flags set).
 * @param packet Address of the packet, any alignment
 * @param length Packet length, 28 or more
 * @param key Address of the 32-byte session key
 */
export function seal(packet: usize, length: i32, key: usize, encrypt: bool): void {
  begin(packet, length, key);
  if (encrypt) crypt(packet, length);
  store<u64>(packet, poly1305(POLY_KEY, packet + AT_VERB, length - <i32> AT_VERB), AT_MAC);
}

/**
 * Checks the MAC, then decrypts when the packet is encrypted; a packet that fails is left as it was.
 * @returns whether the packet is authentic
 */
export function open(packet: usize, length: i32, key: usize, encrypted: bool): bool {
  begin(packet, length, key);
  const tag = poly1305(POLY_KEY, packet + AT_VERB, length - <i32> AT_VERB);
  if (tag != load<u64>(packet, AT_MAC)) return false;
  if (encrypted) crypt(packet, length);
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
    keystream(counter, SALSA12);
    const piece = min(left, 256);
    xorStream(at, STREAM, piece);
    at += piece;
    left -= piece;
  }
}
