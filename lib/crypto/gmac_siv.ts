/**
 * AES-GMAC-SIV on whole packets, step by step from its pieces: slow twin of the kernel's.
 *
 * Source: spec 01 section 6.3.
 * @module
 */
import { equalSecret } from "../base/bytes.ts";
import type { AesBlocks } from "./primitives.ts";

const AT_DESTINATION = 8;
const AT_FLAGS = 18;
const AT_MAC = 19;
const AT_VERB = 27;
const MASK_HOPS = 0x07;
const AT_ENVELOPE = 16; // behind the padded additional data
const BLOCK_BYTES = 16;
const GMAC_NONCE_BYTES = 12;

/** See `AesPair.seal()`. */
export function sealGmacSiv(packet: Uint8Array, aes: AesBlocks): void {
  const envelope = packet.subarray(AT_VERB);
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(packet.subarray(0, 8));
  block.set(authenticate(packet, envelope, block, aes), 8);
  const tag = aes.encryptBlock(block);
  envelope.set(aes.ctr(counterOf(tag), envelope));
  packet.set(tag.subarray(0, 8));
  packet.set(tag.subarray(8), AT_MAC);
}

/** See `AesPair.open()`. */
export function openGmacSiv(packet: Uint8Array, aes: AesBlocks): boolean {
  const envelope = packet.subarray(AT_VERB);
  const tag = new Uint8Array(BLOCK_BYTES);
  tag.set(packet.subarray(0, 8));
  tag.set(packet.subarray(AT_MAC, AT_VERB), 8);
  const plain = aes.ctr(counterOf(tag), envelope);
  const block = aes.decryptBlock(tag);
  if (!equalSecret(authenticate(packet, plain, block, aes), block.subarray(8))) return false;
  envelope.set(plain);
  return true;
}

/** GMAC of addresses, flags without hops, and the plain envelope, folded to 8 bytes; the nonce starts `block`. */
function authenticate(
  packet: Uint8Array,
  plain: Uint8Array,
  block: Uint8Array,
  aes: AesBlocks,
): Uint8Array {
  const nonce = new Uint8Array(GMAC_NONCE_BYTES);
  nonce.set(block.subarray(0, 8));
  const data = new Uint8Array(AT_ENVELOPE + plain.length);
  data.set(packet.subarray(AT_DESTINATION, AT_FLAGS));
  data[AT_FLAGS - AT_DESTINATION] = packet[AT_FLAGS] & ~MASK_HOPS;
  data.set(plain, AT_ENVELOPE);
  const gmac = aes.gmac(nonce, data);
  return Uint8Array.from({ length: 8 }, (_, i) => gmac[i] ^ gmac[8 + i]);
}

/** The tag with the top bit of its counter word cleared, so that counting never carries out of it. */
function counterOf(tag: Uint8Array): Uint8Array {
  const counter = tag.slice();
  counter[12] &= 0x7f;
  return counter;
}
