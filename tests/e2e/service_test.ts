import { equal, match, notEqual, ok } from "node:assert/strict";
import { readTextFileIfAny } from "../../ffi/linux/system.ts";
import { Identity } from "../../lib/identity/identity.ts";
import { encodeCachedPeer } from "../../lib/node/peer_cache.ts";
import { createNetwork, createPlanet, endToEndTest, FOLDER, Stage, until } from "./stage.ts";

const PID_FILE = "zerotier-one.pid";

endToEndTest("zt planet use takes a file, a file with the text, and the text", async () => {
  const stage = new Stage("planet", ["root", "a"]);
  const root = stage.node("root");
  const world = await createPlanet(stage, root);
  await root.start().ready();
  const textFile = `${FOLDER}/planet/world.txt`;
  Deno.writeTextFileSync(textFile, `${world}\n`);
  const sources = { file: `${root.home}/planet`, textFile, text: world };
  for (const [name, source] of Object.entries(sources)) {
    const node = stage.node("a", name);
    match(await node.do("planet", "use", source), /^planet [0-9a-f]{16} is in use\n/);
    const service = node.start();
    await service.online();
    await service.stop();
  }
  const other = stage.node("a", "text");
  const foreign = stage.node("a", "foreign");
  const { world: another } = await foreign.ask<{ world: string }>(
    "planet",
    "create",
    "--endpoint",
    "192.0.2.1/9993",
  );
  const before = Deno.readFileSync(`${other.home}/planet`);
  const refusal = await other.say("planet", "use", another);
  equal(refusal.code, 1);
  match(refusal.err, /--replace/);
  equal(Deno.readFileSync(`${other.home}/planet`).join(), before.join());
  await stage.lab.end();
});

endToEndTest(
  "zt service --background returns when it answers, --stop when it is gone",
  async () => {
    const stage = new Stage("background", ["one"]);
    const node = stage.node("one");
    await createPlanet(stage, node);
    match(await node.do("service", "--background"), /the service answers on port 9993/);
    const pid = Number(Deno.readTextFileSync(`${node.home}/${PID_FILE}`));
    ok(isRunning(pid));
    try {
      match(await node.do("service", "--background"), /already running/);
      match(await node.do("service", "--stop"), /the service has ended/);
      await until("the process is gone", 5_000, () => !isRunning(pid));
    } finally {
      if (isRunning(pid)) Deno.kill(pid, "SIGKILL");
    }
    const again = await node.say("service", "--stop");
    equal(again.code, 1);
    equal(again.err.trimEnd().split("\n").length, 1, again.err);
    await stage.lab.end();
  },
);

endToEndTest("zt service --stop ends a service its port file does not lead to", async () => {
  const stage = new Stage("lost-port", ["one"]);
  const node = stage.node("one");
  await createPlanet(stage, node);
  const service = node.start();
  await service.ready();
  Deno.writeTextFileSync(`${node.home}/zerotier-one.port`, "1");
  match((await node.say("info")).err, /no service answers at 127\.0\.0\.1:1;/);
  match((await node.say("service", "--background")).err, /already running .*zt service --stop/);
  equal(await node.do("service", "--stop"), "the service has ended\n");
  equal(await service.ended(), 0);
  await stage.lab.end();
});

endToEndTest(
  "a node whose address has another key at its root starts again as another",
  async () => {
    const stage = new Stage("collision", ["root", "a"]);
    const root = stage.node("root");
    const world = await createPlanet(stage, root);
    const node = stage.node("a");
    await node.do("planet", "use", world);
    await node.do("id", "generate", `${node.home}/identity.secret`);
    const secret = Deno.readTextFileSync(`${node.home}/identity.secret`);
    const [address] = secret.split(":");

    // The root met another key under that address in an earlier run, and recalls it when it looks
    // for a controller there.
    const { identity: otherText } = await node.ask<{ identity: string }>("id", "generate");
    const other = Identity.parse(otherText.replace(/^[0-9a-f]{10}/, address)).publicOnly();
    const version = { protocol: 11, major: 1, minor: 14, revision: 1 };
    Deno.mkdirSync(`${root.home}/peers.d`, { recursive: true });
    const cached = encodeCachedPeer({ identity: other, version, endpoints: [] });
    Deno.writeFileSync(`${root.home}/peers.d/${address}.peer`, cached);
    await root.start().ready();
    await root.do("join", `${address}000001`);

    const service = node.start();
    await service.waitFor(/another node has our address: starting again/, 20_000);
    await service.online();
    const { address: now } = await node.ask<{ address: string }>("info");
    notEqual(now, address);
    equal(Deno.readTextFileSync(`${node.home}/identity.secret.saved_after_collision`), secret);
    await service.stop();
    await stage.lab.end();
  },
);

endToEndTest("zt join starts the service in the background where none runs", async () => {
  const stage = new Stage("join-starts", ["root", "a"]);
  const root = stage.node("root");
  const world = await createPlanet(stage, root);
  await root.start().ready();
  const id = await createNetwork(root, "--public", "--ipv4", "10.9.10.0/24");
  const node = stage.node("a");
  await node.do("planet", "use", world);
  const { code, out, err } = await node.say("join", id, "--wait", "--timeout", "20");
  try {
    equal(code, 0, err);
    match(err, /starting one in the background/);
    match(out, new RegExp(`^joined ${id}: zt\\w+ 10\\.9\\.10\\.`));
  } finally {
    await node.do("service", "--stop");
  }
  await stage.lab.end();
});

/** One that ended may stay in the table for as long as nobody asks for its exit code, marked Z. */
function isRunning(pid: number): boolean {
  const stat = readTextFileIfAny(`/proc/${pid}/stat`);
  return stat !== undefined && !/\) [ZX] /.test(stat);
}
