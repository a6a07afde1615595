import { equal } from "node:assert/strict";
import { inTime } from "../../cli/engine/demo/agent_client.ts";
import { linesOf } from "../../cli/engine/demo/lines.ts";
import {
  createNetwork,
  endToEndTest,
  joinNetwork,
  networkOf,
  Stage,
  startPlanet,
} from "./stage.ts";

const PEER = new URL("mdns_peer.ts", import.meta.url).pathname;
const PATIENCE_MS = 15_000; // of a busy machine: the look for joins every five seconds is far from needed

endToEndTest("multicast DNS works across, unconfigured", async () => {
  const stage = new Stage("mdns", ["root", "a", "b"]);
  const { root, members: [a, b] } = await startPlanet(stage, ["root", "a", "b"]);
  const id = await createNetwork(root, "--public", "--ipv4", "10.9.60.0/24");
  const [ofA, ofB] = [await joinNetwork(a, id), await joinNetwork(b, id)];
  const { portDeviceName } = (await networkOf(a, id))!; // the same on all members
  for (const device of [[], [portDeviceName]]) {
    const peer = (host: string, mode: string, ip: string) => {
      const args = ["run", "--no-prompt", "-A", PEER, mode, ip, ...device];
      const piped = { stdin: "null", stdout: "piped", stderr: "inherit" } as const;
      return linesOf(stage.lab.spawn(stage.host(host), Deno.execPath(), args, piped).stdout);
    };
    const answering = peer("b", "answer", ofB)[Symbol.asyncIterator]();
    equal((await answering.next()).value, "ready");
    const startMs = performance.now();
    const asking = peer("a", "ask", ofA)[Symbol.asyncIterator]();
    equal((await inTime(asking.next(), PATIENCE_MS, "no answer came")).value, ofB);
    const family = device.length > 0 ? "IPv6" : "IPv4";
    const tookMs = Math.round(performance.now() - startMs);
    console.log(`measured: mDNS answer in ${family} after ${tookMs} ms`);
  }
  await stage.lab.end();
});
