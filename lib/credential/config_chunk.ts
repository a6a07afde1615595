/**
 * A signed piece of a network configuration, as NETWORK_CONFIG and OK(NETWORK_CONFIG_REQUEST) carry it.
 *
 *     offset  bytes  field
 *     0       8      network id
 *     8       2      length n of the piece
 *     10      n      piece of the dictionary
 *     10+n    1      flags: 1 asks members to pass the chunk on
 *     11+n    8      update id, random, the same in all chunks of one update
 *     19+n    4      length of the whole dictionary
 *     23+n    4      offset of this piece in it
 *     27+n    1      signature type, 1
 *     28+n    2      signature length, 96
 *     30+n    96     the controller's signature over the 27+n bytes before the type
 *
 * A chunk that ends after the piece is the unsigned form of old controllers: it counts only from the controller itself,
 * and is a whole configuration.
 *
 * Source: spec 02 section 10.13, spec 04 section 6.1.
 * @module
 */
import { Reader, Writer } from "../base/bytes.ts";
import type { NetworkId } from "../base/ids.ts";
import { SIGNATURE_BYTES } from "../identity/sign.ts";

const FLAG_FAST_PROPAGATE = 0x01;
const SIGNATURE_TYPE_ED25519 = 1;

/** What the controller signs. */
export interface ChunkFields {
  readonly networkId: NetworkId;
  /** A view when decoded. */
  readonly piece: Uint8Array;
  readonly fastPropagate: boolean;
  readonly updateId: bigint;
  readonly totalLength: number;
  /** Of the piece in the dictionary, in bytes. */
  readonly offset: number;
}

/** A chunk as received. All byte arrays are views into the packet. */
export type ReceivedChunk =
  | (ChunkFields & {
    readonly kind: "signed";
    /** undefined when its type or length is not the one we know: nothing can verify it. */
    readonly signature: Uint8Array | undefined;
    /** The bytes the signature is over. */
    readonly signedPart: Uint8Array;
    /** All of it, to pass on unchanged. */
    readonly bytes: Uint8Array;
  })
  | { readonly kind: "legacy"; readonly networkId: NetworkId; readonly piece: Uint8Array };

/** @throws {WireError} when truncated, except right after the piece */
export function decodeChunk(bytes: Uint8Array): ReceivedChunk {
  const r = new Reader(bytes, "config chunk");
  const networkId = r.u64() as NetworkId;
  const piece = r.view(r.u16());
  if (r.remaining === 0) return { kind: "legacy", networkId, piece };
  const fields = {
    networkId,
    piece,
    fastPropagate: (r.u8() & FLAG_FAST_PROPAGATE) !== 0,
    updateId: r.u64(),
    totalLength: r.u32(),
    offset: r.u32(),
  };
  const signedPart = bytes.subarray(0, r.at);
  const type = r.u8();
  const known = type === SIGNATURE_TYPE_ED25519;
  const signature = r.u16() === SIGNATURE_BYTES && known ? r.view(SIGNATURE_BYTES) : undefined;
  return { kind: "signed", ...fields, signature, signedPart, bytes };
}

/** The bytes the controller signs. */
export function chunkSignedPart(chunk: ChunkFields): Uint8Array {
  const w = new Writer(27 + chunk.piece.length);
  w.u64(chunk.networkId).u16(chunk.piece.length).raw(chunk.piece);
  w.u8(chunk.fastPropagate ? FLAG_FAST_PROPAGATE : 0);
  w.u64(chunk.updateId).u32(chunk.totalLength).u32(chunk.offset);
  return w.finish();
}

/** @param signature 96 bytes, over {@linkcode chunkSignedPart} */
export function encodeChunk(chunk: ChunkFields, signature: Uint8Array, w: Writer): void {
  w.raw(chunkSignedPart(chunk));
  w.u8(SIGNATURE_TYPE_ED25519).u16(SIGNATURE_BYTES).raw(signature);
}
