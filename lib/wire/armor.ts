/**
 * Armor: what authenticates a packet and hides its payload. Ciphers 0 and 1 are Poly1305 without
 * and with Salsa20/12, cipher 3 is AES-GMAC-SIV. There is no replay protection at this layer.
 *
 * Source: spec 01 sections 6.2 to 6.5.
 * @module
 */
import { assert } from "../base/errors.ts";
import type { AesPair } from "../crypto/primitives.ts";
import type { PacketCipher } from "../kernel/twin.ts";
import { Cipher, cipherOf, HEADER_LENGTH, hopsOf, setCipher } from "./packet.ts";

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
   * Sets the cipher, encrypts unless it is cipher 0, and writes the MAC. AES-GMAC-SIV replaces the
   * packet id: whatever waits for an answer must remember the id as it is afterwards.
   * @param packet Complete, 28 bytes or more, hops 0, fragmented flag final; changed in place
   * @throws {RangeError} for a cipher that is no armor: we send nothing over trusted paths that is not sealed
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
        keys.aes.seal(packet);
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
        return keys.aes?.open(packet) ?? false;
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
