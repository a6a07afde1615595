/**
 * USER_MESSAGE (verb 0x14): bytes for the application at the other end.
 *
 *     offset  bytes  field
 *     0       8      message type; 0 to 65535 are the vendor's
 *     8       n      anything
 *
 * Source: spec 02 section 10.19; reference `Packet.hpp`, `VERB_USER_MESSAGE`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";

export interface UserMessage {
  readonly type: bigint;
  /** A view into the packet when decoded. */
  readonly message: Uint8Array;
}

/** @returns undefined when too short for a type: counted as received, and nothing else */
export function decodeUserMessage(payload: Uint8Array): UserMessage | undefined {
  if (payload.length < 8) return undefined;
  const r = new Reader(payload, "USER_MESSAGE");
  return { type: r.u64(), message: r.rest() };
}

export function encodeUserMessage(message: UserMessage, w: Writer): void {
  w.u64(message.type).raw(message.message);
}
