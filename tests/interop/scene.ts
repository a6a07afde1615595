/**
 * A scenario's cast: stations on one switch, a planet whose root is one of them, and a network.
 * @module
 */
import assert from "node:assert/strict";
import { Lab, type LabSwitch } from "../../cli/engine/lab.ts";
import { loadVectors } from "../vectors/load.ts";
import type { IdentityVectors } from "../vectors/identity.ts";
import { type Kind, programOf, Station } from "./station.ts";

/** Known identities: making one takes seconds and proves nothing here. */
const IDENTITIES = loadVectors<IdentityVectors>("identity.json").identities
  .filter((identity) => identity.locally_valid);

/** What a scenario asks for, beside its root. */
export interface SceneOptions {
  /** Programs of root and controller. */
  root: Kind;
  /** Programs of the nodes. */
  nodes: readonly Kind[];
  /** `settings` of the `local.conf` of our own stations. */
  settings?: Record<string, unknown>;
}

/** A network as a controller's API takes it. */
export function publicNetwork(settings: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name: "interop",
    private: false,
    v4AssignMode: { zt: true },
    ipAssignmentPools: [{ ipRangeStart: "10.9.0.1", ipRangeEnd: "10.9.0.250" }],
    routes: [{ target: "10.9.0.0/24", via: null }],
    ...settings,
  };
}

export class Scene implements AsyncDisposable {
  readonly stations: readonly Station[];
  readonly root: Station;
  readonly nodes: readonly Station[];

  private constructor(
    readonly lab: Lab,
    readonly folder: string,
    readonly wires: LabSwitch,
    stations: Station[],
  ) {
    this.stations = stations;
    this.root = stations[0];
    this.nodes = stations.slice(1);
  }

  /** Sets everything up; nothing runs yet. */
  static async prepare(options: SceneOptions): Promise<Scene> {
    const lab = new Lab();
    const folder = await Deno.makeTempDir({ prefix: "zt-interop-" });
    const stations = [options.root, ...options.nodes].map((kind, index) =>
      new Station(
        lab,
        index === 0 ? `root (${kind})` : `node ${index} (${kind})`,
        kind,
        `${folder}/${index}`,
      )
    );
    const wires = lab.switch(stations.map((station) => station.host));
    const scene = new Scene(lab, folder, wires, stations);
    for (const [index, station] of stations.entries()) {
      const identity = IDENTITIES[index];
      await Deno.mkdir(station.home, { recursive: true });
      await Deno.writeTextFile(`${station.home}/identity.secret`, identity.secret, { mode: 0o600 });
      await Deno.writeTextFile(`${station.home}/identity.public`, identity.public);
      if (station.kind === "zt" && options.settings) {
        const conf = JSON.stringify({ settings: options.settings });
        await Deno.writeTextFile(`${station.home}/local.conf`, conf);
      }
    }
    await scene.#makePlanet();
    return scene;
  }

  /** Prepares, starts everybody and waits until all are online. */
  static async start(options: SceneOptions): Promise<Scene> {
    const scene = await Scene.prepare(options);
    try {
      await scene.startAll();
    } catch (error) {
      await scene.end();
      throw error;
    }
    return scene;
  }

  /** Starts everybody and waits until all are online. */
  async startAll(): Promise<void> {
    await Promise.all(this.stations.map((station) => station.start()));
    await Promise.all(this.stations.map((station) => station.online()));
  }

  /** A planet made by the program of its root. */
  async #makePlanet(): Promise<void> {
    const { root } = this;
    const endpoint = `${this.wires.ipv4(root.host)}/9993`;
    if (root.kind === "zt") {
      await root.zt("planet", "create", "--endpoint", endpoint);
    } else {
      const tool = programOf("reference", "zerotier-idtool");
      const template = JSON.parse((await root.run(tool, "initmoon", "identity.public")).stdout);
      template.worldType = "planet";
      template.roots[0].stableEndpoints = [endpoint];
      await Deno.writeTextFile(`${root.home}/moon.json`, JSON.stringify(template));
      const made = await root.run(tool, "genmoon", "moon.json");
      const name = made.stdout.match(/wrote (\S+)/)?.[1];
      assert(name, `genmoon wrote a planet: ${made.stdout}${made.stderr}`);
      await Deno.rename(`${root.home}/${name}`, `${root.home}/planet`);
    }
    for (const node of this.nodes) {
      await Deno.copyFile(`${root.home}/planet`, `${node.home}/planet`);
    }
  }

  /** Makes a network on the root's controller. @returns its id */
  async network(settings = publicNetwork()): Promise<string> {
    const { address } = await this.root.status();
    const path = `/controller/network/${address}______`;
    return (await this.root.api<{ id: string }>("POST", path, settings)).id;
  }

  /** Changes a member of a network on the root's controller. */
  async member(network: string, node: Station, change: Record<string, unknown>): Promise<void> {
    const { address } = await node.status();
    await this.root.api("POST", `/controller/network/${network}/member/${address}`, change);
  }

  async end(): Promise<void> {
    await Promise.all(this.stations.map((station) => station.agent.close()));
    await this.lab.end();
    await Deno.remove(this.folder, { recursive: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}
