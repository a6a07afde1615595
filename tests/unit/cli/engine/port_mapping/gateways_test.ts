import assert from "node:assert/strict";
import type { Link, Route } from "../../../../../ffi/mod.ts";
import { formatIp, parseIp, parsePrefix } from "../../../../../lib/base/ip.ts";
import { findUplinks, wishesOf } from "../../../../../cli/engine/port_mapping/gateways.ts";

const link = (index: number, name: string, running = true): Link => ({
  index,
  name,
  mtu: 1_500,
  flags: 0,
  up: true,
  loopback: false,
  running,
});
const address = (index: number, text: string, temporary = false) => ({
  index,
  prefix: parsePrefix(text)!,
  temporary,
  deprecated: false,
  tentative: false,
});
const route = (
  target: string,
  gateway: string | undefined,
  index: number,
  metric?: number,
): Route => ({
  target: parsePrefix(target)!,
  gateway: gateway === undefined ? undefined : parseIp(gateway)!,
  index,
  metric,
});

/** A laptop: cable and radio, each with a gateway; a public address; IPv6. */
const LAPTOP = {
  links: () => [link(2, "eth0"), link(3, "wlan0", false), link(4, "tun0"), link(5, "ppp7")],
  addresses: () => [
    address(2, "192.168.1.20/24"),
    address(2, "10.9.9.9/24"),
    address(2, "2a00::5/64"),
    address(2, "2a00::99/64", true),
    address(2, "fe80::5/64"),
    address(3, "192.168.7.20/24"),
    address(4, "10.8.0.2/24"),
    address(5, "44.1.1.1/24"),
  ],
  routes: () => [
    route("0.0.0.0/0", "192.168.7.1", 3, 600),
    route("0.0.0.0/0", "192.168.1.1", 2, 100),
    route("0.0.0.0/0", "10.8.0.1", 4),
    route("0.0.0.0/0", "44.1.1.254", 5, 900),
    route("10.0.0.0/8", "192.168.1.9", 2),
    route("0.0.0.0/0", undefined, 2, 5_000),
    route("::/0", "fe80::1", 2, 100),
  ],
};
const BOUND = [
  "192.168.1.20",
  "192.168.7.20",
  "10.9.9.9",
  "2a00::5",
  "2a00::99",
  "fe80::5",
  "44.1.1.1",
]
  .map((text) => parseIp(text)!);

Deno.test("findUplinks() finds the addresses gateways stand before, the best route first", () => {
  const found = findUplinks(LAPTOP, BOUND).map(({ gateway, local, device }) =>
    `${device} ${formatIp(local)} by ${formatIp(gateway)}`
  );
  assert.deepEqual(found, [
    "eth0 192.168.1.20 by 192.168.1.1",
    "eth0 2a00::5 by fe80::1",
    "wlan0 192.168.7.20 by 192.168.7.1",
  ]);
});

Deno.test("findUplinks() leaves out what paths may not use", () => {
  assert.deepEqual(findUplinks(LAPTOP, []), []);
});

Deno.test("wishesOf() asks for the port of each family, where the cable is plugged in", () => {
  const uplinks = findUplinks(LAPTOP, BOUND);
  const wishes = (ipv4?: number, ipv6?: number) =>
    wishesOf(uplinks, { ipv4, ipv6 }).map(({ local, internalPort }) =>
      `${formatIp(local)}/${internalPort}`
    );
  assert.deepEqual(wishes(31_000, 9_993), ["192.168.1.20/31000", "2a00::5/9993"]);
  assert.deepEqual(wishes(31_000, undefined), ["192.168.1.20/31000"]);
  assert.deepEqual(wishes(), []);
});
