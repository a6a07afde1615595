import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { DataPlane } from "../../../../cli/engine/data_plane.ts";
import type { PacketEvents } from "../../../../cli/engine/packet_mover.ts";
import { Namespace } from "../../../../ffi/linux/namespace.ts";
import { linux } from "../../../../ffi/linux/mod.ts";
import { LinuxSettings } from "../../../../ffi/linux/settings.ts";
import { createBridge, deleteLink } from "../../../../ffi/linux/netlink_link.ts";
import type { UdpSocket } from "../../../../ffi/machine.ts";
import type { Address, Mac } from "../../../../lib/base/ids.ts";
import { type Endpoint, parseIp, parsePrefix } from "../../../../lib/base/ip.ts";
import { randomIdBlock } from "../../../../lib/node/packet_ids.ts";
import { Stat } from "../../../../lib/dataplane/stats.ts";
import { namespaceTest, tapTest } from "../../ffi/privileged.ts";

const WITHIN_MS = 5_000;
const SELF = 0x89_e92c_eee5 as Address;
const random = (bytes: Uint8Array) => {
  crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);
};

interface Datagram {
  readonly socketId: number;
  readonly from: Endpoint;
  readonly bytes: Uint8Array;
}

/** A started data plane and what it told, to be waited for. */
class Rig {
  readonly datagrams: Datagram[] = [];
  readonly frames: { tapId: number; bytes: Uint8Array }[] = [];
  readonly signals: number[] = [];
  readonly lost: string[] = [];
  readonly failures: Error[] = [];
  readonly restarts: string[] = [];
  readonly plane: DataPlane;
  echo = 0; // id of a socket that answers what it gets

  constructor() {
    const events: PacketEvents = {
      onDatagram: (socketId, from, bytes) => {
        if (socketId === this.echo) this.plane.send(socketId, from, bytes);
        else this.datagrams.push({ socketId, from, bytes: bytes.slice() });
      },
      onFrame: (tapId, bytes) => this.frames.push({ tapId, bytes: bytes.slice() }),
      onSignal: (id) => this.signals.push(id),
      onLost: (what, id) => this.lost.push(`${what} ${id}`),
      onRestart: (reason) => this.restarts.push(reason),
      onFailed: (error) => this.failures.push(error),
    };
    this.plane = new DataPlane(events, { self: SELF, takeIds: () => randomIdBlock(random) });
    this.plane.start();
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    const end = performance.now() + WITHIN_MS;
    while (!condition()) {
      if (performance.now() > end) throw new Error(`not within ${WITHIN_MS} ms: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

const loopback = (text = "127.0.0.1") => linux.openUdp({ ip: parseIp(text)!, port: 0 });

for (const text of ["127.0.0.1", "::1"]) {
  Deno.test(`DataPlane echoes datagrams of every length over ${text}, in order`, async () => {
    const rig = new Rig();
    const [a, b] = [loopback(text), loopback(text)];
    rig.plane.addSocket(1, a.fd);
    rig.plane.addSocket(2, b.fd);
    rig.echo = 2;
    const lengths = [17, 18, 28, 1432, 2800, 10_000, 10_240, ...Array(300).fill(1400)];
    const sent = lengths.map((length, i) => new Uint8Array(length).fill(i));
    for (const bytes of sent) equal(rig.plane.send(1, b, bytes), true);
    rig.plane.flush();
    await rig.until("every echo", () => rig.datagrams.length === sent.length);
    rig.datagrams.forEach(({ socketId, from, bytes }, i) => {
      deepEqual([socketId, from], [1, { ip: b.ip, port: b.port }]);
      deepEqual(bytes, sent[i]);
    });
    const { stats } = rig.plane;
    deepEqual([stats[Stat.DATAGRAMS_IN], stats[Stat.DATAGRAMS_OUT]], [614, 614]);
    await rig.plane.stop();
    a.close();
    b.close();
  });
}

Deno.test("DataPlane drops and counts what cannot be a packet", async () => {
  const rig = new Rig();
  const [a, b] = [loopback(), loopback()];
  rig.plane.addSocket(2, b.fd);
  for (const length of [0, 16, 10_241]) a.sendTo(new Uint8Array(length), b);
  a.sendTo(new Uint8Array(17), b);
  await rig.until("the one good datagram", () => rig.datagrams.length === 1);
  equal(rig.datagrams[0].bytes.length, 17);
  equal(rig.plane.stats[Stat.DROPPED_LENGTH], 3);
  throws(() => rig.plane.send(2, a, new Uint8Array(10_241)), RangeError);
  await rig.plane.stop();
  a.close();
  b.close();
});

Deno.test("DataPlane.removeSocket() resolves once nothing follows; its id can be used again", async () => {
  const rig = new Rig();
  const [a, b] = [loopback(), loopback()];
  rig.plane.addSocket(2, b.fd);
  throws(() => rig.plane.addSocket(2, b.fd), /socket 2 is added once/);
  a.sendTo(new Uint8Array(20), b);
  await rig.until("the first datagram", () => rig.datagrams.length === 1);
  await rig.plane.removeSocket(2);
  a.sendTo(new Uint8Array(21), b);
  rig.plane.send(2, a, new Uint8Array(22)); // gone
  rig.plane.flush();
  await rig.until("the drop", () => rig.plane.stats[Stat.DROPPED_GONE] === 1);
  equal(rig.datagrams.length, 1);
  rig.plane.addSocket(2, b.fd); // what waited in the kernel comes now
  await rig.until("the second datagram", () => rig.datagrams.length === 2);
  await rig.plane.removeSocket(77); // never added: resolves all the same
  await rig.plane.stop();
  a.close();
  b.close();
});

Deno.test("DataPlane takes a socket's removal and return by the hundred under traffic", async () => {
  const rig = new Rig();
  const a = loopback();
  let b: UdpSocket = loopback();
  rig.plane.addSocket(1, a.fd);
  for (let i = 0; i < 100; i++) {
    rig.plane.addSocket(2, b.fd);
    for (let n = 0; n < 10; n++) rig.plane.send(1, b, new Uint8Array(100).fill(i));
    rig.plane.flush();
    await rig.plane.removeSocket(2);
    b.close(); // the number is free for the next socket
    b = loopback();
  }
  rig.datagrams.length = 0;
  rig.plane.addSocket(2, b.fd);
  rig.plane.send(1, b, new Uint8Array(100).fill(200));
  rig.plane.flush();
  await rig.until("the last datagram", () => rig.datagrams.some(({ bytes }) => bytes[0] === 200));
  deepEqual(rig.lost, []);
  await rig.plane.stop();
  a.close();
  b.close();
});

Deno.test("DataPlane starts another Worker when one dies, and traffic resumes", async () => {
  const rig = new Rig();
  const [a, b] = [loopback(), loopback()];
  rig.plane.addSocket(1, a.fd);
  rig.plane.addSocket(2, b.fd);
  for (let round = 0; round < 3; round++) {
    rig.datagrams.length = 0;
    await rig.until("a datagram gets through", () => {
      rig.plane.send(1, b, new Uint8Array(50).fill(round));
      rig.plane.flush();
      return rig.datagrams.some(({ bytes }) => bytes[0] === round);
    });
    rig.plane.breakWorker();
    await rig.plane.removeSocket(33); // resolves although the Worker that was asked is dead
  }
  await rig.until("the third restart", () => rig.restarts.length === 3);
  for (const reason of rig.restarts) ok(/only records the data Worker knows/.test(reason), reason);
  deepEqual(rig.failures, []);
  await rig.plane.stop();
  a.close();
  b.close();
});

Deno.test("DataPlane gives up on a Worker that dies again and again, and says so once", async () => {
  const rig = new Rig();
  const b = loopback();
  rig.plane.addSocket(2, b.fd);
  await rig.until("giving up", () => {
    rig.plane.breakWorker();
    return rig.failures.length > 0;
  });
  equal(rig.failures.length, 1);
  ok(/died 6 times/.test(rig.failures[0].message), rig.failures[0].message);
  equal(rig.plane.send(2, b, new Uint8Array(20)), false);
  await rig.plane.stop();
  b.close();
});

Deno.test("DataPlane.send() says no when its ring is full, and commands still get through", async () => {
  const rig = new Rig();
  const [a, b] = [loopback(), loopback()];
  rig.plane.addSocket(1, a.fd);
  let queued = 0;
  while (rig.plane.send(1, b, new Uint8Array(10_000))) queued++; // this thread never yields meanwhile
  ok(queued > 150);
  rig.plane.addSocket(2, b.fd);
  rig.plane.flush();
  await rig.plane.removeSocket(1);
  await rig.plane.stop();
  equal(rig.plane.stats[Stat.DATAGRAMS_OUT] + rig.plane.stats[Stat.DROPPED_SEND], queued);
  a.close();
  b.close();
});

Deno.test("DataPlane leaves the event loop its turn while datagrams pour in", async () => {
  const rig = new Rig();
  const [a, b] = [loopback(), loopback()];
  rig.plane.addSocket(1, a.fd);
  rig.plane.addSocket(2, b.fd);
  rig.echo = 2;
  for (let i = 0; i < 200; i++) rig.plane.send(1, b, new Uint8Array(1400));
  rig.plane.flush();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("alive"),
  );
  let asked = 0;
  const end = performance.now() + WITHIN_MS;
  while (asked < 10 || rig.plane.stats[Stat.DATAGRAMS_IN] < 5_000) {
    // What comes back is sent again, so that it never ends.
    for (const { from, bytes } of rig.datagrams.splice(0)) rig.plane.send(1, from, bytes);
    rig.plane.flush();
    const answer = await fetch(`http://127.0.0.1:${server.addr.port}/`);
    equal(await answer.text(), "alive");
    asked++;
    ok(
      performance.now() < end,
      `${asked} answers, ${rig.plane.stats[Stat.DATAGRAMS_IN]} datagrams`,
    );
  }
  await server.shutdown();
  await rig.plane.stop();
  a.close();
  b.close();
});

Deno.test("DataPlane is quiet when there is nothing to do", async () => {
  const rig = new Rig();
  const [a, b] = [loopback(), loopback()];
  rig.plane.addSocket(2, b.fd);
  a.sendTo(new Uint8Array(20), b);
  await rig.until("the datagram", () => rig.datagrams.length === 1);
  await rig.plane.removeSocket(2);
  const turns = rig.plane.stats[Stat.TURNS];
  await new Promise((resolve) => setTimeout(resolve, 300));
  const spun = rig.plane.stats[Stat.TURNS] - turns;
  ok(spun < 5, `the Worker turned ${spun} times`);
  await rig.plane.stop();
  a.close();
  b.close();
});

Deno.test("DataPlane.stop() closes what it opened and can be repeated", async () => {
  const open = () => [...Deno.readDirSync("/dev/fd")].length;
  const before = open();
  const rigs = Array.from({ length: 3 }, () => new Rig());
  for (const rig of rigs) {
    await rig.plane.stop();
    await rig.plane.stop();
  }
  // The runtime closes what a Worker's thread had when that thread is gone.
  await rigs[0].until("every descriptor closed", () => open() <= before);
});

Deno.test("DataPlane.stop() copes with a Worker that dies before it can stop", async () => {
  const rig = new Rig();
  await rig.plane.removeTap(5); // by now it turns
  rig.plane.breakWorker();
  await rig.plane.stop();
  deepEqual([rig.restarts, rig.failures], [[], []]);
});

tapTest("DataPlane carries frames into and out of a TAP", async () => {
  const namespace = Namespace.create();
  const settings = namespace.run(() => new LinuxSettings());
  const tap = namespace.run(() =>
    linux.openTap({ name: "zttest0", mac: 0x02_10_20_30_40_50 as Mac, mtu: 2800 })
  );
  settings.addAddress(tap.index, parsePrefix("10.5.0.1/24")!);
  const rig = new Rig();
  rig.plane.addTap(4, tap.fd);
  const request = Uint8Array.from([
    ...[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 0x08, 0x06],
    ...[0, 1, 0x08, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9, 10, 5, 0, 9, 0, 0, 0, 0, 0, 0, 10, 5, 0, 1],
  ]);
  equal(rig.plane.writeFrame(4, request), true);
  rig.plane.flush();
  const arp = () => rig.frames.find(({ bytes }) => bytes[12] === 0x08 && bytes[13] === 0x06);
  await rig.until("the ARP reply", () => arp() !== undefined);
  deepEqual([arp()!.tapId, arp()!.bytes[21]], [4, 2]);
  equal(rig.plane.stats[Stat.FRAMES_OUT], 1);
  await rig.plane.removeTap(4);
  tap.close();
  settings.close();
  await rig.plane.stop();
  namespace.close();
});

tapTest("DataPlane says when a TAP's device was deleted by somebody else", async () => {
  const namespace = Namespace.create();
  const settings = namespace.run(() => new LinuxSettings());
  const tap = namespace.run(() => linux.openTap({ name: "zttest0", mac: 2 as Mac, mtu: 1500 }));
  const rig = new Rig();
  rig.plane.addTap(4, tap.fd);
  await rig.plane.removeTap(5); // by now the Worker reads it
  deleteLink(settings.netlink, tap.index);
  await rig.until("the loss", () => rig.lost.length > 0);
  deepEqual(rig.lost, ["tap 4"]);
  const turns = rig.plane.stats[Stat.TURNS];
  await new Promise((resolve) => setTimeout(resolve, 200));
  const spun = rig.plane.stats[Stat.TURNS] - turns;
  ok(spun < 10, `the Worker turned ${spun} times with nothing to do`);
  tap.close();
  settings.close();
  await rig.plane.stop();
  namespace.close();
});

namespaceTest(
  "DataPlane.addSignal() fires once per arming, at once when the network changes",
  async () => {
    const namespace = Namespace.create();
    const settings = namespace.run(() => new LinuxSettings());
    const watch = namespace.run(() => settings.watch());
    const rig = new Rig();
    rig.plane.addSignal(6, watch.fd);
    createBridge(settings.netlink, "one");
    await rig.until("the first signal", () => rig.signals.length === 1);
    createBridge(settings.netlink, "two");
    deepEqual([...watch.read()], ["link"]);
    rig.plane.addSignal(6, watch.fd);
    createBridge(settings.netlink, "three");
    await rig.until("the second signal", () => rig.signals.length === 2);
    deepEqual(rig.signals, [6, 6]);
    await rig.plane.removeSignal(6);
    watch.close();
    settings.close();
    await rig.plane.stop();
    namespace.close();
  },
);
