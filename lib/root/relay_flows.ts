/**
 * Which flows the data plane relays by itself. A flow goes there once this node has passed on a few
 * datagrams of it, so that one that speaks once costs no table; it comes back when it falls silent,
 * when either end is gone, or when the way on is not one for the data plane.
 *
 * Introductions and liveness follow from the data plane's reports as they do from datagrams passed on here.
 *
 * Source: spec 02 section 8, spec 03 section 14.
 * @module
 */
import type { Address } from "../base/ids.ts";
import { RELAYS_MAX } from "../dataplane/relays.ts";
import { SLOT_REST_MS, Slots } from "../dataplane/slots.ts";
import { routeBy, type TableRecord } from "../dataplane/table_records.ts";
import type { Vl1 } from "../node/vl1.ts";
import type { Path } from "../peer/path.ts";
import type { Peer, PeerPath } from "../peer/peer.ts";

const NOTICED_COUNT = 8; // datagrams within a second that make a flow worth a place in the tables
const NOTICED_MS = 1_000;
const NOTICED_MAX = 4_096; // flows counted at a time: bounds memory against many that never come to eight
const IPV6_SITE_BYTES = 8; // one site's /64 shares a budget, or a single host would have any number of them
/** Flows of one site: whoever sends a datagram in ten seconds to each of thousands leaves the others places. */
const FLOWS_PER_SITE_MAX = RELAYS_MAX / 4;
const IDLE_MS = 10_000; // without a report for this long a flow is taken back

/** Where a datagram goes next: the receiver itself, or a root that may reach it. */
export interface NextHop {
  readonly peer: Peer;
  readonly via: PeerPath;
}

/** Names the budget of what comes by a path. */
export function relayBudgetKey({ endpoint: { ip } }: Path): string {
  return (ip.length === 4 ? ip : ip.subarray(0, IPV6_SITE_BYTES)).join(".");
}

interface Flow {
  readonly key: string;
  readonly slot: number;
  readonly path: Path;
  readonly source: Address;
  readonly destination: Address;
  readonly budget: string;
  /** What was published. */
  route: string;
  lastUsedMs: number;
}

/** What the data plane did for one flow since its last word. */
export interface RelayReport {
  readonly flow: number;
  readonly packets: number;
  readonly bytes: number;
}

export class RelayFlows {
  /** Flows are to be compared now and then from now on; set by who does. */
  onAdded: () => void = () => {};
  readonly #flows = new Map<string, Flow>();
  readonly #bySlot: (Flow | undefined)[] = [];
  readonly #byDestination = new Map<Address, Set<Flow>>();
  /** By physical source: number of its budget and flows that share it. */
  readonly #budgets = new Map<string, { slot: number; flows: number }>();
  readonly #slots = new Slots(RELAYS_MAX, SLOT_REST_MS);
  readonly #budgetSlots = new Slots(RELAYS_MAX); // no more than flows
  readonly #noticed = new Map<string, number>();
  #noticedMs = -Infinity;

  /** @param nextHop Where a datagram from one to another goes; undefined when it cannot be passed on */
  constructor(
    readonly vl1: Vl1,
    readonly nextHop: (destination: Address, source: Address) => NextHop | undefined,
  ) {}

  get size(): number {
    return this.#flows.size;
  }

  /** A datagram whose sender is known was passed on here. */
  forwarded(path: Path, source: Address, destination: Address, next: NextHop): void {
    // The data plane knows sockets only; fragments name no sender, so only a proved path may bring them.
    if (path.isTunnel || next.via.path.isTunnel || !path.isProved) return;
    const key = `${path.key}|${destination}`;
    if (this.#flows.has(key) || !this.#isWorthIt(key)) return;
    const { nowMs } = this.vl1;
    const site = relayBudgetKey(path);
    if ((this.#budgets.get(site)?.flows ?? 0) >= FLOWS_PER_SITE_MAX) return;
    const slot = this.#slots.take(nowMs);
    if (slot === undefined) return;
    const flow: Flow = {
      key,
      slot,
      path,
      source,
      destination,
      budget: site,
      route: "",
      lastUsedMs: nowMs,
    };
    const budget = this.#budgets.get(site) ??
      { slot: this.#budgetSlots.take(nowMs)!, flows: 0 };
    budget.flows++;
    this.#budgets.set(site, budget);
    this.#flows.set(key, flow);
    this.#bySlot[slot] = flow;
    const others = this.#byDestination.get(destination);
    if (others) others.add(flow);
    else this.#byDestination.set(destination, new Set([flow]));
    this.#publish(flow, next);
    this.onAdded();
  }

  #isWorthIt(key: string): boolean {
    const { nowMs } = this.vl1;
    if (nowMs - this.#noticedMs >= NOTICED_MS || this.#noticed.size >= NOTICED_MAX) {
      this.#noticed.clear();
      this.#noticedMs = nowMs;
    }
    const count = (this.#noticed.get(key) ?? 0) + 1;
    this.#noticed.set(key, count);
    return count >= NOTICED_COUNT;
  }

  #publish(flow: Flow, { via: { path } }: NextHop): void {
    const route = path.key;
    if (route === flow.route) return;
    flow.route = route;
    const { slot, source, destination } = flow;
    const { ip, port } = flow.path.endpoint;
    this.#tell({
      kind: "relay",
      flow: {
        slot,
        source,
        destination,
        from: { socket: flow.path.socket, ip, port },
        route: routeBy(path),
        budget: this.#budgets.get(flow.budget)!.slot,
        bytesPerSecond: this.vl1.settings.relayBytesPerSecond,
      },
    });
  }

  #drop(flow: Flow): void {
    this.#flows.delete(flow.key);
    this.#bySlot[flow.slot] = undefined;
    const others = this.#byDestination.get(flow.destination)!;
    others.delete(flow);
    if (others.size === 0) this.#byDestination.delete(flow.destination);
    this.#slots.give(flow.slot, this.vl1.nowMs);
    const budget = this.#budgets.get(flow.budget)!;
    if (--budget.flows === 0) {
      this.#budgets.delete(flow.budget);
      this.#budgetSlots.give(budget.slot, this.vl1.nowMs);
    }
    this.#tell({ kind: "no-relay", slot: flow.slot });
  }

  /** @returns the flow's ends and its way, for what follows from passing on; undefined when it is gone */
  reported(
    { flow: slot }: RelayReport,
  ): { source: Peer; destination: Address; next: NextHop } | undefined {
    const flow = this.#bySlot[slot];
    if (!flow) return undefined;
    flow.lastUsedMs = this.vl1.nowMs;
    const next = this.#update(flow);
    const source = this.vl1.peers.get(flow.source);
    return next && source && { source, destination: flow.destination, next };
  }

  /** Compares what is published with what should be. */
  compare(): void {
    for (const flow of this.#flows.values()) this.#compareFlow(flow);
  }

  /** The same for the flows to one address. */
  compareTo(destination: Address): void {
    for (const flow of this.#byDestination.get(destination) ?? []) this.#compareFlow(flow);
  }

  /** Whether there are any to this address. */
  leadTo(destination: Address): boolean {
    return this.#byDestination.has(destination);
  }

  #compareFlow(flow: Flow): void {
    if (this.vl1.nowMs - flow.lastUsedMs >= IDLE_MS) this.#drop(flow);
    else this.#update(flow);
  }

  #update(flow: Flow): NextHop | undefined {
    const { vl1 } = this;
    const mayRelay = vl1.upstreams.amUpstream && flow.path.isProved && vl1.peers.has(flow.source);
    const next = mayRelay ? this.nextHop(flow.destination, flow.source) : undefined;
    if (!next || next.via.path.isTunnel) {
      this.#drop(flow);
      return undefined;
    }
    this.#publish(flow, next);
    return next;
  }

  /** The data plane lost its tables: tell it everything again. */
  republish(): void {
    for (const flow of this.#flows.values()) {
      flow.route = "";
      this.#update(flow);
    }
  }

  #tell(record: TableRecord): void {
    this.vl1.outbox.push({ kind: "publish", record });
  }
}
