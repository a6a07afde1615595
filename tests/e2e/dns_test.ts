import { deepEqual, equal, ok } from "node:assert/strict";
import { createNetwork, endToEndTest, FOLDER, joinNetwork, networkOf } from "./stage.ts";
import { Stage, startPlanet, until } from "./stage.ts";
import { DBUS_DAEMON, FakeResolved } from "./fake_resolved.ts";

const DNS = 'dns={"domain":"lab.example","servers":["10.9.50.53","fd00::53"]}';
const BUS_VARIABLE = "DBUS_SYSTEM_BUS_ADDRESS";

/** Points the nodes started next to a bus, never to the machine's own. */
function useBus(path: string): void {
  Deno.env.set(BUS_VARIABLE, `unix:path=${path}`);
}

endToEndTest("allowDNS writes the file that was asked for, and takes it back", async () => {
  useBus(`${FOLDER}/nobody`);
  const stage = new Stage("dns", ["root", "a"]);
  const { root, world } = await startPlanet(stage, ["root"]);
  const a = stage.node("a");
  await a.do("planet", "use", world);
  const file = `${FOLDER}/dns/resolv.conf`;
  const before = "# by hand\nnameserver 192.0.2.1\noptions edns0";
  Deno.writeTextFileSync(file, before);
  const read = () => Deno.readTextFileSync(file);
  let service = a.start();
  await service.online();
  const id = await createNetwork(root, "--public", "--ipv4", "10.9.50.0/24", DNS);
  await joinNetwork(a, id);
  await a.do("set", id, "allowDNS=1");
  await service.waitFor(/allowDNS without systemd-resolved .* "resolvConf"/, 5_000);
  equal(read(), before, "no file was named");
  await service.stop();

  Deno.writeTextFileSync(
    `${a.home}/local.conf`,
    JSON.stringify({ settings: { resolvConf: file } }),
  );
  service = a.start();
  await until("the servers are in the file", 10_000, () => {
    return /search lab\.example\nnameserver 10\.9\.50\.53\nnameserver fd00::53\n/.test(read());
  });
  ok(read().endsWith(before));
  await a.do("set", id, "allowDNS=0");
  await until("they are gone when not allowed", 5_000, () => read() === before);
  await a.do("set", id, "allowDNS=1");
  await until("they are back", 5_000, () => read() !== before);
  equal(await service.stop(), 0);
  equal(read(), before, "after an orderly end");

  service = a.start();
  await until("they are back after a start", 10_000, () => read() !== before);
  await service.stop("SIGKILL");
  ok(read() !== before, "a crash leaves them");
  Deno.writeTextFileSync(`${a.home}/networks.d/${id}.local.conf`, "allowDNS=0\n");
  service = a.start();
  await service.ready();
  equal(read(), before, "and the next start takes them away");
  await a.do("set", id, "allowDNS=1");
  await until("they are back once more", 5_000, () => read() !== before);
  await service.stop("SIGKILL");
  service = a.start();
  await service.ready();
  await a.do("leave", id);
  await until("they are gone after leaving", 5_000, () => read() === before);

  const hostile = 'dns={"domain":"x\\nnameserver 192.0.2.66","servers":["10.9.50.53"]}';
  const other = await createNetwork(root, "--public", "--ipv4", "10.9.51.0/24", hostile);
  await joinNetwork(a, other);
  await a.do("set", other, "allowDNS=1");
  await service.waitFor(/names a domain that cannot be one/, 5_000);
  equal(read(), before);
  await stage.lab.end();
});

endToEndTest("allowDNS tells systemd-resolved over the bus, for the domain only", async () => {
  const resolved = await FakeResolved.start(FOLDER);
  try {
    useBus(resolved.path);
    const stage = new Stage("resolved", ["root", "a"]);
    const { root, members: [a] } = await startPlanet(stage, ["root", "a"]);
    const id = await createNetwork(root, "--public", "--ipv4", "10.9.52.0/24", DNS);
    await joinNetwork(a, id);
    equal(resolved.told.length, 0, "not allowed yet");
    await a.do("set", id, "allowDNS=1");
    await until("it is told", 5_000, () => resolved.told.length >= 3);
    const index = a.host.deviceIndex((await networkOf(a, id))!.portDeviceName);
    const number = (value: number) => [value, 0, 0, 0];
    const [servers, domains, route] = resolved.told;
    equal(servers.member, "SetLinkDNS");
    const ipv6 = [0xfd, ...new Array(14).fill(0), 0x53];
    deepEqual([...servers.body], [
      ...[...number(index), ...number(40), ...number(2), ...number(4), 10, 9, 50, 53, 0, 0, 0, 0],
      ...[...number(10), ...number(16), ...ipv6],
    ]);
    equal(domains.member, "SetLinkDomains");
    const name = [...new TextEncoder().encode("lab.example"), 0];
    deepEqual([...domains.body], [
      ...[...number(index), ...number(20), ...number(11), ...name, ...number(0)],
    ]);
    deepEqual([route.member, ...route.body], [
      "SetLinkDefaultRoute",
      ...[...number(index), ...number(0)],
    ]);
    await a.do("set", id, "allowDNS=0");
    await until("it is told to forget", 5_000, () => resolved.told.length >= 4);
    deepEqual([resolved.told[3].member, ...resolved.told[3].body], [
      "RevertLink",
      ...number(index),
    ]);
    await stage.lab.end();
  } finally {
    Deno.env.delete(BUS_VARIABLE);
    await resolved.end();
  }
}, DBUS_DAEMON);
