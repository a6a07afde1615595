import { deepEqual, equal, match, ok } from "node:assert/strict";
import { AgentClient } from "../../cli/engine/demo/agent_client.ts";
import { LabNode } from "../../cli/engine/demo/lab_node.ts";
import {
  createNetwork,
  createPlanet,
  endToEndTest,
  FOLDER,
  joinNetwork,
  PROGRAM,
  Stage,
  until,
} from "./stage.ts";
import { UdpFirewall } from "./udp_firewall.ts";

const MUST_MS = 10_000; // the bound from start to first ping; the aim is 3 s

interface PeerSeen {
  readonly role: string;
  readonly tunneled: boolean;
  readonly paths: { preferred: boolean; address: string }[];
}

interface StatusSeen {
  readonly online: boolean;
  readonly tcpFallbackActive: boolean;
  readonly config: { readonly settings: { readonly listeningOn: string[] } };
}

/** A root on the Internet, and nodes behind a firewall that may swallow UDP. */
class Scene {
  readonly stage: Stage;
  readonly firewall: UdpFirewall;
  readonly root: LabNode;
  world = "";

  constructor(readonly name: string, families: { ipv4?: null; ipv6?: null } = {}) {
    const networks = { ipv4: "44.1.1.0", ipv6: "2a00:1::", ...families };
    this.stage = new Stage(name, ["root", "router", "server"], networks);
    this.firewall = new UdpFirewall(this.stage.lab, this.stage.host("router"));
    this.root = this.stage.node("root");
  }

  /** Makes the planet and starts the root. @param listed More endpoints of the root */
  async start(settings: Record<string, unknown> = {}, ...listed: string[]): Promise<void> {
    this.world = await createPlanet(this.stage, this.root, ...listed);
    configure(this.root, settings);
    const root = this.root.start();
    await root.waitFor(/^relaying for nodes without UDP on TCP port \d+$/, 20_000);
    await root.ready();
  }

  /** Puts a node behind the firewall, not started. */
  async add(name: string, settings: Record<string, unknown> = {}): Promise<LabNode> {
    const { lab, lan } = this.stage;
    const host = lab.host(name);
    const router = lan.ports.find((port) => port.host === this.stage.host("router"))!;
    for (const network of this.firewall.connect(host)) {
      const isIpv6 = network.includes(":");
      if (!router.addresses.some(({ ip }) => (ip.length === 16) === isIpv6)) continue;
      const gateway = isIpv6 ? lan.ipv6(router.host) : lan.ipv4(router.host);
      this.root.host.addRoute(network, gateway);
    }
    const node = new LabNode(lab, host, `${FOLDER}/${this.name}/${name}`, PROGRAM);
    await node.do("planet", "use", this.world);
    configure(node, settings);
    return node;
  }
}

function configure(node: LabNode, settings: Record<string, unknown>): void {
  Deno.writeTextFileSync(`${node.home}/local.conf`, JSON.stringify({ settings }));
}

async function tcpOf(node: LabNode) {
  const { tcp } = JSON.parse(await node.do("/zt/status"));
  const { relay, listening, clients } = tcp; // not the proxy: that is the environment's
  return { relay, listening, clients } as {
    relay: string | null;
    listening: number | null;
    clients: number;
  };
}

async function rootSeenBy(node: LabNode): Promise<PeerSeen> {
  return (await node.ask<PeerSeen[]>("peers")).find(({ role }) => role === "PLANET")!;
}

endToEndTest("UDP blocked: nodes join over TCP in seconds and go back to UDP", async () => {
  const scene = new Scene("udp-blocked");
  await scene.start();
  const network = await createNetwork(scene.root, "--ipv4", "10.9.0.0/24", "--public");
  const far = await joinNetwork(scene.root, network);
  const [a, b] = [await scene.add("a"), await scene.add("b")];
  const agent = await AgentClient.start(scene.stage.lab, a.host, PROGRAM);
  scene.firewall.block(true);

  const service = a.start();
  const readyMs = await service.ready(); // answers, but has no root yet
  const onlineMs = await service.online();
  await joinNetwork(a, network);
  await agent.ping({ target: far, count: 200, intervalMs: 50, untilFirst: true }).result;
  const pingMs = performance.now() - service.startedMs;
  ok(pingMs < MUST_MS, `start to first ping took ${Math.round(pingMs)} ms`);
  const [ready, online, ping] = [readyMs, onlineMs, pingMs].map(Math.round);
  console.log(`measured: UDP blocked: bound ${ready}, online ${online}, first ping ${ping} ms`);
  match(service.log.join("\n"), /^UDP seems to be blocked: using TCP by \S+\/443 \(\w+\)$/m);
  equal((await a.ask<StatusSeen>("info")).tcpFallbackActive, true);
  equal((await rootSeenBy(a)).tunneled, true);
  deepEqual(await tcpOf(scene.root), { relay: null, listening: 443, clients: 1 });

  await b.start().online();
  const other = await joinNetwork(b, network);
  const order = { target: other, intervalMs: 100, timeoutMs: 1_000 };
  ok((await agent.ping({ ...order, count: 50, untilFirst: true }).result).received > 0);
  const { received } = await agent.ping({ ...order, count: 10, sizeBytes: 2_700 }).result;
  ok(received >= 9, `${received} of 10 large pings between two nodes without UDP`);

  scene.firewall.block(false);
  const freeMs = performance.now();
  await until("UDP is taken back", MUST_MS, async () => !(await rootSeenBy(a)).tunneled);
  console.log(`measured: UDP back in use after ${Math.round(performance.now() - freeMs)} ms`);
  await until("the tunnel is closed", MUST_MS, async () => (await tcpOf(a)).relay === null);

  const running = agent.ping({ target: far, count: 120, intervalMs: 100, timeoutMs: 1_000 });
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  scene.firewall.block(true);
  const { longestGapMs } = await running.result;
  ok(longestGapMs < MUST_MS, `the gap was ${Math.round(longestGapMs)} ms`);
  console.log(`measured: UDP cut under a running ping, gap: ${Math.round(longestGapMs)} ms`);
  await scene.stage.lab.end();
});

/** Routes to relays past our own networks, on that node's host. */
function waysToRelays(node: LabNode): number {
  return node.host.settings.routes().filter(({ metric }) => metric === 9_993).length;
}

endToEndTest(
  "UDP blocked: a default route through the network does not swallow the tunnel",
  async () => {
    const scene = new Scene("udp-blocked-default", { ipv6: null });
    await scene.start();
    const { stage, root, firewall } = scene;
    const network = await createNetwork(root, "--ipv4", "10.9.0.0/24", "--public");
    const exit = await joinNetwork(root, network);
    root.host.forward();
    // The server is reached through the exit, and no other way: it knows nothing of what is behind the firewall.
    stage.host("server").addRoute("10.9.0.0/24", stage.lan.ipv4(root.host));
    const routes = [{ target: "10.9.0.0/24", via: null }, { target: "0.0.0.0/0", via: exit }];
    await root.do("controller", "network", "set", network, `routes=${JSON.stringify(routes)}`);

    const node = await scene.add("a");
    const agent = await AgentClient.start(stage.lab, node.host, PROGRAM);
    let service = node.start();
    await service.online();
    await joinNetwork(node, network);
    await node.do("set", network, "allowDefault=1");
    const target = stage.lan.ipv4(stage.host("server"));
    const patient = { target, count: 200, intervalMs: 50, untilFirst: true };
    const steady = { target, count: 30, intervalMs: 100, timeoutMs: 1_000 };
    ok((await agent.ping(patient).result).received > 0, "the way out");

    firewall.block(true);
    ok((await agent.ping(patient).result).received > 0, "the way out without UDP");
    ok((await tcpOf(node)).relay !== null, "TCP is used");
    ok((await agent.ping(steady).result).received >= 28, "for seconds on end");
    equal(waysToRelays(node), 1);

    await service.stop();
    equal(waysToRelays(node), 0);
    service = node.start();
    await service.online();
    ok((await agent.ping(patient).result).received > 0, "the way out after a start without UDP");
    ok((await agent.ping(steady).result).received >= 28, "for seconds on end");

    firewall.block(false);
    await until(
      "the tunnel is closed",
      2 * MUST_MS,
      async () => (await tcpOf(node)).relay === null,
    );
    await until("its way is gone", MUST_MS, () => waysToRelays(node) === 0);
    ok((await agent.ping(steady).result).received >= 28, "the way out by UDP again");
    await stage.lab.end();
  },
);

endToEndTest("UDP blocked where there is only IPv6: online over TCP", async () => {
  const scene = new Scene("udp-blocked-ipv6", { ipv4: null });
  await scene.start();
  const node = await scene.add("a");
  scene.firewall.block(true);
  const onlineMs = await node.start().online();
  ok(onlineMs < MUST_MS, `start to online took ${Math.round(onlineMs)} ms`);
  match((await tcpOf(node)).relay!, /^2a00:1::1\/443 /);
  await scene.stage.lab.end();
});

endToEndTest(
  "UDP blocked: a relay at another port is found where the planet lists it",
  async () => {
    const scene = new Scene("udp-blocked-port", { ipv6: null });
    await scene.start({ tcpRelayPort: 8_443 }, "44.1.1.1/8443");
    const node = await scene.add("a");
    scene.firewall.block(true);
    const onlineMs = await node.start().online();
    ok(onlineMs < MUST_MS, `start to online took ${Math.round(onlineMs)} ms`);
    match((await tcpOf(node)).relay!, /^44\.1\.1\.1\/8443 /);
    await scene.stage.lab.end();
  },
);

endToEndTest(
  "forceTcpRelay and tcpFallbackRelay: no UDP at all, the reference's framing",
  async () => {
    const scene = new Scene("tcp-forced", { ipv6: null });
    await scene.start({ tcpRelayPort: 8_443 });
    const settings = { forceTcpRelay: true, tcpFallbackRelay: "44.1.1.1/8443" };
    const node = await scene.add("a", settings);
    const service = node.start();
    await service.online();
    equal((await tcpOf(node)).relay, "44.1.1.1/8443 (reference)");
    const { config } = await node.ask<StatusSeen>("info");
    deepEqual(config.settings.listeningOn, []);
    configure(node, { allowTcpFallbackRelay: false });
    await until("a change of settings is taken", 10_000, async () => {
      const { tunneled } = await rootSeenBy(node);
      return !tunneled && (await tcpOf(node)).relay === null;
    });
    await scene.stage.lab.end();
  },
);
