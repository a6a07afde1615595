/**
 * Members on a LAN whose root is gone for good, and whose addresses changed while they were down:
 * only beacons can help.
 * @module
 */
import { ok } from "node:assert/strict";
import type { LabNode, LabService } from "../../cli/engine/demo/lab_node.ts";
import { createNetwork, createPlanet, endToEndTest, joinNetwork, Stage } from "./stage.ts";

const PING = { count: 40, intervalMs: 250, timeoutMs: 1_000 };

endToEndTest(
  "members find each other by beacon without root and controller, on new addresses",
  async () => {
    const stage = new Stage("beacon", ["root", "a", "b"], { ipv6: null });
    const [root, a, b] = ["root", "a", "b"].map((name) => stage.node(name));
    const world = await createPlanet(stage, root);
    const services = new Map<LabNode, LabService>([[root, root.start()]]);
    await services.get(root)!.ready();
    for (const node of [a, b]) {
      await node.do("planet", "use", world);
      services.set(node, node.start());
      await services.get(node)!.online();
    }
    const id = await createNetwork(root, "--name", "lan", "--public", "--ipv4", "10.9.8.0/24");
    const [, ofB] = [await joinNetwork(a, id), await joinNetwork(b, id)];
    const agent = await stage.agent("a");
    await agent.ping({ target: ofB, count: 3, intervalMs: 100, timeoutMs: 3_000 }).result;
    for (const service of services.values()) await service.stop();
    for (const [i, node] of [a, b].entries()) {
      const { device, addresses: [{ ip, bits }] } = stage.lan.ports.find(({ host }) =>
        host === node.host
      )!;
      node.host.removeAddress(device, `${ip.join(".")}/${bits}`);
      node.host.addAddress(device, `${[...ip.subarray(0, 3), 200 + i].join(".")}/${bits}`);
    }
    for (const node of [a, b]) await node.start().ready();
    const { received } = await agent.ping({ target: ofB, ...PING }).result;
    console.log(
      `measured: pings of 40, four a second, answered after a start without a root: ${received}`,
    );
    ok(received > 10, `${received} of 40 pings are answered`);
    stage.kill();
  },
);
