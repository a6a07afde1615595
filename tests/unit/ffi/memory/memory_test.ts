import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { MemoryMover } from "../../../../cli/engine/memory_mover.ts";
import { MemoryMachine, MemoryNetwork } from "../../../../ffi/memory/mod.ts";
import type { Mac } from "../../../../lib/base/ids.ts";
import { type Endpoint, formatEndpoint, parseIp, parsePrefix } from "../../../../lib/base/ip.ts";

const ip = (text: string) => parseIp(text)!;

/** A machine with a mover that notes what happens. */
function machine(network: MemoryNetwork, address: string) {
  const memory = new MemoryMachine(network, [ip(address)]);
  const log: string[] = [];
  const mover: MemoryMover = new MemoryMover(memory, {
    onDatagram: (id: number, from: Endpoint, bytes: Uint8Array) =>
      log.push(`datagram ${id} from ${formatEndpoint(from)}: ${bytes}`),
    onFrame: (id: number, bytes: Uint8Array) => log.push(`frame ${id}: ${bytes}`),
    onSignal: (id: number) => log.push(`signal ${id}`),
  });
  mover.start();
  return { memory, mover, log };
}

const microtasks = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("MemoryMover carries a datagram between machines, queued until flush()", async () => {
  const network = new MemoryNetwork();
  const [a, b] = [machine(network, "10.0.0.1"), machine(network, "10.0.0.2")];
  const socket = a.memory.openUdp({ ip: new Uint8Array(4), port: 9993 });
  const other = b.memory.openUdp({ ip: ip("10.0.0.2"), port: 9993 });
  a.mover.addSocket(1, socket.fd);
  b.mover.addSocket(7, other.fd);
  a.mover.send(1, { ip: ip("10.0.0.2"), port: 9993 }, Uint8Array.of(1, 2));
  a.mover.send(1, { ip: ip("10.0.0.3"), port: 9993 }, Uint8Array.of(3)); // nobody
  await microtasks();
  deepEqual(b.log, []);
  a.mover.flush();
  await microtasks();
  deepEqual(b.log, ["datagram 7 from 10.0.0.1/9993: 1,2"]);
  await b.mover.removeSocket(7);
  socket.sendTo(Uint8Array.of(4), { ip: ip("10.0.0.2"), port: 9993 });
  await microtasks();
  equal(b.log.length, 1);
});

Deno.test("MemoryMachine.openUdp() refuses a port in use and a foreign address", () => {
  const memory = new MemoryMachine(new MemoryNetwork(), [ip("10.0.0.1")]);
  const socket = memory.openUdp({ ip: new Uint8Array(4), port: 5 });
  throws(() => memory.openUdp({ ip: ip("10.0.0.1"), port: 5 }), /EADDRINUSE/);
  throws(() => memory.openUdp({ ip: ip("10.0.0.2"), port: 6 }), /EADDRNOTAVAIL/);
  memory.openUdp({ ip: ip("10.0.0.1"), port: 5, reuse: true }).close();
  socket.close();
  memory.openUdp({ ip: ip("10.0.0.1"), port: 5 }).close();
  ok(memory.openUdp({ ip: new Uint8Array(4), port: 0 }).port > 0);
});

Deno.test("MemoryTap passes frames both ways and vanishes with its addresses when closed", () => {
  const { memory, mover, log } = machine(new MemoryNetwork(), "10.0.0.1");
  const tap = memory.openTap({ name: "zt0", mac: 2 as Mac, mtu: 2800 });
  const far = memory.taps.get("zt0")!;
  const written: string[] = [];
  far.onWrite = (frame) => written.push(`${frame}`);
  mover.addTap(3, tap.fd);
  far.emit(Uint8Array.of(1));
  mover.writeFrame(3, Uint8Array.of(2));
  mover.flush();
  deepEqual([log, written], [["frame 3: 1"], ["2"]]);
  memory.settings.addAddress(tap.index, parsePrefix("10.9.0.1/16")!);
  equal(memory.deviceExists("zt0"), true);
  throws(() => memory.openTap({ name: "zt0", mac: 2 as Mac, mtu: 2800 }), /EBUSY/);
  tap.close();
  deepEqual([memory.deviceExists("zt0"), memory.settings.addresses().length], [false, 1]);
  equal(far.write(Uint8Array.of(3)), false);
});

Deno.test("MemorySettings tells a watch what changed, by a signal that fires once", async () => {
  const { memory, mover, log } = machine(new MemoryNetwork(), "10.0.0.1");
  const watch = memory.settings.watch();
  mover.addSignal(9, watch.fd);
  memory.settings.addAddress(1, parsePrefix("10.3.0.1/24")!);
  memory.settings.replaceRoute({ target: parsePrefix("10.4.0.0/16")!, index: 1 });
  await microtasks();
  deepEqual(log, ["signal 9"]);
  deepEqual([...watch.read()], ["address", "route"]);
  equal(memory.settings.removeAddress(1, parsePrefix("10.3.0.1/24")!), true);
  equal(memory.settings.removeAddress(1, parsePrefix("10.3.0.1/24")!), false);
  equal(memory.settings.removeRoute({ target: parsePrefix("10.4.0.0/16")! }), true);
  equal(memory.settings.removeRoute({ target: parsePrefix("10.4.0.0/16")! }), false);
  watch.close();
});
