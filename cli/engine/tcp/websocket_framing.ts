/**
 * WebSocket frames, as much of RFC 6455 as two programs need that only send whole binary messages:
 * what comes may be split by a proxy on the way, pings are answered, a close ends the stream.
 *
 *     offset  bytes    field
 *     0       1        0x80 last piece, 0x70 reserved (0), 0x0f opcode
 *     1       1        0x80 masked, 0x7f length; 126: 2 bytes follow, 127: 8 bytes follow
 *     ...     0, 2, 8  length, big-endian
 *     ...     0 or 4   mask: from client to server always, from server to client never
 *     ...     ...      payload, each byte XORed with the mask's
 *
 * @module
 */
import { WireError } from "../../../lib/base/errors.ts";
import type { Random } from "../../../lib/crypto/primitives.ts";
import { type Framing, Pending } from "./framing.ts";
import { MESSAGE_LENGTH_MAX } from "./payload.ts";

const LAST = 0x80;
const MASKED = 0x80;
const MASK_LENGTH = 4;
const CONTROL_LENGTH_MAX = 125;
const Opcode = { CONTINUATION: 0, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;

/** Which end we are, and what an end needs. */
export interface WebSocketOptions {
  /** Makes masks; present at the client and only there. */
  readonly random?: Random;
  /** Bytes to be sent besides our messages: answers to pings. */
  readonly reply: (bytes: Uint8Array) => void;
}

interface Header {
  readonly opcode: number;
  readonly last: boolean;
  readonly headerLength: number;
  readonly length: number;
}

export class WebSocketFraming implements Framing {
  readonly #pending = new Pending();
  readonly #options: WebSocketOptions;
  #pieces: Uint8Array[] = []; // of a message that was split; at most MESSAGE_LENGTH_MAX bytes
  #piecesLength = 0;
  #split = false;

  constructor(options: WebSocketOptions) {
    this.#options = options;
  }

  take(bytes: Uint8Array): Uint8Array[] {
    this.#pending.push(bytes);
    const messages: Uint8Array[] = [];
    for (let header = this.#header(); header; header = this.#header()) {
      const { headerLength, length } = header;
      if (this.#pending.length < headerLength + length) return messages;
      const head = this.#pending.take(headerLength);
      const payload = this.#pending.take(length);
      if (!this.#options.random) unmask(payload, head.subarray(headerLength - MASK_LENGTH));
      const message = this.#frame(header, payload);
      if (message) messages.push(message);
    }
    return messages;
  }

  /** @returns undefined until all of it is there */
  #header(): Header | undefined {
    const pending = this.#pending;
    if (pending.length < 2) return undefined;
    const first = pending.peek(0);
    const second = pending.peek(1);
    if ((first & 0x70) !== 0) throw broken("reserved bits are set");
    const fromClient = this.#options.random === undefined;
    if (((second & MASKED) !== 0) !== fromClient) throw broken("masked by the wrong end");
    const short = second & 0x7f;
    const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
    if (pending.length < 2 + extra) return undefined;
    let length = extra === 0 ? short : 0;
    for (let i = 0; i < extra; i++) length = length * 256 + pending.peek(2 + i);
    if (length > MESSAGE_LENGTH_MAX) throw broken(`length ${length}`);
    const headerLength = 2 + extra + (fromClient ? MASK_LENGTH : 0);
    return { opcode: first & 0x0f, last: (first & LAST) !== 0, headerLength, length };
  }

  #frame({ opcode, last }: Header, payload: Uint8Array): Uint8Array | undefined {
    if (opcode >= Opcode.CLOSE) {
      if (!last || payload.length > CONTROL_LENGTH_MAX) throw broken("control frame in pieces");
      if (opcode === Opcode.PING) this.#options.reply(this.#encode(Opcode.PONG, payload));
      else if (opcode !== Opcode.PONG) throw broken(`closed, or opcode ${opcode}`);
      return undefined;
    }
    const continues = opcode === Opcode.CONTINUATION;
    if ((!continues && opcode !== Opcode.BINARY) || continues !== this.#split) {
      throw broken(`opcode ${opcode} here`);
    }
    this.#pieces.push(payload);
    this.#piecesLength += payload.length;
    // An empty piece would not count towards the bound on bytes: a stream of them must not grow the list.
    if (this.#piecesLength > MESSAGE_LENGTH_MAX || (!last && payload.length === 0)) {
      throw broken("pieces");
    }
    this.#split = !last;
    return last ? this.#join() : undefined;
  }

  #join(): Uint8Array {
    const message = new Uint8Array(this.#piecesLength);
    let at = 0;
    for (const piece of this.#pieces) {
      message.set(piece, at);
      at += piece.length;
    }
    this.#pieces = [];
    this.#piecesLength = 0;
    return message;
  }

  wrap(message: Uint8Array): Uint8Array {
    return this.#encode(Opcode.BINARY, message);
  }

  #encode(opcode: number, payload: Uint8Array): Uint8Array {
    const { random } = this.#options;
    const extra = payload.length < 126 ? 0 : 2; // no message of ours needs eight bytes
    const maskAt = 2 + extra;
    const at = maskAt + (random ? MASK_LENGTH : 0);
    const frame = new Uint8Array(at + payload.length);
    frame[0] = LAST | opcode;
    frame[1] = (random ? MASKED : 0) | (extra === 0 ? payload.length : 126);
    if (extra > 0) {
      frame[2] = payload.length >> 8;
      frame[3] = payload.length & 0xff;
    }
    frame.set(payload, at);
    if (random) {
      const mask = frame.subarray(maskAt, at);
      random(mask);
      unmask(frame.subarray(at), mask);
    }
    return frame;
  }
}

function unmask(payload: Uint8Array, mask: Uint8Array): void {
  for (let i = 0; i < payload.length; i++) payload[i] ^= mask[i & 3];
}

function broken(reason: string): WireError {
  return new WireError("WebSocket frame", reason);
}
