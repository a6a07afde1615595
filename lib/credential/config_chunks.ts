/**
 * A network configuration on its way: cut into signed chunks at the controller, put together at the member.
 *
 * Source: spec 04 sections 6.1 and 6.2.
 * @module
 */
import { Reader } from "../base/bytes.ts";
import type { NetworkId } from "../base/ids.ts";
import { type ChunkFields, chunkSignedPart, type ReceivedChunk } from "./config_chunk.ts";
import { CONFIG_LENGTH_MAX } from "./network_config.ts";

/**
 * Dictionary bytes in one chunk. The reference puts 9740, which takes seven fragments at its MTU;
 * with ours a chunk passes where a path carries 1280 bytes.
 */
export const CHUNK_PIECE_MAX = 4_096;
const UPDATES_MAX = 3; // spec 04 section 4: assembled at a time
const CHUNKS_MAX = 474; // spec 04 section 4: of one update

/** What one update is made of. */
export interface ConfigUpdate {
  readonly networkId: NetworkId;
  /** Random, not 0. */
  readonly updateId: bigint;
  readonly dictionary: Uint8Array;
}

/** A chunk ready to be written by `encodeChunk()`. */
export interface SignedChunk extends ChunkFields {
  /** 96 bytes. */
  readonly signature: Uint8Array;
}

/**
 * Cuts a dictionary into chunks and signs each.
 * @param sign Signs as the controller
 * @param pieceMax Dictionary bytes in one chunk
 * @throws {RangeError} when the dictionary is empty, or longer or in more pieces than a member takes
 */
export function signChunks(
  update: ConfigUpdate,
  sign: (message: Uint8Array) => Uint8Array,
  pieceMax = CHUNK_PIECE_MAX,
): SignedChunk[] {
  const { dictionary } = update;
  const count = Math.ceil(dictionary.length / pieceMax);
  if (dictionary.length >= CONFIG_LENGTH_MAX || count < 1 || count > CHUNKS_MAX) {
    throw new RangeError(`dictionary: ${dictionary.length} bytes in ${count} chunks`);
  }
  return Array.from({ length: count }, (_, i) => {
    const offset = i * pieceMax;
    const chunk: ChunkFields = {
      networkId: update.networkId,
      piece: dictionary.subarray(offset, offset + pieceMax),
      fastPropagate: false,
      updateId: update.updateId,
      totalLength: dictionary.length,
      offset,
    };
    return { ...chunk, signature: sign(chunkSignedPart(chunk)) };
  });
}

/** What became of a chunk. */
export type ChunkResult =
  /** The last piece: parse `dictionary`, and acknowledge `updateId` if it was pushed. */
  | { readonly kind: "complete"; readonly dictionary: Uint8Array; readonly updateId: bigint }
  /** New and genuine, but not the last: like "complete", to be passed on if it asks for that. */
  | { readonly kind: "stored" }
  | { readonly kind: "ignored"; readonly reason: IgnoredChunk };

export type IgnoredChunk = "duplicate" | "bounds" | "signature" | "too many" | "unsigned";

/** Where a chunk came from, for the unsigned form. */
export interface ChunkSource {
  /** The packet's source is the network's controller. */
  readonly fromController: boolean;
  /** Serves an unsigned chunk as its update id. */
  readonly packetId: bigint;
}

interface Update {
  readonly updateId: bigint;
  readonly bytes: Uint8Array;
  /** See {@linkcode chunkId}. */
  readonly chunkIds: Set<bigint>;
  receivedBytes: number;
}

/**
 * Puts the configurations of one network together. Holds three updates at a time; a new one takes
 * the place of that with the fewest chunks. Memory is claimed only by signed chunks: at most three
 * configurations.
 */
export class ConfigAssembler {
  #updates: Update[] = [];

  /**
   * @param chunk Lent
   * @param verify Whether the controller signed the message; false also while its identity is not known
   */
  add(
    chunk: ReceivedChunk,
    verify: (message: Uint8Array, signature: Uint8Array) => boolean,
    source: ChunkSource,
  ): ChunkResult {
    if (chunk.kind === "legacy") return takeLegacy(chunk.piece, source);
    const { piece, offset, totalLength, signature, updateId } = chunk;
    if (totalLength >= CONFIG_LENGTH_MAX || offset + piece.length > totalLength) {
      return { kind: "ignored", reason: "bounds" };
    }
    if (!signature) return { kind: "ignored", reason: "signature" };
    const known = this.#updates.find((update) => update.updateId === updateId);
    const id = chunkId(signature);
    if (known?.chunkIds.has(id)) return { kind: "ignored", reason: "duplicate" };
    if (!verify(chunk.signedPart, signature)) return { kind: "ignored", reason: "signature" };
    const update = known ?? this.#begin(updateId, totalLength);
    if (update.chunkIds.size === CHUNKS_MAX) return { kind: "ignored", reason: "too many" };
    // The controller signed two totals for one update: it contradicts itself.
    if (update.bytes.length !== totalLength) return { kind: "ignored", reason: "bounds" };
    update.chunkIds.add(id);
    update.bytes.set(piece, offset);
    update.receivedBytes += piece.length;
    if (update.receivedBytes !== totalLength) return { kind: "stored" };
    this.#updates = this.#updates.filter((other) => other !== update);
    return { kind: "complete", dictionary: update.bytes, updateId };
  }

  #begin(updateId: bigint, totalLength: number): Update {
    const update = {
      updateId,
      bytes: new Uint8Array(totalLength),
      chunkIds: new Set<bigint>(),
      receivedBytes: 0,
    };
    if (this.#updates.length === UPDATES_MAX) {
      const fewest = Math.min(...this.#updates.map((other) => other.chunkIds.size));
      const least = this.#updates.findIndex((other) => other.chunkIds.size === fewest);
      this.#updates.splice(least, 1);
    }
    this.#updates.push(update);
    return update;
  }
}

function takeLegacy(piece: Uint8Array, source: ChunkSource): ChunkResult {
  if (!source.fromController) return { kind: "ignored", reason: "unsigned" };
  return { kind: "complete", dictionary: piece.slice(), updateId: source.packetId };
}

/** The reference's way to tell one chunk of an update from another: two halves of the signature's start, mixed. */
function chunkId(signature: Uint8Array): bigint {
  const r = new Reader(signature, "config chunk");
  return r.u64() ^ r.u64();
}
