import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { Block } from "../../../../ffi/linux/block.ts";
import { libc } from "../../../../ffi/linux/libc.ts";
import {
  BATCH_COUNT,
  enableGro,
  ReceiveBatch,
  SendBatch,
  supportsGso,
} from "../../../../ffi/linux/mmsg.ts";
import { PollSet } from "../../../../ffi/linux/system.ts";
import { openUdp } from "../../../../ffi/linux/udp.ts";
import type { UdpSocket } from "../../../../ffi/machine.ts";
import type { SystemError } from "../../../../lib/base/errors.ts";
import { type Endpoint, parseIp } from "../../../../lib/base/ip.ts";

libc(); // before the first test: Deno 2.4 counts a library opened in one as leaked

const SLOT = 2048;
const LOOPBACKS = ["127.0.0.1", "::1"];

/** Everything a socket gets until `count` have come, as (port, bytes). */
function receive(socket: UdpSocket, count: number): { from: Endpoint; bytes: Uint8Array }[] {
  const arena = new Block(BATCH_COUNT * SLOT);
  const batch = new ReceiveBatch(arena, 0, SLOT);
  const poll = new PollSet(1);
  poll.set([socket.fd]);
  const got: { from: Endpoint; bytes: Uint8Array }[] = [];
  while (got.length < count) {
    ok(poll.wait(5000) > 0, `only ${got.length} of ${count} datagrams came`);
    const received = batch.receive(socket.fd);
    for (let i = 0; i < received; i++) {
      const at = batch.ipAt(i);
      const ip = batch.names.slice(at, at + batch.ipLength(i));
      const length = batch.payloadLength(i);
      const bytes = length < 0
        ? new Uint8Array(0)
        : arena.bytes.slice(batch.payloadAt(i), batch.payloadAt(i) + length);
      got.push({ from: { ip, port: batch.port(i) }, bytes });
    }
  }
  return got;
}

for (const text of LOOPBACKS) {
  const ip = parseIp(text)!;

  Deno.test(`openUdp() on ${text} gets a port, sendTo() reaches it and says who sent`, () => {
    const [a, b] = [openUdp({ ip, port: 0 }), openUdp({ ip, port: 0 })];
    ok(a.port > 0 && a.port !== b.port);
    equal(a.sendTo(Uint8Array.of(1, 2, 3), b), true);
    equal(a.sendTo(new Uint8Array(0), b), true);
    equal(a.sendTo(Uint8Array.of(4), b, { ttl: 1 }), true); // with a time to live of its own
    const got = receive(b, 3);
    deepEqual(got.map(({ bytes }) => [...bytes]), [[1, 2, 3], [], [4]]);
    for (const { from } of got) deepEqual(from, { ip, port: a.port });
    a.close();
    b.close();
    b.close(); // twice is fine
  });

  Deno.test(`SendBatch on ${text} sends more than fits the socket's queue without stopping`, () => {
    const [a, b] = [openUdp({ ip, port: 0 }), openUdp({ ip, port: 0 })];
    const memory = new Block(4096);
    memory.bytes.forEach((_, i) => memory.bytes[i] = i * 7);
    const batch = new SendBatch(a.fd);
    const lengths = Array.from({ length: 70 }, (_, i) => i * 13);
    for (const length of lengths) {
      batch.add(memory, length, length, length, b.ip, 0, b.ip.length, b.port);
    }
    batch.send();
    deepEqual([batch.sent, batch.failed, batch.count], [70, 0, 0]);
    receive(b, 70).forEach(({ from, bytes }, i) => {
      deepEqual(from, { ip, port: a.port });
      deepEqual(bytes, memory.bytes.slice(lengths[i], lengths[i] * 2));
    });
    a.close();
    b.close();
  });
}

Deno.test("SendBatch loses only the datagram the system refuses", () => {
  const ip = parseIp("127.0.0.1")!;
  const [a, b] = [openUdp({ ip, port: 0 }), openUdp({ ip, port: 0 })];
  const memory = new Block(64);
  const batch = new SendBatch(a.fd);
  const elsewhere = parseIp("8.8.8.8")!; // not from a loopback address
  for (const to of [ip, elsewhere, ip, parseIp("::1")!, ip]) {
    batch.add(memory, 0, 64, 64, to, 0, to.length, b.port);
  }
  batch.send();
  deepEqual([batch.sent, batch.failed], [3, 2]);
  equal(receive(b, 3).length, 3);
  a.close();
  b.close();
});

Deno.test("ReceiveBatch marks a datagram longer than its slot", () => {
  const ip = parseIp("127.0.0.1")!;
  const socket = openUdp({ ip, port: 0 });
  for (const length of [SLOT, SLOT + 1]) socket.sendTo(new Uint8Array(length), socket);
  const arena = new Block(BATCH_COUNT * SLOT);
  const batch = new ReceiveBatch(arena, 0, SLOT);
  equal(batch.receive(socket.fd), 2);
  deepEqual([batch.payloadLength(0), batch.payloadLength(1)], [SLOT, -1]);
  equal(batch.receive(socket.fd), 0);
  socket.close();
});

for (const text of LOOPBACKS) {
  Deno.test(`SendBatch on ${text} hands a super-datagram to a system that cuts it, and ReceiveBatch one that joined`, () => {
    const ip = parseIp(text)!;
    const [a, b] = [openUdp({ ip, port: 0 }), openUdp({ ip, port: 0 })];
    equal(supportsGso(a.fd), true);
    equal(enableGro(b.fd), true);
    const memory = new Block(65_536);
    memory.bytes.forEach((_, i) => memory.bytes[i] = i * 7);
    const batch = new SendBatch(a.fd, true);
    batch.add(memory, 100, 10 * 1_000 + 1, 1_000, b.ip, 0, b.ip.length, b.port);
    batch.add(memory, 50, 30, 30, b.ip, 0, b.ip.length, b.port);
    batch.send();
    deepEqual([batch.sent, batch.failed, batch.gso], [12, 0, true]);
    const arena = new Block(BATCH_COUNT * 65_536);
    const received = new ReceiveBatch(arena, 0, 65_536);
    const poll = new PollSet(1);
    poll.set([b.fd]);
    const got: Uint8Array[] = [];
    while (got.length < 12 && poll.wait(5_000) > 0) {
      const count = received.receive(b.fd);
      for (let i = 0; i < count; i++) {
        const end = received.payloadAt(i) + received.payloadLength(i);
        const size = received.segment(i);
        for (let at = received.payloadAt(i); at < end; at += size) {
          got.push(arena.bytes.slice(at, Math.min(end, at + size)));
        }
      }
    }
    const cut = (at: number, length: number) => memory.bytes.slice(at, at + length);
    const pieces = Array.from({ length: 10 }, (_, i) => cut(100 + i * 1_000, 1_000));
    deepEqual(got, [...pieces, cut(10_100, 1), cut(50, 30)]);
    a.close();
    b.close();
  });
}

Deno.test("SendBatch sends one by one what a system does not cut, and what is too long for one path", () => {
  const ip = parseIp("127.0.0.1")!;
  const [a, b] = [openUdp({ ip, port: 0 }), openUdp({ ip, port: 0 })];
  const memory = new Block(65_536);
  memory.bytes.forEach((_, i) => memory.bytes[i] = i * 7);
  const apart = new SendBatch(a.fd, false);
  apart.add(memory, 0, 2_500, 1_000, b.ip, 0, b.ip.length, b.port);
  apart.send();
  deepEqual([apart.sent, apart.failed], [3, 0]);
  // 65 datagrams in one are more than older systems take (128 newer ones): either way they arrive.
  const many = new SendBatch(a.fd, true);
  many.add(memory, 0, 2_600, 20, b.ip, 0, b.ip.length, b.port);
  many.send();
  deepEqual([many.sent, many.failed, many.gso], [130, 0, true]);
  const got = receive(b, 133).map(({ bytes }) => bytes.length);
  deepEqual(got, [1_000, 1_000, 500, ...Array(130).fill(20)]);
  a.close();
  b.close();
});

Deno.test("openUdp() on a port in use says so in one line", () => {
  const ip = parseIp("127.0.0.1")!;
  const first = openUdp({ ip, port: 0 });
  throws(
    () => openUdp({ ip, port: first.port }),
    (error: SystemError) => error.code === "EADDRINUSE" && /choose another/.test(error.message),
  );
  first.close();
  openUdp({ ip, port: first.port }).close(); // free again
});

Deno.test("openUdp() with reuse shares a port, and IPv4 and IPv6 have it side by side", () => {
  const [v4, v6] = [new Uint8Array(4), new Uint8Array(16)];
  const first = openUdp({ ip: v4, port: 0, reuse: true });
  const { port } = first;
  for (const ip of [v4, v6]) openUdp({ ip, port, reuse: true }).close();
  first.close();
});

Deno.test("openUdp() refuses an address and a device this machine does not have", () => {
  throws(() => openUdp({ ip: parseIp("192.0.2.1")!, port: 0 }), /EADDRNOTAVAIL/);
  throws(() => openUdp({ ip: new Uint8Array(4), port: 0, device: "nosuchdevice" }), /ENODEV/);
});

Deno.test("sendTo() across families and to nowhere is false, not an error", () => {
  const socket = openUdp({ ip: parseIp("127.0.0.1")!, port: 0 });
  equal(socket.sendTo(new Uint8Array(9), { ip: parseIp("::1")!, port: 9 }), false);
  equal(socket.sendTo(new Uint8Array(9), { ip: parseIp("8.8.8.8")!, port: 9 }), false);
  throws(() => socket.sendTo(new Uint8Array(65_508), socket), RangeError);
  socket.close();
});

Deno.test("sendTo() outlives the ICMP answer to an earlier datagram", () => {
  const ip = parseIp("127.0.0.1")!;
  const [a, b] = [openUdp({ ip, port: 0 }), openUdp({ ip, port: 0 })];
  const closed = { ip, port: b.port };
  b.close();
  const again = openUdp({ ip, port: 0 });
  for (let i = 0; i < 10; i++) {
    a.sendTo(new Uint8Array(20), closed);
    equal(a.sendTo(Uint8Array.of(i), again), true);
  }
  equal(receive(again, 10).length, 10);
  a.close();
  again.close();
});
