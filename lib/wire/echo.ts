/**
 * ECHO (verb 0x08): are you there? Any payload, usually none; OK(ECHO) carries the same after the
 * nine bytes of `ok.ts`.
 *
 * An OK that names ECHO is also how the reference acknowledges a pushed network configuration: its
 * body is then network id (8) and update id (8), see `network_config.ts`.
 *
 * Source: spec 02 sections 10.9 and 10.13; reference `Packet.hpp`, `VERB_ECHO`.
 * @module
 */
import type { Writer } from "../base/bytes.ts";

/** The bytes to send back: a view. */
export function decodeEcho(payload: Uint8Array): Uint8Array {
  return payload;
}

/** Writes the payload of an ECHO, or the body of the OK that answers it. */
export function encodeEcho(content: Uint8Array, w: Writer): void {
  w.raw(content);
}
