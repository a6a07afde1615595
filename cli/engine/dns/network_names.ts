/**
 * The servers of names of the networks joined: one each, where the controller hands out names, the user did not switch
 * them off, and nobody else has port 53 of the address.
 * @module
 */
import { messageOf } from "../../../lib/base/errors.ts";
import {
  type Address,
  controllerOf,
  formatNetworkId,
  type NetworkId,
} from "../../../lib/base/ids.ts";
import { contains, formatIp, type Ip, type Prefix } from "../../../lib/base/ip.ts";
import type { NameList } from "../../../lib/credential/member_names.ts";
import type { Log } from "../log.ts";
import type { LinkResolver } from "./network_dns.ts";
import { NameServer, type NameServerOptions } from "./name_server.ts";
import { reverseDomains } from "./reverse.ts";
import { Zone } from "./zone.ts";

/** What it is made with. */
export interface NetworkNamesOptions {
  /** This node. */
  readonly self: Address;
  /** Whether the user wants names. */
  readonly isWanted: () => boolean;
  /** The server of a network is up, or what others ask of it is another. */
  readonly onChange: (id: NetworkId) => void;
  readonly log: Log;
  /** {@linkcode NameServer.open}, but in tests. */
  readonly open?: (options: NameServerOptions) => Promise<NameServer>;
}

/** A network as it stands. */
export interface NamedNetwork {
  /** As the controller calls it. */
  readonly name: string;
  readonly names: NameList | undefined;
  /** What is on its device. */
  readonly addresses: readonly Prefix[];
}

/** The names of a network as people look at them. */
export interface NamesStatus {
  /** What its names end in, the preferred one first; none without names. */
  readonly domains: readonly string[];
  /** Where they are answered; undefined: nowhere. */
  readonly server: Ip | undefined;
  /** Why nowhere; undefined when they are, or are about to be. */
  readonly trouble: string | undefined;
  readonly names: NameList | undefined;
}

interface Entry {
  given: NamedNetwork;
  zone: Zone | undefined;
  /** Where the server is, or is about to be. */
  ip: Ip | undefined;
  server: NameServer | undefined;
  /** Counts the servers opened: the one before the last comes too late. */
  attempt: number;
  isOpening: boolean;
  trouble: string | undefined;
}

export class NetworkNames {
  readonly #options: NetworkNamesOptions;
  readonly #entries = new Map<NetworkId, Entry>();

  constructor(options: NetworkNamesOptions) {
    this.#options = options;
  }

  /** What a network is now. @returns whom the machine should ask for its names; undefined: nobody */
  set(id: NetworkId, given: NamedNetwork): LinkResolver | undefined {
    const entry = this.#entries.get(id) ?? newEntry(given);
    this.#entries.set(id, entry);
    const before = entry.zone?.domains[0];
    this.#update(id, entry, given);
    const after = entry.zone?.domains[0];
    if (before !== after) {
      this.#tell([...this.#namesakes(id, before), ...this.#namesakes(id, after)]);
    }
    return this.#resolverOf(id, entry);
  }

  #update(id: NetworkId, entry: Entry, given: NamedNetwork): void {
    const { self, isWanted } = this.#options;
    const { names, name, addresses } = given;
    entry.given = given;
    entry.zone = names?.members && isWanted()
      ? new Zone({ network: id, name, self, names, prefixes: addresses })
      : undefined;
    // One server will do: whoever asks for IPv6 addresses can do so over IPv4, too.
    const at = addresses.find(({ ip }) => ip.length === 4) ?? addresses[0];
    this.#serve(id, entry, entry.zone && at?.ip);
  }

  #serve(id: NetworkId, entry: Entry, ip: Ip | undefined): void {
    const isSame = ip && entry.ip && formatIp(ip) === formatIp(entry.ip);
    if (isSame && (entry.isOpening || entry.server?.isBroken === false)) return;
    entry.server?.close();
    entry.server = undefined;
    entry.ip = ip;
    entry.attempt++;
    entry.isOpening = ip !== undefined;
    if (ip) this.#open(id, entry, ip);
    else entry.trouble = undefined;
  }

  async #open(id: NetworkId, entry: Entry, ip: Ip): Promise<void> {
    const { open = NameServer.open, log, onChange } = this.#options;
    const { attempt } = entry;
    const isCurrent = () => this.#entries.get(id) === entry && entry.attempt === attempt;
    try {
      const server = await open({
        ip,
        answer: (query) => entry.zone?.answer(query),
        isHeard: (from) => entry.given.addresses.some((prefix) => isNear(prefix, from)),
        upstream: () => this.#upstreamOf(id, entry.given.names),
      });
      if (!isCurrent()) return server.close();
      entry.server = server;
      entry.isOpening = false;
      entry.trouble = undefined;
      log(`names of ${entry.zone?.domains[0]} are answered at ${formatIp(ip)}`);
      onChange(id);
    } catch (error) {
      if (!isCurrent()) return;
      const trouble = `port 53 of ${formatIp(ip)} ${reasonOf(error)}`;
      if (entry.trouble !== trouble) {
        log(`names of ${formatNetworkId(id)} are not answered: ${trouble}`, "warn");
      }
      entry.trouble = trouble;
      entry.isOpening = false; // tried again whenever the network is looked at
    }
  }

  /** The controller's address, when it has to be asked. */
  #upstreamOf(id: NetworkId, names: NameList | undefined): Ip | undefined {
    const controller = controllerOf(id);
    if (!names?.onDemand || controller === this.#options.self) return undefined;
    const ips = names.members?.find(({ address }) => address === controller)?.ips ?? [];
    return ips.find((ip) => ip.length === 4) ?? ips[0];
  }

  #resolverOf(id: NetworkId, { server, ip, zone, given }: Entry): LinkResolver | undefined {
    if (!server || !ip || !zone) return undefined;
    const domains = [...this.#domainsOf(id, zone), ...given.addresses.flatMap(reverseDomains)];
    return {
      servers: [ip],
      domains: [...new Set(domains)].map((name) => ({ name, isSearched: false })),
    };
  }

  /** Without the name it shares with another network: a controller must not take another's names over. */
  #domainsOf(id: NetworkId, { domains }: Zone): readonly string[] {
    return this.#namesakes(id, domains[0]).length > 0 ? domains.slice(-1) : domains;
  }

  /** Other networks that are called like this. */
  #namesakes(id: NetworkId, domain: string | undefined): NetworkId[] {
    return [...this.#entries].filter(([other, { zone }]) =>
      other !== id && zone !== undefined && zone.domains[0] === domain
    ).map(([other]) => other);
  }

  #tell(networks: readonly NetworkId[]): void {
    for (const id of new Set(networks)) this.#options.onChange(id);
  }

  /** @returns undefined when the network has no port */
  status(id: NetworkId): NamesStatus | undefined {
    const entry = this.#entries.get(id);
    if (!entry) return undefined;
    const { names } = entry.given;
    return {
      domains: entry.zone ? this.#domainsOf(id, entry.zone) : [],
      server: entry.server && entry.ip,
      trouble: this.#options.isWanted() ? entry.trouble : 'switched off: "names" in local.conf',
      names,
    };
  }

  /** A network's device goes away. */
  remove(id: NetworkId): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.#entries.delete(id);
    entry.server?.close();
    this.#tell(this.#namesakes(id, entry.zone?.domains[0]));
  }

  close(): void {
    for (const { server } of this.#entries.values()) server?.close();
    this.#entries.clear();
  }
}

function reasonOf(error: unknown): string {
  const message = messageOf(error);
  const isTaken = error instanceof Deno.errors.AddrInUse || message.includes("EADDRINUSE");
  return isTaken ? "is another program's" : `cannot be had: ${message}`;
}

function newEntry(given: NamedNetwork): Entry {
  return {
    given,
    zone: undefined,
    ip: undefined,
    server: undefined,
    attempt: 0,
    isOpening: false,
    trouble: undefined,
  };
}

/** Whether somebody is in our part of the network; with a prefix that takes in everything only we ourselves are. */
function isNear({ ip, bits }: Prefix, from: Ip): boolean {
  return contains({ ip, bits: bits === 0 ? ip.length * 8 : bits }, from);
}
