/**
 * What most scenarios begin with: roots, a controller, a network and its members; and pings that measure outages.
 * @module
 */
import type { NetworkId } from "../../lib/base/ids.ts";
import type { SimHost } from "./host.ts";
import type { Ping } from "./stack.ts";
import type { NodeOptions, World } from "./world.ts";

export interface Lab {
  readonly controller: SimHost;
  readonly network: NetworkId;
  readonly nodes: SimHost[];
}

/** Starts a network and joins one node a list entry to it. */
export function lab(
  world: World,
  nodes: readonly NodeOptions[],
  { roots = 1, isPrivate = true }: { roots?: number; isPrivate?: boolean } = {},
): Lab {
  for (let i = 0; i < roots; i++) world.addRoot();
  const controller = world.addController();
  world.run(500);
  const network = world.addNetwork(controller, { private: isPrivate });
  const members = nodes.map((options) => world.addNode(options));
  world.run(500);
  for (const member of members) member.join(network);
  world.run(500);
  if (isPrivate) { for (const member of members) world.authorize(controller, network, member); }
  world.runUntil(() => members.every((member) => member.isOn(network)), {
    withinMs: 10_000,
    what: "every member has its configuration",
  });
  return { controller, network, nodes: members };
}

const PING_EVERY_MS = 1_000; // as ping(8) does

/** Pings both ways, once a second, until both have an answer. @returns how long that took */
export function connect(world: World, a: SimHost, b: SimHost, withinMs = 10_000): number {
  const startMs = world.nowMs;
  const pingers = [
    new Pinger(world, a, b, PING_EVERY_MS),
    new Pinger(world, b, a, PING_EVERY_MS),
  ];
  const isAnswered = ({ pings }: Pinger) => pings.some((ping) => ping.receivedMs !== undefined);
  try {
    return world.runUntil(() => pingers.every(isAnswered), {
      withinMs: withinMs - (world.nowMs - startMs),
      what: `${a.name} and ${b.name} answer each other's pings`,
    });
  } finally {
    for (const pinger of pingers) pinger.stop();
  }
}

/** Whether a ping sent now is answered in time. */
export function reaches(world: World, a: SimHost, b: SimHost, withinMs = 1_000): boolean {
  const ping = a.ping(b);
  const endMs = world.nowMs + withinMs;
  while (world.nowMs < endMs && ping.receivedMs === undefined) world.run(10);
  return ping.receivedMs !== undefined;
}

/** Waits until both ends send directly. */
export function goDirect(world: World, a: SimHost, b: SimHost, withinMs = 10_000): number {
  return world.runUntil(() => a.isDirectTo(b) && b.isDirectTo(a), {
    withinMs,
    what: `${a.name} and ${b.name} go direct`,
  });
}

/** Pings at a steady rate, as a user would who wants to know how long he is cut off. */
export class Pinger {
  readonly pings: Ping[] = [];
  #running = true;

  constructor(
    readonly world: World,
    readonly from: SimHost,
    readonly to: SimHost,
    readonly everyMs = 100,
    readonly lengthBytes = 64,
  ) {
    this.#tick();
  }

  #tick(): void {
    if (!this.#running) return;
    if (this.from.isUp && !this.from.isAsleep) {
      this.pings.push(this.from.ping(this.to, { lengthBytes: this.lengthBytes }));
    }
    this.world.after(this.everyMs, () => this.#tick());
  }

  stop(): void {
    this.#running = false;
  }

  /** Share of the pings sent since then, and long enough ago, that were never answered. */
  lossFraction(sinceMs: number): number {
    const due = this.pings.filter((ping) =>
      ping.sentMs >= sinceMs && ping.sentMs < this.world.nowMs - 1_000
    );
    return due.filter((ping) => ping.receivedMs === undefined).length / due.length;
  }

  /** Longest time without an answer since then, until now. */
  gapMs(sinceMs: number): number {
    const answers = this.pings
      .filter((ping) => ping.receivedMs !== undefined && ping.receivedMs >= sinceMs)
      .map((ping) => ping.receivedMs!)
      .sort((a, b) => a - b);
    let last = sinceMs;
    let gap = 0;
    for (const atMs of [...answers, this.world.nowMs]) {
      gap = Math.max(gap, atMs - last);
      last = atMs;
    }
    return gap;
  }
}
