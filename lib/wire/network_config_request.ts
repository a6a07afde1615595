/**
 * NETWORK_CONFIG_REQUEST (verb 0x0b): a node asks the controller for its configuration of a network.
 *
 *     offset  bytes  field
 *     0       8      network id
 *     8       2      length m of the metadata; may be absent, and all after it
 *     10      m      metadata dictionary, see `lib/credential/request_metadata.ts`
 *     10+m    8      revision of the configuration held, 0 if none; may be absent
 *     18+m    8      timestamp of the configuration held, 0 if none; may be absent
 *
 * OK(NETWORK_CONFIG_REQUEST), after the nine bytes of `ok.ts`: a chunk, see `network_config.ts`.
 *
 * Source: spec 02 section 10.12, spec 04 section 5; reference `Packet.hpp`, `VERB_NETWORK_CONFIG_REQUEST`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";
import type { NetworkId } from "../base/ids.ts";

export interface NetworkConfigRequest {
  readonly networkId: NetworkId;
  /** Dictionary bytes: a view when decoded. */
  readonly metadata: Uint8Array;
  /** 0 when no configuration is held. */
  readonly haveRevision: bigint;
  /** 0 when no configuration is held. */
  readonly haveTimestampMs: number;
}

/** @throws {WireError} when the network id or the metadata is truncated */
export function decodeNetworkConfigRequest(payload: Uint8Array): NetworkConfigRequest {
  const r = new Reader(payload, "NETWORK_CONFIG_REQUEST");
  return {
    networkId: r.u64() as NetworkId,
    metadata: r.view(r.remaining > 0 ? r.u16() : 0),
    haveRevision: r.remaining >= 8 ? r.u64() : 0n,
    haveTimestampMs: r.remaining >= 8 ? r.time() : 0,
  };
}

export function encodeNetworkConfigRequest(request: NetworkConfigRequest, w: Writer): void {
  w.u64(request.networkId).u16(request.metadata.length).raw(request.metadata);
  w.u64(request.haveRevision).time(request.haveTimestampMs);
}
