import { equal, notEqual, ok, throws } from "node:assert/strict";
import { Lab, type LabHost } from "../../../../cli/engine/lab.ts";
import { Block } from "../../../../ffi/linux/block.ts";
import { linux } from "../../../../ffi/linux/mod.ts";
import { BATCH_COUNT, ReceiveBatch } from "../../../../ffi/linux/mmsg.ts";
import { processExists } from "../../../../ffi/linux/process.ts";
import { PollSet } from "../../../../ffi/linux/system.ts";
import { parseIp } from "../../../../lib/base/ip.ts";
import { namespaceTest } from "../../ffi/privileged.ts";

/** Whether a datagram from one host gets to an address of another. */
function reaches(from: LabHost, to: LabHost, address: string, triesMax = 30): boolean {
  const ip = parseIp(address)!;
  const any = new Uint8Array(ip.length);
  const target = to.run(() => linux.openUdp({ ip, port: 0 }));
  const source = from.run(() => linux.openUdp({ ip: any, port: 0 }));
  const poll = new PollSet(1);
  poll.set([target.fd]);
  const batch = new ReceiveBatch(new Block(BATCH_COUNT * 64), 0, 64);
  let arrived = false;
  // The first may be lost while a bridge port settles or a neighbour is looked for.
  for (let tries = 0; tries < triesMax && !arrived; tries++) {
    if (!source.sendTo(Uint8Array.of(1), target)) return false;
    arrived = poll.wait(100) > 0 && batch.receive(target.fd) > 0;
  }
  source.close();
  target.close();
  return arrived;
}

namespaceTest("Lab.switch() lets its hosts reach each other over IPv4 and IPv6", async () => {
  await using lab = new Lab();
  const hosts = ["a", "b", "c"].map((name) => lab.host(name));
  const [a, b, c] = hosts;
  const lan = lab.switch(hosts);
  ok(reaches(a, b, lan.ipv4(b)));
  ok(reaches(b, c, lan.ipv6(c)));
  ok(reaches(c, a, lan.ipv4(a)));
  b.setUp(lan.ports[1].device, false);
  equal(reaches(a, b, lan.ipv4(b), 3), false);
});

namespaceTest("Lab.wire() and LabHost.forward() make a routed path, and nothing else", async () => {
  await using lab = new Lab();
  const [a, router, c] = ["a", "router", "c"].map((name) => lab.host(name));
  lab.wire(a, router, { a: ["10.1.0.2/24"], b: ["10.1.0.1/24"] });
  lab.wire(router, c, { a: ["10.2.0.1/24"], b: ["10.2.0.2/24"], mtu: 1400 });
  equal(reaches(a, c, "10.2.0.2"), false); // no route
  a.addRoute("0.0.0.0/0", "10.1.0.1");
  c.addRoute("10.1.0.0/24", "10.2.0.1");
  router.forward();
  ok(reaches(a, c, "10.2.0.2"));
  equal(c.settings.links().find((link) => link.name === "eth0")!.mtu, 1400);
  equal(a.removeAddress("eth0", "10.1.0.2/24"), true);
  equal(a.removeAddress("eth0", "10.1.0.2/24"), false);
  throws(() => a.addAddress("eth9", "10.1.0.2/24"), /host a has no device eth9/);
});

namespaceTest("Lab.spawn() starts a program in its host; ending the lab ends it", async () => {
  const lab = new Lab();
  const [a, b] = [lab.host("a"), lab.host("b")];
  const where = async (host: LabHost) => {
    const child = lab.spawn(host, "readlink", ["/proc/self/ns/net"], { stdout: "piped" });
    return new TextDecoder().decode((await child.output()).stdout);
  };
  const [inA, inB, again] = [await where(a), await where(b), await where(a)];
  notEqual(inA, inB);
  equal(inA, again);
  const sleeper = lab.spawn(a, "sleep", ["600"]);
  const stubborn = lab.spawn(b, "sh", ["-c", 'trap "" TERM; sleep 600 & wait; wait'], {
    endSignal: "SIGKILL",
  });
  ok(processExists(sleeper.pid) && processExists(stubborn.pid));
  await lab.end();
  equal(processExists(sleeper.pid), false);
  equal(processExists(stubborn.pid), false);
  await lab.end(); // twice is fine
});
