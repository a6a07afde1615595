/**
 * What a node keeps in its home folder: planet, moons, network configurations, the cache of peers.
 * Torn and foreign files are set aside with a word in the log, never overwritten, and the service
 * goes on without them.
 *
 * Source: spec 01 sections 9.4 and 11, spec 03 section 25.
 * @module
 */
import { Reader } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import {
  type Address,
  formatAddress,
  formatNetworkId,
  type NetworkId,
  parseAddress,
} from "../../lib/base/ids.ts";
import type { Primitives } from "../../lib/crypto/primitives.ts";
import { defaultPlanet } from "../../lib/identity/default_planet.ts";
import { decodeWorld, replaces, type World, WorldType } from "../../lib/identity/world.ts";
import type { Persistent } from "../../lib/node/machine.ts";
import { type CachedPeer, decodeCachedPeer } from "../../lib/node/peer_cache.ts";
import { decodeNetworkConfig } from "../../lib/credential/network_config.ts";
import { type Home, HomeError } from "./home.ts";
import {
  DEFAULT_NETWORK_SETTINGS,
  joinedNetworks,
  type LocalNetworkSettings,
  networkFile,
  readLocalNetwork,
  removeNetwork,
  writeNetworkConfig,
} from "./home_files.ts";
import { formatWorldId, readPlanet } from "./planet_files.ts";

const PEERS = "peers.d/";

export class NodeHome {
  readonly #local = new Map<NetworkId, LocalNetworkSettings>(); // as last read; of networks joined since the start

  constructor(readonly home: Home, readonly log: (line: string) => void) {}

  /** The planet of the home folder, else the public one. */
  planet(primitives: Primitives): World {
    const stored = readPlanet(this.home);
    if (stored === "none") return defaultPlanet();
    if (stored === "damaged") {
      this.log(this.home.setAside("planet", "is not a planet") + "; using the public planet");
      return defaultPlanet();
    }
    const update = defaultPlanet();
    return replaces(stored, update, primitives) ? update : stored;
  }

  /** Every readable moon of `moons.d`. */
  moons(): World[] {
    const moons: World[] = [];
    for (const name of this.home.list("moons.d")) {
      if (!/^[0-9a-f]{16}\.moon$/.test(name)) continue;
      const moon = this.#moon(`moons.d/${name}`);
      if (moon && formatWorldId(moon.id) === name.slice(0, 16)) moons.push(moon);
      else this.log(this.home.setAside(`moons.d/${name}`, "is not that moon"));
    }
    return moons;
  }

  /** A moon of `moons.d`; undefined when its file is not there, or is something else. */
  moon(id: bigint): World | undefined {
    const moon = this.#moon(`moons.d/${formatWorldId(id)}.moon`);
    return moon?.id === id ? moon : undefined;
  }

  #moon(name: string): World | undefined {
    try {
      const world = decodeWorld(new Reader(this.home.readBytes(name) ?? new Uint8Array(0), name));
      return world.type === WorldType.MOON ? world : undefined;
    } catch (error) {
      if (error instanceof WireError) return undefined;
      throw error;
    }
  }

  /**
   * The networks joined, each with the configuration of the last run; one that cannot be used is
   * set aside and empty here.
   * @param self Whom a configuration must be for
   */
  networks(self: Address): { id: NetworkId; config: Uint8Array }[] {
    return joinedNetworks(this.home).map((id) => ({ id, config: this.#networkConfig(id, self) }));
  }

  #networkConfig(id: NetworkId, self: Address): Uint8Array {
    const nothing = new Uint8Array(0);
    const name = networkFile(id);
    try {
      const bytes = this.home.readBytes(name) ?? nothing;
      if (bytes.length <= 1 || isConfigFor(bytes, id, self)) return bytes; // the reference's "joined" is one byte
      const aside = this.home.setAside(name, "is not this node's configuration of that network");
      writeNetworkConfig(this.home, id, nothing); // still joined
      this.log(`${aside}; asking the controller for it`);
    } catch (error) {
      if (!(error instanceof HomeError)) throw error;
      this.log(error.message);
    }
    return nothing;
  }

  /** What the user allows a network, as it was when it could last be read. */
  localNetwork(id: NetworkId): LocalNetworkSettings {
    const found = this.#ifReadable(() => readLocalNetwork(this.home, id));
    if (found) this.#local.set(id, found);
    return found ?? this.#local.get(id) ?? DEFAULT_NETWORK_SETTINGS;
  }

  /** Names of devices the user wishes, as lines of the file `devicemap`. */
  deviceMap(): string {
    return this.#ifReadable(() => this.home.readText("devicemap")) ?? "";
  }

  /** A disk that fails for a while must not end the service. */
  #ifReadable<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof HomeError)) throw error;
      this.log(error.message);
      return undefined;
    }
  }

  /** A peer as an earlier run knew it. */
  recall(address: Address): CachedPeer | undefined {
    const name = peerFile(address);
    if (!this.home.has(name)) return undefined; // as of nearly all addresses strangers make up
    try {
      const bytes = this.home.readBytes(name);
      const peer = bytes && decodeCachedPeer(bytes);
      return peer?.identity.address === address ? peer : undefined;
    } catch (error) {
      // A cache: the file only saves time, and the next one written takes its place.
      if (error instanceof WireError || error instanceof HomeError) return undefined;
      throw error;
    }
  }

  /** Whom an earlier run exchanged frames with on a network. */
  members(network: NetworkId): Address[] {
    try {
      const lines = (this.home.readText(membersFile(network)) ?? "").split("\n");
      return lines.flatMap((line) => parseAddress(line.trim()) ?? []);
    } catch (error) {
      if (error instanceof HomeError) return []; // a cache, as above
      throw error;
    }
  }

  /** Names, in `peers.d`, of those files {@linkcode NodeHome.members} of these networks are in. */
  memberFiles(networks: readonly NetworkId[]): Set<string> {
    const members = networks.flatMap((network) => this.members(network));
    return new Set(members.map((address) => peerFile(address).slice(PEERS.length)));
  }

  /** Keeps or deletes what the node says. */
  persist(record: Persistent): void {
    switch (record.what) {
      case "planet":
        return this.home.write("planet", record.bytes);
      case "moon": {
        const name = `moons.d/${formatWorldId(record.world)}.moon`;
        if (record.bytes) this.home.write(name, record.bytes);
        else this.home.remove(name);
        return;
      }
      case "network":
        if (record.bytes) writeNetworkConfig(this.home, record.network, record.bytes);
        else removeNetwork(this.home, record.network);
        if (!record.bytes) this.home.remove(membersFile(record.network));
        return;
      case "members":
        return this.home.write(
          membersFile(record.network),
          record.members.map((address) => `${formatAddress(address)}\n`).join(""),
        );
      case "peer":
        return this.home.write(peerFile(record.address), record.bytes, { cache: true });
    }
  }
}

function isConfigFor(bytes: Uint8Array, id: NetworkId, self: Address): boolean {
  try {
    const { networkId, issuedTo } = decodeNetworkConfig(bytes);
    return networkId === id && issuedTo === self;
  } catch (error) {
    if (error instanceof WireError) return false;
    throw error;
  }
}

function membersFile(network: NetworkId): string {
  return `networks.d/${formatNetworkId(network)}.members`;
}

function peerFile(address: Address): string {
  return `${PEERS}${formatAddress(address)}.peer`;
}
