import { deepEqual } from "node:assert/strict";
import { UnderlayRoutes } from "../../../../../cli/engine/tcp/underlay_routes.ts";
import { MemorySettings } from "../../../../../ffi/memory/settings.ts";
import { SystemError } from "../../../../../lib/base/errors.ts";
import { formatPrefix, parseIp, parsePrefix } from "../../../../../lib/base/ip.ts";

const [ETH, WIFI, OWN] = [1, 2, 9];
const ip = (text: string) => parseIp(text)!;

/** A machine whose default route is by one device, a company's network by another, everything by ours. */
function machine() {
  const network = new MemorySettings(() => 0, () => {});
  const add = (target: string, gateway: string, index: number, metric?: number) =>
    network.replaceRoute({ target: parsePrefix(target)!, gateway: ip(gateway), index, metric });
  add("0.0.0.0/0", "192.168.1.1", ETH, 100);
  add("0.0.0.0/0", "192.168.2.1", WIFI, 600);
  add("44.0.0.0/8", "192.168.2.9", WIFI);
  add("0.0.0.0/1", "10.9.0.1", OWN, 5_000);
  let captured = true;
  const routes = new UnderlayRoutes({
    network,
    isCaptured: () => captured,
    isOwnDevice: (index) => index === OWN,
    log: (line) => {
      throw new Error(line);
    },
  });
  const ways = () =>
    network.routes().filter(({ target }) => target.bits >= 32)
      .map((route) => [formatPrefix(route.target), route.gateway?.join("."), route.index]);
  return { network, add, routes, ways, release: () => captured = false };
}

Deno.test("UnderlayRoutes.keep() goes where the machine would go without us, by the longest prefix and lowest metric", () => {
  const { routes, ways } = machine();
  routes.keep([ip("1.2.3.4"), ip("44.1.1.1")]);
  deepEqual(ways(), [["1.2.3.4/32", "192.168.1.1", ETH], ["44.1.1.1/32", "192.168.2.9", WIFI]]);
});

Deno.test("UnderlayRoutes.keep() removes what is not wanted any more, and only that", () => {
  const { routes, ways } = machine();
  routes.keep([ip("1.2.3.4"), ip("44.1.1.1")]);
  routes.keep([ip("44.1.1.1")]);
  deepEqual(ways(), [["44.1.1.1/32", "192.168.2.9", WIFI]]);
  routes.keep([]);
  deepEqual(ways(), []);
});

Deno.test("UnderlayRoutes.keep() leaves the machine alone where nothing of ours is in the way", () => {
  const { routes, ways, release } = machine();
  release();
  routes.keep([ip("1.2.3.4")]);
  deepEqual(ways(), []);
});

Deno.test("UnderlayRoutes.keep() says so and goes on when the system names no routes", () => {
  const said: string[] = [];
  const network = new MemorySettings(() => 0, () => {});
  network.routes = () => {
    throw new SystemError("list routes", "ENOBUFS");
  };
  const routes = new UnderlayRoutes({
    network,
    isCaptured: () => true,
    isOwnDevice: () => false,
    log: (line) => said.push(line),
  });
  routes.keep([ip("1.2.3.4")]);
  deepEqual(said.length, 1);
});

Deno.test("UnderlayRoutes.forget() lets the way be found anew", () => {
  const { routes, ways, add } = machine();
  routes.keep([ip("1.2.3.4")]);
  add("0.0.0.0/0", "192.168.1.254", ETH, 100);
  routes.forget();
  routes.keep([ip("1.2.3.4")]);
  deepEqual(ways(), [["1.2.3.4/32", "192.168.1.254", ETH]]);
});

Deno.test("UnderlayRoutes.keep() removes what a killed service left, and nothing of others", () => {
  const { routes, ways, add } = machine();
  add("5.5.5.5/32", "192.168.7.1", ETH, 9_993);
  add("6.6.6.6/32", "192.168.7.1", ETH, 0);
  routes.keep([ip("1.2.3.4")]);
  deepEqual(ways(), [["6.6.6.6/32", "192.168.7.1", ETH], ["1.2.3.4/32", "192.168.1.1", ETH]]);
});
