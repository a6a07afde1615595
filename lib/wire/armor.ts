/**
 * Armor: what authenticates a packet and hides its payload. Ciphers 0 and 1 are Poly1305 without and with Salsa20/12, cipher
 * 3 is AES-GMAC-SIV. There is no replay protection at this layer.
 *
 * Source: spec 01 sections 6.2 to 6.5.
 * @module
 */
import { assert } from "../base/errors.ts";
import { equalSecret } from "../base/bytes.ts";
import type { AesPair } from "../crypto/primitives.ts";
import type { PacketCipher } from "../kernel/twin.ts";
import {
  AT_DESTINATION,
  AT_FLAGS,
  AT_MAC,
  AT_VERB,
  Cipher,
  cipherOf,
  HEADER_LENGTH,
  hopsOf,
  MASK_HOPS,
  setCipher,
} from "./packet.ts";

const AT_AES_ENVELOPE = 16; // envelope behind the padded additional data
const BLOCK_BYTES = 16;
const GMAC_NONCE_BYTES = 12;

/** The part of `SessionKeys` armor needs. */
export interface ArmorKeys {
  /** 32 bytes */
  readonly salsa: Uint8Array;
  /** Without it nothing sealed with AES-GMAC-SIV opens. */
  readonly aes?: AesPair;
}

/** Seals and opens whole packets in place. Keeps no state but the kernel's memory. */
export class Armor {
  readonly #kernel: PacketCipher;

  constructor(kernel: PacketCipher) {
    this.#kernel = kernel;
  }

  /**
   * Sets the cipher, encrypts unless it is cipher 0, and writes the MAC. AES-GMAC-SIV replaces the packet id: whatever waits for an
   * answer must remember the id as it is afterwards.
   * @param packet Complete, 28 bytes or more, hops 0, fragmented flag final; changed in place
   * @throws {RangeError} for a cipher that is no armor, see {@linkcode sealTrusted}
   */
  seal(packet: Uint8Array, keys: ArmorKeys, cipher: Cipher): void {
    assert(packet.length >= HEADER_LENGTH, "a packet has a whole header");
    assert(hopsOf(packet) === 0, "a packet is sealed before its first hop");
    setCipher(packet, cipher);
    switch (cipher) {
      case Cipher.POLY1305_NONE:
      case Cipher.POLY1305_SALSA2012:
        this.#kernel.seal(packet, keys.salsa, cipher === Cipher.POLY1305_SALSA2012);
        break;
      case Cipher.AES_GMAC_SIV:
        assert(keys.aes, "who seals with AES has AES keys");
        sealAes(packet, keys.aes);
        break;
      default:
        throw new RangeError(`cipher ${cipher} does not seal`);
    }
  }

  /**
   * Checks the MAC and decrypts the envelope; the header stays as received, packet id included.
   * @param packet Reassembled; changed in place when authentic, else to be thrown away
   * @returns false when it is too short, not authentic, or its cipher is not 0, 1 or 3; never throws
   */
  open(packet: Uint8Array, keys: ArmorKeys): boolean {
    if (packet.length < HEADER_LENGTH) return false;
    switch (cipherOf(packet)) {
      case Cipher.POLY1305_NONE:
        return this.#kernel.open(packet, keys.salsa, false);
      case Cipher.POLY1305_SALSA2012:
        return this.#kernel.open(packet, keys.salsa, true);
      case Cipher.AES_GMAC_SIV:
        return keys.aes !== undefined && openAes(packet, keys.aes);
      default:
        return false;
    }
  }

  /**
   * Masks or unmasks the end of a HELLO, from the moon count on: before sealing, after opening.
   * @param start Offset of the moon count; nothing happens when it is at or past the end
   */
  cryptHelloTail(packet: Uint8Array, start: number, keys: ArmorKeys): void {
    if (start >= packet.length) return;
    const nonce = packet.slice(0, 8);
    nonce[7] &= 0xf8;
    this.#kernel.salsa12(packet.subarray(start), keys.salsa, nonce);
  }
}

/**
 * Marks a packet as sent over a trusted path: no armor at all, the MAC field names the path. {@linkcode Armor.open} never
 * opens it; whether to believe it depends on where it came from.
 */
export function sealTrusted(packet: Uint8Array, trustedPathId: bigint): void {
  setCipher(packet, Cipher.TRUSTED_PATH);
  new DataView(packet.buffer, packet.byteOffset).setBigUint64(AT_MAC, trustedPathId);
}

function sealAes(packet: Uint8Array, aes: AesPair): void {
  const envelope = packet.subarray(AT_VERB);
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(packet.subarray(0, 8));
  block.set(authenticate(packet, envelope, block, aes), 8);
  const tag = aes.encryptBlock(block);
  envelope.set(aes.ctr(counterOf(tag), envelope));
  packet.set(tag.subarray(0, 8));
  packet.set(tag.subarray(8), AT_MAC);
}

function openAes(packet: Uint8Array, aes: AesPair): boolean {
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
  aes: AesPair,
): Uint8Array {
  const nonce = new Uint8Array(GMAC_NONCE_BYTES);
  nonce.set(block.subarray(0, 8));
  const data = new Uint8Array(AT_AES_ENVELOPE + plain.length);
  data.set(packet.subarray(AT_DESTINATION, AT_FLAGS));
  data[AT_FLAGS - AT_DESTINATION] = packet[AT_FLAGS] & ~MASK_HOPS;
  data.set(plain, AT_AES_ENVELOPE);
  const gmac = aes.gmac(nonce, data);
  return Uint8Array.from({ length: 8 }, (_, i) => gmac[i] ^ gmac[8 + i]);
}

/** The tag with the top bit of its counter word cleared, so that counting never carries out of it. */
function counterOf(tag: Uint8Array): Uint8Array {
  const counter = tag.slice();
  counter[12] &= 0x7f;
  return counter;
}
