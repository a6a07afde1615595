/**
 * One conversation with the machine's message bus (D-Bus): method calls, each answered or refused.
 * As much of the protocol as configuring a resolver takes; nothing is exported to the bus, and
 * signals are passed over.
 *
 *     message   'l', type u8, flags u8, 1, body length u32, serial u32, fields a(yv), zeros up to a multiple of 8, body
 *
 * Numbers are little-endian, each at a multiple of its size, structures at a multiple of 8.
 *
 * Source: D-Bus specification 0.42, "Message Protocol" and "Authentication Protocol".
 * @module
 */
import { text, utf8 } from "../../../lib/base/bytes.ts";
import { ApiError, messageOf } from "../../../lib/base/errors.ts";
import { BodyWriter } from "./bus_body.ts";

const CALL = 1;
const RETURN = 2;
const REFUSAL = 3;
const NO_AUTO_START = 2; // a service that does not run is not to be started for our sake
const FIXED_LENGTH = 16;
const MESSAGE_LENGTH_MAX = 65_536; // ours: answers are short; bounds memory
const LINE_LENGTH_MAX = 1_024;
const PATIENCE_MS = 5_000; // for a whole conversation
const DEFAULT_PATH = "/run/dbus/system_bus_socket";

/** Codes of header fields. */
const Field = {
  PATH: 1,
  INTERFACE: 2,
  MEMBER: 3,
  ERROR_NAME: 4,
  REPLY_SERIAL: 5,
  DESTINATION: 6,
  SIGNATURE: 8,
} as const;

/** Whom a call goes to. */
export interface BusTarget {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
}

/** The arguments of a call. */
export interface BusArguments {
  readonly signature: string;
  readonly body: BodyWriter;
}

const BUS: BusTarget = {
  destination: "org.freedesktop.DBus",
  path: "/org/freedesktop/DBus",
  interface: "org.freedesktop.DBus",
};

/** What the header of an answer says, as far as we look. */
interface Answer {
  readonly type: number;
  readonly replyTo: number | undefined;
  readonly error: string | undefined;
}

/** Where the machine's bus listens: `DBUS_SYSTEM_BUS_ADDRESS`, or the usual place. */
export function busPath(address: string | undefined): string {
  return /^unix:path=([^,;]+)/.exec(address ?? "")?.[1] ?? DEFAULT_PATH;
}

/**
 * Talks with the bus and hangs up, a few seconds at most.
 * @returns what `talk` returns
 * @throws {ApiError} when nobody listens, or what `talk` throws
 */
export async function withBus<T>(path: string, talk: (bus: Bus) => Promise<T>): Promise<T> {
  let connection: Deno.UnixConn;
  try {
    connection = await Deno.connect({ transport: "unix", path });
  } catch (error) {
    throw new ApiError(0, `no message bus at ${path}: ${messageOf(error)}`);
  }
  const hangUp = () => {
    try {
      connection.close();
    } catch {
      // It was closed before.
    }
  };
  const timer = setTimeout(hangUp, PATIENCE_MS);
  try {
    const bus = new Bus(connection);
    await bus.authenticate();
    await bus.call(BUS, "Hello");
    return await talk(bus);
  } catch (error) {
    throw error instanceof ApiError ? error : new ApiError(0, `message bus: ${messageOf(error)}`);
  } finally {
    clearTimeout(timer);
    hangUp();
  }
}

/** An open conversation. */
export class Bus {
  readonly #connection: Deno.UnixConn;
  #buffer: Uint8Array = new Uint8Array(0); // received and not yet read
  #serial = 0;

  constructor(connection: Deno.UnixConn) {
    this.#connection = connection;
  }

  /** Says who we are; the bus asks the kernel whether it is true. */
  async authenticate(): Promise<void> {
    const uid = [...utf8(String(Deno.uid()))].map((byte) => byte.toString(16)).join("");
    await this.#send(utf8(`\0AUTH EXTERNAL ${uid}\r\n`));
    const answer = await this.#line();
    if (!answer.startsWith("OK ")) throw new ApiError(0, `the message bus says ${answer}`);
    await this.#send(utf8("BEGIN\r\n"));
  }

  /** @throws {ApiError} with the name of the error when the call is refused */
  async call(target: BusTarget, member: string, given?: BusArguments): Promise<void> {
    const serial = ++this.#serial;
    await this.#send(encodeCall(serial, target, member, given));
    for (;;) {
      const { type, replyTo, error } = await this.#answer();
      if (replyTo !== serial) continue; // a signal
      if (type === RETURN) return;
      if (type === REFUSAL) throw new ApiError(0, `${member} was refused: ${error ?? "no reason"}`);
    }
  }

  async #send(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#connection.write(bytes.subarray(sent));
    }
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#buffer.indexOf(10);
      if (end >= 0) return text(this.#take(end + 1)).trim();
      if (this.#buffer.length > LINE_LENGTH_MAX) throw new ApiError(0, "the message bus rambles");
      await this.#receive();
    }
  }

  async #answer(): Promise<Answer> {
    await this.#have(FIXED_LENGTH);
    const view = viewOf(this.#buffer);
    if (view.getUint8(0) !== 0x6c) throw new ApiError(0, "the message bus speaks big-endian");
    const fields = view.getUint32(12, true);
    const length = FIXED_LENGTH + aligned(fields, 8) + view.getUint32(4, true);
    if (length > MESSAGE_LENGTH_MAX) throw new ApiError(0, `a message of ${length} bytes`);
    await this.#have(length);
    return decodeAnswer(this.#take(length), FIXED_LENGTH + fields);
  }

  async #have(length: number): Promise<void> {
    while (this.#buffer.length < length) await this.#receive();
  }

  #take(length: number): Uint8Array {
    const taken = this.#buffer.subarray(0, length);
    this.#buffer = this.#buffer.subarray(length);
    return taken;
  }

  async #receive(): Promise<void> {
    const chunk = new Uint8Array(4_096);
    const length = await this.#connection.read(chunk);
    if (length === null) throw new ApiError(0, "the message bus hung up");
    const joined = new Uint8Array(this.#buffer.length + length);
    joined.set(this.#buffer);
    joined.set(chunk.subarray(0, length), this.#buffer.length);
    this.#buffer = joined;
  }
}

/** One method call, whole. */
export function encodeCall(
  serial: number,
  target: BusTarget,
  member: string,
  given: BusArguments | undefined,
): Uint8Array {
  const body = given?.body.finish() ?? new Uint8Array(0);
  const head = new BodyWriter();
  head.byte(0x6c).byte(CALL).byte(NO_AUTO_START).byte(1).u32(body.length).u32(serial);
  const put = (code: number, signature: string, value: string) => {
    head.align(8).byte(code).signature(signature);
    if (signature === "g") head.signature(value);
    else head.text(value);
  };
  head.array(8, () => {
    put(Field.PATH, "o", target.path);
    put(Field.INTERFACE, "s", target.interface);
    put(Field.MEMBER, "s", member);
    put(Field.DESTINATION, "s", target.destination);
    if (given) put(Field.SIGNATURE, "g", given.signature);
  });
  head.align(8);
  return Uint8Array.of(...head.finish(), ...body);
}

/** @param end Where the header fields end @throws {ApiError} when they make no sense */
function decodeAnswer(bytes: Uint8Array, end: number): Answer {
  const view = viewOf(bytes);
  let replyTo: number | undefined;
  let error: string | undefined;
  for (let at = FIXED_LENGTH; at + 4 <= end;) {
    const code = bytes[at];
    const kind = String.fromCharCode(bytes[at + 2]); // one letter, between its length and a zero
    at += 4; // also the alignment of what follows
    if (kind === "u") {
      if (code === Field.REPLY_SERIAL) replyTo = view.getUint32(at, true);
      at += 4;
    } else if (kind === "s" || kind === "o") {
      const length = view.getUint32(at, true);
      if (code === Field.ERROR_NAME) error = text(bytes.subarray(at + 4, at + 4 + length));
      at += 4 + length + 1;
    } else if (kind === "g") {
      at += bytes[at] + 2;
    } else {
      throw new ApiError(0, `a header field of kind ${kind}`);
    }
    at = aligned(at, 8);
  }
  return { type: bytes[1], replyTo, error };
}

function aligned(length: number, to: number): number {
  return Math.ceil(length / to) * to;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
