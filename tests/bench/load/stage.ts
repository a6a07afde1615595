/**
 * A real `zt` root and a host beside it that can be anybody.
 * @module
 */
import { LabNode, type LabService } from "../../../cli/engine/demo/lab_node.ts";
import { Home } from "../../../cli/engine/home.ts";
import { Lab, type LabHost } from "../../../cli/engine/lab.ts";
import { type ProgramCommand, V8_FLAGS } from "../../../cli/engine/self_command.ts";
import { formatAddress } from "../../../lib/base/ids.ts";
import type { Identity } from "../../../lib/identity/identity.ts";
import { encodeCachedPeer } from "../../../lib/node/peer_cache.ts";
import { Prepared } from "../pair.ts";
import { anonymousMb, cpuNs, residentMb } from "../process.ts";
import { ReadyChild } from "../ready_child.ts";
import { CROWD_PREFIX, CROWD_ROUTE } from "./crowd.ts";
import type { LoadTasks, Target } from "./tasks.ts";

const PROGRAM = new URL("tasks.ts", import.meta.url).pathname;
const MAIN = new URL("../../../cli/main.ts", import.meta.url).pathname;
const PORT = 9_993;
const VERSION = { protocol: 11, major: 1, minor: 14, revision: 1 };
const STOP_PATIENCE_MS = 60_000;

function ztCommand(): ProgramCommand {
  const binary = Deno.env.get("ZT_BINARY");
  if (binary) return { path: Deno.realPathSync(binary), args: [] };
  return { path: Deno.execPath(), args: ["run", "--no-prompt", V8_FLAGS, "-A", MAIN] };
}

/** A `zt` that is watched. */
export class Victim {
  readonly node: LabNode;
  #service: LabService | undefined;

  /** @param secret Of its identity, as text */
  constructor(
    readonly lab: Lab,
    readonly host: LabHost,
    readonly ip: string,
    readonly home: string,
    readonly publicIdentity: string,
  ) {
    this.node = new LabNode(lab, host, home, ztCommand());
  }

  get service(): LabService {
    return this.#service!;
  }

  /** What the load tasks need to know of it. */
  get target(): Target {
    return { victim: this.publicIdentity, at: `${this.ip}/${PORT}` };
  }

  /** Starts it. @returns milliseconds until its API answered */
  async start(): Promise<number> {
    this.#service = this.node.start();
    return await this.#service.ready();
  }

  /** Ends it in order. @returns milliseconds it took */
  async stop(): Promise<number> {
    const startMs = performance.now();
    Deno.kill(this.service.pid, "SIGTERM");
    await this.service.ended(STOP_PATIENCE_MS);
    return performance.now() - startMs;
  }

  get residentMb(): number {
    return residentMb(this.service.pid);
  }

  /** Its own data only: pages of the program file, which new work brings in, are no growth. */
  get anonymousMb(): number {
    return anonymousMb(this.service.pid);
  }

  /** Processor time it has used so far, in milliseconds. */
  get cpuMs(): number {
    return cpuNs(this.service.pid) / 1e6;
  }

  /** Puts identities into its cache of peers, as if it had checked them in an earlier run. */
  remember(count: number, identityOf: (i: number) => Identity): void {
    const folder = `${this.home}/peers.d`;
    Deno.mkdirSync(folder, { recursive: true });
    for (let i = 0; i < count; i++) {
      const identity = identityOf(i);
      const bytes = encodeCachedPeer({ identity, version: VERSION, endpoints: [] });
      Deno.writeFileSync(`${folder}/${formatAddress(identity.address)}.peer`, bytes);
    }
  }
}

export class LoadStage implements AsyncDisposable {
  readonly lab = new Lab();
  readonly crowdHost: LabHost;
  readonly root: Victim;
  /** A mere node of the same planet; not started unless wanted. */
  readonly leaf: Victim;

  /** @param folder For home folders */
  constructor(folder: string) {
    const prepared = new Prepared();
    const [rootHost, leafHost] = [this.lab.host("root"), this.lab.host("node")];
    this.crowdHost = this.lab.host("crowd");
    const wires = this.lab.switch([rootHost, leafHost, this.crowdHost], { ipv6: null });
    this.crowdHost.addAddress("lo", CROWD_PREFIX);
    const victim = (host: LabHost, index: number) => {
      host.addRoute(CROWD_ROUTE, wires.ipv4(this.crowdHost));
      const { public: publicText, secret } = prepared.identities[index];
      const home = new Home(`${folder}/${host.name}`);
      home.create();
      home.write("identity.secret", secret, { mode: 0o600 });
      home.write("identity.public", publicText);
      home.write("planet", prepared.planet(wires.ipv4(rootHost)));
      const quiet = { portMappingEnabled: false, allowTcpFallbackRelay: false, tcpRelay: false };
      home.write("local.conf", JSON.stringify({ settings: quiet }));
      return new Victim(this.lab, host, wires.ipv4(host), home.path, publicText);
    };
    this.root = victim(rootHost, 0);
    this.leaf = victim(leafHost, 1);
  }

  /** A task of the host that is anybody, ready to go. */
  load<Name extends keyof LoadTasks>(
    name: Name,
    task: LoadTasks[Name]["in"],
  ): Promise<ReadyChild<LoadTasks[Name]["out"]>> {
    return ReadyChild.open(this.lab, this.crowdHost, PROGRAM, name, task);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab.end();
  }
}
