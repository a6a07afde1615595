import { equal, ok } from "node:assert/strict";
import { AgentClient } from "../../cli/engine/demo/agent_client.ts";
import { createBridge, setLink } from "../../ffi/linux/netlink_link.ts";
import {
  addressOf,
  createNetwork,
  endToEndTest,
  joinNetwork,
  networkOf,
  PROGRAM,
  Stage,
  startPlanet,
} from "./stage.ts";

const STREAM_BYTES = 5 * 1_048_576;
const PRINTER = "10.9.40.200"; // outside the pool, and no member

endToEndTest("a host on a LAN behind an active bridge talks with the other members", async () => {
  const stage = new Stage("bridge", ["root", "gate", "b"]);
  const { root, members: [gate, b] } = await startPlanet(stage, ["root", "gate", "b"]);
  const pool = 'ipAssignmentPools=[{"ipRangeStart":"10.9.40.1","ipRangeEnd":"10.9.40.99"}]';
  const id = await createNetwork(root, "--public", "--ipv4", "10.9.40.0/24", pool);
  const ofB = await joinNetwork(b, id);
  await joinNetwork(gate, id);
  await gate.do("set", id, "allowManaged=0"); // the addresses of a bridged port belong to the bridge

  const lan = stage.lab.host("printer");
  const [port] = stage.lab.wire(gate.host, lan, { b: [`${PRINTER}/24`] });
  const { netlink } = gate.host.settings;
  createBridge(netlink, "br0");
  const master = gate.host.deviceIndex("br0");
  setLink(netlink, master, { up: true });
  const tap = (await networkOf(gate, id))!.portDeviceName;
  for (const device of [port.device, tap]) {
    setLink(netlink, gate.host.deviceIndex(device), { master });
  }
  const [atB, atPrinter] = [
    await stage.agent("b"),
    await AgentClient.start(stage.lab, lan, PROGRAM),
  ];
  const few = { count: 5, intervalMs: 100, timeoutMs: 1_000 };
  equal((await atB.ping({ target: PRINTER, ...few }).result).received, 0, "no bridge yet");

  await root.do("controller", "member", "set", id, await addressOf(gate), "activeBridge=true");
  const startMs = performance.now();
  const patient = { count: 200, intervalMs: 50, untilFirst: true };
  ok((await atB.ping({ target: PRINTER, ...patient }).result).received > 0, "from the member");
  console.log(
    `measured: reached behind the bridge after ${Math.round(performance.now() - startMs)} ms`,
  );
  const many = { count: 20, intervalMs: 50, timeoutMs: 2_000 };
  equal((await atB.ping({ target: PRINTER, ...many }).result).received, 20);
  ok((await atPrinter.ping({ target: ofB, ...patient }).result).received > 0, "from the LAN");

  for (const [from, to, ip] of [[atB, atPrinter, PRINTER], [atPrinter, atB, ofB]] as const) {
    const where = { ip, port: 5002, hash: true };
    const receiving = to.receiveStream(where, 20_000);
    await receiving.listening;
    const sending = from.sendStream({ ...where, lengthBytes: STREAM_BYTES }, 20_000);
    const [sent, received] = await Promise.all([sending.result, receiving.result]);
    equal(received.lengthBytes, STREAM_BYTES);
    equal(received.sha256, sent.sha256);
  }
  await root.do("controller", "member", "set", id, await addressOf(gate), "activeBridge=false");
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  equal((await atB.ping({ target: PRINTER, ...few }).result).received, 0, "a bridge no more");
  await stage.lab.end();
});
