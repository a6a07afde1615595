/**
 * Keeps ports mapped at the gateways around us: picks the protocol, prolongs what was granted,
 * tries again when refused, gives everything back at the end.
 *
 * Source: spec 03 section 23. Differences from the reference: PCP comes first, IPv6 firewalls are
 * opened too, a change of the network is noticed at once, and mappings are removed at an orderly
 * stop.
 * @module
 */
import { SystemError } from "../../../lib/base/errors.ts";
import { type Endpoint, formatEndpoint, formatIp, Scope, scopeOf } from "../../../lib/base/ip.ts";
import type { Mapping, MappingClient, MappingProtocol, MappingWish } from "./mapping.ts";
import { pause, type Wire } from "./wire.ts";

const REFRESH_MAX_MS = 300_000; // a router that restarted is noticed after this; reference 300 s
const REFRESH_MIN_MS = 30_000; // however short a lifetime a gateway grants: bounds what it makes us send
const RETRY_FIRST_MS = 10_000; // after a failure, doubling...
const RETRY_MAX_MS = 600_000; // ...up to this: most failures are routers that will never map
const KICK_EVERY_MS = 10_000; // changes of the network come in bursts: bounds what they make us send
const CLOSE_PATIENCE_MS = 800; // an orderly stop waits so long for gateways to take mappings back

/** How one protocol fared with one gateway. */
export type MappingTrial = {
  protocol: MappingProtocol;
  result: "mapped" | "refused" | "silent";
  /** The gateway's words, when it refused. */
  reason?: string;
};

/** One port and its mapping, as shown to users. */
export type MappingStatus = {
  gateway: string;
  /** "ip/port" of ours. */
  internal: string;
  /** "ip/port" the world sees; null while there is none. */
  external: string | null;
  protocol: MappingProtocol | null;
  /** The first attempt is still under way. */
  pending: boolean;
  trials: MappingTrial[];
  /** Milliseconds until the next attempt. */
  nextTryMs: number;
};

/** What a mapper is made with. */
export interface MapperOptions {
  /** @throws {SystemError} when the address is gone */
  readonly openWire: (wish: MappingWish) => Wire;
  /** Clients for a wish, in the order to try them. */
  readonly clients: (wish: MappingWish) => MappingClient[];
  readonly nowMs: () => number;
  /** Told whenever {@linkcode PortMapper.endpoints} changes. */
  readonly onChanged: (endpoints: Endpoint[]) => void;
  readonly log: (line: string) => void;
}

/** Every mapping of this machine. */
export class PortMapper {
  readonly #options: MapperOptions;
  readonly #keepers = new Map<string, Keeper>();
  readonly #ending = new Set<Promise<void>>();
  #told = "";

  constructor(options: MapperOptions) {
    this.#options = options;
  }

  /** Says what is wished from now on: keeps what stays, begins what is new, gives back what is not wished any more. */
  update(wishes: readonly MappingWish[]): void {
    const wanted = new Map(wishes.map((wish) => [keyOf(wish), wish]));
    for (const [key, keeper] of this.#keepers) {
      if (!wanted.has(key)) this.#end(key, keeper);
    }
    for (const [key, wish] of wanted) {
      if (this.#keepers.has(key)) continue;
      const keeper = new Keeper(wish, this.#options, () => this.#tell());
      this.#keepers.set(key, keeper);
      keeper.start();
    }
    this.#tell();
  }

  #end(key: string, keeper: Keeper): void {
    this.#keepers.delete(key);
    const ending = keeper.end();
    this.#ending.add(ending);
    ending.finally(() => this.#ending.delete(ending));
  }

  /** Asks every gateway again soon: the network changed, or the world sees us elsewhere. */
  kick(): void {
    for (const keeper of this.#keepers.values()) keeper.kick();
  }

  /** Where the world reaches us through mappings. */
  get endpoints(): Endpoint[] {
    return [...this.#keepers.values()].flatMap(({ mapping }) => mapping?.external ?? []);
  }

  /** Every wish and how it stands. */
  get status(): MappingStatus[] {
    return [...this.#keepers.values()].map((keeper) => keeper.status);
  }

  #tell(): void {
    const { endpoints } = this;
    const key = endpoints.map(formatEndpoint).sort().join(" ");
    if (key === this.#told) return;
    this.#told = key;
    this.#options.onChanged(endpoints);
  }

  /** Gives everything back, as far as gateways answer soon. */
  async close(): Promise<void> {
    this.update([]);
    const patience = new AbortController();
    await Promise.race([
      Promise.allSettled([...this.#ending]),
      pause(CLOSE_PATIENCE_MS, patience.signal),
    ]);
    patience.abort();
  }
}

function keyOf({ gateway, local, device, internalPort }: MappingWish): string {
  return `${device} ${formatIp(gateway)} ${formatEndpoint({ ip: local, port: internalPort })}`;
}

/** Keeps one port mapped. */
class Keeper {
  mapping: Mapping | undefined;
  readonly #clients: MappingClient[];
  readonly #stop = new AbortController();
  #kicked = new AbortController();
  #current: MappingClient | undefined;
  /** Asked and not answered yet: it may have granted something all the same. */
  #asking: MappingClient | undefined;
  #trials: MappingTrial[] = [];
  #pending = true;
  #failures = 0;
  #nextTryAtMs: number;
  #lastTryAtMs = -Infinity;
  #expiresAtMs = Infinity;
  #running: Promise<void> = Promise.resolve();

  constructor(
    readonly wish: MappingWish,
    readonly options: MapperOptions,
    readonly onChanged: () => void,
  ) {
    this.#clients = options.clients(wish);
    this.#nextTryAtMs = options.nowMs();
  }

  get status(): MappingStatus {
    const { gateway, local, internalPort } = this.wish;
    return {
      gateway: formatIp(gateway),
      internal: formatEndpoint({ ip: local, port: internalPort }),
      external: this.mapping ? formatEndpoint(this.mapping.external) : null,
      protocol: this.mapping && this.#current ? this.#current.protocol : null,
      pending: this.#pending,
      trials: this.#trials,
      nextTryMs: Math.max(0, Math.round(this.#nextTryAtMs - this.options.nowMs())),
    };
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Tries again soon, however long the wait was to be. */
  kick(): void {
    this.#failures = 0;
    this.#kicked.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#attempt();
      if (signal.aborted) return;
      await this.#rest();
    }
  }

  /** Waits until it is time again, or something changed; mappings end when their time is over. */
  async #rest(): Promise<void> {
    const { nowMs } = this.options;
    await pause(this.#nextTryAtMs - nowMs(), this.#wake);
    // Kicks make it sooner, but not as often as they come.
    await pause(this.#lastTryAtMs + KICK_EVERY_MS - nowMs(), this.#stop.signal);
    this.#kicked = new AbortController();
  }

  get #wake(): AbortSignal {
    return AbortSignal.any([this.#stop.signal, this.#kicked.signal]);
  }

  async #attempt(): Promise<void> {
    const { nowMs } = this.options;
    const { signal } = this.#stop;
    this.#lastTryAtMs = nowMs();
    const trials: MappingTrial[] = [];
    let mapping: Mapping | undefined;
    try {
      const wire = this.options.openWire(this.wish);
      try {
        mapping = await this.#askAll(wire, signal, trials);
      } finally {
        wire.close();
      }
    } catch (error) {
      // The address went away: whoever wishes will soon say so.
      if (!(error instanceof SystemError)) throw error;
    }
    if (signal.aborted) return;
    this.#pending = false;
    this.#trials = trials;
    this.#take(mapping);
  }

  /** The protocol that worked comes first; when it does not any more, the others have their turn. */
  async #askAll(
    wire: Wire,
    signal: AbortSignal,
    trials: MappingTrial[],
  ): Promise<Mapping | undefined> {
    const current = this.#current;
    const others = this.#clients.filter((client) => client !== current);
    for (const client of current ? [current, ...others] : others) {
      this.#asking = client;
      const outcome = await client.map(wire, signal);
      if (signal.aborted) return undefined;
      this.#asking = undefined;
      const usable = outcome.kind === "mapped" && isUsable(outcome.mapping.external);
      if (outcome.kind === "mapped" && usable) {
        trials.push({ protocol: client.protocol, result: "mapped" });
        this.#current = client;
        return outcome.mapping;
      }
      const reason = outcome.kind === "refused"
        ? outcome.reason
        : "the address it gave is not one others could reach";
      trials.push(
        outcome.kind === "silent"
          ? { protocol: client.protocol, result: "silent" }
          : { protocol: client.protocol, result: "refused", reason },
      );
    }
    return undefined;
  }

  #take(mapping: Mapping | undefined): void {
    const { nowMs, log } = this.options;
    const before = this.mapping;
    if (mapping) {
      this.#failures = 0;
      const halfMs = mapping.lifetimeS * 500;
      this.#nextTryAtMs = nowMs() +
        Math.min(Math.max(halfMs, REFRESH_MIN_MS), REFRESH_MAX_MS);
      this.#expiresAtMs = nowMs() + mapping.lifetimeS * 1_000;
      this.mapping = mapping;
    } else {
      this.#nextTryAtMs = nowMs() + Math.min(RETRY_FIRST_MS * 2 ** this.#failures, RETRY_MAX_MS);
      this.#failures = Math.min(this.#failures + 1, 16);
      // What was granted holds until its time is over, even if prolonging failed once.
      const holds = before !== undefined && Number.isFinite(before.lifetimeS) &&
        nowMs() < this.#expiresAtMs && this.#failures === 1;
      if (!holds) this.mapping = this.#current = undefined;
    }
    const [was, is] = [before, this.mapping].map((one) => one && formatEndpoint(one.external));
    if (was === is) return;
    const { internal, protocol } = this.status;
    log(
      is ? `${internal} is mapped to ${is} by ${protocol}` : `${internal} is not mapped any more`,
    );
    this.onChanged();
  }

  /** Ends, and gives the mapping back. */
  async end(): Promise<void> {
    this.#stop.abort();
    const granted = this.mapping && this.#current;
    this.mapping = undefined;
    await this.#running;
    const client = this.#asking ?? granted;
    if (!client) return;
    try {
      const wire = this.options.openWire(this.wish);
      try {
        await client.unmap(wire);
      } finally {
        wire.close();
      }
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
  }
}

/** Whether others can be told: a lying or confused gateway may name anything. */
function isUsable({ ip, port }: Endpoint): boolean {
  const scope = scopeOf(ip);
  const reachable = scope === Scope.GLOBAL || scope === Scope.PSEUDOPRIVATE ||
    scope === Scope.PRIVATE || scope === Scope.SHARED;
  return port !== 0 && reachable;
}
