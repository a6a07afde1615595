import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Finding } from "../../cli/engine/doctor/findings.ts";
import { addressOf, endToEndTest, Stage, startPlanet } from "./stage.ts";

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
    match(other.out, /^PROBLEM +service +none has run on .*\n +-> start it with: zt service\n/);
    await stage.lab.end();
  },
);
