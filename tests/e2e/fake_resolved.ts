/**
 * A message bus of its own (a real `dbus-daemon`, which judges what we send) and on it somebody who
 * answers to the name of systemd-resolved and writes down what it is told.
 * @module
 */
import { ok } from "node:assert/strict";
import { type BusTarget, encodeCall } from "../../cli/engine/dns/bus.ts";
import { BodyWriter } from "../../cli/engine/dns/bus_body.ts";

/** Where the daemon is. */
export const DBUS_DAEMON = "/usr/bin/dbus-daemon";

const BUS: BusTarget = {
  destination: "org.freedesktop.DBus",
  path: "/org/freedesktop/DBus",
  interface: "org.freedesktop.DBus",
};
const HEADER_LENGTH = 16;
// Codes of header fields.
const MEMBER = 3;
const REPLY_SERIAL = 5;
const DESTINATION = 6;
const SENDER = 7;

/** A call it got. */
export interface Told {
  readonly member: string;
  readonly body: Uint8Array;
}

export class FakeResolved {
  readonly told: Told[] = [];
  readonly path: string;
  readonly #daemon: Deno.ChildProcess;
  #connection: Deno.UnixConn | undefined;
  #buffer = new Uint8Array(0);
  #serial = 100;
  #replies = 0;

  private constructor(path: string, daemon: Deno.ChildProcess) {
    this.path = path;
    this.#daemon = daemon;
  }

  static async start(folder: string): Promise<FakeResolved> {
    const path = `${folder}/bus`;
    const config = `${folder}/bus.conf`;
    Deno.writeTextFileSync(
      config,
      `<busconfig><type>system</type><listen>unix:path=${path}</listen><auth>EXTERNAL</auth>` +
        `<policy context="default"><allow own="*"/><allow send_destination="*"/>` +
        `<allow eavesdrop="false"/><allow receive_sender="*"/></policy></busconfig>`,
    );
    const daemon = new Deno.Command(DBUS_DAEMON, {
      args: [`--config-file=${config}`, "--nofork", "--print-address"],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const reader = daemon.stdout.getReader();
    await reader.read(); // its address: it listens
    reader.releaseLock();
    const fake = new FakeResolved(path, daemon);
    await fake.#serve();
    return fake;
  }

  async #serve(): Promise<void> {
    const connection = await Deno.connect({ transport: "unix", path: this.path });
    this.#connection = connection;
    const uid = [...String(Deno.uid())].map((digit) => `3${digit}`).join("");
    await connection.write(new TextEncoder().encode(`\0AUTH EXTERNAL ${uid}\r\n`));
    ok((await connection.read(new Uint8Array(256)))! > 0);
    await connection.write(new TextEncoder().encode("BEGIN\r\n"));
    await connection.write(encodeCall(1, BUS, "Hello", undefined));
    const body = new BodyWriter().text("org.freedesktop.resolve1").u32(0);
    await connection.write(encodeCall(2, BUS, "RequestName", { signature: "su", body }));
    this.#read(connection).catch(() => {}); // ended
    while (this.#replies < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  async #read(connection: Deno.UnixConn): Promise<void> {
    const chunk = new Uint8Array(4_096);
    for (;;) {
      const length = await connection.read(chunk);
      if (length === null) return;
      this.#buffer = Uint8Array.of(...this.#buffer, ...chunk.subarray(0, length));
      for (let message = this.#next(); message; message = this.#next()) await this.#hear(message);
    }
  }

  #next(): Uint8Array | undefined {
    if (this.#buffer.length < HEADER_LENGTH) return undefined;
    const view = new DataView(this.#buffer.buffer);
    const length = HEADER_LENGTH + Math.ceil(view.getUint32(12, true) / 8) * 8 +
      view.getUint32(4, true);
    if (this.#buffer.length < length) return undefined;
    const message = this.#buffer.slice(0, length);
    this.#buffer = this.#buffer.slice(length);
    return message;
  }

  async #hear(message: Uint8Array): Promise<void> {
    if (message[1] === 2) this.#replies++;
    if (message[1] !== 1) return;
    const view = new DataView(message.buffer);
    const member = fieldOf(message, MEMBER);
    const sender = fieldOf(message, SENDER);
    this.told.push({ member, body: message.slice(message.length - view.getUint32(4, true)) });
    const head = new BodyWriter().byte(0x6c).byte(2).byte(1).byte(1).u32(0).u32(++this.#serial);
    head.array(8, () => {
      head.align(8).byte(REPLY_SERIAL).signature("u").u32(view.getUint32(8, true));
      head.align(8).byte(DESTINATION).signature("s").text(sender);
    }).align(8);
    await this.#connection!.write(head.finish());
  }

  async end(): Promise<void> {
    this.#connection?.close();
    this.#daemon.kill("SIGTERM");
    await this.#daemon.stdout.cancel();
    await this.#daemon.status;
  }
}

/** A header field that is text. */
function fieldOf(message: Uint8Array, code: number): string {
  const view = new DataView(message.buffer);
  const end = HEADER_LENGTH + view.getUint32(12, true);
  for (let at = HEADER_LENGTH; at < end; at += 8) { // each begins at a multiple of 8
    if (message[at] !== code || message[at + 1] !== 1 || message[at + 2] !== 0x73) continue;
    const length = view.getUint32(at + 4, true);
    return new TextDecoder().decode(message.subarray(at + 8, at + 8 + length));
  }
  throw new RangeError(`no header field ${code}`);
}
