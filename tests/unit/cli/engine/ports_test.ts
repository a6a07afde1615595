import assert from "node:assert/strict";
import type { NetworkDns } from "../../../../cli/engine/dns/network_dns.ts";
import type { NetworkNames } from "../../../../cli/engine/dns/network_names.ts";
import { MemoryMover } from "../../../../cli/engine/memory_mover.ts";
import { Ports } from "../../../../cli/engine/ports.ts";
import { MemoryMachine, MemoryNetwork } from "../../../../ffi/memory/mod.ts";
import { SystemError } from "../../../../lib/base/errors.ts";
import type { Mac, NetworkId } from "../../../../lib/base/ids.ts";
import { parseIp, parsePrefix } from "../../../../lib/base/ip.ts";
import type { PortConfig } from "../../../../lib/network/network.ts";

const ID = 0x8056c2e21c000001n as NetworkId;
const CONFIG: PortConfig = {
  mac: 0x02_11_22_33_44_55 as Mac,
  mtu: 2_800,
  name: "office",
  addresses: [parsePrefix("10.1.0.1/24")!],
  routes: [{ target: parsePrefix("10.2.0.0/16")!, via: parseIp("10.9.0.1"), flags: 0, metric: 0 }],
  dns: { domain: "", servers: [] },
  names: undefined,
};

/** Ports of a machine. @returns them, what the user was told, and of which networks there is a device or not */
function portsOf(machine: MemoryMachine) {
  const told: string[] = [];
  const failed: boolean[] = [];
  const ports = new Ports({
    machine,
    network: machine.settings,
    mover: new MemoryMover(machine, { onDatagram() {}, onFrame() {} }),
    offload: false,
    settings: () => ({
      allowManaged: true,
      managedOnly: [],
      allowGlobal: false,
      allowDefault: false,
      allowDNS: false,
    }),
    dns: { set() {} } as unknown as NetworkDns,
    names: { set() {} } as unknown as NetworkNames,
    isOnline: () => true,
    readMulticast: () => undefined,
    deviceMap: () => "",
    onPort: (_, isFailed) => failed.push(isFailed),
    onGroups() {},
    log: (line) => told.push(line),
  });
  return { ports, told, failed };
}

function machineAtHome(): MemoryMachine {
  return new MemoryMachine(new MemoryNetwork(), [parseIp("192.168.1.2")!]);
}

Deno.test("Ports tells once of what the system refuses, though it is tried again and again", () => {
  const machine = machineAtHome();
  machine.settings.addRoute = () => {
    throw new SystemError("add route to 10.2.0.0/16 on device 2", "ENETUNREACH");
  };
  const { ports, told } = portsOf(machine);
  ports.configure(ID, CONFIG);
  for (let i = 0; i < 3; i++) ports.applyAll();
  assert.equal(told.length, 1);
  assert.match(told[0], /ENETUNREACH/);
  ports.configure(ID, { ...CONFIG, mtu: 1_400 });
  assert.equal(told.length, 2);
});

Deno.test("Ports makes a device that could not be made, once it can be", () => {
  const machine = machineAtHome();
  const { openTap } = machine;
  machine.openTap = () => {
    throw new SystemError("open /dev/net/tun", "ENOENT");
  };
  const { ports, told, failed } = portsOf(machine);
  ports.configure(ID, CONFIG);
  for (let i = 0; i < 3; i++) ports.applyAll();
  assert.deepEqual([told.length, failed, ports.isReady(ID)], [1, [true], false]);
  machine.openTap = openTap;
  ports.applyAll();
  assert.deepEqual([told.length, failed, ports.isReady(ID)], [1, [true, false], true]);
  assert.ok(ports.tapOf(ID) !== undefined);
  assert.equal(ports.own().length, 1, "with its addresses");
});
