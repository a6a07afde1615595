/**
 * The cast of a measurement: two nodes in one network and their root, all started afresh, either product in each place.
 * @module
 */
import assert from "node:assert/strict";
import type { Lab, LabHost } from "../../cli/engine/lab.ts";
import { newPlanetTemplate, signPlanet } from "../../cli/engine/planet_files.ts";
import { machinePrimitives } from "../../cli/engine/primitives.ts";
import { parseIp } from "../../lib/base/ip.ts";
import { Identity } from "../../lib/identity/identity.ts";
import { publicNetwork } from "../interop/scene.ts";
import { type Kind, Station } from "../interop/station.ts";
import type { IdentityVectors } from "../vectors/identity.ts";
import { loadVectors } from "../vectors/load.ts";

const PORT = 9993;
const DIRECT_PATIENCE_MS = 15_000;
const DIRECT_POLL_MS = 100;
/** Neither product looks for a router to talk to, or for a relay over TCP. */
const SETTINGS = { portMappingEnabled: false, allowTcpFallbackRelay: false };

/** Which product is what, and whether the nodes can reach each other without the root. */
export interface Cast {
  readonly root: Kind;
  readonly a: Kind;
  readonly b: Kind;
  readonly relayed: boolean;
}

/** What never changes between rounds: who is who, and the key of the planet. */
export class Prepared {
  readonly identities: readonly { secret: string; public: string }[];
  readonly #template;
  readonly #timestampMs = Date.now();

  constructor() {
    this.identities = loadVectors<IdentityVectors>("identity.json").identities
      .filter((one) => one.locally_valid).slice(0, 3);
    const random = (bytes: Uint8Array) => {
      crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);
    };
    const identity = Identity.parse(this.identities[0].public);
    this.#template = newPlanetTemplate(machinePrimitives, random, { identity, endpoints: [] });
  }

  /**
   * The planet with its root at `ip`. All have one time and one key, so that two nodes may each
   * know the root by the only address they can reach, and nobody corrects them.
   */
  planet(ip: string): Uint8Array {
    const [{ identity }] = this.#template.roots;
    const roots = [{ identity, endpoints: [{ ip: parseIp(ip)!, port: PORT }] }];
    return signPlanet(machinePrimitives, { ...this.#template, roots }, this.#timestampMs);
  }
}

/** Two nodes that reach each other through the tunnel. */
export class Pair implements AsyncDisposable {
  /** Addresses of the nodes in the network. */
  ips: readonly [string, string] = ["", ""];
  /** Id of the network. */
  network = "";

  private constructor(
    readonly lab: Lab,
    readonly cast: Cast,
    readonly root: Station,
    readonly a: Station,
    readonly b: Station,
  ) {}

  /**
   * Starts the three, joins both nodes and waits for the path the cast calls for, as long as is reasonable.
   * @param folder For home folders. Kept by the caller between rounds of the same cast: nodes that
   * remember their network and each other are ready in a fraction of the time
   * @throws when the nodes never reach each other
   */
  static async start(lab: Lab, cast: Cast, prepared: Prepared, folder: string): Promise<Pair> {
    const station = (name: string, kind: Kind) => new Station(lab, name, kind, `${folder}/${name}`);
    const [root, a, b] = [station("root", cast.root), station("a", cast.a), station("b", cast.b)];
    const pair = new Pair(lab, cast, root, a, b);
    try {
      const at = wire(lab, cast, root.host, a.host, b.host);
      for (const [index, one] of [root, a, b].entries()) {
        await writeHome(one, prepared, index, at[index]);
      }
      await root.start(); // first: a reference that asks in vain asks again after five seconds
      await Promise.all([a, b].map((one) => one.start()));
      await Promise.all([root, a, b].map((one) => one.online()));
      await pair.#join(await networkOf(root, folder));
      return pair;
    } catch (error) {
      await pair[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #join(id: string): Promise<void> {
    this.network = id;
    const [a, b] = await Promise.all([this.a.join(id), this.b.join(id)]);
    this.ips = [a, b];
    await this.a.untilReaches(b);
    await this.b.untilReaches(a);
    const untilMs = performance.now() + DIRECT_PATIENCE_MS;
    while (!this.cast.relayed && !(await this.isDirect()) && performance.now() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, DIRECT_POLL_MS));
    }
  }

  /** Whether both nodes have a path to each other without the root. */
  async isDirect(): Promise<boolean> {
    return await knowsPath(this.a, this.b) && await knowsPath(this.b, this.a);
  }

  /** Process id of a member of the cast. */
  async pid(station: Station): Promise<number> {
    const text = await Deno.readTextFile(`${station.home}/zerotier-one.pid`);
    const pid = Number(text.trim());
    assert(Number.isInteger(pid) && pid > 1, `${station.name} says its process id`);
    return pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.root, this.a, this.b].map((one) => one.agent.close().catch(() => {})));
    await this.lab.end();
  }
}

/**
 * @returns where the root, a and b each find the root. For a relayed pair each node has a switch to
 * itself and the root.
 */
function wire(lab: Lab, cast: Cast, root: LabHost, a: LabHost, b: LabHost): string[] {
  // One family, so that both products have the same one path to choose.
  const options = { ipv6: null };
  if (!cast.relayed) {
    const at = lab.switch([root, a, b], options).ipv4(root);
    return [at, at, at];
  }
  const [ofA, ofB] = [lab.switch([root, a], options), lab.switch([root, b], options)];
  return [ofA.ipv4(root), ofA.ipv4(root), ofB.ipv4(root)];
}

async function writeHome(
  station: Station,
  prepared: Prepared,
  index: number,
  rootIp: string,
): Promise<void> {
  const identity = prepared.identities[index];
  await Deno.mkdir(station.home, { recursive: true });
  const write = (name: string, text: string) =>
    Deno.writeTextFile(`${station.home}/${name}`, text, { mode: 0o600 });
  await write("identity.secret", identity.secret);
  await write("identity.public", identity.public);
  await write("local.conf", JSON.stringify({ settings: SETTINGS }));
  await Deno.writeFile(`${station.home}/planet`, prepared.planet(rootIp));
}

/** The network of this cast, made in the first round. */
async function networkOf(root: Station, folder: string): Promise<string> {
  const file = `${folder}/network`;
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const { address } = await root.status();
  const path = `/controller/network/${address}______`;
  const { id } = await root.api<{ id: string }>("POST", path, publicNetwork());
  await Deno.writeTextFile(file, id);
  return id;
}

async function knowsPath(from: Station, to: Station): Promise<boolean> {
  const { address } = await to.status();
  const peer = (await from.peers()).find((one) => one.address === address);
  return peer !== undefined && peer.paths.some((path) => path.active && !path.expired);
}
