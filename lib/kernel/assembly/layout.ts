/**
 * Where the kernel keeps its own bytes. The first page of the memory up to {@link KERNEL_BYTES} belongs to it, everything
 * after that to whoever made the memory. There is no heap, no static data, no stack in memory.
 */

/** Salsa20 state before the rounds: 16 words, 64 bytes. */
export const STATE: usize = 0;
/** One-time Poly1305 key: 32 bytes. */
export const POLY_KEY: usize = 64;
/** Last, partial block of a Poly1305 message: 16 bytes. */
export const POLY_BLOCK: usize = 96;
/** Poly1305 between two calls: five limbs of 8 bytes. */
export const POLY_STATE: usize = 112;
/** Mangled Salsa20 key: 32 bytes. */
export const MANGLED: usize = 160;
/** Keystream: that of the longest packet, 40 times four blocks. */
export const STREAM: usize = 1_024;
export const STREAM_BYTES: usize = 10_240;
/** End of what the kernel owns. */
export const KERNEL_BYTES: usize = 12_288;

/** virtio header in front of a frame, when the TAP has offloads. */
export const VNET_BYTES: i32 = 10;
export const ETHERNET_BYTES: i32 = 14;

/** Fields of a packet. Source: spec 02 sections 2 and 3. */
export const AT_DESTINATION: usize = 8;
export const AT_SOURCE: usize = 13;
export const AT_FLAGS: usize = 18;
export const AT_VERB: usize = 27;
export const HEADER_BYTES: i32 = 28;
/** Header of a FRAME packet: up to and with the EtherType. */
export const FRAME_HEADER_BYTES: i32 = 38;
export const FLAG_FRAGMENTED: u8 = 0x40;
/** Set with Salsa20/12 alone, as everybody does. */
export const FLAG_ENCRYPTED: u8 = 0x80;
export const MASK_CIPHER: u8 = 0x38;
export const CIPHER_SALSA: u8 = 0x08;
export const CIPHER_AES: u8 = 0x18;
export const MASK_HOPS: u8 = 0x07;
export const VERB_FRAME: u8 = 0x06;

/** Fields of a fragment. */
export const FRAGMENT_HEADER_BYTES: i32 = 16;
export const FRAGMENT_MARKER: u8 = 0xff;
export const AT_NUMBERS: usize = 14;
export const AT_HOPS: usize = 15;
export const FRAGMENTS_MAX: i32 = 7;
/** Longest packet once assembled. */
export const PACKET_BYTES_MAX: i32 = 10_024;
