/**
 * The reference as client of our TCP relay, and we as client of the reference's, UDP swallowed by a
 * router. The latter needs its `tcp-proxy`, named by `ZT_REFERENCE_PROXY`.
 * @module
 */
import assert from "node:assert/strict";
import { Lab } from "../../cli/engine/lab.ts";
import { UdpFirewall } from "../e2e/udp_firewall.ts";
import type { IdentityVectors } from "../vectors/identity.ts";
import { loadVectors } from "../vectors/load.ts";
import { interopTest } from "./reference.ts";
import { publicNetwork } from "./scene.ts";
import { type Kind, Station } from "./station.ts";

const IDENTITIES = loadVectors<IdentityVectors>("identity.json").identities
  .filter((identity) => identity.locally_valid);
/**
 * The reference thinks of TCP after a minute without UDP, and connects at one of its next passes
 * (spec 03 section 27).
 */
const FALLBACK_PATIENCE_MS = 110_000;

const PROXY = Deno.env.get("ZT_REFERENCE_PROXY") ?? "";

/** Our root on the Internet, public addresses only: the reference tunnels to no other. */
class Scene implements AsyncDisposable {
  readonly lab = new Lab();
  readonly root: Station;
  readonly node: Station;
  readonly firewall: UdpFirewall;
  /** A host of its own for the reference's relay, 44.1.1.3. */
  readonly proxy = this.lab.host("proxy");

  private constructor(readonly folder: string, kind: Kind) {
    this.root = new Station(this.lab, "root (zt)", "zt", `${folder}/root`);
    this.node = new Station(this.lab, `node (${kind})`, kind, `${folder}/node`);
    const router = this.lab.host("router");
    const internet = this.lab.switch([this.root.host, router, this.proxy], {
      ipv4: "44.1.1.0",
      ipv6: null,
    });
    this.firewall = new UdpFirewall(this.lab, router);
    const [behind] = this.firewall.connect(this.node.host);
    for (const host of [this.root.host, this.proxy]) {
      host.addRoute(behind, internet.ipv4(router));
    }
  }

  /** The root runs; the node has its planet and settings. */
  static async prepare(kind: Kind, settings: Record<string, unknown>): Promise<Scene> {
    const scene = new Scene(await Deno.makeTempDir({ prefix: "zt-interop-" }), kind);
    try {
      for (const [index, { home }] of [scene.root, scene.node].entries()) {
        await Deno.mkdir(home, { recursive: true });
        const identity = IDENTITIES[index];
        await Deno.writeTextFile(`${home}/identity.secret`, identity.secret, { mode: 0o600 });
        await Deno.writeTextFile(`${home}/identity.public`, identity.public);
      }
      await scene.root.zt("planet", "create", "--endpoint", "44.1.1.1/9993");
      await Deno.copyFile(`${scene.root.home}/planet`, `${scene.node.home}/planet`);
      await Deno.writeTextFile(`${scene.node.home}/local.conf`, JSON.stringify({ settings }));
      await scene.root.start();
      return scene;
    } catch (error) {
      await scene[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** @returns milliseconds until the node was online */
  async online(patienceMs: number): Promise<number> {
    const startMs = performance.now();
    while (!(await this.node.status()).online) {
      assert(performance.now() - startMs < patienceMs, "it is online in time");
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    return performance.now() - startMs;
  }

  /** The node joins a network of the root's and talks to it. */
  async talk(): Promise<void> {
    const { address } = await this.root.status();
    const path = `/controller/network/${address}______`;
    const { id } = await this.root.api<{ id: string }>("POST", path, publicNetwork());
    const far = await this.root.join(id);
    await this.node.join(id);
    await this.node.untilReaches(far);
    await this.node.pings(far, 1_400, 10);
    await this.node.pings(far, 2_800, 10);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.root, this.node].map((station) => station.agent.close()));
    await this.lab.end();
    await Deno.remove(this.folder, { recursive: true });
  }
}

async function clients(root: Station): Promise<number> {
  return (await root.api<{ tcp: { clients: number } }>("GET", "/zt/status")).tcp.clients;
}

interopTest("a reference node without UDP is online through our relay, and talks", async () => {
  await using scene = await Scene.prepare("reference", { tcpFallbackRelay: "44.1.1.1/443" });
  scene.firewall.block(true);
  await scene.node.start();
  const tookMs = await scene.online(FALLBACK_PATIENCE_MS);
  console.log(`measured: the reference was online over TCP after ${Math.round(tookMs / 1000)} s`);
  assert.equal((await scene.node.status()).tcpFallbackActive, true);
  assert.equal(await clients(scene.root), 1);
  await scene.talk();
});

interopTest("a reference node with forceTcpRelay uses our relay from the start", async () => {
  const settings = { tcpFallbackRelay: "44.1.1.1/443", forceTcpRelay: true };
  await using scene = await Scene.prepare("reference", settings);
  await scene.node.start();
  await scene.online(30_000);
  assert.equal(await clients(scene.root), 1);
  await scene.talk();
});

Deno.test({
  name: `our node without UDP is online through the reference's relay${
    PROXY === "" ? " (needs ZT_REFERENCE_PROXY)" : ""
  }`,
  ignore: PROXY === "" || Deno.uid() !== 0,
  fn: async () => {
    await using scene = await Scene.prepare("zt", { tcpFallbackRelay: "44.1.1.3/443" });
    scene.lab.spawn(scene.proxy, PROXY, [], { stdout: "null", stderr: "null" });
    scene.firewall.block(true);
    await scene.node.start();
    const tookMs = await scene.online(20_000);
    console.log(`measured: online through the reference's relay after ${Math.round(tookMs)} ms`);
    const { tcp } = await scene.node.api<{ tcp: { relay: string } }>("GET", "/zt/status");
    assert.equal(tcp.relay, "44.1.1.3/443 (reference)");
    await scene.talk();
  },
});
