import { equal, ok } from "node:assert/strict";
import type { AgentClient } from "../../cli/engine/demo/agent_client.ts";
import type { LabNode } from "../../cli/engine/demo/lab_node.ts";
import {
  addressOf,
  createNetwork,
  endToEndTest,
  FOLDER,
  joinNetwork,
  Stage,
  startPlanet,
  until,
} from "./stage.ts";

const DATAGRAMS = 200;
const CUT_OFF_MS = 5_000; // the bound

/**
 * Ports: 5001 for everybody, 5003 for nobody, 5004 refused by receivers, 5005 within a team, 5006
 * with a capability.
 */
const RULES = `
tag team
  id 7
  enum 1 red
  enum 2 blue
;
cap admin
  id 1
  accept ipprotocol udp and dport 5006;
;
drop ipprotocol udp and dport 5003;
drop chr inbound and ipprotocol udp and dport 5004;
drop ipprotocol udp and dport 5005 and not tdiff team 0;
break ipprotocol udp and dport 5006;
accept;
`;

/** A root with controller, and three members of one private network: a and b of one team, c of another, a an admin. */
interface Cast {
  readonly stage: Stage;
  readonly root: LabNode;
  readonly members: readonly LabNode[];
  readonly id: string;
  readonly ips: readonly string[];
}

let made: Promise<Cast> | undefined;

function cast(): Promise<Cast> {
  return made ??= makeCast();
}

async function makeCast(): Promise<Cast> {
  const stage = new Stage("rules", ["root", "a", "b", "c"]);
  const { root, members } = await startPlanet(stage, ["root", "a", "b", "c"]);
  const source = `${FOLDER}/rules.txt`;
  Deno.writeTextFileSync(source, RULES);
  const { config } = await root.ask<{ config: Record<string, unknown> }>(
    "rules",
    "compile",
    source,
  );
  const settings = Object.entries(config).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  const id = await createNetwork(root, "--ipv4", "10.9.20.0/24", ...settings);
  const roles = [
    ["tags=[[7,1]]", "capabilities=[1]"],
    ["tags=[[7,1]]", "capabilities=[]"],
    ["tags=[[7,2]]", "capabilities=[]"],
  ];
  const ips: string[] = [];
  for (const [i, member] of members.entries()) {
    const address = await addressOf(member);
    await root.do("controller", "member", "set", id, address, "authorized=true", ...roles[i]);
    ips.push(await joinNetwork(member, id));
  }
  return { stage, root, members, id, ips };
}

/** How many of {@linkcode DATAGRAMS} datagrams get from one agent to another. */
async function arriving(from: AgentClient, to: AgentClient, ip: string, port: number) {
  const receiving = to.receiveDatagrams({ ip, port, quietMs: 1_000 }, 10_000);
  await receiving.listening;
  const order = { ip, port, count: DATAGRAMS, sizeBytes: 200, perSecond: 1_000 };
  await from.sendDatagrams(order, 10_000).result;
  return (await receiving.result).received;
}

interface Counts {
  readonly packets_sealed: number;
  readonly packets_opened: number;
  readonly dropped_rules: number;
}

/** What the data Worker of a node counted so far: what passed through control is not in it. */
async function worker(node: LabNode): Promise<Counts> {
  return JSON.parse(await node.do("/zt/status")).data.statistics;
}

endToEndTest(
  "drop rules, tags and capabilities hold in the data Workers of both members",
  async () => {
    const { stage, members: [a, b], ips: [, ofB, ofC] } = await cast();
    const [atA, atB, atC] = await Promise.all(["a", "b", "c"].map((name) => stage.agent(name)));
    for (const ip of [ofB, ofC]) {
      const order = { target: ip, count: 100, intervalMs: 50, untilFirst: true };
      ok((await atA.ping(order).result).received > 0);
    }
    const before = [await worker(a), await worker(b)];
    ok(await arriving(atA, atB, ofB, 5001) >= DATAGRAMS * 0.99);
    equal(await arriving(atA, atB, ofB, 5003), 0);
    const sent = await worker(a);
    ok(sent.packets_sealed - before[0].packets_sealed >= DATAGRAMS * 0.9);
    ok(sent.dropped_rules - before[0].dropped_rules >= DATAGRAMS * 0.9);
    equal(await arriving(atA, atB, ofB, 5004), 0);
    const received = await worker(b);
    ok(received.dropped_rules - before[1].dropped_rules >= DATAGRAMS * 0.9);
    ok(received.packets_opened - before[1].packets_opened >= DATAGRAMS * 1.9);

    ok(await arriving(atA, atB, ofB, 5005) >= DATAGRAMS * 0.99, "within the team");
    equal(await arriving(atA, atC, ofC, 5005), 0, "to the other team");
    ok(await arriving(atA, atB, ofB, 5006) >= DATAGRAMS * 0.99, "from the admin");
    equal(await arriving(atB, atC, ofC, 5006), 0, "without the capability");
    ok(await arriving(atB, atC, ofC, 5001) >= DATAGRAMS * 0.99);
  },
);

endToEndTest("a member put out is cut off from all live peers within 5 s", async () => {
  const { stage, root, members: [, , c], id, ips: [ofA, ofB, ofC] } = await cast();
  const [atA, atB, atC] = await Promise.all(["a", "b", "c"].map((name) => stage.agent(name)));
  const order = { count: 1_000, intervalMs: 20, timeoutMs: 500 };
  const running = [
    atA.ping({ target: ofC, ...order }),
    atB.ping({ target: ofC, ...order }),
    atC.ping({ target: ofA, ...order }),
    atC.ping({ target: ofB, ...order }),
  ];
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const address = await addressOf(c);
  const putOutMs = performance.now();
  await root.do("controller", "member", "deauthorize", id, address);
  const saidMs = performance.now() - putOutMs;
  await new Promise((resolve) => setTimeout(resolve, CUT_OFF_MS - saidMs));
  for (const ping of running) ping.cancel();
  const before = await Promise.all(running.map(({ result }) => result));
  // Replies are numbered by time: the last one says when the way closed, counted from the command's start.
  const cutMs = before.map(({ received }) => received * order.intervalMs - 1_000);
  for (const { received, sent } of before) ok(received > 20 && received < sent - 20);
  for (const [from, target] of [[atA, ofC], [atB, ofC], [atC, ofA], [atC, ofB]] as const) {
    equal(
      (await from.ping({ target, count: 5, intervalMs: 50, timeoutMs: 500 }).result).received,
      0,
    );
  }
  const last = Math.max(...cutMs);
  ok(last < CUT_OFF_MS);
  console.log(
    `measured: cut off ${cutMs.map(Math.round).join(", ")} ms after the command began, ` +
      `which took ${Math.round(saidMs)} ms`,
  );
  ok((await atA.ping({ target: ofB, count: 5, intervalMs: 50 }).result).received > 0);
  await root.do("controller", "member", "authorize", id, address);
  await until("it is let in again", 20_000, async () => {
    return (await atA.ping({ target: ofC, count: 2, intervalMs: 50, timeoutMs: 500 }).result)
      .received > 0;
  });
});
