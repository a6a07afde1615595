/** Private networks: who is let in, who is put out, and what changes reach members. @module */
import assert from "node:assert/strict";
import { interopTest } from "./reference.ts";
import { publicNetwork, Scene } from "./scene.ts";
import type { Kind, Station } from "./station.ts";

const CAST = { nodes: ["zt", "reference"] } as const;

for (const root of ["reference", "zt"] as const satisfies Kind[]) {
  interopTest(
    `private network of a ${root} controller: authorize, put out, let in again`,
    async () => {
      await using scene = await Scene.start({ root, ...CAST });
      const network = await scene.network(publicNetwork({ private: true }));
      const [zt, reference] = scene.nodes;
      await Promise.all(scene.nodes.map((node) => node.api("POST", `/network/${network}`, {})));
      await Promise.all(scene.nodes.map((node) => node.networkStatus(network, "ACCESS_DENIED")));

      for (const node of scene.nodes) await scene.member(network, node, { authorized: true });
      const ips = await Promise.all(scene.nodes.map((node) => node.joined(network)));
      await zt.untilReaches(ips[1]);
      await reference.untilReaches(ips[0]);

      for (const [out, stays] of [[0, 1], [1, 0]]) {
        const [outside, inside] = [scene.nodes[out], scene.nodes[stays]];
        await scene.member(network, outside, { authorized: false });
        await outside.networkStatus(network, "ACCESS_DENIED");
        await inside.until("the member put out is not reached", async () => {
          return !(await inside.reaches(ips[out], 500));
        });
        await scene.member(network, outside, { authorized: true });
        await outside.networkStatus(network, "OK");
        await inside.untilReaches(ips[out]);
        await outside.untilReaches(ips[stays]);
      }
    },
  );

  interopTest(`zt controller words work on a ${root} controller`, async () => {
    await using scene = await Scene.start({ root, ...CAST });
    const { root: authority } = scene;
    const words = ["controller", "network", "create", "--name", "words", "--ipv4", "10.8.0.0/24"];
    const { id } = JSON.parse(await authority.zt("--json", ...words));
    const addresses = await Promise.all(scene.nodes.map(async (node) => {
      await node.api("POST", `/network/${id}`, {});
      await node.networkStatus(id, "ACCESS_DENIED");
      return (await node.status()).address;
    }));
    const list = await authority.zt("controller", "member", "list", id);
    for (const address of addresses) assert.match(list, new RegExp(`${address} +waiting`));
    await authority.zt("controller", "member", "authorize", id, ...addresses);
    const ips = await Promise.all(scene.nodes.map((node) => node.joined(id)));
    await scene.nodes[0].untilReaches(ips[1]);
    await scene.nodes[1].untilReaches(ips[0]);
    await authority.zt("controller", "member", "deauthorize", id, addresses[0]);
    await scene.nodes[0].networkStatus(id, "ACCESS_DENIED");
    await authority.zt("controller", "network", "set", id, "--name", "changed");
    await named(scene.nodes[1], id, "changed");
  });

  interopTest(`changes on a ${root} controller reach members`, async () => {
    await using scene = await Scene.start({ root, ...CAST });
    const network = await scene.network();
    await Promise.all(scene.nodes.map((node) => node.join(network)));
    const routes = [
      { target: "10.9.0.0/24", via: null },
      { target: "10.99.0.0/16", via: "10.9.0.1" },
    ];
    await scene.root.api("POST", `/controller/network/${network}`, {
      name: "renamed",
      mtu: 2_000,
      routes,
      dns: { domain: "lab.example", servers: ["10.9.0.1"] },
    });
    for (const node of scene.nodes) {
      await named(node, network, "renamed");
      const info = await node.network(network);
      assert.equal(info.mtu, 2_000);
      assert.deepEqual(info.routes.map(({ target, via }) => ({ target, via })), routes);
      assert.deepEqual(info.dns, { domain: "lab.example", servers: ["10.9.0.1"] });
    }
    await scene.nodes[0].stop();
    await scene.nodes[1].stop();
    await Promise.all(scene.nodes.map((node) => node.start()));
    const ips = await Promise.all(scene.nodes.map((node) => node.joined(network)));
    await scene.nodes[0].untilReaches(ips[1]);
    await scene.nodes[1].untilReaches(ips[0]);
  });
}

/** Waits until a member has a network under that name. */
function named(node: Station, network: string, name: string): Promise<void> {
  return node.until(`network named ${name}`, async () => {
    return (await node.network(network)).name === name;
  });
}
