/**
 * Roots on the Internet of the lab and nodes behind NATs of the kernel, all in one network, either
 * program in each place.
 * @module
 */
import { Lab } from "../../cli/engine/lab.ts";
import { newPlanetTemplate, signPlanet, withRoot } from "../../cli/engine/planet_files.ts";
import { machinePrimitives } from "../../cli/engine/primitives.ts";
import { parseEndpoint } from "../../lib/base/ip.ts";
import { Identity } from "../../lib/identity/identity.ts";
import { type NatLab, natLab, type Place } from "../e2e/nat_lab.ts";
import type { IdentityVectors } from "../vectors/identity.ts";
import { loadVectors } from "../vectors/load.ts";
import { publicNetwork } from "./scene.ts";
import { type Kind, Station } from "./station.ts";

/** Known identities, for making one takes a second; who gets none makes its own. */
const IDENTITIES = loadVectors<IdentityVectors>("identity.json").identities
  .filter((identity) => identity.locally_valid);
const PORT = 9993;
const LOOK_MS = 500; // between two looks at who is reached how: each asks every node
const TALK_MS = 500; // between two pings that came back

/** A node and where it stands. */
export interface Member {
  readonly kind: Kind;
  readonly place: Place;
}

/** Who there is. */
export interface NatSceneOptions {
  /** All in one planet; the first is controller. Our own take in who has no UDP. */
  readonly roots: readonly Kind[];
  readonly members: readonly Member[];
  /** `settings` of the nodes' `local.conf`. */
  readonly settings?: Record<string, unknown>;
  /** The network, as a controller's API takes it. */
  readonly network?: Record<string, unknown>;
  /** How long a node may take to come online. */
  readonly patienceMs?: number;
}

/** What of a meeting there was, in milliseconds since both wanted to talk. */
export interface Meeting {
  readonly a: number;
  readonly b: number;
  /** First answer to a ping; undefined without one. */
  contactMs?: number;
  /** Since when both ends have a way to each other without the root; undefined while they have not. */
  directMs?: number;
}

export class NatScene implements AsyncDisposable {
  /** IPv4 addresses of the nodes in the network, once {@linkcode join} is through. */
  ips: readonly string[] = [];
  /** Ten digits each, of the nodes in the network. */
  addresses: readonly string[] = [];

  /** A test that takes too long is given up before it has cleaned up; its services must not outlive it. */
  readonly #kill = () => {
    this.lab.kill();
    Deno.removeSync(this.folder, { recursive: true });
  };

  private constructor(
    readonly lab: Lab,
    readonly folder: string,
    readonly roots: readonly Station[],
    readonly nodes: readonly Station[],
    readonly nats: NatLab,
    readonly options: NatSceneOptions,
  ) {
    globalThis.addEventListener("unload", this.#kill);
  }

  /** Sets everything up; nothing runs yet. */
  static async prepare(options: NatSceneOptions): Promise<NatScene> {
    const folder = await Deno.makeTempDir({ prefix: "zt-nat-" });
    const lab = new Lab();
    const station = (name: string, kind: Kind) =>
      new Station(lab, `${name} (${kind})`, kind, `${folder}/${name.replace(" ", "-")}`);
    const roots = options.roots.map((kind, i) => station(`root ${i}`, kind));
    const nodes = options.members.map(({ kind, place }, i) => station(`${place} ${i}`, kind));
    const places = [
      ...roots.map(({ host }) => [host, "pub"] as const),
      ...nodes.map(({ host }, i) => [host, options.members[i].place] as const),
    ];
    const scene = new NatScene(lab, folder, roots, nodes, natLab(lab, new Map(places)), options);
    try {
      await scene.#writeHomes();
      return scene;
    } catch (error) {
      await scene[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Prepares, starts everybody and waits until all are online. */
  static async start(options: NatSceneOptions): Promise<NatScene> {
    const scene = await NatScene.prepare(options);
    try {
      await scene.startRoots();
      await scene.startNodes();
      return scene;
    } catch (error) {
      await scene[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** First, for a reference that asks in vain asks again after five seconds. */
  async startRoots(): Promise<void> {
    await Promise.all(this.roots.map((root) => root.start()));
  }

  /** Returns when all are online. */
  async startNodes(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.start()));
    await Promise.all(this.nodes.map((node) => node.online(this.options.patienceMs)));
  }

  async #writeHomes(): Promise<void> {
    const planet = this.#planet();
    const { settings } = this.options;
    for (const [index, { home }] of [...this.roots, ...this.nodes].entries()) {
      await Deno.mkdir(home, { recursive: true });
      await Deno.writeFile(`${home}/planet`, planet);
      if (settings && index >= this.roots.length) {
        await Deno.writeTextFile(`${home}/local.conf`, JSON.stringify({ settings }));
      }
      const identity = IDENTITIES.at(index);
      if (!identity) continue;
      await Deno.writeTextFile(`${home}/identity.secret`, identity.secret, { mode: 0o600 });
      await Deno.writeTextFile(`${home}/identity.public`, identity.public);
    }
  }

  #planet(): Uint8Array {
    const random = (bytes: Uint8Array) => {
      crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);
    };
    const [first, ...others] = this.roots.map(({ host }, index) => ({
      identity: Identity.parse(IDENTITIES[index].public),
      endpoints: [parseEndpoint(`${this.nats.internet.ipv4(host)}/${PORT}`)!],
    }));
    const alone = newPlanetTemplate(machinePrimitives, random, first);
    return signPlanet(machinePrimitives, others.reduce(withRoot, alone), Date.now());
  }

  /** Makes a network on the first root's controller. @returns its id */
  async network(): Promise<string> {
    const [controller] = this.roots;
    const { address } = await controller.status();
    const path = `/controller/network/${address}______`;
    const settings = this.options.network ?? publicNetwork();
    return (await controller.api<{ id: string }>("POST", path, settings)).id;
  }

  /** All nodes join one network. @returns its id */
  async join(): Promise<string> {
    const id = await this.network();
    this.ips = await Promise.all(this.nodes.map((node) => node.join(id)));
    const all = await Promise.all(this.nodes.map((node) => node.status()));
    this.addresses = all.map((one) => one.address);
    return id;
  }

  /**
   * Pairs of nodes talk all at once, and are watched.
   * @param isEnough Looks at the meetings now and then; true ends it
   * @returns when that is so, or after the patience
   */
  async meet(
    pairs: readonly (readonly [number, number])[],
    isEnough: (meetings: readonly Meeting[]) => boolean,
    patienceMs: number,
  ): Promise<Meeting[]> {
    const meetings = pairs.map(([a, b]): Meeting => ({ a, b }));
    const startMs = performance.now();
    let ended = false;
    const watch = async () => {
      try {
        while (performance.now() - startMs < patienceMs && !isEnough(meetings)) {
          await this.#look(meetings, startMs);
          await sleep(LOOK_MS);
        }
      } finally {
        ended = true;
      }
    };
    const talk = async (meeting: Meeting) => {
      const from = this.nodes[meeting.a];
      while (!ended) {
        if (await from.reaches(this.ips[meeting.b])) {
          meeting.contactMs ??= performance.now() - startMs;
        }
        await sleep(TALK_MS);
      }
    };
    await Promise.all([watch(), ...meetings.map(talk)]);
    return meetings;
  }

  async #look(meetings: readonly Meeting[], startMs: number): Promise<void> {
    // On a machine with much else to do an API may give up waiting for a request: the next look shows.
    const look = (node: Station) => directPeersOf(node).catch(() => undefined);
    const seen = await Promise.all(this.nodes.map(look));
    for (const meeting of meetings) {
      const [a, b] = [seen[meeting.a], seen[meeting.b]];
      if (!a || !b) continue;
      const isDirect = a.has(this.addresses[meeting.b]) && b.has(this.addresses[meeting.a]);
      meeting.directMs = isDirect ? meeting.directMs ?? performance.now() - startMs : undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    globalThis.removeEventListener("unload", this.#kill);
    const stations = [...this.roots, ...this.nodes];
    await Promise.all(stations.map((station) => station.agent.close()));
    await this.lab.end();
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Addresses of the peers a node has a way of its own to, by UDP. */
export async function directPeersOf(node: Station): Promise<Set<string>> {
  const isDirect = (await node.peers()).filter(({ paths, tunneled }) =>
    !tunneled && paths.some(({ active, expired }) => active && !expired)
  );
  return new Set(isDirect.map(({ address }) => address));
}

function sleep(timeMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, timeMs));
}
