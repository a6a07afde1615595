/**
 * NETWORK_CONFIG (verb 0x0c): the controller, or a member passing it on, pushes a piece of a
 * network's configuration. The payload is a chunk, laid out in `lib/credential/config_chunk.ts`;
 * OK(NETWORK_CONFIG_REQUEST) carries the same after the nine bytes of `ok.ts`.
 *
 * The OK to a push that completed a configuration says ECHO as the verb it answers, a quirk of the reference that
 * nothing depends on; take either. Its body:
 *
 *     offset  bytes  field
 *     0       8      network id
 *     8       8      update id
 *
 * Source: spec 02 section 10.13, spec 04 section 6; reference `Packet.hpp`, `VERB_NETWORK_CONFIG`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";
import type { NetworkId } from "../base/ids.ts";
import {
  type ChunkFields,
  decodeChunk,
  encodeChunk,
  type ReceivedChunk,
} from "../credential/config_chunk.ts";

/** @throws {WireError} when truncated, except right after the piece (the unsigned form of old controllers) */
export function decodeNetworkConfig(payload: Uint8Array): ReceivedChunk {
  return decodeChunk(payload);
}

/** @param signature 96 bytes, by the controller over `chunkSignedPart(chunk)` */
export function encodeNetworkConfig(chunk: ChunkFields, signature: Uint8Array, w: Writer): void {
  encodeChunk(chunk, signature, w);
}

/** Which update a member has completed. */
export interface ConfigAcknowledgement {
  readonly networkId: NetworkId;
  readonly updateId: bigint;
}

/** @throws {WireError} when truncated */
export function decodeOkNetworkConfig(body: Uint8Array): ConfigAcknowledgement {
  const r = new Reader(body, "OK(NETWORK_CONFIG)");
  return { networkId: r.u64() as NetworkId, updateId: r.u64() };
}

export function encodeOkNetworkConfig(acknowledgement: ConfigAcknowledgement, w: Writer): void {
  w.u64(acknowledgement.networkId).u64(acknowledgement.updateId);
}
