/**
 * Planet and moons: who our roots are, which of them serves best now, and updates of the worlds themselves.
 *
 * Source: spec 01 section 9, spec 03 sections 9, 11, 18. A root that stops answering is replaced at once, not after its
 * path expires (spec 03 section 28 item 3).
 * @module
 */
import { Writer } from "../base/bytes.ts";
import type { Address } from "../base/ids.ts";
import type { Endpoint } from "../base/ip.ts";
import { encodeWorld, replaces, type World, WorldType } from "../identity/world.ts";
import type { Path } from "../peer/path.ts";
import { isUsable, type Peer } from "../peer/peer.ts";
import type { WorldStamp } from "../wire/hello.ts";
import type { Vl1 } from "./vl1.ts";

const MOONS_MAX = 16; // bounds what a HELLO lists and a disk can make us load
const UNKNOWN_LATENCY_MS = 1_000; // an upstream not measured yet comes after any measured one
const TUNNEL_PENALTY_MS = 10_000; // an upstream reached by TCP comes after any reached by UDP
const DOUBT_PENALTY_MS = 5_000; // an upstream not heard since another failed comes after those that were
const HYSTERESIS_FRACTION = 0.8; // another upstream must be a fifth faster before we move

/** A moon asked for and not yet delivered: its world id and the root to get it from. */
export interface Wanted {
  readonly world: bigint;
  readonly seed: Address;
}

export class Upstreams {
  #planet: World;
  readonly #moons = new Map<bigint, World>();
  readonly #wanted = new Map<bigint, Wanted>();
  readonly #endpoints = new Map<Address, Endpoint[]>(); // every upstream except ourselves
  #amUpstream = false;
  #favourite: Peer | undefined;
  #doubtMs = -Infinity;

  constructor(readonly vl1: Vl1, planet: World) {
    this.#planet = planet;
  }

  get planet(): World {
    return this.#planet;
  }

  get moons(): World[] {
    return [...this.#moons.values()];
  }

  get wanted(): Wanted[] {
    return [...this.#wanted.values()];
  }

  /** Whether this node is a root of its planet or of a moon. */
  get amUpstream(): boolean {
    return this.#amUpstream;
  }

  /** Addresses of all roots except ourselves. */
  get addresses(): Address[] {
    return [...this.#endpoints.keys()];
  }

  isUpstream(address: Address): boolean {
    return this.#endpoints.has(address);
  }

  /** Whether a node's world updates count: an upstream's, or the seed's of a moon we want. */
  mayUpdateWorlds(address: Address): boolean {
    return this.isUpstream(address) || this.isSeed(address);
  }

  /** Whether a node is to be asked for a moon we want. */
  isSeed(address: Address): boolean {
    return this.wanted.some((moon) => moon.seed === address);
  }

  isPlanetRoot(address: Address): boolean {
    return this.#planet.roots.some((root) => root.identity.address === address);
  }

  /** Stable endpoints an upstream is listed with; undefined when the address is no upstream. */
  endpointsOf(address: Address): readonly Endpoint[] | undefined {
    return this.#endpoints.get(address);
  }

  /** The upstreams we know a key for. */
  peers(): Peer[] {
    const peers: Peer[] = [];
    for (const address of this.#endpoints.keys()) {
      const peer = this.vl1.peers.get(address);
      if (peer) peers.push(peer);
    }
    return peers;
  }

  /**
   * The upstream to ask and to relay through: answering, then fastest, with hysteresis.
   * @param except An address it must not be: the one we want to reach
   */
  best(except?: Address): Peer | undefined {
    const nowMs = this.vl1.nowMs;
    let best: Peer | undefined;
    let bestCost = Infinity;
    for (const peer of this.peers()) {
      if (peer.address === except) continue;
      const path = peer.best(nowMs);
      if (!path) continue;
      const tunnelMs = path.path.isTunnel ? TUNNEL_PENALTY_MS : 0;
      const doubtMs = path.lastInMs < this.#doubtMs ? DOUBT_PENALTY_MS : 0;
      const latencyMs = (path.path.latencyMs ?? UNKNOWN_LATENCY_MS) + tunnelMs + doubtMs;
      const cost = peer === this.#favourite ? latencyMs * HYSTERESIS_FRACTION : latencyMs;
      if (cost < bestCost) {
        best = peer;
        bestCost = cost;
      }
    }
    if (best && except === undefined) this.#favourite = best;
    return best ?? this.peers().find((peer) => peer.address !== except && peer.paths.length > 0);
  }

  /** One upstream stopped answering: those not heard from now on may be gone as well. */
  doubt(): void {
    this.#doubtMs = this.vl1.nowMs;
  }

  /** The upstream a path leads to. */
  at(path: Path): Peer | undefined {
    return this.peers().find((root) => root.find(path));
  }

  /** Whether an upstream answers by a path like this: all that was authenticated, nothing that a stranger sent. */
  isReachedBy(accept: (path: Path) => boolean): boolean {
    const { nowMs } = this.vl1;
    return this.peers().some((peer) =>
      peer.paths.some((known) => accept(known.path) && isUsable(known, nowMs))
    );
  }

  /** Takes the planet and moons given at start, or by the user, without any check. */
  install(): void {
    this.#endpoints.clear();
    this.#amUpstream = false;
    for (const world of [this.#planet, ...this.#moons.values()]) {
      for (const root of world.roots) {
        if (root.identity.address === this.vl1.address) {
          this.#amUpstream ||= root.identity.equals(this.vl1.identity);
          continue;
        }
        const known = this.#endpoints.get(root.identity.address) ?? [];
        const listed = root.endpoints.filter((endpoint) => endpoint !== undefined);
        this.#endpoints.set(root.identity.address, [...known, ...listed]);
        this.vl1.addPeer(root.identity);
      }
    }
  }

  /** Replaces the planet on the user's word. */
  usePlanet(planet: World): void {
    this.#planet = planet;
    this.#persist(planet);
    this.install();
  }

  /** Asks for a moon; `moon` is its definition when it is already at hand. */
  orbit(world: bigint, seed: Address, moon: World | undefined): void {
    if (moon && moon.id === world && this.#moons.size < MOONS_MAX) {
      this.#moons.set(world, moon);
      this.#wanted.delete(world);
      this.install();
    } else if (seed !== 0 && !this.#moons.has(world) && this.#wanted.size < MOONS_MAX) {
      this.#wanted.set(world, { world, seed });
    }
  }

  deorbit(world: bigint): void {
    this.#wanted.delete(world);
    if (!this.#moons.delete(world)) return;
    this.vl1.outbox.push({
      kind: "persist",
      record: { what: "moon", world, bytes: undefined },
    });
    this.install();
  }

  /**
   * Offers a world that came from an upstream or a seed.
   * @param from Who sent it
   * @returns whether it was taken
   */
  offer(world: World, from: Address): boolean {
    const { primitives } = this.vl1.config;
    if (world.type === WorldType.PLANET) {
      if (world.id !== this.#planet.id || !replaces(this.#planet, world, primitives)) return false;
      this.#planet = world;
    } else {
      const current = this.#moons.get(world.id);
      const acceptable = current
        ? replaces(current, world, primitives)
        : this.#isWanted(world, from);
      if (!acceptable) return false;
      this.#moons.set(world.id, world);
      this.#wanted.delete(world.id);
    }
    this.#persist(world);
    this.install();
    return true;
  }

  #isWanted(moon: World, from: Address): boolean {
    const wanted = this.#wanted.get(moon.id);
    if (!wanted || (from !== wanted.seed && !this.isUpstream(from))) return false;
    return moon.roots.some((root) => root.identity.address === wanted.seed) &&
      this.#moons.size < MOONS_MAX;
  }

  #persist(world: World): void {
    const w = new Writer();
    encodeWorld(world, w);
    const bytes = w.finish();
    const record = world.type === WorldType.PLANET
      ? { what: "planet" as const, bytes }
      : { what: "moon" as const, world: world.id, bytes };
    this.vl1.outbox.push({ kind: "persist", record });
  }

  /** What a HELLO lists: moons held with their times, moons wanted with time 0. */
  announced(): WorldStamp[] {
    return [
      ...this.moons.map((moon) => ({ id: moon.id, timestampMs: Number(moon.timestamp) })),
      ...this.wanted.map((moon) => ({ id: moon.world, timestampMs: 0 })),
    ];
  }

  /** Worlds newer than those a HELLO told of: what our OK(HELLO) carries. */
  newerThan(planet: WorldStamp, moons: readonly WorldStamp[]): World[] {
    const newer: World[] = [];
    const ours = this.#planet;
    const samePlanet = planet.id !== 0n && planet.id === ours.id;
    if (samePlanet && planet.timestampMs < Number(ours.timestamp)) newer.push(ours);
    for (const { id, timestampMs } of moons) {
      const moon = this.#moons.get(id);
      if (moon && timestampMs < Number(moon.timestamp)) newer.push(moon);
    }
    return newer;
  }
}
