/**
 * MULTICAST_LIKE (verb 0x09): the groups the sender wants to hear.
 *
 *     offset  bytes    field
 *     0       18 each  network id (8), MAC (6), ADI (4)
 *
 * A partial last record aborts the packet; the records before it count.
 *
 * Source: spec 02 section 10.10; reference `Packet.hpp`, `VERB_MULTICAST_LIKE`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";
import type { NetworkId } from "../base/ids.ts";
import type { MulticastGroup } from "../base/multicast_group.ts";
import { type PartialList, readPartial } from "./partial.ts";

/** Bytes of one record. */
export const LIKE_LENGTH = 18;

/** One group on one network. */
export interface Like {
  readonly networkId: NetworkId;
  readonly group: MulticastGroup;
}

/** Never throws. */
export function decodeMulticastLike(payload: Uint8Array): PartialList<Like> {
  const r = new Reader(payload, "MULTICAST_LIKE");
  return readPartial(r, () => r.remaining > 0, (r) => ({
    networkId: r.u64() as NetworkId,
    group: { mac: r.mac(), adi: r.u32() },
  }));
}

export function encodeMulticastLike(likes: readonly Like[], w: Writer): void {
  for (const { networkId, group } of likes) w.u64(networkId).mac(group.mac).u32(group.adi);
}
