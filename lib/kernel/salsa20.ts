/**
 * Salsa20 as the specification reads, one block at a time: the slow twin of the kernel's.
 *
 * Source: spec 01 section 2.1.
 * @module
 */

/** Quarter rounds of a double round: four on columns, then four on rows. */
const QUARTERS = [
  [0, 4, 8, 12],
  [5, 9, 13, 1],
  [10, 14, 2, 6],
  [15, 3, 7, 11],
  [0, 1, 2, 3],
  [5, 6, 7, 4],
  [10, 11, 8, 9],
  [15, 12, 13, 14],
];

function rotl(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** A stream cipher whose block counter goes on from call to call; the unused tail of a call's last block is lost. */
export class Salsa20 {
  readonly #state = new Uint32Array(16);

  /**
   * @param rounds 20 or 12
   * @param key 32 bytes
   * @param nonce 8 bytes
   */
  constructor(readonly rounds: 12 | 20, key: Uint8Array, nonce: Uint8Array) {
    const k = new DataView(key.buffer, key.byteOffset, 32);
    const n = new DataView(nonce.buffer, nonce.byteOffset, 8);
    for (let i = 0; i < 4; i++) {
      this.#state[1 + i] = k.getUint32(4 * i, true);
      this.#state[11 + i] = k.getUint32(16 + 4 * i, true);
    }
    this.#state[6] = n.getUint32(0, true);
    this.#state[7] = n.getUint32(4, true);
    // "expand 32-byte k" on the diagonal
    this.#state[0] = 0x61707865;
    this.#state[5] = 0x3320646e;
    this.#state[10] = 0x79622d32;
    this.#state[15] = 0x6b206574;
  }

  /** Exclusive-or of `data` with the keystream; a new array. */
  crypt(data: Uint8Array): Uint8Array {
    const out = data.slice();
    for (let at = 0; at < out.length; at += 64) {
      const block = this.#block();
      const end = Math.min(64, out.length - at);
      for (let i = 0; i < end; i++) out[at + i] ^= block[i];
    }
    return out;
  }

  /** The next 64 bytes of keystream. */
  #block(): Uint8Array {
    const x = this.#state.slice();
    for (let round = 0; round < this.rounds; round += 2) {
      for (const [a, b, c, d] of QUARTERS) {
        x[b] ^= rotl(x[a] + x[d], 7);
        x[c] ^= rotl(x[b] + x[a], 9);
        x[d] ^= rotl(x[c] + x[b], 13);
        x[a] ^= rotl(x[d] + x[c], 18);
      }
    }
    const block = new DataView(new ArrayBuffer(64));
    for (let i = 0; i < 16; i++) block.setUint32(4 * i, x[i] + this.#state[i], true);
    this.#state[8]++;
    if (this.#state[8] === 0) this.#state[9]++;
    return new Uint8Array(block.buffer);
  }
}
