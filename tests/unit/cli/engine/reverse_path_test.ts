import { deepEqual } from "node:assert/strict";
import { strictDevices } from "../../../../cli/engine/reverse_path.ts";

const link = (name: string, up = true) => ({
  index: 1,
  name,
  mtu: 1500,
  flags: 0,
  up,
  loopback: name === "lo",
  running: up,
});
const LINKS = [link("lo"), link("eth0"), link("eth1"), link("eth2", false)];

function reading(levels: Record<string, number>) {
  return (path: string) => {
    const level = levels[path.split("/")[6]];
    return level === undefined ? undefined : `${level}\n`;
  };
}

Deno.test("strictDevices() takes the higher of a device's level and that of all", () => {
  deepEqual(strictDevices(LINKS, reading({ all: 1, eth0: 0, eth1: 2, eth2: 1, lo: 1 })), ["eth0"]);
  deepEqual(strictDevices(LINKS, reading({ all: 0, eth0: 0, eth1: 1 })), ["eth1"]);
  deepEqual(strictDevices(LINKS, reading({ all: 2, eth0: 1, eth1: 1 })), []);
  deepEqual(strictDevices(LINKS, () => undefined), []);
});
