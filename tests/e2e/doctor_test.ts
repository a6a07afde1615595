import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Finding } from "../../cli/engine/doctor/findings.ts";
import { LabNode } from "../../cli/engine/demo/lab_node.ts";
import { addressOf, endToEndTest, FOLDER, PROGRAM, Stage, startPlanet } from "./stage.ts";

const NFT = "/usr/sbin/nft";

interface Report {
  readonly problems: number;
  readonly findings: Finding[];
}

endToEndTest(
  "zt doctor finds a node well, a dead root, and a service that does not run",
  async () => {
    const stage = new Stage("doctor", ["root", "a"]);
    const { root, members: [a] } = await startPlanet(stage, ["root", "a"]);
    const rootAddress = await addressOf(root);
    const well = await a.ask<Report>("doctor");
    deepEqual([well.problems, well.findings.filter(({ state }) => state === "problem")], [0, []]);
    const states = new Map(well.findings.map(({ check, state }) => [check, state]));
    for (const check of ["UDP", "NAT, IPv4", "NAT, IPv6", `root ${rootAddress}`]) {
      equal(states.get(check), "ok", check);
    }
    stage.host("root").setUp("eth0", false);
    const startMs = performance.now();
    const dead = await a.say("doctor");
    ok(performance.now() - startMs < 10_000);
    equal(dead.code, 1);
    match(dead.out, new RegExp(`\\nPROBLEM +root ${rootAddress} +this root does not answer at `));
    match(dead.out, /\nPROBLEM +UDP +no root answers over UDP/);
    const peers = await a.do("peers");
    match(
      peers,
      new RegExp(`^${rootAddress} +PLANET .* relayed .*this root does not answer at `, "m"),
    );
    const other = await stage.node("a", "other").say("doctor");
    equal(other.code, 1);
    match(
      other.out,
      /^PROBLEM +service +none has run on .*\n +-> start it with: zt service --background\n/,
    );
    await stage.lab.end();
  },
);

/** What a NAT does, to nft. */
function natRules(how: string): string {
  return `add table ip nat\nadd chain ip nat out { type nat hook postrouting priority 100 ; }\n` +
    `add rule ip nat out oifname "eth0" masquerade ${how}\n`;
}

/** Runs nft inside a host. */
async function nft(stage: Stage, host: string, rules: string): Promise<void> {
  const child = stage.lab.spawn(stage.host(host), NFT, ["-f", "-"], { stdin: "piped" });
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(rules));
  await writer.close();
  equal((await child.status).code, 0);
}

endToEndTest("zt doctor tells a symmetric NAT from one that others can be told of", async () => {
  const stage = new Stage("doctor-nat", ["root", "router"], { ipv6: null });
  const root = stage.node("root");
  const second = stage.lan.ipv4(root.host).replace(/\d+$/, "200");
  root.host.addAddress("eth0", `${second}/24`);
  const endpoints = [`${stage.lan.ipv4(root.host)}/9993`, `${second}/9993`];
  const listed = endpoints.flatMap((endpoint) => ["--endpoint", endpoint]);
  const { world } = await root.ask<{ world: string }>("planet", "create", ...listed);
  await root.start().ready();
  const home = stage.lab.host("home");
  stage.lab.wire(home, stage.host("router"), { a: ["192.168.5.2/24"], b: ["192.168.5.1/24"] });
  home.addRoute("0.0.0.0/0", "192.168.5.1");
  stage.host("router").forward();
  const node = new LabNode(stage.lab, home, `${FOLDER}/doctor-nat/home`, PROGRAM);
  await node.do("planet", "use", world);
  for (
    const [how, state, kind] of [["", "ok", "one port"], ["fully-random", "note", "symmetric"]]
  ) {
    await nft(stage, "router", `add table ip nat\ndelete table ip nat\n${natRules(how)}`);
    const service = node.start();
    await service.online();
    const { findings } = await node.ask<Report>("doctor");
    const nat = findings.find(({ check }) => check === "NAT, IPv4")!;
    deepEqual([nat.state, nat.text.includes(kind)], [state, true], nat.text);
    const mapping = findings.find(({ check }) => check === "port mapping")!;
    match(mapping.text, /^192\.168\.5\.1 offers none; tried again in \d+ s/);
    await service.stop();
  }
  await stage.lab.end();
}, NFT);
