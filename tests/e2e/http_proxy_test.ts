import { deepEqual, doesNotMatch, equal, match, ok } from "node:assert/strict";
import { AgentClient } from "../../cli/engine/demo/agent_client.ts";
import { LabNode } from "../../cli/engine/demo/lab_node.ts";
import { linesOf } from "../../cli/engine/demo/lines.ts";
import type { Finding } from "../../cli/engine/doctor/findings.ts";
import {
  createNetwork,
  createPlanet,
  endToEndTest,
  FOLDER,
  joinNetwork,
  PROGRAM,
  Stage,
  until,
} from "./stage.ts";

const MUST_MS = 10_000; // the bound from start to first ping
const PORT = 3_128;
const PROXY_PROGRAM = new URL("./connect_proxy.ts", import.meta.url).pathname;
const SECRET = /s3cret|czNjcmV0/; // as it is, or in base64 behind "zt:"

interface ProxySeen {
  readonly address: string;
  readonly source: string;
  readonly trouble: string | null;
  readonly inUse: boolean;
}

/** A root on the Internet, an office whose only way there is a proxy, and one machine in it. */
class Office {
  readonly stage: Stage;
  readonly root: LabNode;
  readonly node: LabNode;

  constructor(readonly name: string) {
    this.stage = new Stage(name, ["root", "proxy"], { ipv4: "44.1.1.0", ipv6: "2a00:1::" });
    this.root = this.stage.node("root");
    const { lab } = this.stage;
    const host = lab.host("node");
    // No route but this cable, and nobody who forwards.
    lab.wire(host, this.stage.host("proxy"), {
      a: ["10.5.0.2/24", "fd05::2/64"],
      b: ["10.5.0.1/24", "fd05::1/64"],
    });
    this.node = new LabNode(lab, host, `${FOLDER}/${name}/node`, PROGRAM);
  }

  /** Starts root and proxy. @returns the proxy's answers, as they come */
  async start(address: string, ...credentials: string[]): Promise<string[]> {
    const { stage, root, node } = this;
    const world = await createPlanet(stage, root);
    const service = root.start();
    await service.waitFor(/^relaying for nodes without UDP on TCP port \d+$/, 20_000);
    await service.ready();
    await node.do("planet", "use", world);
    const args = ["run", "--no-prompt", "-A", PROXY_PROGRAM, address, `${PORT}`, ...credentials];
    const child = stage.lab.spawn(stage.host("proxy"), Deno.execPath(), args, { stdout: "piped" });
    const lines: string[] = [];
    void (async () => {
      for await (const line of linesOf(child.stdout)) lines.push(line);
    })();
    await until("the proxy is ready", MUST_MS, () => lines.includes("ready"));
    return lines;
  }

  configure(httpProxy: string): void {
    Deno.writeTextFileSync(
      `${this.node.home}/local.conf`,
      JSON.stringify({ settings: { httpProxy } }),
    );
  }

  async proxySeen(): Promise<ProxySeen> {
    const text = await this.node.do("/zt/status");
    doesNotMatch(text, SECRET);
    return JSON.parse(text).tcp.proxy;
  }
}

async function findingOf(node: LabNode): Promise<Finding> {
  const { out, err } = await node.say("--json", "doctor");
  doesNotMatch(out + err, SECRET);
  const { findings } = JSON.parse(out) as { findings: Finding[] };
  return findings.find(({ check }) => check === "HTTP proxy")!;
}

endToEndTest(
  "HTTP proxy: a node whose only way out is one reaches a member in seconds",
  async () => {
    const office = new Office("http-proxy");
    const { stage, root, node } = office;
    const answers = await office.start("10.5.0.1", "zt:s3cret");
    const network = await createNetwork(root, "--ipv4", "10.9.0.0/24", "--public");
    const far = await joinNetwork(root, network);
    const agent = await AgentClient.start(stage.lab, node.host, PROGRAM);
    office.configure(`http://zt:s3cret@10.5.0.1:${PORT}`);

    const service = node.start();
    const onlineMs = await service.online();
    await joinNetwork(node, network);
    await agent.ping({ target: far, count: 200, intervalMs: 50, untilFirst: true }).result;
    const pingMs = performance.now() - service.startedMs;
    ok(pingMs < MUST_MS, `start to first ping took ${Math.round(pingMs)} ms`);
    const [online, ping] = [onlineMs, pingMs].map(Math.round);
    console.log(`measured: through an HTTP proxy: online ${online}, first ping ${ping} ms`);
    const large = { target: far, count: 10, intervalMs: 100, timeoutMs: 1_000, sizeBytes: 2_700 };
    ok((await agent.ping(large).result).received >= 9);

    const log = () => service.log.join("\n");
    match(
      log(),
      /^UDP seems to be blocked: using TCP by \S+ \(\w+, HTTP proxy 10\.5\.0\.1:3128\)$/m,
    );
    ok(answers.some((line) => /^(44\.1\.1\.1|2a00:1::1)\/443 200$/.test(line)), answers.join());
    const address = `10.5.0.1:${PORT}`;
    deepEqual(await office.proxySeen(), {
      address,
      source: "local.conf",
      trouble: null,
      inUse: true,
    });
    const info = await node.do("info");
    match(info, /HTTP proxy +10\.5\.0\.1:3128 \(from local\.conf\), in use/);
    const status = await node.do("/status");
    equal(JSON.parse(status).config.settings.httpProxy, `http://***@${address}`);
    doesNotMatch(info + status + await node.do("/config"), SECRET);
    const well = await findingOf(node);
    deepEqual([well.state, well.text.split(" leads to ")[0]], [
      "ok",
      `${address} (from local.conf)`,
    ]);

    office.configure(`http://zt:wr0ng@10.5.0.1:${PORT}`);
    const refused = "does not take the user and password it is given (407)";
    await until(
      "the new password is looked at",
      MUST_MS,
      async () => (await findingOf(node)).text.endsWith(refused),
    );
    deepEqual((await office.proxySeen()).trouble, refused);
    await service.stop();
    const before = answers.length;
    const second = node.start();
    await second.waitFor(/^the HTTP proxy 10\.5\.0\.1:3128 does not take the user/, MUST_MS);
    await new Promise((resolve) => setTimeout(resolve, 4_000)); // two attempts more
    equal(answers.length - before, 1, "a wrong password is not repeated");
    equal((await findingOf(node)).state, "problem");
    office.configure(`http://zt:s3cret@10.5.0.1:${PORT}`);
    await second.online();
    doesNotMatch(log() + second.log.join("\n"), /s3cret|wr0ng/);
    await stage.lab.end();
  },
);

endToEndTest("HTTP proxy: one that the environment names, by IPv6", async () => {
  const office = new Office("http-proxy-env");
  const { stage, node } = office;
  const answers = await office.start("fd05::1");
  const saved = ["https_proxy", "no_proxy"].map((name) => [name, Deno.env.get(name)] as const);
  Deno.env.set("https_proxy", `http://[fd05::1]:${PORT}`);
  Deno.env.set("no_proxy", "44.1.1.0/24");
  const service = node.start();
  for (const [name, value] of saved) {
    if (value === undefined) Deno.env.delete(name);
    else Deno.env.set(name, value);
  }
  const onlineMs = await service.online();
  ok(onlineMs < MUST_MS, `start to online took ${Math.round(onlineMs)} ms`);
  ok(answers.includes("2a00:1::1/443 200"), answers.join());
  ok(!answers.some((line) => line.startsWith("44.")), answers.join());
  deepEqual(await office.proxySeen(), {
    address: `[fd05::1]:${PORT}`,
    source: "https_proxy",
    trouble: null,
    inUse: true,
  });
  await stage.lab.end();
});
