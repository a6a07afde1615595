/**
 * Where the AES module keeps its own bytes: at the end of what the packet module leaves free of its first page, so that both can
 * work on one memory. Then the fields of a pair: two AES-256 keys, expanded.
 */

/** Vectors that are the same for all keys; `aes_tables.ts` fills them. */
export const TABLES: usize = 11_264;
/** What a message is built from at its ends: 64 bytes. */
export const SCRATCH: usize = 11_904;
/** What authenticates a packet besides its envelope: 16 bytes. */
export const HEAD: usize = 11_968;
/** 256 bytes, used while the tables are filled and while a key is expanded. */
export const WORKSPACE: usize = 12_032;

const SCHEDULE_BYTES: usize = 240;
/** Round keys of K0, of K1, and of K1 for decryption, in this order; 15 each. */
export const K0: usize = 0;
export const K1: usize = SCHEDULE_BYTES;
export const K1_INVERSE: usize = 2 * SCHEDULE_BYTES;
/** Tables of GHASH, see `ghash.ts`. */
export const GHASH: usize = 3 * SCHEDULE_BYTES;
export const GHASH_BYTES: usize = 17 * 4 * 2 * 16;
/** Bytes of a pair. */
export const PAIR_BYTES: usize = GHASH + GHASH_BYTES;
