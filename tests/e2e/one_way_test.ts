/**
 * A direct path that dies in one direction only, as with a firewall that lost its state: both ends
 * go over to the relay and stay there, though one of them goes on hearing the other.
 * @module
 */
import { ok } from "node:assert/strict";
import { addTable, removeTable } from "./nftables.ts";
import { createNetwork, endToEndTest, joinNetwork, Stage, startPlanet, until } from "./stage.ts";

const PING = { count: 100, intervalMs: 100, timeoutMs: 2_000 };
const ANSWERED_MIN = 50; // some 80; 7 to 20 where what the deaf end says is taken to show that it hears

endToEndTest(
  "a path that dies in one direction loses pings for seconds, not for good",
  async () => {
    const stage = new Stage("one-way", ["root", "a", "b"], { ipv6: null });
    const { root, members: [a, b] } = await startPlanet(stage, ["root", "a", "b"]);
    const id = await createNetwork(root, "--public", "--ipv4", "10.9.8.0/24");
    const [, ofB] = [await joinNetwork(a, id), await joinNetwork(b, id)];
    const agent = await stage.agent("a");
    for (const [deaf, other] of [[b, a], [a, b]]) {
      await until("pings are answered", 20_000, async () => {
        const { received } = await agent.ping({ ...PING, target: ofB, count: 10 }).result;
        return received === 10;
      });
      const from = stage.lan.ipv4(other.host);
      addTable(deaf.host, "deaf", { input: [[{ from }, "drop"]] });
      const { received } = await agent.ping({ ...PING, target: ofB }).result;
      console.log(`measured: one direction dead: ${received} of ${PING.count} pings answered`);
      ok(received >= ANSWERED_MIN, `${received} of ${PING.count} pings are answered`);
      removeTable(deaf.host, "deaf");
    }
    stage.kill();
  },
);
