import { equal, ok } from "node:assert/strict";
import { AgentClient } from "../../cli/engine/demo/agent_client.ts";
import { LabNode } from "../../cli/engine/demo/lab_node.ts";
import {
  addressOf,
  createNetwork,
  createPlanet,
  endToEndTest,
  FOLDER,
  joinNetwork,
  machineState,
  PROGRAM,
  Stage,
  until,
} from "./stage.ts";

endToEndTest(
  "a member is the way out in IPv6, over IPv6 alone, and leaving restores all",
  async () => {
    // The Internet is one switch without IPv4; home sits behind a router and reaches it by its default route alone. The
    // server answers members of the network only, so that nothing but the way through the exit node brings an answer.
    const hosts = ["root", "router", "exit", "server"];
    const stage = new Stage("exit6", hosts, { ipv4: null, ipv6: "2a0e:b107::" });
    const at = (name: string) => stage.lan.ipv6(stage.host(name));
    const home = stage.lab.host("home");
    const inside = { a: ["2a0e:b108::1/64"], b: ["2a0e:b108::2/64"] };
    stage.lab.wire(stage.host("router"), home, inside);
    stage.host("router").forward();
    home.addRoute("::/0", "2a0e:b108::1");
    for (const name of ["root", "exit"]) stage.host(name).addRoute("2a0e:b108::/64", at("router"));
    stage.host("server").addRoute("fd00::/8", at("exit"));

    const [root, exit] = [stage.node("root"), stage.node("exit")];
    const world = await createPlanet(stage, root);
    await root.start().ready();
    const member = new LabNode(stage.lab, home, `${FOLDER}/exit6/home`, PROGRAM);
    const before = machineState(home);
    for (const node of [member, exit]) await node.do("planet", "use", world);
    let service = member.start();
    await Promise.all([service.online(), exit.start().online()]);

    const mode = 'v6AssignMode={"6plane":false,"rfc4193":true,"zt":false}';
    const id = await createNetwork(root, "--public", mode);
    const ofExit = await joinNetwork(exit, id);
    stage.host("exit").forward();
    const routes = JSON.stringify([{ target: "::/0", via: ofExit }]);
    await root.do("controller", "network", "set", id, `routes=${routes}`);
    await joinNetwork(member, id);
    const joined = machineState(home);
    const agent = await AgentClient.start(stage.lab, home, PROGRAM);
    const target = at("server");
    const order = { target, count: 5, intervalMs: 100, timeoutMs: 1_000 };
    equal((await agent.ping(order).result).received, 0, "not allowed yet");

    await member.do("set", id, "allowDefault=1");
    const startMs = performance.now();
    const patient = { target, count: 100, intervalMs: 50, untilFirst: true };
    ok((await agent.ping(patient).result).received > 0, "the server is reached through the exit");
    console.log(`measured: way out after ${Math.round(performance.now() - startMs)} ms`);
    const long = { target, count: 60, intervalMs: 100, timeoutMs: 1_000 };
    ok((await agent.ping(long).result).received >= 59, "for seconds on end");
    const exitAddress = await addressOf(exit);
    const peers = await member.ask<{ address: string; paths: { address: string }[] }[]>("peers");
    const path = peers.find(({ address }) => address === exitAddress)?.paths[0]?.address;
    equal(path?.split("/")[0], at("exit"), "by a direct path outside");

    await member.do("set", id, "allowDefault=0");
    equal(machineState(home), joined);
    equal((await agent.ping(order).result).received, 0, "not allowed any more");
    await member.do("set", id, "allowDefault=1");
    ok((await agent.ping(patient).result).received > 0, "allowed once more");

    await service.stop("SIGKILL");
    await until("all is as it was after a crash", 5_000, () => machineState(home) === before);
    service = member.start();
    await service.online();
    ok((await agent.ping(patient).result).received > 0, "the way out is back after a restart");
    await member.do("leave", id);
    await until("all is as it was after leaving", 5_000, () => machineState(home) === before);
    await stage.lab.end();
  },
);
