/**
 * REMOTE_TRACE (verb 0x15): a member reports what its rules did, to whom the controller named.
 *
 *     bytes  field
 *     n      dictionary, 1 to 10000 bytes
 *     1      0
 *     ...    more of both; a rest that is not ended by 0 is ignored, and so is a dictionary of another length
 *
 * Source: spec 02 section 10.20; reference `Packet.hpp`, `VERB_REMOTE_TRACE`.
 * @module
 */
import type { Writer } from "../base/bytes.ts";

const DICTIONARY_LENGTH_MAX = 10_000;

/** The dictionaries: views. Never throws. */
export function decodeRemoteTrace(payload: Uint8Array): Uint8Array[] {
  const dictionaries: Uint8Array[] = [];
  let start = 0;
  for (let end = payload.indexOf(0); end >= 0; end = payload.indexOf(0, start)) {
    const length = end - start;
    if (length > 0 && length <= DICTIONARY_LENGTH_MAX) {
      dictionaries.push(payload.subarray(start, end));
    }
    start = end + 1;
  }
  return dictionaries;
}

export function encodeRemoteTrace(dictionaries: readonly Uint8Array[], w: Writer): void {
  for (const dictionary of dictionaries) w.raw(dictionary).u8(0);
}
