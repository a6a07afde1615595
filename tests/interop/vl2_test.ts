/**
 * One Ethernet of both kinds: rules and credentials enforced by each, derived addresses, multicast,
 * ways out, bridges. Every network of a scene has numbers of its own.
 * @module
 */
import assert from "node:assert/strict";
import { createBridge, setLink } from "../../ffi/linux/netlink_link.ts";
import { linesOf } from "../../cli/engine/demo/lines.ts";
import { compileSource, sourceToJson } from "../../lib/controller/language/compiler.ts";
import type { JsonObject } from "../../lib/controller/json.ts";
import { Agent } from "./agent_client.ts";
import { interopTest } from "./reference.ts";
import { publicNetwork, Scene } from "./scene.ts";
import { type Kind, SERVE_PORT, type Station } from "./station.ts";

const CAST = { nodes: ["zt", "reference"] } as const;
const NO_WAY_MS = 1_000; // datagrams for this long, none of which comes back
const CUT_OFF_MS = 5_000; // the bound
const MDNS_PEER = new URL("../e2e/mdns_peer.ts", import.meta.url).pathname;

/** Ports by who is to refuse them; echoes go back to other ports. */
const PORT = {
  nobody: 7_703,
  refusedBySenders: 7_704,
  refusedByReceivers: 7_705,
  team: 7_706,
  teamAtReceivers: 7_707,
  admins: 7_708,
} as const;

const RULES = `
tag team
  id 7
  enum 1 red
  enum 2 blue
;
cap admin
  id 1
  accept ipprotocol udp and dport ${PORT.admins};
;
drop ipprotocol udp and dport ${PORT.nobody};
drop not chr inbound and ipprotocol udp and dport ${PORT.refusedBySenders};
drop chr inbound and ipprotocol udp and dport ${PORT.refusedByReceivers};
drop ipprotocol udp and dport ${PORT.team} and not tdiff team 0;
drop chr inbound and ipprotocol udp and dport ${PORT.teamAtReceivers} and not tdiff team 0;
break ipprotocol udp and dport ${PORT.admins};
accept;
`;

/** Only who owns an IP may send from it; receivers judge. */
const OWNERS_ONLY = "drop chr inbound and ethertype ipv4 and not chr ipauth;\naccept;\n";

/** Rules, tags and capabilities as a controller takes them. */
function compiled(source: string): JsonObject {
  return sourceToJson(compileSource(source)).config as JsonObject;
}

/** A network 10.9.`number`.0/24. */
function network(scene: Scene, number: number, settings: Record<string, unknown> = {}) {
  return scene.network(publicNetwork({
    ipAssignmentPools: [{
      ipRangeStart: `10.9.${number}.1`,
      ipRangeEnd: `10.9.${number}.99`,
    }],
    routes: [{ target: `10.9.${number}.0/24`, via: null }],
    ...settings,
  }));
}

/** The two nodes in either order. */
function bothWays(scene: Scene): [Station, Station][] {
  const [zt, reference] = scene.nodes;
  return [[zt, reference], [reference, zt]];
}

/** A station and its addresses in a network. */
async function joined(scene: Scene, id: string): Promise<Map<Station, string>> {
  const ips = await Promise.all(scene.nodes.map((node) => node.join(id)));
  return new Map(scene.nodes.map((node, i) => [node, ips[i]]));
}

/**
 * Sets whether a node is a bridge, and has the controller tell everybody: the reference's would
 * tell that node only.
 */
async function setBridge(scene: Scene, id: string, gate: Station, activeBridge: boolean) {
  await scene.member(id, gate, { activeBridge });
  const name = `bridge ${activeBridge}`;
  await scene.root.api("POST", `/controller/network/${id}`, { name });
}

async function assertNoWay(from: Station, ip: string, port?: number, why = ""): Promise<void> {
  const reached = await from.reaches(ip, NO_WAY_MS, port);
  assert(!reached, `${from.name} reaches ${ip} port ${port}: ${why}`);
}

async function rulesHold(scene: Scene): Promise<void> {
  const id = await network(scene, 1, { private: true, ...compiled(RULES) });
  const [zt, reference] = scene.nodes;
  await scene.member(id, zt, { authorized: true, tags: [[7, 1]], capabilities: [1] });
  await scene.member(id, reference, { authorized: true, tags: [[7, 1]], capabilities: [] });
  const ips = await joined(scene, id);
  for (const node of scene.nodes) {
    for (const port of Object.values(PORT)) await node.agent.ask("serve", { port });
  }
  for (const [from, to] of bothWays(scene)) {
    const ip = ips.get(to)!;
    await from.untilReaches(ip);
    await from.untilReaches(ip, PORT.team);
    await from.untilReaches(ip, PORT.teamAtReceivers);
    const closed = [PORT.nobody, PORT.refusedBySenders, PORT.refusedByReceivers];
    await Promise.all(closed.map((port) => assertNoWay(from, ip, port)));
  }
  await zt.untilReaches(ips.get(reference)!, PORT.admins);
  await assertNoWay(reference, ips.get(zt)!, PORT.admins, "it is no admin");

  await scene.member(id, zt, { tags: [[7, 2]], capabilities: [] });
  await scene.member(id, reference, { capabilities: [1] });
  await reference.untilReaches(ips.get(zt)!, PORT.admins);
  await zt.until("it is no admin any more", async () => {
    return !(await zt.reaches(ips.get(reference)!, NO_WAY_MS, PORT.admins));
  });
  for (const [from, to] of bothWays(scene)) {
    await Promise.all(
      [PORT.team, PORT.teamAtReceivers].map((port) =>
        from.until("the team parted", async () => {
          return !(await from.reaches(ips.get(to)!, NO_WAY_MS, port));
        })
      ),
    );
    assert(await from.reaches(ips.get(to)!), "what is open to all stays so");
  }
}

/** A second address nobody was given: what is sent from it goes nowhere. */
async function ownershipHolds(scene: Scene): Promise<void> {
  const id = await network(scene, 2, { private: true, ...compiled(OWNERS_ONLY) });
  for (const node of scene.nodes) await scene.member(id, node, { authorized: true });
  const ips = await joined(scene, id);
  for (const [from, to] of bothWays(scene)) {
    await from.untilReaches(ips.get(to)!);
    const stolen = from.kind === "zt" ? "10.9.2.201" : "10.9.2.202";
    const { portDeviceName } = await from.network(id);
    from.host.addAddress(portDeviceName, `${stolen}/24`);
    const order = { ip: ips.get(to)!, port: SERVE_PORT, sizeBytes: 64, count: 20, intervalMs: 50 };
    const { rttsMs } = await from.agent.ask("ping", { ...order, from: stolen });
    assert.equal(rttsMs.length, 0, `${to.name} takes frames from an address of nobody`);
    from.host.removeAddress(portDeviceName, `${stolen}/24`);
    assert(await from.reaches(ips.get(to)!));
  }
}

/** Frames of one that was put out are refused by the other at once, though it goes on sending. */
async function puttingOutHolds(scene: Scene): Promise<void> {
  const id = await network(scene, 9, { private: true });
  for (const node of scene.nodes) await scene.member(id, node, { authorized: true });
  const ips = await joined(scene, id);
  for (const [outside, inside] of bothWays(scene)) {
    const ip = ips.get(inside)!;
    await outside.untilReaches(ip);
    const order = { ip, port: SERVE_PORT, sizeBytes: 64, count: 120, intervalMs: 50 };
    const startMs = performance.now();
    const pinging = outside.agent.ask("ping", order);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const putOutMs = performance.now() - startMs;
    await scene.member(id, outside, { authorized: false });
    const { rttsMs, lastMs } = await pinging;
    assert(rttsMs.length > 0);
    const cutMs = Math.round(lastMs - putOutMs);
    assert(cutMs < CUT_OFF_MS, `${inside.name} heard it for ${cutMs} ms`);
    console.log(
      `measured: ${inside.kind} heard ${outside.kind} no more ${cutMs} ms after the request`,
    );
    await assertNoWay(inside, ips.get(outside)!);
    await scene.member(id, outside, { authorized: true });
    await outside.networkStatus(id, "OK");
    await outside.untilReaches(ip);
    await inside.untilReaches(ips.get(outside)!);
  }
}

async function derivedAddresses(scene: Scene): Promise<void> {
  const v6AssignMode = { "6plane": true, "rfc4193": true, "zt": false };
  const id = await network(scene, 3, { v6AssignMode });
  await joined(scene, id);
  for (const [from, to] of bothWays(scene)) {
    const { assignedAddresses } = await to.network(id);
    const derived = assignedAddresses.filter((one) => one.includes(":"));
    assert.equal(derived.length, 2, `${to.name}: ${assignedAddresses}`);
    for (const address of derived) await from.untilReaches(address.split("/")[0]);
  }
}

/** A question to 224.0.0.251 gets its answer, whoever asks. */
async function multicastDns(scene: Scene): Promise<void> {
  const id = await network(scene, 4);
  const ips = await joined(scene, id);
  for (const [asking, answering] of bothWays(scene)) {
    const run = (station: Station, mode: string) => {
      const args = ["run", "--no-prompt", "-A", MDNS_PEER, mode, ips.get(station)!];
      const piped = { stdin: "null", stdout: "piped", stderr: "inherit" } as const;
      const child = scene.lab.spawn(station.host, Deno.execPath(), args, piped);
      return { child, lines: linesOf(child.stdout) };
    };
    const answerer = run(answering, "answer");
    const said = answerer.lines[Symbol.asyncIterator]();
    assert.equal((await said.next()).value, "ready");
    const startMs = performance.now();
    const asker = run(asking, "ask");
    const [answer] = await Array.fromAsync(asker.lines);
    assert.equal(answer, ips.get(answering));
    const tookMs = Math.round(performance.now() - startMs);
    console.log(`measured: ${asking.kind} asked ${answering.kind} by mDNS, ${tookMs} ms`);
    answerer.child.kill();
    while (!(await said.next()).done);
    await answerer.child.status;
  }
}

/** A server behind one node is reached by the other through its default routes, of both families. */
async function wayOut(scene: Scene): Promise<void> {
  for (const [i, [member, exit]] of bothWays(scene).entries()) {
    const number = 5 + i;
    const id = await network(scene, number, {
      v6AssignMode: { "6plane": false, "rfc4193": true, "zt": false },
    });
    const ips = await joined(scene, id);
    const lan = scene.lab.host(`server ${number}`);
    scene.lab.wire(exit.host, lan, {
      a: [`10.88.${number}.1/24`, `fd88:${number}::1/64`],
      b: [`10.88.${number}.2/24`, `fd88:${number}::2/64`],
    });
    lan.addRoute("0.0.0.0/0", `10.88.${number}.1`);
    lan.addRoute("::/0", `fd88:${number}::1`);
    exit.host.forward();
    const ofExit6 = (await exit.network(id)).assignedAddresses.find((one) => one.includes(":"))!;
    await scene.root.api("POST", `/controller/network/${id}`, {
      routes: [
        { target: `10.9.${number}.0/24`, via: null },
        { target: "0.0.0.0/0", via: ips.get(exit) },
        { target: "::/0", via: ofExit6.split("/")[0] },
      ],
    });
    const server = new Agent(scene.lab, lan);
    await server.ask("serve", { port: SERVE_PORT });
    const servers = [`10.88.${number}.2`, `fd88:${number}::2`];
    await Promise.all(
      servers.map((ip) => assertNoWay(member, ip, SERVE_PORT, "not allowed yet")),
    );
    await member.api("POST", `/network/${id}`, { allowDefault: true });
    for (const ip of servers) await member.untilReaches(ip);
    await member.untilReaches(ips.get(exit)!);
    await member.api("POST", `/network/${id}`, { allowDefault: false });
    await Promise.all(
      servers.map((ip) =>
        member.until("the way out is gone", async () => !(await member.reaches(ip, NO_WAY_MS)))
      ),
    );
    await server.close();
  }
}

/** A host on a LAN behind one node is a neighbour of the other. */
async function bridges(scene: Scene): Promise<void> {
  for (const [i, [gate, member]] of bothWays(scene).entries()) {
    const number = 7 + i;
    const id = await network(scene, number);
    const ips = await joined(scene, id);
    await gate.api("POST", `/network/${id}`, { allowManaged: false });
    const lan = scene.lab.host(`printer ${number}`);
    const printer = `10.9.${number}.200`;
    const [port] = scene.lab.wire(gate.host, lan, { b: [`${printer}/24`] });
    const { netlink } = gate.host.settings;
    const bridge = `br${number}`;
    createBridge(netlink, bridge);
    const master = gate.host.deviceIndex(bridge);
    setLink(netlink, master, { up: true });
    const tap = (await gate.network(id)).portDeviceName;
    for (const device of [port.device, tap]) {
      setLink(netlink, gate.host.deviceIndex(device), { master });
    }
    const agent = new Agent(scene.lab, lan);
    await agent.ask("serve", { port: SERVE_PORT });
    await assertNoWay(member, printer, SERVE_PORT, "no bridge yet");
    await setBridge(scene, id, gate, true);
    await member.untilReaches(printer);
    await member.pings(printer, 1_400);
    const order = { ip: ips.get(member)!, port: SERVE_PORT, sizeBytes: 64, intervalMs: 50 };
    const { rttsMs } = await agent.ask("ping", { ...order, count: 200, untilFirst: true });
    assert.equal(rttsMs.length, 1, "the LAN reaches the member");
    await member.streams(printer, 2_000_000);
    await setBridge(scene, id, gate, false);
    await member.until("it is a bridge no more", async () => {
      return !(await member.reaches(printer, NO_WAY_MS));
    });
    await agent.close();
  }
}

/** Networks nobody controls. */
async function adHoc(scene: Scene): Promise<void> {
  const range = SERVE_PORT.toString(16).padStart(4, "0");
  const byPorts = `ff${range}${range}000000`;
  const byIpv4 = "ff0b000000000001";
  for (const id of [byPorts, byIpv4]) {
    for (const node of scene.nodes) {
      await node.api("POST", `/network/${id}`, {});
      await node.networkStatus(id, "OK");
    }
    for (const [from, to] of bothWays(scene)) {
      const { assignedAddresses } = await to.network(id);
      assert.equal(assignedAddresses.length, id === byIpv4 ? 2 : 1);
      for (const address of assignedAddresses) {
        await from.untilReaches(address.split("/")[0]);
      }
      await from.streams(assignedAddresses[0].split("/")[0], 1_000_000);
    }
    for (const node of scene.nodes) await node.api("DELETE", `/network/${id}`);
  }
}

const TOPICS: Record<string, (scene: Scene) => Promise<void>> = {
  "drop rules, tags and capabilities hold at both ends, also when they change": rulesHold,
  "certificates of ownership keep addresses to their owners": ownershipHolds,
  "a member put out is cut off at once": puttingOutHolds,
  "6PLANE and RFC4193 work without configuration": derivedAddresses,
  "multicast DNS works across": multicastDns,
  "either is the way out for the other, in IPv4 and IPv6": wayOut,
  "either is the bridge to a LAN": bridges,
  "ad-hoc networks need nobody": adHoc,
};

for (const root of ["reference", "zt"] as const satisfies Kind[]) {
  interopTest(`one Ethernet of zt and reference, by a ${root} root and controller`, async (t) => {
    await using scene = await Scene.start({ root, ...CAST });
    for (const [title, check] of Object.entries(TOPICS)) await t.step(title, () => check(scene));
  });
}
