import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { Namespace } from "../../../../ffi/linux/namespace.ts";
import { createBridge, createCable, deleteLink } from "../../../../ffi/linux/netlink_link.ts";
import { findLink, setLink } from "../../../../ffi/linux/netlink_link.ts";
import { LinuxSettings } from "../../../../ffi/linux/settings.ts";
import { PollSet, readTextFile } from "../../../../ffi/linux/system.ts";
import { formatPrefix, parseIp, parsePrefix } from "../../../../lib/base/ip.ts";
import type { Mac } from "../../../../lib/base/ids.ts";
import { namespaceTest } from "../privileged.ts";

interface Place {
  readonly namespace: Namespace;
  readonly settings: LinuxSettings;
}

function withPlaces(count: number, fn: (...places: Place[]) => void): void {
  const places = Array.from({ length: count }, () => {
    const namespace = Namespace.create();
    return { namespace, settings: namespace.run(() => new LinuxSettings()) };
  });
  try {
    fn(...places);
  } finally {
    for (const { namespace, settings } of places) {
      settings.close();
      namespace.close();
    }
  }
}

const prefix = (text: string) => parsePrefix(text)!;
const ip = (text: string) => parseIp(text)!;

namespaceTest("links() of a fresh namespace is a loopback device that is up", () => {
  withPlaces(1, ({ settings }) => {
    const links = settings.links();
    const [lo] = links.filter((link) => link.loopback);
    deepEqual([lo.name, lo.up, lo.running, lo.index, lo.kind], ["lo", true, true, 1, undefined]);
    ok(settings.addresses().some((one) => formatPrefix(one.prefix) === "127.0.0.1/8"));
    ok(settings.addresses().some((one) => formatPrefix(one.prefix) === "::1/128"));
    deepEqual(settings.routes().filter((route) => route.target.ip.length === 4), []);
  });
});

namespaceTest("createCable() puts each end in its namespace; setLink() changes one", () => {
  withPlaces(2, (a, b) => {
    const near = { name: "near", namespaceFd: a.namespace.fd };
    createCable(a.settings.netlink, near, { name: "far", namespaceFd: b.namespace.fd });
    const far = findLink(b.settings.netlink, "far")!;
    const { index } = findLink(a.settings.netlink, "near")!;
    deepEqual([far.kind, far.up, findLink(a.settings.netlink, "far")], ["veth", false, undefined]);
    const mac = Uint8Array.of(2, 0x11, 0x22, 0x33, 0x44, 0x55);
    setLink(a.settings.netlink, index, { mac, mtu: 2800, queueLength: 300, name: "wan" });
    const wan = findLink(a.settings.netlink, "wan")!;
    deepEqual([wan.mac, wan.mtu, wan.index], [0x02_11_22_33_44_55 as Mac, 2800, index]);
    setLink(a.settings.netlink, index, { up: true });
    setLink(b.settings.netlink, far.index, { up: true });
    ok(findLink(a.settings.netlink, "wan")!.up);
    setLink(a.settings.netlink, index, { up: false });
    equal(findLink(a.settings.netlink, "wan")!.up, false);
    equal(deleteLink(a.settings.netlink, index), true);
    equal(deleteLink(a.settings.netlink, index), false);
    equal(findLink(b.settings.netlink, "far"), undefined);
    throws(
      () => setLink(a.settings.netlink, index, { mtu: 9 }),
      /set mtu of network device \d+ failed: ENODEV/,
    );
  });
});

namespaceTest("setLink() joins a bridge, leaves it, and moves to another namespace", () => {
  withPlaces(2, (a, b) => {
    const { netlink } = a.settings;
    const end = (name: string) => ({ name, namespaceFd: a.namespace.fd });
    createCable(netlink, end("x"), end("y"));
    createBridge(netlink, "br");
    throws(() => createBridge(netlink, "br"), /create bridge br failed: EEXIST/);
    const bridge = findLink(netlink, "br")!;
    const { index } = findLink(netlink, "x")!;
    equal(bridge.kind, "bridge");
    setLink(netlink, index, { master: bridge.index });
    equal(findLink(netlink, "x")!.master, bridge.index);
    setLink(netlink, index, { master: 0 });
    equal(findLink(netlink, "x")!.master, undefined);
    setLink(netlink, index, { namespaceFd: b.namespace.fd });
    equal(findLink(netlink, "x"), undefined);
    equal(findLink(b.settings.netlink, "x")!.kind, "veth");
  });
});

namespaceTest("addAddress() and removeAddress() work for both families and can be repeated", () => {
  withPlaces(1, ({ namespace, settings }) => {
    const end = (name: string) => ({ name, namespaceFd: namespace.fd });
    createCable(settings.netlink, end("x"), end("y"));
    const { index } = findLink(settings.netlink, "x")!;
    setLink(settings.netlink, index, { up: true });
    setLink(settings.netlink, findLink(settings.netlink, "y")!.index, { up: true });
    const ours = ["10.1.2.3/24", "fd00:1::3/88"];
    for (const text of [...ours, ...ours]) settings.addAddress(index, prefix(text));
    const of = () => settings.addresses().filter((one) => one.index === index);
    const texts = of().map((one) => formatPrefix(one.prefix));
    for (const text of ours) equal(texts.filter((one) => one === text).length, 1, text);
    for (const one of of().filter((one) => ours.includes(formatPrefix(one.prefix)))) {
      deepEqual([one.temporary, one.deprecated, one.tentative], [false, false, false]);
    }
    const broadcast = namespace.run(() => readTextFile("/proc/thread-self/net/fib_trie"));
    ok(broadcast.includes("10.1.2.255"));
    for (const text of ours) equal(settings.removeAddress(index, prefix(text)), true);
    for (const text of ours) equal(settings.removeAddress(index, prefix(text)), false);
    throws(
      () => settings.addAddress(999, prefix("10.0.0.1/8")),
      /add 10.0.0.1\/8 to network device 999 failed: ENODEV/,
    );
  });
});

namespaceTest(
  "replaceRoute() and removeRoute() handle gateways, devices, metrics and sources",
  () => {
    withPlaces(1, ({ namespace, settings }) => {
      const end = (name: string) => ({ name, namespaceFd: namespace.fd });
      createCable(settings.netlink, end("x"), end("y"));
      const { index } = findLink(settings.netlink, "x")!;
      setLink(settings.netlink, index, { up: true });
      setLink(settings.netlink, findLink(settings.netlink, "y")!.index, { up: true });
      settings.addAddress(index, prefix("10.1.0.2/16"));
      settings.addAddress(index, prefix("fd00:1::2/64"));
      const routes = [
        { target: prefix("10.99.0.0/16"), gateway: ip("10.1.0.1"), index, metric: 5000 },
        { target: prefix("0.0.0.0/1"), gateway: ip("10.1.0.1"), index, metric: 5000 },
        { target: prefix("0.0.0.0/0"), gateway: ip("10.1.0.9"), index },
        { target: prefix("10.77.0.0/16"), index, source: ip("10.1.0.2") },
        { target: prefix("fd99::/32"), gateway: ip("fd00:1::1"), index, metric: 5000 },
        { target: prefix("::/0"), gateway: ip("fd00:1::9"), index, metric: 7 },
        { target: prefix("fd55::/32"), index, source: ip("fd00:1::2"), metric: 3 },
      ];
      for (const route of [...routes, ...routes]) settings.replaceRoute(route); // repeating changes nothing
      const listed = settings.routes();
      for (const route of routes) {
        const [found, ...more] = listed.filter((one) =>
          formatPrefix(one.target) === formatPrefix(route.target)
        );
        equal(more.length, 0, formatPrefix(route.target));
        deepEqual(found.gateway, route.gateway);
        deepEqual(found.source, route.source);
        deepEqual(found.index, index);
        if (route.metric !== undefined) equal(found.metric, route.metric);
      }
      const moved = { ...routes[0], gateway: ip("10.1.0.7") };
      settings.replaceRoute(moved);
      const again = settings.routes().filter((one) => formatPrefix(one.target) === "10.99.0.0/16");
      deepEqual(again.map((one) => one.gateway), [ip("10.1.0.7")]);
      equal(settings.removeRoute(moved), true);
      for (const route of routes.slice(1)) equal(settings.removeRoute(route), true);
      for (const route of routes) equal(settings.removeRoute(route), false);
      throws(
        () =>
          settings.replaceRoute({
            target: prefix("10.5.0.0/16"),
            gateway: ip("10.200.0.1"),
            index,
          }),
        /add route to 10.5.0.0\/16 on device \d+ failed: ENETUNREACH \(its gateway/,
      );
    });
  },
);

namespaceTest("addRoute() leaves routes of others to the same target where they are", () => {
  withPlaces(1, ({ namespace, settings }) => {
    const end = (name: string) => ({ name, namespaceFd: namespace.fd });
    createCable(settings.netlink, end("x"), end("y"));
    const [x, y] = ["x", "y"].map((name) => findLink(settings.netlink, name)!.index);
    for (const index of [x, y]) setLink(settings.netlink, index, { up: true });
    for (const text of ["10.1.0.2/24", "fd00:1::2/64"]) settings.addAddress(x, prefix(text));
    for (const text of ["10.2.0.2/24", "fd00:2::2/64"]) settings.addAddress(y, prefix(text));
    const later = [
      { target: prefix("10.1.0.0/24"), index: y, source: ip("10.2.0.2") },
      { target: prefix("fd00:1::/64"), index: y, source: ip("fd00:2::2"), metric: 256 },
    ];
    for (const route of [...later, ...later]) settings.addRoute(route);
    const devicesTo = (text: string) =>
      settings.routes().filter(({ target }) => formatPrefix(target) === text)
        .map(({ index }) => index);
    for (const { target } of later) deepEqual(devicesTo(formatPrefix(target)), [x, y]);
    for (const route of later) equal(settings.removeRoute(route), true);
    for (const { target } of later) deepEqual(devicesTo(formatPrefix(target)), [x]);
  });
});

namespaceTest("links() reads a list longer than one answer of the kernel", () => {
  withPlaces(1, ({ settings }) => {
    for (let i = 0; i < 60; i++) createBridge(settings.netlink, `br${i}`);
    const names = settings.links().map((link) => link.name);
    for (let i = 0; i < 60; i++) ok(names.includes(`br${i}`), `br${i}`);
  });
});

namespaceTest("watch() tells links, addresses and routes apart, and is silent in between", () => {
  withPlaces(1, ({ namespace, settings }) => {
    const watch = namespace.run(() => settings.watch());
    const poll = new PollSet(1);
    poll.set([watch.fd]);
    const changed = () => {
      ok(poll.wait(2000) > 0, "the watch becomes readable");
      return [...watch.read()].sort();
    };
    equal(poll.wait(0), 0);
    deepEqual([...watch.read()], []);
    createBridge(settings.netlink, "br");
    const { index } = findLink(settings.netlink, "br")!;
    deepEqual(changed(), ["link"]);
    settings.addAddress(index, prefix("10.0.0.1/24"));
    ok(changed().includes("address"));
    setLink(settings.netlink, index, { up: true });
    ok(changed().includes("link"));
    settings.replaceRoute({ target: prefix("10.8.0.0/16"), index });
    ok(changed().includes("route"));
    settings.removeAddress(index, prefix("10.0.0.1/24"));
    ok(changed().includes("address"));
    deepEqual([...watch.read()], []);
    watch.close();
    watch.close();
  });
});
