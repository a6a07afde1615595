/**
 * A running service as the local API shows it: the node's state in the reference's words.
 *
 * Source: spec 06 section 4.
 * @module
 */
import { toHex } from "../../lib/base/bytes.ts";
import { ApiError } from "../../lib/base/errors.ts";
import {
  type Address,
  formatAddress,
  formatMac,
  formatNetworkId,
  type NetworkId,
  parseNetworkId,
} from "../../lib/base/ids.ts";
import { formatEndpoint, formatIp, formatPrefix } from "../../lib/base/ip.ts";
import { Stat } from "../../lib/dataplane/stats.ts";
import { type World, worldBytes } from "../../lib/identity/world.ts";
import type { Network } from "../../lib/network/network.ts";
import type { Node } from "../../lib/node/node.ts";
import type { Bond } from "../../lib/peer/bond.ts";
import { isSuspect, type Peer, type PeerPath } from "../../lib/peer/peer.ts";
import { Cipher } from "../../lib/wire/packet.ts";
import { toBase64Url } from "./base64.ts";
import { bondInfo, bondPathInfo, EngineBonds } from "./bond_view.ts";
import { type LinkContext, linkContext, peerLink } from "./doctor/peer_link.ts";
import type { DoctorFacts } from "./doctor/facts.ts";
import { serviceFacts } from "./doctor/service_facts.ts";
import type { ProxyStatus } from "./tcp/tcp_tunnels.ts";
import {
  type BondView,
  type ControllerAnswer,
  effectiveConfig,
  type MoonInfo,
  type NamesInfo,
  type NetworkInfo,
  type NetworkSettings,
  type NetworkWait,
  type PathInfo,
  type PeerInfo,
  type PlanetInfo,
  type ServiceView,
  type StatusInfo,
} from "../api/view.ts";
import { redactedConf, withoutRedacted } from "./conf_secrets.ts";
import {
  changeLocalConf,
  changeLocalNetwork,
  readLocalNetwork,
  writeLocalNetwork,
} from "./home_files.ts";
import { HomeError } from "./home.ts";
import type { JsonObject } from "./json.ts";
import { formatWorldId, installPlanet, isSamePlanet, parsePlanet } from "./planet_files.ts";
import type { Service } from "./service.ts";
import { parseSettings } from "./settings.ts";
import { signOnInfo } from "./sign_on.ts";
import { ANNOUNCED_VERSION, ZT_VERSION } from "./version.ts";
import { readWebFile } from "./web_files.ts";

const SOFTWARE_UPDATE = "disable"; // packages and containers update us
const NO_PORT = -999; // what the reference reports when a TAP could not be made

/** {@linkcode ServiceView} of one {@linkcode Service}. */
export class EngineView implements ServiceView {
  readonly webFile?: (path: string) => Uint8Array | undefined;
  readonly bonds?: BondView;

  constructor(readonly service: Service) {
    const { enableWebServer } = service.settings.current; // as in the reference: read at start
    if (enableWebServer) this.webFile = (path) => readWebFile(service.home, path);
    if (service.settings.current.bonds) {
      const nowMs = () => service.nowMs;
      this.bonds = new EngineBonds(service.node, nowMs, (address) => this.peer(address));
    }
  }

  get #node(): Node {
    return this.service.node;
  }

  status(): StatusInfo {
    const { service } = this;
    const { major, minor, revision, build, text } = ANNOUNCED_VERSION;
    const { planet } = this.#node.vl1.upstreams;
    const { current } = service.settings;
    return {
      address: formatAddress(this.#node.address),
      publicIdentity: this.#node.vl1.identity.format(),
      online: this.#node.isOnline,
      tcpFallbackActive: service.tunnels.isTunneled,
      version: text,
      versionMajor: major,
      versionMinor: minor,
      versionRev: revision,
      versionBuild: build,
      clock: Date.now(),
      planetWorldId: planet.id,
      planetWorldTimestamp: Number(planet.timestamp),
      config: effectiveConfig(this.config(), {
        allowTcpFallbackRelay: current.allowTcpFallbackRelay,
        forceTcpRelay: current.forceTcpRelay,
        homeDir: service.home.path,
        listeningOn: service.sockets.describe(),
        portMappingEnabled: current.portMappingEnabled,
        primaryPort: service.sockets.primaryPort,
        secondaryPort: service.sockets.secondaryPort,
        tertiaryPort: service.sockets.tertiaryPort,
        softwareUpdate: SOFTWARE_UPDATE,
        softwareUpdateChannel: current.softwareUpdateChannel,
        surfaceAddresses: this.#surfaceAddresses(),
      }),
      ztVersion: ZT_VERSION,
      ztDataPlane: service.offloads.join(" "),
      ztHttpProxy: proxyText(service.tunnels.proxy),
    };
  }

  /** Where others see us, and where gateways pass packets on to us. */
  #surfaceAddresses(): string[] {
    const { surface, directPaths } = this.#node;
    const all = [...surface.confirmed(this.service.nowMs), ...directPaths.mapped];
    return [...new Set(all.map(formatEndpoint))];
  }

  networks(): NetworkInfo[] {
    const networks = this.#node.networks.all();
    networks.sort((a, b) => (a.id < b.id ? -1 : 1));
    return networks.map((network) => this.#networkInfo(network));
  }

  network(id: NetworkId): NetworkInfo | undefined {
    const network = this.#node.networks.find(id);
    return network && this.#networkInfo(network);
  }

  #networkInfo(network: Network): NetworkInfo {
    const { config } = network;
    const port = network.port();
    const id = formatNetworkId(network.id);
    const { allowManaged, allowGlobal, allowDefault, allowDNS } = readLocalNetwork(
      this.service.home,
      network.id,
    );
    return {
      allowManaged,
      allowGlobal,
      allowDefault,
      allowDNS,
      id,
      nwid: id,
      status: network.status,
      type: config?.type === "public" ? "PUBLIC" : "PRIVATE",
      mac: formatMac(network.mac),
      name: port.name,
      mtu: port.mtu,
      dhcp: false,
      bridge: network.isActiveBridge(this.#node.address),
      broadcastEnabled: network.broadcasts,
      portError: network.portFailed ? NO_PORT : 0,
      netconfRevision: config?.revision ?? 0,
      portDeviceName: this.service.ports.deviceOf(network.id),
      assignedAddresses: port.addresses.map(formatPrefix),
      routes: port.routes.map((route) => ({
        target: formatPrefix(route.target),
        via: route.via ? formatIp(route.via) : null,
        flags: route.flags,
        metric: route.metric,
      })),
      multicastSubscriptions: network.groups().map(({ mac, adi }) => ({
        mac: formatMac(mac),
        adi,
      })),
      dns: { domain: port.dns.domain, servers: port.dns.servers.map(formatIp) },
      ...signOnInfo(network),
    };
  }

  join(id: NetworkId, settings: Partial<NetworkSettings>): NetworkInfo {
    const { home } = this.service;
    writeLocalNetwork(home, id, changeLocalNetwork(readLocalNetwork(home, id), settings));
    this.service.command({ kind: "join", network: id });
    this.service.ports.apply(id);
    const info = this.network(id);
    if (!info) throw new ApiError(400, "too many networks are joined; leave one first");
    return info;
  }

  leave(id: NetworkId): boolean {
    if (!this.#node.networks.find(id)) return false;
    this.service.command({ kind: "leave", network: id });
    return true;
  }

  peers(): PeerInfo[] {
    const peers = [...this.#node.vl1.peers.values()];
    peers.sort((a, b) => a.address - b.address);
    const context = this.#linkContext();
    return peers.map((peer) => this.#peerInfo(peer, context));
  }

  peer(address: Address): PeerInfo | undefined {
    const peer = this.#node.vl1.peers.get(address);
    return peer && this.#peerInfo(peer, this.#linkContext());
  }

  #linkContext(): LinkContext {
    const { nowMs, settings } = this.service;
    return linkContext(this.#node, nowMs, settings.current.forceTcpRelay);
  }

  #peerInfo(peer: Peer, context: LinkContext): PeerInfo {
    const { upstreams } = this.#node.vl1;
    const { nowMs } = this.service;
    const best = peer.preferred(nowMs);
    const latencyMs = best?.path.latencyMs;
    const known = peer.version.protocol > 0;
    const { major, minor, revision } = known
      ? peer.version
      : { major: -1, minor: -1, revision: -1 };
    const role = upstreams.isPlanetRoot(peer.address)
      ? "PLANET"
      : upstreams.isUpstream(peer.address)
      ? "MOON"
      : "LEAF";
    const info: PeerInfo = {
      address: formatAddress(peer.address),
      isBonded: peer.bond !== undefined,
      ...bondInfo(peer, nowMs),
      latency: latencyMs === undefined ? -1 : Math.round(latencyMs),
      paths: peer.paths.filter((path) => !isSuspect(path)).map((path) =>
        this.#pathInfo(path, path === best, peer.bond)
      ),
      role,
      tunneled: best ? best.path.isTunnel : this.service.tunnels.isTunneled,
      version: `${major}.${minor}.${revision}`,
      versionMajor: major,
      versionMinor: minor,
      versionRev: revision,
    };
    info.link = peerLink(peer, context);
    if (info.link.reason !== null) info.relayReason = info.link.reason;
    return info;
  }

  #pathInfo(path: PeerPath, preferred: boolean, bond: Bond | undefined): PathInfo {
    const localPort = bond ? this.#node.bonds.socketOf(path.path)?.port ?? 0 : 0;
    return {
      active: true,
      address: formatEndpoint(path.path.endpoint),
      expired: false,
      lastReceive: this.#epochMs(path.lastInMs),
      lastSend: this.#epochMs(path.lastOutMs),
      localPort,
      localSocket: path.path.socket,
      preferred,
      trustedPathId: this.#node.vl1.settings.trustedPathId?.(path.path.endpoint) ?? 0,
      ...bond && bondPathInfo(bond, path, localPort, this.service.nowMs),
    };
  }

  /** A time of our own clock as epoch milliseconds; 0 for never. */
  #epochMs(atMs: number): number {
    return atMs === -Infinity ? 0 : Math.round(Date.now() - (this.service.nowMs - atMs));
  }

  moons(): MoonInfo[] {
    return this.#node.vl1.upstreams.moons.map((moon) => moonInfo(moon));
  }

  moon(id: bigint): MoonInfo | undefined {
    const { upstreams } = this.#node.vl1;
    const found = upstreams.moons.find((moon) => moon.id === id);
    if (found) return moonInfo(found);
    if (!upstreams.wanted.some((wanted) => wanted.world === id)) return undefined;
    return {
      id: formatWorldId(id),
      timestamp: 0,
      signature: null,
      updatesMustBeSignedBy: null,
      roots: [],
      waiting: true,
    };
  }

  orbit(id: bigint, seed: Address): void {
    this.service.orbit(id, seed);
  }

  deorbit(id: bigint): void {
    this.service.command({ kind: "deorbit", world: id });
  }

  /** Without the password of a proxy. */
  config(): JsonObject {
    return redactedConf(this.service.settings.conf);
  }

  setConfig(settings: JsonObject): void {
    changeLocalConf(this.service.home, withoutRedacted(settings), checkConf);
  }

  controller(method: string, path: string, body: string): Promise<ControllerAnswer> {
    return this.service.controllerApi(method, path, body);
  }

  metrics(): string {
    return this.service.metrics();
  }

  ztStatus(): JsonObject {
    const { service } = this;
    const { counters } = this.#node.vl1;
    return {
      version: ZT_VERSION,
      address: formatAddress(this.#node.address),
      pid: Deno.pid,
      home: service.home.path,
      online: this.#node.isOnline,
      onlineMs: service.onlineMs ?? null,
      peers: this.#node.vl1.peers.size,
      networks: this.#node.networks.all().length,
      relayedPackets: counters.relayedPackets,
      relayedBytes: counters.relayedBytes,
      ciphers: {
        sent: byCipher(
          counters.sentByCipher,
          service.dataCount(Stat.PACKETS_SEALED),
          service.dataCount(Stat.AES_SEALED),
        ),
        received: byCipher(
          counters.receivedByCipher,
          service.dataCount(Stat.PACKETS_OPENED),
          service.dataCount(Stat.AES_OPENED),
        ),
      },
      tcp: {
        relay: service.tunnels.relay ?? null,
        proxy: service.tunnels.proxy ?? null,
        listening: service.tunnels.port ?? null,
        clients: service.tunnels.clientCount,
      },
      drops: Object.fromEntries(counters.drops),
      portMapping: service.portMapping(),
      data: service.dataStatus(),
    };
  }

  /** Asks the roots and waits for them and for gateways, a few seconds at most. */
  doctor(signal: AbortSignal): Promise<DoctorFacts> {
    return serviceFacts(this.service, signal);
  }

  async waitNetwork(
    id: NetworkId,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<NetworkWait | undefined> {
    const untilMs = this.service.nowMs + timeoutMs;
    for (;;) {
      const network = this.#node.networks.find(id);
      if (!network) return undefined;
      const ready = network.status === "OK" && this.service.ports.isReady(id);
      const leftMs = untilMs - this.service.nowMs;
      if (ready || leftMs <= 0 || signal.aborted) {
        return { ready, network: this.#networkInfo(network) };
      }
      await this.service.networkChange(leftMs, signal);
    }
  }

  names(): NamesInfo[] {
    const { dns, names } = this.service;
    return this.networks().map(({ nwid, name }) => {
      const id = parseNetworkId(nwid)!;
      const status = names.status(id);
      const list = status?.domains.length ? status.names : undefined;
      const members = (list?.members ?? []).map(({ address, label, ips }) => ({
        address: formatAddress(address),
        name: label,
        ips: ips.map(formatIp),
      }));
      return {
        nwid,
        name,
        domains: [...status?.domains ?? []],
        server: status?.server ? formatIp(status.server) : null,
        trouble: status?.trouble ?? null,
        askedBy: status?.server ? dns.toldTo(id) ?? null : null,
        onDemand: list?.onDemand ?? false,
        members: members.sort((a, b) => a.name < b.name ? -1 : 1),
      };
    });
  }

  planet(): PlanetInfo {
    return planetInfo(this.#node.vl1.upstreams.planet);
  }

  usePlanet(bytes: Uint8Array, replace: boolean): PlanetInfo {
    const planet = parsePlanet(bytes);
    if (!planet) throw new ApiError(400, "that is not a planet");
    const current = this.#node.vl1.upstreams.planet;
    if (!isSamePlanet(current, planet) && this.service.home.readBytes("planet") && !replace) {
      throw new ApiError(
        409,
        `another planet is in use (${formatWorldId(current.id)}); add --replace to leave it`,
      );
    }
    const aside = installPlanet(this.service.home, bytes, planet, replace);
    if (aside) this.service.log(aside);
    this.service.command({ kind: "planet", planet });
    return planetInfo(planet);
  }

  stop(): void {
    this.service.stop();
  }
}

/** @throws {ApiError} when the service would not start with it */
function checkConf(conf: JsonObject): void {
  try {
    parseSettings(conf);
  } catch (error) {
    throw error instanceof HomeError ? new ApiError(400, error.message) : error;
  }
}

function proxyText(proxy: ProxyStatus | undefined): string | undefined {
  if (!proxy) return undefined;
  const { address, source, trouble, inUse } = proxy;
  const state = inUse ? ", in use" : trouble === null ? "" : `: ${trouble}`;
  return `${address} (from ${source})${state}`;
}

/**
 * Packets of peers by the cipher they are sealed with, except HELLO, which is not encrypted.
 * @param byWorker Those the data Worker opened or sealed by itself, and of them those under AES
 */
function byCipher(counts: Float64Array, byWorker: number, aesByWorker: number): JsonObject {
  return {
    salsa: counts[Cipher.POLY1305_SALSA2012] + byWorker - aesByWorker,
    aes: counts[Cipher.AES_GMAC_SIV] + aesByWorker,
    none: counts[Cipher.POLY1305_NONE] + counts[Cipher.TRUSTED_PATH],
  };
}

function rootsOf(world: World): { identity: string; stableEndpoints: string[] }[] {
  return world.roots.map(({ identity, endpoints }) => ({
    identity: identity.format(),
    stableEndpoints: endpoints.filter((endpoint) => endpoint !== undefined).map(formatEndpoint),
  }));
}

function worldInfo(world: World) {
  return {
    id: formatWorldId(world.id),
    timestamp: Number(world.timestamp),
    signature: toHex(world.signature),
    updatesMustBeSignedBy: toHex(world.updatesMustBeSignedBy),
    roots: rootsOf(world),
  };
}

function moonInfo(moon: World): MoonInfo {
  return { ...worldInfo(moon), waiting: false };
}

function planetInfo(planet: World): PlanetInfo {
  return { ...worldInfo(planet), world: toBase64Url(worldBytes(planet)) };
}
