/**
 * The data plane's kernel: between TAP and wire nothing but this touches a packet's bytes. Frames
 * and super-frames become sealed datagrams of equal size, datagrams become opened packets, opened
 * frames become super-frames; sources in `assembly/` (`transmit.ts`, `receive.ts`, `coalesce.ts`),
 * slow twins in `data_twin.ts`.
 *
 * Everything lies in one memory of the caller's, never grown. Arguments called pointers are
 * addresses in it; numbers in tables are little-endian. Nothing allocates, nothing throws. Lengths
 * of areas are the caller's word; what a local program or a stranger put into them is not trusted.
 *
 * Source: spec 07 sections 1, 2 and 5.
 * @module
 */
import { type PacketAes, type PacketExports, packetExports } from "./mod.ts";

/** Bytes of the reassembly area: 64 packets. */
export const REASSEMBLY_BYTES = 659_968;
/** Bytes of the scratch area. */
export const SCRATCH_BYTES = 10_240;
/** Bytes of the ids area: 27 round keys of Speck64/128, then the counter, low half first. */
export const IDS_BYTES = 116;
/** Bytes of the virtio header in front of a frame, when the TAP has offloads. */
export const VNET_BYTES = 10;
/** Bytes of the beginning of a FRAME packet: header, verb byte, network id. */
export const TEMPLATE_BYTES = 36;
/** Packets that may be complete in the reassembly area and not drained; further ones make `receive()` return -1. */
export const ASSEMBLED_MAX = 32;

/** Bytes of a run: u32 pointer, u32 datagram size, u32 bytes in all, u32 path tag. */
export const RUN_BYTES = 16;
/** Most datagrams and bytes of one run. */
export const RUN_DATAGRAMS_MAX = 64;
export const RUN_LENGTH_MAX = 65_000;
/** Bytes of an entry of `splitFrame()`'s list: u32 pointer, u32 length. */
export const LIST_BYTES = 8;
/** Bytes of a write: u32 pointer, u32 length, u32 tap tag. */
export const WRITE_BYTES = 12;

/** Bytes of a result, and where its fields are. */
export const RESULT_BYTES = 32;
export const Result = {
  /** u8, a {@linkcode ResultKind} */
  KIND: 0,
  /** u8, as in the packet, the compressed flag included; 0 for what was not looked into */
  VERB: 1,
  /** u8 */
  HOPS: 2,
  /** u32 */
  POINTER: 4,
  /** u32, in bytes */
  LENGTH: 8,
  /** u32, {@linkcode NO_SLOT} when the sender has none */
  SLOT: 12,
  /** u32; of the head, when the packet came in pieces */
  SOURCE_TAG: 16,
  /** u32 each, of a FRAME */
  NETWORK_HIGH: 20,
  NETWORK_LOW: 24,
  /** u32, of a FRAME */
  ETHER_TYPE: 28,
} as const;
export const NO_SLOT = 0xffff_ffff;

export const ResultKind = {
  /** An opened FRAME: pointer and length are those of the Ethernet payload. */
  FRAME: 1,
  /** Another opened packet, from its first byte. */
  OPENED: 2,
  /** A whole packet for us that is not opened here, or a datagram too odd to be one; untouched. */
  SEALED: 3,
  /** A datagram for somebody else, untouched. */
  FOREIGN: 4,
  /** Failed authentication, or claims to come from ourselves; untouched. */
  FAILED: 5,
} as const;
export type ResultKind = typeof ResultKind[keyof typeof ResultKind];

/** Bytes of a session, and where its fields are. */
export const SESSION_BYTES = 128;
export const Session = {
  /** u64; 0 when free */
  ADDRESS: 0,
  /** 32 bytes */
  KEY: 8,
  /** u32, see {@linkcode SESSION_OPENS} */
  FLAGS: 40,
  /** u32 each, written by the kernel */
  OPENED: 48,
  FAILED: 52,
  /** f64, written by the kernel: bytes of packets opened */
  BYTES: 56,
  /** u32, written by the kernel: ticks of the last frames that came with hops 0 and with more */
  DIRECT_TICK: 64,
  RELAYED_TICK: 68,
  /** u32, written by the kernel: path tag of the last frame with hops 0 */
  DIRECT_PATH: 72,
  /** u32: length from which on packets to it are sealed with AES-GMAC-SIV, shorter ones with Salsa20/12; 0 for none */
  AES_FROM: 76,
  /** u32, written by the kernel: path tag of the last frame with more hops */
  RELAYED_PATH: 80,
} as const;
/** Flag of a session whose packets the kernel may open, under Salsa20/12. */
export const SESSION_OPENS = 1;
/** Flag of one whose packets it may open under AES-GMAC-SIV too: its {@linkcode PacketAes} has the keys. */
export const SESSION_OPENS_AES = 2;

/** No room left: take what there is, begin again, repeat the call. */
export const FULL = -1;
/** The frame is malformed, or fits no room at all: drop it. */
export const MALFORMED = -2;

/** The functions of the data plane. */
export interface DataKernel extends PacketExports {
  /**
   * To be called first; clears the reassembly area. `index` has `indexMask + 1` u32 entries, a
   * power of two: slot + 1, or 0; the caller keeps it by {@linkcode sessionHash} and linear
   * probing.
   */
  setup(
    selfHigh: number,
    selfLow: number,
    ids: number,
    sessions: number,
    index: number,
    indexMask: number,
    slots: number,
    scratch: number,
  ): void;
  /** The clock for stamps and expiry: milliseconds, may wrap. */
  setTick(tick: number): void;
  /** Writes the next packet id, 8 bytes. */
  nextId(at: number): void;
  /** Same as {@linkcode sessionHash}, but for the sign when the mask has 32 bits. */
  sessionHash(high: number, low: number, mask: number): number;

  /** Begins a batch of datagrams; runs have {@linkcode RUN_BYTES} each. */
  txBegin(out: number, outBytes: number, runs: number, runsMax: number): void;
  /**
   * Seals a frame or super-frame (cut into segments) and appends its datagrams.
   * @param frame Virtio header of `vnet` bytes (0 or 10) and Ethernet frame; only read
   * @param template {@linkcode TEMPLATE_BYTES} bytes: destination, source, verb and network id set, flags 0
   * @param session Its entry, {@linkcode SESSION_BYTES} long
   * @returns packets made, 0 for a frame without payload, {@linkcode FULL} (nothing was written) or
   * {@linkcode MALFORMED}
   */
  transmit(
    frame: number,
    length: number,
    vnet: number,
    template: number,
    session: number,
    mtu: number,
    pathTag: number,
  ): number;
  /** @returns number of runs */
  txEnd(): number;
  /**
   * The frames a frame or super-frame stands for, checksums complete, without virtio header.
   * @param list Gets a pointer and a length each
   * @returns frames, {@linkcode FULL} when `out` or `list` is too small, or {@linkcode MALFORMED}
   */
  splitFrame(
    frame: number,
    length: number,
    vnet: number,
    out: number,
    outBytes: number,
    list: number,
    listMax: number,
  ): number;

  /** Begins a list of results; gives up those of the list before, packets assembled for it included. */
  rxBegin(results: number, resultsMax: number): void;
  /**
   * Handles the datagrams of one super-datagram, in place.
   * @param segment Bytes of each datagram, the last may be shorter; 0 when there is but one
   * @returns results since `rxBegin()`, or {@linkcode FULL}: drain, begin again, and go on at `rxResumeAt()`
   */
  receive(at: number, length: number, segment: number, sourceTag: number): number;
  /**
   * Results since `rxBegin()`: what to drain after {@linkcode FULL}, which may come before the list is full, when
   * {@linkcode ASSEMBLED_MAX} packets wait in the reassembly area.
   */
  rxCount(): number;
  /** Offset of the first datagram the last `receive()` did not handle. */
  rxResumeAt(): number;

  /** Whether UDP may be merged; not at first. */
  setUso(on: number): void;
  /**
   * Begins a batch of frames for TAPs.
   * @param out Multiple of 8
   * @param vnet 10, or 0: plain frames, nothing merged
   */
  rxFramesBegin(
    out: number,
    outBytes: number,
    writes: number,
    writesMax: number,
    vnet: number,
  ): void;
  /**
   * Appends a frame, to the super-frame before it when it can.
   * @param macs Destination and source, 12 bytes
   * @returns 0, or {@linkcode FULL}: nothing has happened then
   */
  deliver(
    payload: number,
    length: number,
    etherType: number,
    macs: number,
    tapTag: number,
  ): number;
  /** @returns number of writes */
  rxFramesEnd(): number;
}

/**
 * The kernel over a memory of the caller's.
 * @param memory Never grown; its first `KERNEL_BYTES` are the kernel's
 * @param aes For sessions with {@linkcode Session.AES_FROM} or {@linkcode SESSION_OPENS_AES}
 */
export function dataExports(memory: WebAssembly.Memory, aes?: PacketAes): DataKernel {
  return packetExports(memory, aes) as DataKernel;
}

/**
 * Where the search for an address begins in the session index.
 * @param high First byte of the address
 * @param low The other four, unsigned
 * @param mask Entries of the index minus one
 */
export function sessionHash(high: number, low: number, mask: number): number {
  return ((Math.imul(low, 0x9e37_79b1) ^ high) & mask) >>> 0;
}
