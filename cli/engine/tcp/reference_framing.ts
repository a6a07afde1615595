/**
 * The framing of the reference's TCP relay, which looks like TLS application data and is not.
 *
 *     offset  bytes  field
 *     0       1      0x17
 *     1       2      0x03 0x03
 *     3       2      length of what follows, big-endian
 *     5       ...    message
 *
 * The client's first message is its greeting, 4 bytes: major, minor, revision (big-endian). It is never answered.
 *
 * Source: spec 03 section 21.1, reference `tcp-proxy`.
 * @module
 */
import { WireError } from "../../../lib/base/errors.ts";
import { type Framing, Pending } from "./framing.ts";
import { MESSAGE_LENGTH_MAX } from "./payload.ts";

/** First byte of a connection of this kind. */
export const REFERENCE_FIRST_BYTE = 0x17;
/** Length of the greeting, by which it is told from datagrams. */
export const GREETING_LENGTH = 4;
const HEADER_LENGTH = 5;
const HEADER = [REFERENCE_FIRST_BYTE, 0x03, 0x03];

/** The greeting of a client, as a message. */
export function encodeGreeting(version: readonly [number, number, number]): Uint8Array {
  const [major, minor, revision] = version;
  return Uint8Array.of(major, minor, revision >> 8, revision & 0xff);
}

export class ReferenceFraming implements Framing {
  readonly #pending = new Pending();

  take(bytes: Uint8Array): Uint8Array[] {
    const pending = this.#pending;
    pending.push(bytes);
    const messages: Uint8Array[] = [];
    for (;;) {
      for (let i = 0; i < HEADER.length && i < pending.length; i++) {
        if (pending.peek(i) !== HEADER[i]) throw new WireError("tunnel frame", "no such header");
      }
      if (pending.length < HEADER_LENGTH) return messages;
      const length = (pending.peek(3) << 8) | pending.peek(4);
      if (length === 0 || length > MESSAGE_LENGTH_MAX) {
        throw new WireError("tunnel frame", `length ${length}`);
      }
      if (pending.length < HEADER_LENGTH + length) return messages;
      pending.take(HEADER_LENGTH);
      messages.push(pending.take(length));
    }
  }

  wrap(message: Uint8Array): Uint8Array {
    const frame = new Uint8Array(HEADER_LENGTH + message.length);
    frame.set(HEADER);
    frame[3] = message.length >> 8;
    frame[4] = message.length & 0xff;
    frame.set(message, HEADER_LENGTH);
    return frame;
  }
}
