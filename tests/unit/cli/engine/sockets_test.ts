import assert from "node:assert/strict";
import { MemoryMover } from "../../../../cli/engine/memory_mover.ts";
import { parseSettings } from "../../../../cli/engine/settings.ts";
import { Sockets } from "../../../../cli/engine/sockets.ts";
import { MemoryMachine, MemoryNetwork } from "../../../../ffi/memory/mod.ts";
import { SystemError } from "../../../../lib/base/errors.ts";
import { type Endpoint, formatEndpoint, parseEndpoint, parseIp } from "../../../../lib/base/ip.ts";

const OTHER = parseEndpoint("44.0.0.2/9993")!;
const settings = parseSettings({
  settings: { primaryPort: 19_993, allowSecondaryPort: false, portMappingEnabled: false },
});

/** A machine with its sockets, and another that hears it. */
function scene(devices: [name: string, ip: string][] = [], given = settings, ownIndex = 0) {
  const network = new MemoryNetwork();
  const machine = new MemoryMachine(network, [parseIp("44.0.0.1")!]);
  for (const [name, ip] of devices) {
    const index = machine.addDevice(name, { mtu: 1_500 });
    machine.settings.addAddress(index, { ip: parseIp(ip)!, bits: 24 });
  }
  const received: [socket: number, from: Endpoint][] = [];
  const mover = new MemoryMover(machine, {
    onDatagram: (socket, from) => received.push([socket, from]),
    onFrame: () => {},
  });
  mover.start();
  const log: string[] = [];
  const sockets = new Sockets({
    machine,
    network: machine.openSettings(),
    mover,
    random: (bytes) => crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>),
    settings: () => given,
    isOwnDevice: (index) => index === ownIndex,
    log: (line) => log.push(line),
  });
  const other = new MemoryMachine(network, [OTHER.ip]);
  const there = other.openUdp(OTHER);
  const heard: Endpoint[] = [];
  other.read(there.fd, (_, from) => from && heard.push(from));
  return { machine, sockets, mover, received, heard, there, log };
}

/** What is under way in memory has arrived. */
async function arrived(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

Deno.test("Sockets uses no addresses of containers, virtual machines and other tunnels", () => {
  const devices = [
    "docker0",
    "virbr0",
    "wg0",
    "tun3",
    "br-0a1b2c3d4e5f",
    "veth12",
    "eth1",
    "br-ex",
  ];
  const { sockets } = scene(devices.map((name, i) => [name, `172.17.${i}.1`]));
  assert.deepEqual(sockets.describe(), [
    "44.0.0.1/19993",
    "172.17.6.1/19993",
    "172.17.7.1/19993",
  ]);
});

Deno.test("Sockets uses a tunnel when the only way out leads through it, never one of our own networks", () => {
  const DEFAULT = { ip: parseIp("0.0.0.0")!, bits: 0 };
  const devices: [string, string][] = [["ppp0", "44.1.0.1"], ["wg0", "10.9.0.1"]];
  const { sockets, machine } = scene(
    [...devices, ["zt0", "10.8.0.1"], ["mine", "10.7.0.1"]],
    settings,
    5,
  );
  const wayOutBy = (name: string | undefined, metric?: number) => {
    const index = machine.settings.links().find((link) => link.name === name)?.index;
    machine.settings.replaceRoute({ target: DEFAULT, index, metric });
    sockets.refresh();
  };
  const own = ["44.0.0.1/19993"];
  assert.deepEqual(sockets.describe(), own);
  wayOutBy("ppp0"); // the provider's line of a router; eth0 leads to the LAN only
  assert.deepEqual(sockets.describe(), [...own, "44.1.0.1/19993"]);
  wayOutBy("zt0");
  assert.deepEqual(sockets.describe(), own);
  wayOutBy("mine");
  assert.deepEqual(sockets.describe(), own);
  wayOutBy("wg0");
  wayOutBy(undefined, 50); // by several at once
  assert.deepEqual(sockets.describe(), own);
  machine.settings.removeRoute({ target: DEFAULT, metric: 50 });
  wayOutBy("eth0", 100); // the tunnel's own packets go by it: so do ours
  assert.deepEqual(sockets.describe(), own);
});

Deno.test("Sockets uses an interface of any kind that a bond's policy names, and says which a socket is on", () => {
  const policies = {
    mine: { basePolicy: "broadcast", links: { ppp0: {}, tun3: { enabled: false } } },
  };
  const bonds = parseSettings({ settings: { defaultBondingPolicy: "mine", policies } }).bonds;
  const devices: [string, string][] = [["ppp0", "172.17.0.1"], ["tun3", "172.17.1.1"]];
  const { sockets } = scene(devices, { ...settings, bonds });
  assert.deepEqual(sockets.describe(), ["44.0.0.1/19993", "172.17.0.1/19993"]);
  assert.equal(sockets.all[1].device, "ppp0");
});

Deno.test("Sockets.look() takes another secondary port when no root has answered for two minutes", () => {
  const given = parseSettings({ settings: { primaryPort: 19_993, portMappingEnabled: false } });
  const { sockets, machine } = scene([], given);
  const looks = (count: number, isAnswered = false) =>
    Array.from({ length: count }, () => sockets.look(isAnswered)).filter((changed) => changed);
  const first = sockets.secondaryPort;
  assert.deepEqual([looks(119), looks(1, true), looks(119)], [[], [], []]);
  assert.equal(sockets.secondaryPort, first);
  assert.deepEqual(looks(1), [true]);
  assert.notEqual(sockets.secondaryPort, first);
  assert.deepEqual(sockets.describe(), [
    "44.0.0.1/19993",
    `44.0.0.1/${sockets.secondaryPort}`,
  ]);
  const { openUdp } = machine;
  machine.openUdp = () => {
    throw new SystemError("open a UDP socket", "EMFILE");
  };
  assert.deepEqual(looks(120), []);
  machine.openUdp = openUdp;
  given.secondaryPort = 20_000; // the user's own is kept
  assert.deepEqual(looks(500), []);
});

Deno.test("Sockets.onLinkOf() is the socket on whose link an address is, if there is one", () => {
  const { sockets } = scene([["eth1", "192.168.1.1"], ["eth2", "192.168.2.1"]]);
  const links = ["192.168.2.77", "192.168.1.77", "192.168.3.77", "fd00::1"].map((text) => {
    const id = sockets.onLinkOf(parseIp(text)!);
    return sockets.all.find((socket) => socket.id === id)?.ip.join(".");
  });
  assert.deepEqual(links, ["192.168.2.1", "192.168.1.1", undefined, undefined]);
});

Deno.test("Sockets.openBeside() opens a socket on a port of its own, for the node alone", async () => {
  const { sockets, received, heard, there, mover } = scene();
  const [{ id }] = sockets.all;
  sockets.openBeside(1_000, id);
  assert.deepEqual(sockets.all.map((socket) => socket.id), [id]);
  sockets.sendNow(1_000, OTHER, Uint8Array.of(1), { ttl: 2 });
  mover.send(1_000, OTHER, Uint8Array.of(1));
  mover.flush();
  await arrived();
  assert.equal(heard.length, 2);
  assert.ok(heard.every(({ port }) => port === heard[0].port && port !== 19_993));
  there.sendTo(Uint8Array.of(2), heard[0]);
  await arrived();
  assert.deepEqual(received.map(([socket, from]) => `${socket} ${formatEndpoint(from)}`), [
    `1000 ${formatEndpoint(OTHER)}`,
  ]);
  sockets.closeBeside(1_000);
  sockets.sendNow(1_000, OTHER, Uint8Array.of(1), {});
  there.sendTo(Uint8Array.of(2), heard[0]);
  await arrived();
  assert.deepEqual([heard.length, received.length], [2, 1]);
  await sockets.close();
});

Deno.test("Sockets.openBeside() goes without where there is no more to have, and says so once", () => {
  const { sockets, machine, log } = scene();
  const [{ id }] = sockets.all;
  machine.openUdp = () => {
    throw new SystemError("open a UDP socket", "EMFILE");
  };
  for (let i = 0; i < 5; i++) sockets.openBeside(1_000 + i, id);
  sockets.openBeside(2_000, 77);
  assert.deepEqual(log, [
    "no more sockets to open ports of the NAT: open a UDP socket failed: EMFILE",
  ]);
  sockets.sendNow(1_000, OTHER, Uint8Array.of(1), {});
});
