import { deepEqual, equal, throws } from "node:assert/strict";
import { EchoSocket, internetChecksum } from "../../../../ffi/linux/icmp.ts";
import { Namespace } from "../../../../ffi/linux/namespace.ts";
import { PollSet } from "../../../../ffi/linux/system.ts";
import { namespaceTest } from "../privileged.ts";

const LOOPBACK = [Uint8Array.of(127, 0, 0, 1), new Uint8Array(16).fill(1, 15)];

Deno.test("internetChecksum() agrees with RFC 1071 and vanishes over a message with its own", () => {
  const example = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  equal(internetChecksum(example), ~0xddf2 & 0xffff); // RFC 1071 section 3
  const sum = internetChecksum(example);
  equal(internetChecksum(Uint8Array.of(...example, sum >> 8, sum & 0xff)), 0);
  equal(internetChecksum(Uint8Array.of(0xff)), 0x00ff);
  equal(internetChecksum(new Uint8Array()), 0xffff);
});

namespaceTest("EchoSocket brings back what it sent, and only its own", () => {
  const namespace = Namespace.create();
  for (const ip of LOOPBACK) {
    const [mine, other] = namespace.run(() => [
      new EchoSocket(ip.length, 0x1234),
      new EchoSocket(ip.length, 0x4321),
    ]);
    const payload = Uint8Array.from({ length: 300 }, (_, index) => index & 0xff);
    equal(mine.send(ip, 65_535, payload), undefined);
    const poll = new PollSet(1);
    poll.set([mine.fd]);
    let reply = mine.receive();
    for (let tries = 0; !reply && tries < 50; tries++) {
      poll.wait(100);
      reply = mine.receive();
    }
    equal(reply?.sequence, 65_535);
    deepEqual([...reply!.payload], [...payload]);
    equal(mine.receive(), undefined);
    equal(other.receive(), undefined);
    mine.close();
    other.close();
  }
  namespace.close();
});

namespaceTest("EchoSocket.send() names the error where there is no route", () => {
  const namespace = Namespace.create();
  const socket = namespace.run(() => new EchoSocket(4, 1));
  equal(socket.send(Uint8Array.of(10, 1, 2, 3), 1, new Uint8Array(8)), "ENETUNREACH");
  throws(() => socket.send(new Uint8Array(16), 1, new Uint8Array(8)), TypeError);
  throws(() => socket.send(LOOPBACK[0], 1, new Uint8Array(65_508)), RangeError);
  socket.close();
  namespace.close();
});
