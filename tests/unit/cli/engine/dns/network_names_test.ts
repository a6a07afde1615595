import { deepEqual, equal, match } from "node:assert/strict";
import type { NameServer, NameServerOptions } from "../../../../../cli/engine/dns/name_server.ts";
import { NetworkNames } from "../../../../../cli/engine/dns/network_names.ts";
import type { Address, NetworkId } from "../../../../../lib/base/ids.ts";
import { formatIp, parseIp, parsePrefix } from "../../../../../lib/base/ip.ts";

const OFFICE = 0x8056c2e21c000001n as NetworkId;
const HOME = 0x8056c2e21c000002n as NetworkId;
const CONTROLLER = 0x8056c2e21c as Address;
const SELF = 0x19810bb6a3 as Address;
const ip = (text: string) => parseIp(text)!;

function rig() {
  const opened: (NameServerOptions & { isClosed: boolean })[] = [];
  const rig = {
    log: [] as string[],
    changed: [] as NetworkId[],
    opened,
    isWanted: true,
    isTaken: false,
    names: undefined as unknown as NetworkNames,
    /** Lets servers that are being opened be open. */
    settle: () => new Promise((resolve) => setTimeout(resolve, 0)),
    get open() {
      return opened.filter(({ isClosed }) => !isClosed).map(({ ip }) => formatIp(ip));
    },
  };
  rig.names = new NetworkNames({
    self: SELF,
    isWanted: () => rig.isWanted,
    onChange: (id) => rig.changed.push(id),
    log: (line) => rig.log.push(line),
    open: (options) => {
      if (rig.isTaken) return Promise.reject(new Deno.errors.AddrInUse());
      const one = { ...options, isClosed: false };
      opened.push(one);
      const server = { isBroken: false, close: () => one.isClosed = true };
      return Promise.resolve(server as unknown as NameServer);
    },
  });
  return rig;
}

function network(name: string, addresses: string[], onDemand = false) {
  const controller = { address: CONTROLLER, label: "authority", ips: [ip("10.0.0.1")] };
  return {
    name,
    names: { hash: 1n, onDemand, members: [controller] },
    addresses: addresses.map((text) => parsePrefix(text)!),
  };
}

const SERVERS = (address: string, ...domains: string[]) => ({
  servers: [ip(address)],
  domains: domains.map((name) => ({ name, isSearched: false })),
});

Deno.test("NetworkNames serves at the first IPv4 address and then tells what to ask there", async () => {
  const { names, changed, settle, ...the } = rig();
  const office = network("Office", ["fd00::9/88", "10.0.0.9/24", "10.0.0.10/24"]);
  equal(names.set(OFFICE, office), undefined, "not yet open");
  await settle();
  deepEqual(changed, [OFFICE]);
  const reverse = ["0.".repeat(18) + "0.0.d.f.ip6.arpa", "0.0.10.in-addr.arpa"];
  deepEqual(
    names.set(OFFICE, office),
    SERVERS("10.0.0.9", "office.zt", "8056c2e21c000001.zt", ...reverse),
  );
  equal(the.opened.length, 1, "still the same");
  const [{ isHeard }] = the.opened;
  deepEqual(["10.0.0.77", "10.0.1.1", "192.0.2.1"].map((from) => isHeard(ip(from))), [
    true,
    false,
    false,
  ]);
});

Deno.test("NetworkNames moves with the address, and ends with names, address, wish or network", async () => {
  const the = rig();
  const { names, settle } = the;
  names.set(OFFICE, network("office", ["10.0.0.9/24"]));
  await settle();
  names.set(OFFICE, network("office", ["10.0.0.8/24"]));
  await settle();
  deepEqual(the.open, ["10.0.0.8"]);
  const endings = [
    () => names.set(OFFICE, network("office", [])),
    () => names.set(OFFICE, { ...network("office", ["10.0.0.8/24"]), names: undefined }),
    () => {
      the.isWanted = false;
      names.set(OFFICE, network("office", ["10.0.0.8/24"]));
      match(names.status(OFFICE)!.trouble!, /local\.conf/);
      the.isWanted = true;
    },
    () => names.remove(OFFICE),
    () => names.close(),
  ];
  for (const end of endings) {
    names.set(OFFICE, network("office", ["10.0.0.8/24"]));
    await settle();
    deepEqual(the.open, ["10.0.0.8"]);
    end();
    deepEqual(the.open, []);
  }
});

Deno.test("NetworkNames leaves a port that is taken, says so once, and has it when it is free", async () => {
  const the = rig();
  const { names, settle } = the;
  the.isTaken = true;
  for (let i = 0; i < 3; i++) {
    equal(names.set(OFFICE, network("office", ["10.0.0.9/24"])), undefined);
    await settle();
  }
  equal(the.log.length, 1);
  match(the.log[0], /8056c2e21c000001 are not answered: port 53 of 10\.0\.0\.9 is another/);
  match(names.status(OFFICE)!.trouble!, /another program/);
  deepEqual(the.changed, []);
  the.isTaken = false;
  names.set(OFFICE, network("office", ["10.0.0.9/24"]));
  await settle();
  deepEqual(the.open, ["10.0.0.9"]);
  equal(names.status(OFFICE)!.trouble, undefined);
});

Deno.test("NetworkNames closes a server that opened too late", async () => {
  const the = rig();
  the.names.set(OFFICE, network("office", ["10.0.0.9/24"]));
  the.names.remove(OFFICE);
  await the.settle();
  deepEqual([the.opened.length, the.open], [1, []]);
  deepEqual(the.changed, []);
});

Deno.test("NetworkNames gives a name two networks have to neither, until one goes", async () => {
  const the = rig();
  const { names, settle } = the;
  const office = network("office", ["10.0.0.9/24"]);
  const other = network("Office!", ["10.0.1.9/24"]);
  names.set(OFFICE, office);
  await settle();
  const domains = (id: NetworkId, given: typeof office) =>
    names.set(id, given)!.domains.map(({ name }) => name).filter((name) => name.endsWith(".zt"));
  deepEqual(domains(OFFICE, office), ["office.zt", "8056c2e21c000001.zt"]);
  the.changed.length = 0;
  names.set(HOME, other);
  deepEqual(the.changed, [OFFICE], "looked at again");
  await settle();
  deepEqual(domains(OFFICE, office), ["8056c2e21c000001.zt"]);
  deepEqual(domains(HOME, other), ["8056c2e21c000002.zt"]);
  the.changed.length = 0;
  names.set(HOME, { ...other, name: "home" });
  deepEqual(the.changed, [OFFICE]);
  deepEqual(domains(OFFICE, office), ["office.zt", "8056c2e21c000001.zt"]);
});

Deno.test("NetworkNames asks the controller of a large network, and only of a large one", async () => {
  const the = rig();
  the.names.set(OFFICE, network("office", ["10.0.0.9/24"]));
  await the.settle();
  const [{ upstream }] = the.opened;
  equal(upstream(), undefined);
  the.names.set(OFFICE, network("office", ["10.0.0.9/24"], true));
  deepEqual(upstream(), ip("10.0.0.1"));
});
