/**
 * Members of a multicast group, as OK(MULTICAST_GATHER) and OK(MULTICAST_FRAME) list them.
 *
 *     offset  bytes   field
 *     0       4       members known to the responder
 *     4       2       number listed
 *     6       5 each  their addresses
 *
 * Source: spec 02 section 10.14, spec 04 section 12.7.
 * @module
 */
import type { Reader, Writer } from "../base/bytes.ts";
import type { Address } from "../base/ids.ts";

export interface GatherResult {
  /** Informational: may count the responder and the requester. */
  readonly totalKnown: number;
  /** At most 65535, and what fits a packet. */
  readonly members: readonly Address[];
}

/** @throws {WireError} when it counts more members than it lists */
export function decodeGatherResult(r: Reader): GatherResult {
  const totalKnown = r.u32();
  const members: Address[] = [];
  for (let count = r.u16(); count > 0; count--) members.push(r.address());
  return { totalKnown, members };
}

export function encodeGatherResult(result: GatherResult, w: Writer): void {
  w.u32(result.totalKnown).u16(result.members.length);
  for (const member of result.members) w.address(member);
}
