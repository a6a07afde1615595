/**
 * How the one memory of the data plane is divided. The kernel (WebAssembly) works in it, the operating system reads and
 * writes it, and JavaScript keeps its tables there; it is never grown.
 * @module
 */
import { AES_PAIR_BYTES } from "../kernel/aes_kernel.ts";
import { KERNEL_BYTES } from "../kernel/mod.ts";
import {
  IDS_BYTES,
  LIST_BYTES,
  REASSEMBLY_BYTES,
  RESULT_BYTES,
  RUN_BYTES,
  SCRATCH_BYTES,
  SESSION_BYTES,
  WRITE_BYTES,
} from "../kernel/data_kernel.ts";

/** Peers with a session at a time: a leaf talks to hundreds, a root relays to many more; the idlest goes first. */
export const SESSIONS_MAX = 16_384;
/** Sessions, from the first, that may have AES keys: as many as control publishes. */
export const AES_SESSIONS_MAX = 4_096;
/** Entries of the session index: twice as many as sessions, so that probing stays short. */
export const INDEX_SIZE = 32_768;
/** Members of all networks frames are exchanged with at a time. */
export const MEMBERS_MAX = 16_384;
/** Of each member: packet template (40), destination and source MAC (12). */
export const MEMBER_BYTES = 64;
export const MEMBER_MACS_AT = 40;

/** A TAP read: virtio header, Ethernet header, up to 64 KiB. */
export const TAP_IN_BYTES = 65_664;
/** One received super-datagram. */
export const UDP_IN_BYTES = 65_536;
export const UDP_IN_COUNT = 16;
/** Room for the datagrams of one batch of frames: eight super-frames with headers and fragments. */
export const UDP_OUT_BYTES = 1_048_576;
/** Room for the frames of one batch of datagrams. */
export const TAP_OUT_BYTES = 1_572_864;
/** Room for the pieces of one super-frame that control is to handle. */
export const SPLIT_BYTES = 131_072;
export const RESULTS_MAX = 1_024;
export const RUNS_MAX = 512;
export const WRITES_MAX = 1_024;
export const SPLIT_MAX = 256;

const ALIGNMENT = 64;
const PAGE_BYTES = 65_536;

let next = KERNEL_BYTES;
function area(lengthBytes: number): number {
  const at = next;
  next = Math.ceil((at + lengthBytes) / ALIGNMENT) * ALIGNMENT;
  return at;
}

export const IDS_AT = area(IDS_BYTES);
export const SCRATCH_AT = area(SCRATCH_BYTES);
export const SESSIONS_AT = area(SESSIONS_MAX * SESSION_BYTES);
export const INDEX_AT = area(INDEX_SIZE * 4);
export const AES_PAIRS_AT = area(AES_SESSIONS_MAX * AES_PAIR_BYTES);
export const REASSEMBLY_AT = area(REASSEMBLY_BYTES);
export const MEMBERS_AT = area(MEMBERS_MAX * MEMBER_BYTES);
export const RESULTS_AT = area(RESULTS_MAX * RESULT_BYTES);
export const RUNS_AT = area(RUNS_MAX * RUN_BYTES);
export const WRITES_AT = area(WRITES_MAX * WRITE_BYTES);
export const SPLIT_LIST_AT = area(SPLIT_MAX * LIST_BYTES);
export const SPLIT_AT = area(SPLIT_BYTES);
export const TAP_IN_AT = area(TAP_IN_BYTES);
export const UDP_OUT_AT = area(UDP_OUT_BYTES);
export const UDP_IN_AT = area(UDP_IN_COUNT * UDP_IN_BYTES);
export const TAP_OUT_AT = area(TAP_OUT_BYTES);

/** Pages of the whole memory; only those touched take room. */
export const ARENA_PAGES: number = Math.ceil(next / PAGE_BYTES);
