import { equal, match, ok } from "node:assert/strict";
import type { LabNode, LabService } from "../../cli/engine/demo/lab_node.ts";
import {
  addressOf,
  createNetwork,
  createPlanet,
  endToEndTest,
  FOLDER,
  joinNetwork,
  networkOf,
  Stage,
  until,
} from "./stage.ts";

/** Root and controller, and two members, as they run now: tests restart them. */
interface Cast {
  readonly stage: Stage;
  readonly root: LabNode;
  readonly a: LabNode;
  readonly b: LabNode;
  readonly services: Map<LabNode, LabService>;
}

let made: Promise<Cast> | undefined;

function cast(): Promise<Cast> {
  return made ??= makeCast();
}

async function makeCast(): Promise<Cast> {
  const stage = new Stage("membership", ["root", "a", "b"]);
  const [root, a, b] = ["root", "a", "b"].map((name) => stage.node(name));
  const world = await createPlanet(stage, root);
  const services = new Map([[root, root.start()]]);
  await services.get(root)!.ready();
  for (const node of [a, b]) {
    await node.do("planet", "use", world);
    services.set(node, node.start());
  }
  for (const node of [a, b]) await services.get(node)!.online();
  return { stage, root, a, b, services };
}

async function restart({ services }: Cast, node: LabNode): Promise<LabService> {
  await services.get(node)!.stop();
  const service = node.start();
  services.set(node, service);
  return service;
}

/** How many of five quick pings came back. */
async function replies({ stage }: Cast, from: string, target: string): Promise<number> {
  const agent = await stage.agent(from);
  const order = { target, count: 5, intervalMs: 100, timeoutMs: 1000 };
  return (await agent.ping(order).result).received;
}

function deviceNames(node: LabNode): string[] {
  return node.host.settings.links().map(({ name }) => name);
}

endToEndTest("zt join --wait returns when a public network carries packets", async () => {
  const all = await cast();
  const { root, a, b, stage } = all;
  const id = await createNetwork(root, "--name", "open", "--public", "--ipv4", "10.9.1.0/24");
  const [ofA, ofB] = [await joinNetwork(a, id), await joinNetwork(b, id)];
  const seen = await networkOf(a, id);
  equal(seen?.status, "OK");
  ok(deviceNames(a).includes(seen.portDeviceName));
  const order = { count: 20, intervalMs: 50, timeoutMs: 3000 };
  const there = await (await stage.agent("a")).ping({ target: ofB, ...order }).result;
  const back = await (await stage.agent("b")).ping({ target: ofA, ...order }).result;
  equal(there.received + back.received, 40);
  equal(there.corrupt + back.corrupt, 0);
  const members = await root.ask<unknown[]>("controller", "member", "list", id);
  equal(members.length, 2);
});

endToEndTest("zt join --wait says who has to authorize it, and exits 3", async () => {
  const { root, a } = await cast();
  const id = await createNetwork(root, "--name", "closed", "--ipv4", "10.9.2.0/24");
  const { code, err } = await a.say("join", id, "--wait", "--timeout", "1");
  equal(code, 3);
  const address = await addressOf(a);
  match(err, /not usable after 1 s: waiting for authorization/);
  match(err, new RegExp(`zt controller member authorize ${id} ${address}`));
  equal((await networkOf(a, id))?.status, "ACCESS_DENIED");
  await a.do("leave", id);
});

endToEndTest("zt join --wait succeeds at once where it was authorized before", async () => {
  const all = await cast();
  const { root, a, b } = all;
  const id = await createNetwork(root, "--ipv4", "10.9.3.0/24");
  const addresses = await Promise.all([addressOf(a), addressOf(b)]);
  await root.do("controller", "member", "authorize", id, ...addresses);
  await joinNetwork(a, id);
  const ofB = await joinNetwork(b, id);
  equal(await replies(all, "a", ofB), 5);
  for (const node of [a, b]) await node.do("leave", id);
});

endToEndTest("authorization lets a waiting member in, and taking it back cuts it off", async () => {
  const all = await cast();
  const { root, a, b } = all;
  const id = await createNetwork(root, "--ipv4", "10.9.4.0/24");
  const addressOfB = await addressOf(b);
  await root.do("controller", "member", "authorize", id, await addressOf(a));
  const ofA = await joinNetwork(a, id);
  const waiting = joinNetwork(b, id);
  await until("the controller hears of the member that waits", 10_000, async () => {
    const members = await root.ask<{ id: string }[]>("controller", "member", "list", id);
    return members.some((member) => member.id === addressOfB);
  });
  await root.do("controller", "member", "authorize", id, addressOfB);
  const ofB = await waiting;
  equal(await replies(all, "a", ofB), 5);

  await root.do("controller", "member", "deauthorize", id, addressOfB);
  await until("no ping gets to a member cut off", 20_000, async () => {
    return await replies(all, "a", ofB) === 0;
  });
  equal(await replies(all, "b", ofA), 0);
  // It hears of it when it asks next: errors are only sent in reply.
  await b.do("leave", id);
  equal((await b.say("join", id, "--wait", "--timeout", "3")).code, 3);
  equal((await networkOf(b, id))?.status, "ACCESS_DENIED");
  equal((await networkOf(a, id))?.status, "OK");

  await root.do("controller", "member", "authorize", id, addressOfB);
  await until("pings get through again", 20_000, async () => {
    return await replies(all, "a", ofB) > 0;
  });
  for (const node of [a, b]) await node.do("leave", id);
});

endToEndTest("zt leave takes the interface away and leaves nothing behind", async () => {
  const { root, b } = await cast();
  const id = await createNetwork(root, "--public", "--ipv4", "10.9.5.0/24");
  await joinNetwork(b, id);
  const { portDeviceName } = (await networkOf(b, id))!;
  ok(deviceNames(b).includes(portDeviceName));
  await b.do("leave", id);
  await until("the interface is gone", 5_000, () => !deviceNames(b).includes(portDeviceName));
  equal(await networkOf(b, id), undefined);
  const files = [...Deno.readDirSync(`${b.home}/networks.d`)].map(({ name }) => name);
  equal(files.filter((name) => name.startsWith(id)).length, 0);
  equal(
    b.host.settings.routes().filter(({ target }) => target?.ip.join(".") === "10.9.5.0").length,
    0,
  );
  match(await b.do("leave", id), /was not joined/);
});

endToEndTest("a service that starts again has its identity, networks and addresses", async () => {
  const all = await cast();
  const { root, a, b } = all;
  const id = await createNetwork(root, "--public", "--ipv4", "10.9.6.0/24");
  const [ofA, ofB] = [await joinNetwork(a, id), await joinNetwork(b, id)];
  const before = { address: await addressOf(b), network: (await networkOf(b, id))! };
  await (await restart(all, b)).online();
  equal(await joinNetwork(b, id), ofB); // joined already: returns as the interface is up
  equal(await addressOf(b), before.address);
  const { status, portDeviceName } = (await networkOf(b, id))!;
  equal(status, "OK");
  equal(portDeviceName, before.network.portDeviceName);
  await until("pings get through both ways", 5_000, async () => {
    return await replies(all, "a", ofB) === 5 && await replies(all, "b", ofA) === 5;
  });
  // The controller too: its network and members are still there, and it lets a member in again.
  await (await restart(all, root)).ready();
  equal((await root.ask<unknown[]>("controller", "member", "list", id)).length, 2);
  await b.do("leave", id);
  equal(await joinNetwork(b, id), ofB);
});

endToEndTest("members talk on, and start again, while root and controller are down", async () => {
  const all = await cast();
  const { root, a, b, services } = all;
  const id = await createNetwork(root, "--public", "--ipv4", "10.9.7.0/24");
  const [ofA, ofB] = [await joinNetwork(a, id), await joinNetwork(b, id)];
  await until("they talk over a direct path", 10_000, async () => {
    return await replies(all, "a", ofB) === 5 && await hasPath(a, b);
  });
  await services.get(root)!.stop();
  equal(await replies(all, "a", ofB), 5);
  equal(await replies(all, "b", ofA), 5);

  await (await restart(all, b)).ready();
  equal(await joinNetwork(b, id), ofB); // usable with the address of the cached config
  equal((await networkOf(b, id))?.status, "OK");
  await until(
    "both find their direct path again, and talk, without root and controller",
    20_000,
    async () => {
      const answered = await replies(all, "b", ofA) === 5;
      return answered && await hasPath(a, b) && await hasPath(b, a);
    },
  );
  const again = root.start();
  services.set(root, again);
  await again.ready();
  await until("all is as it was once root and controller are back", 20_000, async () => {
    return await replies(all, "a", ofB) === 5 && await replies(all, "b", ofA) === 5;
  });
});

/** Whether one node talks to another directly. */
async function hasPath(node: LabNode, to: LabNode): Promise<boolean> {
  const address = await addressOf(to);
  const peers = await node.ask<{ address: string; paths: unknown[] }[]>("peers");
  return peers.some((peer) => peer.address === address && peer.paths.length > 0);
}

endToEndTest("the end of a stage leaves no process and no interface behind", async () => {
  const { stage, services } = await cast();
  const pids = [...services.values()].map(({ pid }) => pid);
  await stage.lab.end();
  for (const pid of pids) equal(processState(pid), undefined);
  ok(FOLDER !== "");
});

function processState(pid: number): string | undefined {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/stat`);
  } catch {
    return undefined;
  }
}
