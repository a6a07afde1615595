/**
 * Where the kernel keeps its own bytes. The first page of the memory up to {@link KERNEL_BYTES} belongs to it, everything
 * after that to whoever made the memory. There is no heap, no static data, no stack in memory.
 */

/** Salsa20 state before the rounds: 16 words, 64 bytes. */
export const STATE: usize = 0;
/** Keystream of four consecutive blocks: 256 bytes. */
export const STREAM: usize = 64;
/** One-time Poly1305 key: 32 bytes. */
export const POLY_KEY: usize = 320;
/** Last, partial block of a Poly1305 message: 16 bytes. */
export const POLY_BLOCK: usize = 352;
/** Mangled Salsa20 key: 32 bytes. */
export const MANGLED: usize = 368;
/** End of what the kernel owns. */
export const KERNEL_BYTES: usize = 1024;
