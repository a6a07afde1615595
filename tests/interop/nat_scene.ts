/**
 * A root on the Internet of the lab and nodes behind NATs of the kernel, all in one network, either program in each place.
 * @module
 */
import { Lab } from "../../cli/engine/lab.ts";
import { natLab, type Place } from "../e2e/nat_lab.ts";
import type { IdentityVectors } from "../vectors/identity.ts";
import { loadVectors } from "../vectors/load.ts";
import { publicNetwork } from "./scene.ts";
import { type Kind, Station } from "./station.ts";

/** Known identities, for making one takes a second; who gets none makes its own. */
const IDENTITIES = loadVectors<IdentityVectors>("identity.json").identities
  .filter((identity) => identity.locally_valid);

const LOOK_MS = 500; // between two looks at who is reached how: each asks every node
const TALK_MS = 500; // between two pings that came back

/** A node and where it stands. */
export interface Member {
  readonly kind: Kind;
  readonly place: Place;
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
  /** Addresses of the nodes in the network, once {@linkcode join} is through. */
  ips: readonly string[] = [];
  #addresses: readonly string[] = [];

  private constructor(
    readonly lab: Lab,
    readonly folder: string,
    readonly root: Station,
    readonly nodes: readonly Station[],
  ) {}

  /** Starts everybody and waits until all are online. The root is ours: it takes in who has no UDP. */
  static async start(members: readonly Member[]): Promise<NatScene> {
    const folder = await Deno.makeTempDir({ prefix: "zt-nat-" });
    const lab = new Lab();
    const root = new Station(lab, "root", "zt", `${folder}/root`);
    const nodes = members.map(({ kind, place }, index) =>
      new Station(lab, `${place} ${index} (${kind})`, kind, `${folder}/${index}`)
    );
    const places = new Map(nodes.map(({ host }, index) => [host, members[index].place]));
    const { internet } = natLab(lab, new Map([[root.host, "pub"], ...places]));
    const scene = new NatScene(lab, folder, root, nodes);
    try {
      await scene.#prepare(`${internet.ipv4(root.host)}/9993`);
      await Promise.all([root, ...nodes].map((station) => station.start()));
      await Promise.all(nodes.map((station) => station.online()));
      return scene;
    } catch (error) {
      await scene[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #prepare(endpoint: string): Promise<void> {
    for (const [index, { home }] of [this.root, ...this.nodes].entries()) {
      await Deno.mkdir(home, { recursive: true });
      const identity = IDENTITIES.at(index);
      if (!identity) continue;
      await Deno.writeTextFile(`${home}/identity.secret`, identity.secret, { mode: 0o600 });
      await Deno.writeTextFile(`${home}/identity.public`, identity.public);
    }
    await this.root.zt("planet", "create", "--endpoint", endpoint);
    for (const { home } of this.nodes) {
      await Deno.copyFile(`${this.root.home}/planet`, `${home}/planet`);
    }
  }

  /** All nodes join one network of the root's. */
  async join(): Promise<void> {
    const { address } = await this.root.status();
    const path = `/controller/network/${address}______`;
    const { id } = await this.root.api<{ id: string }>("POST", path, publicNetwork());
    this.ips = await Promise.all(this.nodes.map((node) => node.join(id)));
    this.#addresses = await Promise.all(
      this.nodes.map(async (node) => (await node.status()).address),
    );
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
    const talk = async (meeting: Meeting) => {
      const from = this.nodes[meeting.a];
      while (!ended) {
        if (await from.reaches(this.ips[meeting.b])) {
          meeting.contactMs ??= performance.now() - startMs;
        }
        await sleep(TALK_MS);
      }
    };
    const talks = Promise.all(meetings.map(talk));
    while (performance.now() - startMs < patienceMs && !isEnough(meetings)) {
      const seen = await Promise.all(this.nodes.map((node) => this.#directPeersOf(node)));
      for (const meeting of meetings) {
        const { a, b } = meeting;
        const isDirect = seen[a].has(this.#addresses[b]) && seen[b].has(this.#addresses[a]);
        meeting.directMs = isDirect ? meeting.directMs ?? performance.now() - startMs : undefined;
      }
      await sleep(LOOK_MS);
    }
    ended = true;
    await talks;
    return meetings;
  }

  /** Addresses of the peers a node has a way of its own to, by UDP. */
  async #directPeersOf(node: Station): Promise<Set<string>> {
    const isDirect = (await node.peers()).filter(({ paths, tunneled }) =>
      !tunneled && paths.some(({ active, expired }) => active && !expired)
    );
    return new Set(isDirect.map(({ address }) => address));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stations = [this.root, ...this.nodes];
    await Promise.all(stations.map((station) => station.agent.close()));
    await this.lab.end();
    await Deno.remove(this.folder, { recursive: true });
  }
}

function sleep(timeMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, timeMs));
}
