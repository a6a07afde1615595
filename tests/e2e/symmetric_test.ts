/**
 * A direct path through a symmetric NAT of the kernel: ports opened and tried by real sockets. One
 * attempt finds a way with a probability of 98 %, so a few are allowed; a service begins anew, with
 * another, when it is started again.
 * @module
 */
import { equal, ok } from "node:assert/strict";
import { AgentClient } from "../../cli/engine/demo/agent_client.ts";
import { LabNode, type LabService } from "../../cli/engine/demo/lab_node.ts";
import { Lab } from "../../cli/engine/lab.ts";
import { natLab, type Place } from "./nat_lab.ts";
import { createNetwork, endToEndTest, FOLDER, joinNetwork, PROGRAM } from "./stage.ts";

const ATTEMPTS_MAX = 3;
const ATTEMPT_MS = 25_000; // ports are tried for 10 s, on a machine that may do other things too
const SAID_FROM_MS = 4_000; // trying for so long, they have said so
const POLL_MS = 500;
/** Descriptors a node needs beside the 256 sockets. */
const DESCRIPTORS_MAX = 150;

interface PeerSeen {
  readonly role: string;
  readonly link: { readonly kind: string; readonly reason: string | null };
}

/** What a node says of its only peer that is no root. */
async function linkOf(node: LabNode): Promise<PeerSeen["link"] | undefined> {
  return (await node.ask<PeerSeen[]>("peers")).find(({ role }) => role === "LEAF")?.link;
}

function descriptorsOf({ pid }: LabService): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}

/** A root with the controller, and two members. */
async function scene(lab: Lab, name: string, places: readonly Place[]) {
  const [rootHost, ...hosts] = ["root", "a", "b"].map((one) => lab.host(one));
  const { internet } = natLab(
    lab,
    new Map([[rootHost, "pub"], ...hosts.map((host, i) => [host, places[i]] as const)]),
  );
  const make = (host: typeof rootHost) =>
    new LabNode(lab, host, `${FOLDER}/${name}/${host.name}`, PROGRAM);
  const root = make(rootHost);
  const endpoint = `${internet.ipv4(rootHost)}/9993`;
  const { world } = await root.ask<{ world: string }>("planet", "create", "--endpoint", endpoint);
  await root.start().ready();
  const network = await createNetwork(root, "--ipv4", "10.9.0.0/24", "--public");
  const nodes = hosts.map(make);
  for (const node of nodes) await node.do("planet", "use", world);
  return { network, nodes };
}

endToEndTest(
  "a node behind a fully random NAT and one behind a masquerading one go direct",
  async () => {
    await using lab = new Lab();
    const { network, nodes } = await scene(lab, "symmetric", ["sym", "pr"]);
    const reasons = new Set<string>();
    let attempts = 0;
    let services: LabService[] = [];
    let sinceMs = 0;
    let isDirect = false;
    let tookMs = 0;
    for (; !isDirect && attempts < ATTEMPTS_MAX; attempts++) {
      services = nodes.map((node) => node.start());
      await Promise.all(services.map((service) => service.online()));
      const [, target] = await Promise.all(nodes.map((node) => joinNetwork(node, network)));
      const agent = await AgentClient.start(lab, nodes[0].host, PROGRAM);
      const order = { target, count: ATTEMPT_MS / 100, intervalMs: 100, timeoutMs: 1_000 };
      const pings = agent.ping(order).result;
      sinceMs = performance.now();
      while (!isDirect && performance.now() - sinceMs < ATTEMPT_MS) {
        const links = await Promise.all(nodes.map(linkOf));
        for (const link of links) if (link?.reason) reasons.add(link.reason);
        isDirect = links.every((link) => link?.kind === "direct");
        if (!isDirect) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
      if (isDirect) {
        tookMs = performance.now() - sinceMs;
        const seconds = (tookMs / 1_000).toFixed(1);
        console.log(
          `measured: symmetric NAT: direct after ${seconds} s of attempt ${attempts + 1}`,
        );
      }
      const { received, sent } = await pings;
      ok(received > 0.9 * sent, `${received} of ${sent} pings, first relayed, then direct`);
      if (!isDirect) await Promise.all(services.map((service) => service.stop()));
    }
    ok(isDirect, `not in ${attempts} attempts`);
    const said = [...reasons].join("\n");
    if (tookMs > SAID_FROM_MS || attempts > 1) { // chance may have been faster
      ok(/opening ports of ours for it \(\d+ of 256\)/.test(said), said);
      ok(/trying ports of its NAT \(\d+ of \d+\)/.test(said), said);
    }
    for (const [i, service] of services.entries()) {
      const descriptors = descriptorsOf(service);
      ok(descriptors < DESCRIPTORS_MAX, `node ${i} has ${descriptors} descriptors open`);
      equal((await linkOf(nodes[i]))?.kind, "direct", "it lasts");
    }
  },
);
