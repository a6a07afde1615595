import { deepEqual, equal } from "node:assert/strict";
import type { AgentClient } from "../../cli/engine/demo/agent_client.ts";
import { parseAddress, parseNetworkId } from "../../lib/base/ids.ts";
import { formatPrefix, sixPlane } from "../../lib/base/ip.ts";
import {
  addressOf,
  endToEndTest,
  joinNetwork,
  machineState,
  networkOf,
  Stage,
  startPlanet,
} from "./stage.ts";

const BY_PORTS = "ff13891390000000"; // TCP to 5001 to 5008
const BY_IPV4 = "ff0b000000000001"; // 11.0.0.0/8
const STREAM_BYTES = 1_048_576;
const NO_STREAM_MS = 2_500; // a second and a third SYN are sent within

async function streams(from: AgentClient, to: AgentClient, ip: string, port: number) {
  const receiving = to.receiveStream({ ip, port, hash: true }, 20_000);
  await receiving.listening;
  const order = { ip, port, hash: true, lengthBytes: STREAM_BYTES };
  const sending = from.sendStream(order, 20_000);
  const both = Promise.all([sending.result, receiving.result]);
  both.catch(() => {}); // one that is refused is never done
  const late = new Promise<void>((resolve) => setTimeout(resolve, NO_STREAM_MS));
  return { both, late };
}

endToEndTest("ad-hoc networks carry packets without a controller, and nothing else", async () => {
  const stage = new Stage("adhoc", ["root", "a", "b"]);
  const { members: [a, b] } = await startPlanet(stage, ["root", "a", "b"]);
  const before = machineState(a.host);
  const [atA, atB] = [await stage.agent("a"), await stage.agent("b")];
  const order = { count: 20, intervalMs: 50, timeoutMs: 3_000 };

  const derived = async (node: typeof a, id: string) =>
    formatPrefix(sixPlane(parseNetworkId(id)!, parseAddress(await addressOf(node))!));
  for (const node of [a, b]) await joinNetwork(node, BY_PORTS);
  const ofB = await derived(b, BY_PORTS);
  deepEqual((await networkOf(b, BY_PORTS))!.assignedAddresses, [ofB]);
  const ip = ofB.split("/")[0];
  equal((await atA.ping({ target: ip, ...order }).result).received, 20, "ICMPv6 passes");
  const open = await streams(atA, atB, ip, 5008);
  const [sent, received] = await open.both;
  equal(received.lengthBytes, STREAM_BYTES);
  equal(received.sha256, sent.sha256);
  const closed = await streams(atA, atB, ip, 5009);
  equal(await Promise.race([closed.both, closed.late]), undefined, "TCP to another port");

  for (const node of [a, b]) await joinNetwork(node, BY_IPV4);
  const { assignedAddresses } = (await networkOf(b, BY_IPV4))!;
  const low = parseAddress(await addressOf(b))! % 0x100_0000;
  const ipv4 = `11.${low >> 16}.${(low >> 8) & 255}.${low & 255}`;
  deepEqual([...assignedAddresses].sort(), [`${ipv4}/8`, await derived(b, BY_IPV4)]);
  for (const target of [ipv4, (await derived(b, BY_IPV4)).split("/")[0]]) {
    equal((await atA.ping({ target, ...order }).result).received, 20, target);
  }
  const { both } = await streams(atA, atB, ipv4, 5010);
  equal((await both)[1].lengthBytes, STREAM_BYTES, "every port, in IPv4");

  const { code } = await a.say("join", "ff13901389000000", "--wait", "--timeout", "3");
  equal(code, 3, "a range that ends before it begins");
  equal((await networkOf(a, "ff13901389000000"))!.status, "NOT_FOUND");
  for (const id of [BY_PORTS, BY_IPV4, "ff13901389000000"]) await a.do("leave", id);
  equal(machineState(a.host), before);
  await stage.lab.end();
});
