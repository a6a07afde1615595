/** Names in mixed company: those of references are told to ours, and references go on as before. @module */
import assert from "node:assert/strict";
import type { NamesInfo } from "../../cli/api/view.ts";
import { interopTest } from "./reference.ts";
import { publicNetwork, Scene } from "./scene.ts";
import type { Station } from "./station.ts";

const ASKER = new URL("../e2e/dns_asker.ts", import.meta.url).pathname;
const CAST = { nodes: ["zt", "reference"] } as const;

async function ask(at: Station, server: string, ...questions: string[]): Promise<string[][]> {
  const ran = await at.run([Deno.execPath(), "run", "-A", ASKER], "ask", server, ...questions);
  assert.equal(ran.code, 0, ran.stderr);
  return JSON.parse(ran.stdout);
}

interopTest(
  "a reference has a name like everybody, and does not notice",
  async () => {
    await using scene = await Scene.start({ root: "zt", ...CAST });
    const settings = { name: "Mixed", names: true, v6AssignMode: { "6plane": true } };
    const id = await scene.network(publicNetwork(settings));
    const [zt, reference] = scene.nodes;
    const [ofZt, ofReference] = await Promise.all(scene.nodes.map((node) => node.join(id)));
    await scene.member(id, reference, { name: "old friend" });
    await zt.until("the name is told", async () => {
      const [{ server, members }] = await zt.api<NamesInfo[]>("GET", "/zt/names");
      return server !== null && members.some(({ name }) => name === "old-friend");
    });
    const six = (await reference.network(id)).assignedAddresses
      .find((one) => one.endsWith("/40"))!.split("/")[0];
    const pointer = `PTR:${ofReference.split(".").reverse().join(".")}.in-addr.arpa`;
    const questions = ["A:old-friend.mixed.zt", "AAAA:old-friend.mixed.zt", pointer];
    const told = [[ofReference], [six], ["old-friend.mixed.zt"]];
    assert.deepEqual(await ask(zt, ofZt, ...questions), told);
    await reference.untilReaches(ofZt);
    assert.deepEqual(await ask(reference, ofZt, ...questions), told, "it may ask, too");

    await scene.member(id, zt, { name: "newcomer" });
    await zt.until("the names are others", async () => {
      const [{ members }] = await zt.api<NamesInfo[]>("GET", "/zt/names");
      return members.some(({ name }) => name === "newcomer");
    });
    assert.equal((await reference.network(id)).status, "OK");
  },
);

interopTest("asking a reference controller for names does no harm", async () => {
  await using scene = await Scene.start({ root: "reference", ...CAST });
  const id = await scene.network(publicNetwork({ names: true }));
  const [zt, reference] = scene.nodes;
  const [ofZt, ofReference] = await Promise.all(scene.nodes.map((node) => node.join(id)));
  await zt.untilReaches(ofReference);
  await reference.untilReaches(ofZt);
  const [names] = await zt.api<NamesInfo[]>("GET", "/zt/names");
  assert.deepEqual([names.domains, names.server, names.members], [[], null, []]);
});
