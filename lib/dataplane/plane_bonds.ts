/**
 * Sessions whose frames go by several paths. Control says by which and how; here only the choice is
 * made, frame by frame. A super-frame goes by one path as a whole: it is of one flow.
 *
 * Each path of such a session has a route number of its own, above those of plain routes, which are
 * session slots; runs of datagrams carry route numbers.
 *
 * Source: spec 03 section 24.4.
 * @module
 */
import { RUN_BYTES } from "../kernel/data_kernel.ts";
import { FLOW_GROUPS, groupOf, NO_FLOW } from "../peer/bond_flows.ts";
import { BOND_LINKS_MAX } from "../peer/bond.ts";
import { BondMode } from "../peer/bond_policy.ts";
import { RUNS_AT, SESSIONS_MAX } from "./arena.ts";
import { pathTag } from "./path_tag.ts";
import type { BondRoutes, Route } from "./table_records.ts";

const RUN_TAG = 12; // offset within a run
/** A flow that rested for so long may be taken up by another path; reference ZT_MULTIPATH_FLOW_EXPIRATION_INTERVAL. */
const FLOW_REST_MS = 243_000;

/** One session's. */
export class PlaneBond {
  readonly mode: BondMode;
  readonly routes: readonly Route[];
  /** The least of its paths' MTUs: what is broadcast must fit them all. */
  readonly mtu: number;
  readonly #packetsPerLink: number;
  readonly #groups: Uint8Array;
  readonly #tags: Int32Array; // of the paths, see `path_tag.ts`
  readonly #ticks = new Int32Array(FLOW_GROUPS); // of the last frame of each group, either way; 0 for never
  #turn = 0;
  #turnLeft: number;

  /** @param firstTag Route number of the first path; the others follow */
  constructor(bond: BondRoutes, readonly firstTag: number) {
    this.mode = bond.mode;
    this.routes = bond.routes;
    this.mtu = Math.min(...bond.routes.map(({ mtu }) => mtu));
    this.#packetsPerLink = bond.packetsPerLink;
    this.#turnLeft = bond.packetsPerLink;
    this.#groups = bond.groups.slice();
    this.#tags = Int32Array.from(
      bond.routes,
      ({ socket, ip, port }) => pathTag(socket, ip, 0, ip.length, port),
    );
  }

  get broadcasts(): boolean {
    return this.mode === BondMode.BROADCAST;
  }

  /** Whether the flow of a frame matters. */
  get isByFlow(): boolean {
    return this.mode === BondMode.BALANCE_XOR || this.mode === BondMode.BALANCE_AWARE;
  }

  /**
   * A frame came from the peer: a flow it begins stays on the path it chose, so that both directions take the same.
   * @param flow Or {@linkcode NO_FLOW}
   * @param tag Of the path
   */
  heard(flow: number, tag: number, tick: number): void {
    if (flow === NO_FLOW) return;
    const group = groupOf(flow);
    if (this.#rested(group, tick)) {
      const path = this.#tags.indexOf(tag);
      if (path >= 0) this.#groups[group] = path;
    }
    this.#ticks[group] = tick;
  }

  #rested(group: number, tick: number): boolean {
    const lastTick = this.#ticks[group];
    return lastTick === 0 || (tick - lastTick) >>> 0 > FLOW_REST_MS;
  }

  /** The path of the next frame, by its index. @param flow Or {@linkcode NO_FLOW} */
  choose(flow: number, tick: number): number {
    if (this.broadcasts) return 0;
    if (flow !== NO_FLOW) {
      const group = groupOf(flow);
      this.#ticks[group] = tick;
      return this.#groups[group];
    }
    if (this.mode === BondMode.BALANCE_RR && this.#turnLeft > 0) return this.#turn;
    this.#turn = (this.#turn + 1) % this.routes.length;
    this.#turnLeft = this.#packetsPerLink;
    return this.#turn;
  }

  /** @param packets That the last frame chosen for came to */
  sent(packets: number): void {
    this.#turnLeft -= packets;
  }
}

export class PlaneBonds {
  /** Each has the route numbers from `SESSIONS_MAX + index * BOND_LINKS_MAX`. */
  readonly #bonds: (PlaneBond | undefined)[] = [];
  readonly #view: DataView;

  /** @param memory The arena */
  constructor(memory: ArrayBufferLike) {
    this.#view = new DataView(memory);
  }

  add(routes: BondRoutes): PlaneBond {
    const free = this.#bonds.indexOf(undefined);
    const index = free >= 0 ? free : this.#bonds.length;
    return this.#bonds[index] = new PlaneBond(routes, SESSIONS_MAX + index * BOND_LINKS_MAX);
  }

  remove(bond: PlaneBond): void {
    this.#bonds[this.#bonds.indexOf(bond)] = undefined;
  }

  #bondOf(tag: number): PlaneBond | undefined {
    return tag < SESSIONS_MAX
      ? undefined
      : this.#bonds[Math.floor((tag - SESSIONS_MAX) / BOND_LINKS_MAX)];
  }

  /** The route of a number that is not a session's. */
  route(tag: number): Route | undefined {
    return this.#bondOf(tag)?.routes[(tag - SESSIONS_MAX) % BOND_LINKS_MAX];
  }

  /**
   * Turns the runs that were just sent into those to send by the next path of bonds that broadcast; others fall out.
   * @param count Runs at {@linkcode RUNS_AT}
   * @param link Index of that path
   * @returns how many are left
   */
  copies(count: number, link: number): number {
    const view = this.#view;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const from = RUNS_AT + i * RUN_BYTES;
      const bond = this.#bondOf(view.getUint32(from + RUN_TAG, true));
      if (!bond?.broadcasts || link >= bond.routes.length) continue;
      const to = RUNS_AT + kept++ * RUN_BYTES;
      for (let at = 0; at < RUN_TAG; at += 4) {
        view.setUint32(to + at, view.getUint32(from + at, true), true);
      }
      view.setUint32(to + RUN_TAG, bond.firstTag + link, true);
    }
    return kept;
  }
}
