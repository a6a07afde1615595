import { deepEqual, equal, ok } from "node:assert/strict";
import { StrangersWait } from "../../../../cli/engine/strangers_wait.ts";
import { toHex } from "../../../../lib/base/bytes.ts";
import type { Address } from "../../../../lib/base/ids.ts";
import { buildPacket, Verb } from "../../../../lib/wire/packet.ts";

const KNOWN = 0x1111111111 as Address;
const STRANGER = 0x2222222222 as Address;
const FROM = { ip: new Uint8Array([192, 0, 2, 1]), port: 9_993 };

/** A thread on which each packet takes as long as it says. */
class Thread {
  readonly handled: number[] = [];
  readonly sent: string[] = [];
  readonly seen: string[] = [];
  dropped = 0;
  takesMs = 1;
  #nowMs = 0;
  readonly #later: (() => void)[] = [];
  readonly wait = new StrangersWait({
    isKnown: (source) => source === KNOWN,
    handle: (socket, _from, bytes) => {
      this.#nowMs += this.takesMs;
      this.handled.push(socket);
      this.seen.push(toHex(bytes));
      bytes.fill(0); // lent: whoever handles it may do so
    },
    onDropped: () => this.dropped++,
  }, {
    nowMs: () => this.#nowMs,
    later: (run) => void this.#later.push(run),
  });

  /** A packet, told by its socket. */
  receive(socket: number, source: Address, lengthBytes = 0): void {
    const packet = buildPacket(
      { id: new Uint8Array(8), destination: 3 as Address, source, verb: Verb.HELLO },
      new Uint8Array(lengthBytes).fill(socket),
    );
    this.sent.push(toHex(packet));
    this.wait.receive(socket, FROM, packet);
    packet.fill(0); // lent
  }

  /** What was put off until other work had its turn. */
  turn(): void {
    for (const run of this.#later.splice(0)) run();
  }
}

Deno.test("StrangersWait handles everybody at once while there is time", () => {
  const thread = new Thread();
  thread.takesMs = 0.1;
  for (const source of [STRANGER, KNOWN, STRANGER]) {
    thread.receive(thread.handled.length, source);
  }
  thread.wait.receive(3, FROM, new Uint8Array(5)); // too short to have a sender
  deepEqual(thread.handled, [0, 1, 2, 3]);
});

Deno.test("StrangersWait lets peers pass strangers whose time is up, and keeps the strangers' order", () => {
  const thread = new Thread();
  for (let socket = 0; socket < 5; socket++) thread.receive(socket, STRANGER);
  deepEqual(thread.handled, [0, 1], "two milliseconds");
  thread.receive(9, KNOWN);
  deepEqual(thread.handled, [0, 1, 9]);
  thread.turn();
  deepEqual(thread.handled, [0, 1, 9, 2, 3]);
  thread.receive(5, STRANGER);
  thread.turn();
  thread.turn();
  deepEqual(thread.handled, [0, 1, 9, 2, 3, 4, 5]);
});

Deno.test("StrangersWait hands over what it kept as it came", () => {
  const thread = new Thread();
  for (let socket = 0; socket < 4; socket++) thread.receive(socket, STRANGER, 100 + socket);
  thread.turn();
  thread.turn();
  deepEqual(thread.seen, thread.sent);
});

Deno.test("StrangersWait keeps no fragment: whose it is nobody knows", () => {
  const thread = new Thread();
  for (let socket = 0; socket < 4; socket++) thread.receive(socket, STRANGER);
  const fragment = new Uint8Array(100);
  fragment[13] = 0xff;
  thread.wait.receive(9, FROM, fragment);
  deepEqual(thread.handled, [0, 1, 9]);
});

Deno.test("StrangersWait drops what is too much, and has room again afterwards", () => {
  for (const lengthBytes of [0, 2_000]) {
    const thread = new Thread();
    for (let round = 1; round <= 2; round++) {
      const [dropped, handled] = [thread.dropped, thread.handled.length];
      for (let i = 0; i < 6_000; i++) thread.receive(i, STRANGER, lengthBytes);
      for (let i = 0; i < 6_000; i++) thread.turn();
      const kept = lengthBytes === 0 ? 1_024 : Math.floor(262_144 / 2_028);
      const atOnce = thread.handled.length - handled - kept; // what was left of the slice
      ok(atOnce >= 0 && atOnce <= 2, `round ${round}: ${atOnce}`);
      equal(thread.dropped - dropped, 6_000 - atOnce - kept, `round ${round}`);
    }
  }
});
