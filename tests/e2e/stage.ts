/**
 * What the end-to-end tests share: the program under test, machines in namespaces with a planet,
 * and named tests that say when they cannot run. `ZT_BINARY` names a compiled program; without it
 * the source runs.
 *
 * One lab serves all tests of a file: it is made by the first test that needs it, and what is left of it ends with the
 * test process.
 * @module
 */
import { fail } from "node:assert/strict";
import { AgentClient, inTime } from "../../cli/engine/demo/agent_client.ts";
import { LabNode } from "../../cli/engine/demo/lab_node.ts";
import { Lab, type LabHost, type LabSwitch, type SwitchOptions } from "../../cli/engine/lab.ts";
import { type ProgramCommand, V8_FLAGS } from "../../cli/engine/self_command.ts";
import { Namespace } from "../../ffi/linux/namespace.ts";
import { pathExists } from "../../ffi/linux/system.ts";

const TEST_PATIENCE_MS = 120_000; // one test on a busy machine
const POLL_MS = 100;

/** The program the tests are about. */
export const PROGRAM: ProgramCommand = theProgram();

function theProgram(): ProgramCommand {
  const binary = Deno.env.get("ZT_BINARY");
  if (binary) return { path: Deno.realPathSync(binary), args: [] };
  const main = new URL("../../cli/main.ts", import.meta.url).pathname;
  return { path: Deno.execPath(), args: ["run", "--no-prompt", V8_FLAGS, "-A", main] };
}

const canRun = probe();

function probe(): boolean {
  try {
    Namespace.create().close();
    return Deno.uid() === 0 && pathExists("/dev/net/tun");
  } catch {
    return false; // no permission, or no such kernel
  }
}

/**
 * A test of the program in namespaces.
 * @param tool Path of another program it needs
 */
export function endToEndTest(name: string, fn: () => Promise<void>, tool?: string): void {
  const needs = !canRun ? "root" : tool && !pathExists(tool) ? tool : undefined;
  Deno.test({
    name: needs ? `${name} (needs ${needs})` : name,
    ignore: needs !== undefined,
    // The lab and its children outlive the test that made them.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () => inTime(fn(), TEST_PATIENCE_MS, `"${name}" did not end`),
  });
}

/** A folder for home folders, removed as the test process ends. */
export const FOLDER: string = canRun ? Deno.makeTempDirSync({ prefix: "zt-e2e-" }) : "";

/** Children by id, ended as the test process ends. */
const stages: Stage[] = [];

globalThis.addEventListener("unload", () => {
  for (const stage of stages) stage.kill();
  if (FOLDER !== "") Deno.removeSync(FOLDER, { recursive: true });
});

/** Machines on one switch. */
export class Stage {
  readonly lab = new Lab();
  readonly lan: LabSwitch;
  readonly #name: string;
  readonly #hosts: Map<string, LabHost>;
  readonly #agents = new Map<string, Promise<AgentClient>>();

  /** @param name Of its folder */
  constructor(name: string, hosts: readonly string[], options: SwitchOptions = {}) {
    this.#name = name;
    this.#hosts = new Map(hosts.map((one) => [one, this.lab.host(one)]));
    this.lan = this.lab.switch([...this.#hosts.values()], options);
    stages.push(this);
  }

  host(name: string): LabHost {
    return this.#hosts.get(name)!;
  }

  /** A node on a host. @param home Name of its home folder, the host's when absent */
  node(host: string, home = host): LabNode {
    return new LabNode(this.lab, this.host(host), `${FOLDER}/${this.#name}/${home}`, PROGRAM);
  }

  /** The agent of a host. */
  agent(host: string): Promise<AgentClient> {
    const found = this.#agents.get(host) ?? AgentClient.start(this.lab, this.host(host), PROGRAM);
    this.#agents.set(host, found);
    return found;
  }

  /** Ends everything at once, without waiting. */
  kill(): void {
    this.lab.kill();
  }
}

/** A root that is controller, and members that run. */
export interface Planet {
  readonly stage: Stage;
  readonly root: LabNode;
  readonly members: readonly LabNode[];
  /** What `zt planet use` takes. */
  readonly world: string;
}

/** Makes a planet whose root is the first host, and starts a node on each. */
export async function startPlanet(stage: Stage, names: readonly string[]): Promise<Planet> {
  const [rootName, ...memberNames] = names;
  const root = stage.node(rootName);
  const world = await createPlanet(stage, root);
  await root.start().ready();
  const members = memberNames.map((name) => stage.node(name));
  await Promise.all(members.map(async (member) => {
    await member.do("planet", "use", world);
    await member.start().online();
  }));
  return { stage, root, members, world };
}

/** `zt planet create` with the root's addresses and those listed. @returns what `zt planet use` takes */
export async function createPlanet(
  stage: Stage,
  root: LabNode,
  ...listed: string[]
): Promise<string> {
  const port = stage.lan.ports.find(({ host }) => host === root.host)!;
  const ips = port.addresses.map(({ ip }) =>
    ip.length === 4 ? stage.lan.ipv4(root.host) : stage.lan.ipv6(root.host)
  );
  const endpoints = [...ips.map((ip) => `${ip}/9993`), ...listed]
    .flatMap((endpoint) => ["--endpoint", endpoint]);
  return (await root.ask<{ world: string }>("planet", "create", ...endpoints)).world;
}

/** Makes a network. @returns its id */
export async function createNetwork(root: LabNode, ...options: string[]): Promise<string> {
  const create = ["controller", "network", "create", ...options];
  return (await root.ask<{ id: string }>(...create)).id;
}

/** A network as `zt --json networks` shows it, as far as the tests look. */
export interface NetworkSeen {
  readonly nwid: string;
  readonly status: string;
  readonly portDeviceName: string;
  readonly portError: number;
  readonly assignedAddresses: string[];
}

/** @returns the network on that node; undefined when it has not joined */
export async function networkOf(node: LabNode, id: string): Promise<NetworkSeen | undefined> {
  return (await node.ask<NetworkSeen[]>("networks")).find(({ nwid }) => nwid === id);
}

/** `zt join --wait`. @returns its address on the network, without the prefix length */
export async function joinNetwork(node: LabNode, id: string): Promise<string> {
  const joined = await node.ask<NetworkSeen>("join", id, "--wait", "--timeout", "20");
  return joined.assignedAddresses[0].split("/")[0];
}

/** Ten digits. */
export async function addressOf(node: LabNode): Promise<string> {
  return (await node.ask<{ address: string }>("info")).address;
}

/** Looks again and again. @param what Said when it does not come true in time */
export async function until(
  what: string,
  patienceMs: number,
  isTrue: () => Promise<boolean> | boolean,
): Promise<void> {
  const untilMs = performance.now() + patienceMs;
  while (!(await isTrue())) {
    if (performance.now() > untilMs) fail(`not within ${patienceMs / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Links, addresses and routes of a host, but for what changes by itself: the search for duplicates of an address. */
export function machineState({ settings }: LabHost): string {
  const plain = (_: string, value: unknown) =>
    value instanceof Uint8Array ? [...value].join(".") : value;
  const links = settings.links().map(({ index, name, up, mtu }) => ({ index, name, up, mtu }));
  const addresses = settings.addresses().map((one) => ({ ...one, tentative: undefined }));
  const lines = [...links, ...addresses, ...settings.routes()]
    .map((one) => JSON.stringify(one, plain));
  return lines.sort().join("\n");
}
