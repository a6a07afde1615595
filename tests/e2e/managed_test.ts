import { equal, ok } from "node:assert/strict";
import { AgentClient } from "../../cli/engine/demo/agent_client.ts";
import { LabNode } from "../../cli/engine/demo/lab_node.ts";
import { formatPrefix, rfc4193, sixPlane } from "../../lib/base/ip.ts";
import { writeSysctl } from "../../ffi/linux/system.ts";
import { parseAddress, parseNetworkId } from "../../lib/base/ids.ts";
import {
  addressOf,
  createNetwork,
  createPlanet,
  endToEndTest,
  FOLDER,
  joinNetwork,
  machineState,
  networkOf,
  PROGRAM,
  Stage,
  startPlanet,
  until,
} from "./stage.ts";
import { UdpFirewall } from "./udp_firewall.ts";

endToEndTest("IPv6 by 6PLANE and RFC4193 works without configuration", async () => {
  const stage = new Stage("derived", ["root", "a", "b"]);
  const { root, members } = await startPlanet(stage, ["root", "a", "b"]);
  const mode = 'v6AssignMode={"6plane":true,"rfc4193":true,"zt":false}';
  const id = await createNetwork(root, "--public", mode);
  const own: string[][] = [];
  for (const member of members) {
    await joinNetwork(member, id);
    const address = parseAddress(await addressOf(member))!;
    own.push(
      [rfc4193, sixPlane].map((scheme) => formatPrefix(scheme(parseNetworkId(id)!, address))),
    );
  }
  for (const [i, member] of members.entries()) {
    const { assignedAddresses, portDeviceName } = (await networkOf(member, id))!;
    equal([...assignedAddresses].sort().join(), [...own[i]].sort().join());
    const index = member.host.deviceIndex(portDeviceName);
    const there = member.host.settings.addresses().filter((one) => one.index === index)
      .map(({ prefix }) => formatPrefix(prefix));
    for (const address of own[i]) ok(there.includes(address), `${address} is on the device`);
  }
  const agents = [await stage.agent("a"), await stage.agent("b")];
  for (const [from, to] of [[0, 1], [1, 0]]) {
    for (const address of own[to]) {
      const target = address.split("/")[0];
      const order = { target, count: 20, intervalMs: 50, timeoutMs: 3_000 };
      const { received, rttsMs } = await agents[from].ping(order).result;
      equal(received, 20, target);
      console.log(`measured: first ping to ${target}: ${rttsMs[0].toFixed(1)} ms`);
    }
  }
  await stage.lab.end();
});

endToEndTest("a member is the way out, the underlay stays, and leaving restores all", async () => {
  // The Internet is one switch; a sits behind a router and reaches it by its default route alone. The server answers
  // 10.9.30.0/24 only, so that nothing but the way through the exit node brings an answer.
  const hosts = ["root", "router", "exit", "server"];
  const stage = new Stage("exit", hosts, { ipv4: "44.1.1.0", ipv6: null });
  const router = new UdpFirewall(stage.lab, stage.host("router"));
  const [root, exit] = [stage.node("root"), stage.node("exit")];
  const world = await createPlanet(stage, root);
  await root.start().ready();
  const home = stage.lab.host("home");
  const [inside] = router.connect(home);
  for (const name of ["root", "exit"]) {
    stage.host(name).addRoute(inside, stage.lan.ipv4(stage.host("router")));
  }
  const member = new LabNode(stage.lab, home, `${FOLDER}/exit/home`, PROGRAM);
  const before = machineState(home);
  for (const node of [member, exit]) await node.do("planet", "use", world);
  let service = member.start();
  await Promise.all([service.online(), exit.start().online()]);

  const id = await createNetwork(root, "--public", "--ipv4", "10.9.30.0/24");
  const ofExit = await joinNetwork(exit, id);
  stage.host("exit").forward();
  const server = stage.lan.ipv4(stage.host("server"));
  stage.host("server").addRoute("10.9.30.0/24", stage.lan.ipv4(stage.host("exit")));
  const routes = [{ target: "10.9.30.0/24", via: null }, { target: "0.0.0.0/0", via: ofExit }];
  await root.do("controller", "network", "set", id, `routes=${JSON.stringify(routes)}`);
  await joinNetwork(member, id);
  const joined = machineState(home);
  const agent = await AgentClient.start(stage.lab, home, PROGRAM);
  const order = { target: server, count: 5, intervalMs: 100, timeoutMs: 1_000 };
  equal((await agent.ping(order).result).received, 0, "not allowed yet");

  await member.do("set", id, "allowDefault=1");
  const startMs = performance.now();
  const patient = { target: server, count: 100, intervalMs: 50, untilFirst: true };
  ok((await agent.ping(patient).result).received > 0, "the server is reached through the exit");
  console.log(`measured: way out after ${Math.round(performance.now() - startMs)} ms`);
  const long = { target: server, count: 60, intervalMs: 100, timeoutMs: 1_000 };
  ok((await agent.ping(long).result).received >= 59, "for seconds on end");
  const exitAddress = await addressOf(exit);
  const peers = await member.ask<{ address: string; paths: { address: string }[] }[]>("peers");
  const path = peers.find(({ address }) => address === exitAddress)?.paths[0]?.address;
  equal(path?.split("/")[0], stage.lan.ipv4(stage.host("exit")), "by a direct path outside");

  await member.do("set", id, "allowDefault=0");
  equal(machineState(home), joined);
  equal((await agent.ping(order).result).received, 0, "not allowed any more");
  await member.do("set", id, "allowDefault=1");

  // A crash: nothing is left to undo; the next start has the way out again, and leaves.
  await service.stop("SIGKILL");
  await until("all is as it was after a crash", 5_000, () => machineState(home) === before);
  service = member.start();
  await service.online();
  ok((await agent.ping(patient).result).received > 0, "the way out is back after a restart");

  await member.do("set", id, "allowDefault=0");
  home.run(() => writeSysctl("net.ipv4.conf.all.rp_filter", 1));
  await member.do("set", id, "allowDefault=1");
  await service.waitFor(/^strict reverse path filtering on eth0 .*eth0\.rp_filter=2$/, 5_000);
  equal((await agent.ping(order).result).received, 0, "and it is true");
  home.run(() => writeSysctl("net.ipv4.conf.eth0.rp_filter", 2));
  ok((await agent.ping(patient).result).received > 0, "and the remedy helps");
  await member.do("leave", id);
  await until("all is as it was after leaving", 5_000, () => machineState(home) === before);
  equal(machineState(home), before);
  await stage.lab.end();
});
