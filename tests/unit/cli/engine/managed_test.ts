import assert from "node:assert/strict";
import type { LocalNetworkSettings } from "../../../../cli/engine/home_files.ts";
import { managedFor } from "../../../../cli/engine/managed.ts";
import { formatPrefix, parseIp, parsePrefix } from "../../../../lib/base/ip.ts";
import type { PortConfig } from "../../../../lib/network/network.ts";

const SETTINGS: LocalNetworkSettings = {
  allowManaged: true,
  managedOnly: [],
  allowGlobal: false,
  allowDefault: false,
  allowDNS: false,
};

function portOf(addresses: string[], routes: [target: string, via?: string][]): PortConfig {
  return {
    mac: 0 as PortConfig["mac"],
    mtu: 2_800,
    name: "",
    addresses: addresses.map((text) => parsePrefix(text)!),
    routes: routes.map(([target, via]) => ({
      target: parsePrefix(target)!,
      via: via === undefined ? undefined : parseIp(via),
      flags: 0,
      metric: 0,
    })),
    dns: { domain: "", servers: [] },
    names: undefined,
  };
}

function routesOf(target: string, via: string, own: string, settings = SETTINGS): string[] {
  const { routes } = managedFor(portOf([own], [[target, via]]), settings, true);
  return routes.map((route) => formatPrefix(route.target)).sort();
}

Deno.test("managedFor() sets a default route only where it is allowed, however it is written", () => {
  const halves = ["0.0.0.0/1", "128.0.0.0/1"];
  for (const target of ["0.0.0.0/0", "10.0.0.0/0", "10.0.0.0/1", "192.168.0.0/1", "172.16.0.0/4"]) {
    assert.deepEqual(routesOf(target, "10.1.1.1", "10.1.1.5/24"), [], target);
  }
  const allowed = { ...SETTINGS, allowDefault: true };
  for (const target of ["0.0.0.0/0", "10.0.0.0/0"]) {
    assert.deepEqual(routesOf(target, "10.1.1.1", "10.1.1.5/24", allowed), halves, target);
  }
  for (const target of ["::/0", "fd00::/0", "fd00::/1"]) {
    assert.deepEqual(routesOf(target, "fd00::1", "fd00::5/64"), [], target);
  }
});

Deno.test("managedFor() sets a route whose target has host bits to the network it is in", () => {
  assert.deepEqual(routesOf("192.168.7.7/24", "10.1.1.1", "10.1.1.5/24"), ["192.168.7.0/24"]);
});

Deno.test("managedFor() gives an address no network wider than what is allowed", () => {
  const addressesOf = (text: string, settings = SETTINGS) =>
    managedFor(portOf([text], []), settings, true).addresses.map(formatPrefix);
  for (const bits of [0, 1, 4]) {
    assert.deepEqual(addressesOf(`192.168.1.1/${bits}`), ["192.168.1.1/32"]);
    assert.deepEqual(addressesOf(`fd00::1/${bits}`), ["fd00::1/128"]);
  }
  assert.deepEqual(addressesOf("192.168.1.1/1", { ...SETTINGS, allowGlobal: true }), [
    "192.168.1.1/1",
  ]);
  for (
    const usual of ["10.1.1.1/8", "172.16.0.1/12", "192.168.1.1/24", "fc00::1/40", "fd00::1/7"]
  ) {
    assert.deepEqual(addressesOf(usual), [usual]);
  }
});
