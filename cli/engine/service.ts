/**
 * A node at work on this machine: the `Node`, what moves its packets, its sockets, ports,
 * controller and home folder, and the timers that look after them. `control.ts` starts and ends
 * one.
 *
 * Source: DESIGN.md section 3, spec 06 section 1.5.
 * @module
 */
import type {
  Link,
  LinkAddress,
  Machine,
  NetworkSettings as MachineNetwork,
  NetworkWatch,
} from "../../ffi/mod.ts";
import { hasFastAes } from "../../ffi/linux/libcrypto.ts";
import { readTextFileIfAny } from "../../ffi/linux/system.ts";
import { messageOf, SystemError } from "../../lib/base/errors.ts";
import { sameIp, scopeOf } from "../../lib/base/ip.ts";
import { type Address, formatAddress, type NetworkId } from "../../lib/base/ids.ts";
import type { Identity } from "../../lib/identity/identity.ts";
import { isGroupReport } from "../../lib/network/group_report.ts";
import { Stat } from "../../lib/dataplane/stats.ts";
import type { TableRecord } from "../../lib/dataplane/table_records.ts";
import { PacketKernel } from "../../lib/kernel/mod.ts";
import type { Action, Command, Input, NodeEvent } from "../../lib/node/machine.ts";
import { Node } from "../../lib/node/node.ts";
import { isTunnel } from "../../lib/peer/path.ts";
import type { Random } from "../../lib/crypto/primitives.ts";
import type { ControllerAnswer } from "../api/view.ts";
import { BeaconListener } from "./beacon_listener.ts";
import { cleanPeers } from "./clean_peers.ts";
import { IdentityCollision } from "./collision.ts";
import { controllerAnswer, ControllerCalls } from "./controller_calls.ts";
import { ControllerOnDemand } from "./controller_on_demand.ts";
import { DataPlane } from "./data_plane.ts";
import { busPath } from "./dns/bus.ts";
import { NetworkDns } from "./dns/network_dns.ts";
import { NetworkNames } from "./dns/network_names.ts";
import { linkContext } from "./doctor/peer_link.ts";
import { type Home, HomeError } from "./home.ts";
import type { JsonObject } from "./json.ts";
import type { LiveSettings } from "./live_settings.ts";
import { complaintsTo, type Log, type LogLevel } from "./log.ts";
import { MemoryRelease } from "./memory_release.ts";
import { renderMetrics } from "./metrics.ts";
import { MetricsFile } from "./metrics_file.ts";
import { NetworkLog } from "./network_log.ts";
import { NodeHome } from "./node_home.ts";
import { NodeRunner } from "./node_runner.ts";
import { nodeSettings } from "./node_settings.ts";
import { wishesOf } from "./port_mapping/gateways.ts";
import { machineMapper } from "./port_mapping/machine_mapper.ts";
import type { PortMapper } from "./port_mapping/mapper.ts";
import { PeerLog } from "./peer_log.ts";
import { PacketIdBlocks } from "./packet_id_blocks.ts";
import { Ports } from "./ports.ts";
import { machinePrimitives } from "./primitives.ts";
import { Settle } from "./settle.ts";
import { Sockets } from "./sockets.ts";
import { StrangersWait } from "./strangers_wait.ts";
import { TcpTunnels } from "./tcp/tcp_tunnels.ts";
import { UnderlayRoutes } from "./tcp/underlay_routes.ts";
import { Validator } from "./validator.ts";
import { ANNOUNCED_VERSION } from "./version.ts";

const TICK_MS = 1_000; // looks for sleep and changed files
const GROUPS_TICKS = 5; // multicast groups of the TAPs are looked at every so many ticks; reference 5 s
// And this long after the machine told of a change: bounds looks while hosts behind a bridge tell
// of theirs
const GROUPS_SETTLE_MS = 10;
/** Several changes of addresses come together: wait for the last, unless routes change all the time. */
const SETTLE = { quietMs: 100, mostMs: 1_000 };
const RECHECK_TICKS = 30; // addresses and routes are looked at anyway, should a notification be missed
const CLEAN_TICKS = 3_600; // the cache of peers
const SLEEP_MS = 3_000; // the clock that counts sleep ran ahead of the one that does not by this: we slept
const NO_PORT = 0; // TAP of a network that could get none; those there are begin at 1
const WATCH_SIGNAL = 1; // id of the one signal there is

/** What a service is made of. */
export interface ServiceParts {
  readonly machine: Machine;
  readonly identity: Identity;
  readonly home: Home;
  readonly settings: LiveSettings;
  readonly port?: number;
  readonly random: Random;
  readonly log: Log;
  /** The least grave level that is logged now. */
  readonly logLevel: () => LogLevel;
  readonly stop: () => void;
}

export class Service {
  readonly home: Home;
  readonly settings: LiveSettings;
  readonly node: Node;
  readonly sockets: Sockets;
  readonly ports: Ports;
  readonly dns: NetworkDns;
  readonly names: NetworkNames;
  readonly tunnels: TcpTunnels;
  #beacons: BeaconListener | undefined;
  readonly mapper: PortMapper;
  readonly log: Log;
  readonly stop: () => void;
  /** Milliseconds from bound sockets to the first answer of an upstream. */
  onlineMs: number | undefined;
  /** Set when the service cannot go on. */
  failure: unknown;
  readonly #machine: Machine;
  readonly #network: MachineNetwork;
  readonly #watch: NetworkWatch;
  readonly #fastAes: boolean; // see nodeSettings()
  readonly #mover: DataPlane;
  readonly #runner: NodeRunner;
  readonly #files: NodeHome;
  readonly #validator = new Validator();
  readonly #controller: ControllerOnDemand;
  readonly #calls = new ControllerCalls((input) => this.input({ kind: "controller", input }));
  readonly #metricsFile: MetricsFile;
  readonly #networkLog: NetworkLog;
  readonly #peerLog: PeerLog;
  readonly #logLevel: () => LogLevel;
  readonly #changeWaiting = new Set<() => void>();
  readonly #boundMs: number;
  #tcpReceivedBytes = 0; // packets, without what carries them
  #tcpSentBytes = 0;
  #ticks = 0;
  #inputs = 0; // since the last tick
  readonly #memory = new MemoryRelease();
  readonly #strangers = new StrangersWait({
    isKnown: (source) => this.node.vl1.peers.has(source),
    handle: (socket, from, bytes) =>
      this.input({ kind: "datagram", socket, from, bytes, whole: true }),
    onDropped: () => this.node.vl1.counters.drop("queue-full"),
  });
  readonly #ending = new AbortController();
  #tickTimer: ReturnType<typeof setInterval> | undefined;
  readonly #settle = new Settle(() => this.#safely(() => this.#linksChanged()), SETTLE);
  #groupsTimer: ReturnType<typeof setTimeout> | undefined;
  #sleptMs: number;
  readonly #clocksApartMs: number; // between the clock on the wall and the one that never jumps

  /** @throws {SystemError} when the port is taken */
  constructor(parts: ServiceParts) {
    this.home = parts.home;
    this.settings = parts.settings;
    this.log = parts.log;
    this.stop = parts.stop;
    this.#machine = parts.machine;
    this.#network = parts.machine.openSettings();
    this.#watch = this.#network.watch();
    const complain = complaintsTo(parts.log);
    this.#files = new NodeHome(parts.home, complain);
    this.#networkLog = new NetworkLog(parts.log);
    this.#peerLog = new PeerLog(parts.log);
    this.#logLevel = parts.logLevel;
    this.#metricsFile = new MetricsFile(parts.home, () => this.metrics(), complain);
    const ids = new PacketIdBlocks({
      ...parts,
      log: complain,
      secretKey: parts.identity.secretKey!,
      sha512: machinePrimitives.sha512,
      wallS: () => Date.now() / 1000,
    });
    this.#fastAes = parts.settings.current.dataPlane.aes && hasFastAes();
    this.#mover = new DataPlane({
      onDatagram: (socket, from, bytes) => this.#strangers.receive(socket, from, bytes),
      onOpened: (socket, from, bytes) => this.input({ kind: "opened", socket, from, bytes }),
      onTraffic: (traffic) => this.input({ kind: "traffic", ...traffic }),
      onRelayed: (report) => this.input({ kind: "relayed", ...report }),
      onReset: () => this.input({ kind: "plane-reset" }),
      onFrame: (tapId, bytes) => this.#frame(tapId, bytes),
      onSignal: () => this.#networkChanged(),
      onLost: (what, id) => this.#lost(what, id),
      onRestart: (reason) => this.log(`the data plane is started again: ${reason}`, "error"),
      onFailed: (error) => this.#fail(error),
      onNote: (what) => this.log(what),
    }, {
      self: parts.identity.address,
      takeIds: () => ids.take(),
      ...parts.settings.current.dataPlane,
      fastAes: this.#fastAes,
    });
    this.#mover.start();
    this.sockets = new Sockets({
      ...parts,
      log: complain,
      network: this.#network,
      mover: this.#mover,
      settings: () => parts.settings.current,
      isOwnDevice: (index) => this.ports?.isOwnDevice(index) ?? false, // the first come before them
    });
    this.#boundMs = this.nowMs;
    this.dns = new NetworkDns({
      home: this.home,
      node: formatAddress(parts.identity.address),
      busPath: busPath(Deno.env.get("DBUS_SYSTEM_BUS_ADDRESS")),
      resolvConf: () => parts.settings.current.resolvConf,
      log: parts.log,
    });
    this.names = new NetworkNames({
      self: parts.identity.address,
      isWanted: () => parts.settings.current.names,
      onChange: (id) => this.ports.apply(id),
      log: parts.log,
    });
    this.ports = this.#makePorts(parts);
    this.mapper = machineMapper({
      ...parts,
      address: formatAddress(parts.identity.address),
      onChanged: (endpoints) => this.command({ kind: "mapped", endpoints }),
    });
    const { identity, random } = parts;
    this.#controller = new ControllerOnDemand({
      ...parts,
      path: parts.settings.current.controllerDbPath,
      hand: (input) => this.input({ kind: "controller", input }),
    });
    this.node = new Node({
      identity,
      random,
      planet: this.#files.planet(machinePrimitives),
      primitives: machinePrimitives,
      kernel: new PacketKernel(),
      settings: nodeSettings(() => parts.settings.current, this.#fastAes),
      controller: this.#controller,
      recall: (address) => this.#files.recall(address),
      takeIds: () => ids.take(),
    });
    this.tunnels = this.#makeTunnels(random);
    this.#runner = new NodeRunner({
      node: this.node,
      clocks: { nowMs: () => this.nowMs, wallMs: () => Date.now() },
      perform: (action) => this.#perform(action),
      turnEnded: () => this.#mover.flush(),
      failed: (error) => this.#fail(error),
    });
    this.#sleptMs = this.nowMs - performance.now();
    this.#clocksApartMs = Date.now() - this.nowMs;
  }

  #makeTunnels(random: Random): TcpTunnels {
    const { major, minor, revision } = ANNOUNCED_VERSION;
    return new TcpTunnels({
      node: this.node,
      settings: () => this.settings.current,
      variable: (name) => Deno.env.get(name),
      random,
      nowMs: () => this.nowMs,
      version: [major, minor, revision],
      udpSockets: () => this.sockets.all,
      onDatagram: (socket, from, bytes) => {
        this.#tcpReceivedBytes += bytes.length;
        this.input({ kind: "datagram", socket, from, bytes });
      },
      onHungUp: (socket, from) => this.input({ kind: "hung-up", socket, from }),
      onSockets: () => this.#tellLinks(false),
      underlay: new UnderlayRoutes({
        network: this.#network,
        isCaptured: (ip) => this.ports.captures(ip),
        isOwnDevice: (index) => this.ports.isOwnDevice(index),
        log: complaintsTo(this.log),
      }),
      log: this.log,
    });
  }

  #makePorts(parts: ServiceParts): Ports {
    return new Ports({
      machine: parts.machine,
      network: this.#network,
      mover: this.#mover,
      offload: parts.settings.current.dataPlane.offload,
      settings: (id) => this.#files.localNetwork(id),
      dns: this.dns,
      names: this.names,
      isOnline: () => this.node.isOnline,
      readMulticast: () => readTextFileIfAny("/proc/net/dev_mcast"),
      deviceMap: () => this.#files.deviceMap(),
      onPort: (network, failed) => this.#portChanged(network, failed),
      onGroups: (network, groups) => this.input({ kind: "groups", network, groups }),
      log: complaintsTo(parts.log),
    });
  }

  /** The clock every timer uses. */
  get nowMs(): number {
    return this.#machine.nowMs();
  }

  /** Loads the controller, joins what was joined, begins to talk. */
  async start(): Promise<void> {
    this.#mover.addSignal(WATCH_SIGNAL, this.#watch.fd);
    if (this.#controller.hasRecords) await this.#controller.open();
    for (const moon of this.#files.moons()) {
      this.command({ kind: "orbit", world: moon.id, seed: 0 as Address, moon });
    }
    this.#refreshLinks();
    this.#tellLinks(false);
    for (const { id, config } of this.#files.networks(this.node.address)) {
      this.command({ kind: "join", network: id, config, members: this.#files.members(id) });
    }
    this.#tellAddresses();
    this.tunnels.tick();
    this.#hearBeacons();
    this.#metricsFile.start();
    this.#tickTimer = setInterval(() => this.#safely(() => this.#tick()), TICK_MS);
  }

  /** Uses a moon: the one in the home folder, else it is asked for at its seed. */
  orbit(world: bigint, seed: Address): void {
    this.command({ kind: "orbit", world, seed, moon: this.#files.moon(world) });
  }

  #tellAddresses(): void {
    const named = this.settings.current.peers.filter((peer) => peer.try.length > 0);
    const addresses = new Map(named.map((peer) => [peer.address, peer.try]));
    this.command({ kind: "try", addresses });
  }

  /**
   * Each is taken for one that came to the socket on the link of its sender; who is on none of our
   * links is not heard.
   */
  #hearBeacons(): void {
    if (this.settings.current.forceTcpRelay) return;
    this.#beacons = new BeaconListener({
      nowMs: () => this.nowMs,
      log: complaintsTo(this.log),
      onBeacon: (from, bytes) => {
        const socket = this.sockets.onLinkOf(from.ip);
        if (socket !== undefined) this.input({ kind: "datagram", socket, from, bytes });
      },
    });
  }

  /** Hands the node something that happened. */
  input(input: Input): void {
    this.#inputs++;
    this.#runner.handle(input);
  }

  /** Hands the node something the user wants. */
  command(command: Command): void {
    this.input({ kind: "command", command });
  }

  #frame(tapId: number, bytes: Uint8Array): void {
    const network = this.ports.networkOf(tapId);
    if (network === undefined) return;
    if (isGroupReport(bytes)) this.#scanGroupsSoon();
    this.input({ kind: "frame", network, bytes });
  }

  #scanGroupsSoon(): void {
    this.#groupsTimer ??= setTimeout(() => {
      this.#groupsTimer = undefined;
      this.ports.scanAllGroups();
    }, GROUPS_SETTLE_MS);
  }

  #perform(action: Action): void {
    switch (action.kind) {
      case "send":
        if (isTunnel(action.socket)) {
          // A short life has no meaning there.
          if (action.ttl === undefined) this.#sendByTcp(action);
        } else if (action.ttl !== undefined || action.whole) {
          this.sockets.sendNow(action.socket, action.to, action.bytes, action);
        } else {
          this.#mover.send(action.socket, action.to, action.bytes);
        }
        return;
      case "open-socket":
        return this.sockets.openBeside(action.socket, action.beside);
      case "close-socket":
        return this.sockets.closeBeside(action.socket);
      case "deliver":
        this.ports.deliver(action.network, action.bytes);
        return;
      case "configure":
        this.ports.configure(action.network, action.port);
        return this.#tellLinks(false);
      case "unconfigure":
        this.ports.unconfigure(action.network);
        this.#networkLog.forget(action.network);
        return this.#tellLinks(false);
      case "publish":
        return this.#publish(action.record);
      case "validate":
        this.#validator.validate(action.identity).then((valid) =>
          this.input({ kind: "validated", ticket: action.ticket, valid })
        );
        return;
      case "controller":
        if (action.action.kind === "store") this.#controller.perform(action.action);
        else this.#calls.settle(action.action);
        return;
      case "persist":
        return this.#persist(action);
      case "event":
        return this.#event(action.event);
    }
  }

  #sendByTcp({ socket, to, bytes }: Action & { kind: "send" }): void {
    if (this.tunnels.send(socket, to, bytes)) this.#tcpSentBytes += bytes.length;
  }

  /** The node does not know TAPs: a network's is filled in here. */
  #publish(record: TableRecord): void {
    if (record.kind !== "network") return this.#mover.apply(record);
    this.#mover.apply({ ...record, port: this.ports.tapOf(record.id) ?? NO_PORT });
  }

  /** A TAP was made, perhaps in place of one that was lost. */
  #portChanged(network: NetworkId, failed: boolean): void {
    this.input({ kind: "port", network, failed });
    this.input({ kind: "plane-reset" }); // its tables name the TAP of before
    this.#tellLinks(false); // no path may run through its addresses
  }

  /** A disk that is full must not stop the node: it goes on with what it has in memory. */
  #persist({ record }: Action & { kind: "persist" }): void {
    try {
      this.#files.persist(record);
    } catch (error) {
      this.log(`could not keep a ${record.what}: ${messageOf(error)}`, "error");
    }
  }

  #event(event: NodeEvent): void {
    switch (event.name) {
      case "online":
        this.onlineMs ??= this.nowMs - this.#boundMs;
        this.log("online");
        this.ports.applyAll();
        return this.tunnels.check(); // a default route through us may have come into its way
      case "offline":
        this.log("offline: no root answers", "warn");
        return this.ports.applyAll();
      case "network":
        this.#tellNetwork(event.network);
        for (const wake of [...this.#changeWaiting]) wake();
        return;
      case "upstream":
        this.#lookAtPeers(event.peer);
        return this.tunnels.check();
      case "direct":
      case "relayed":
        return this.#lookAtPeers(event.peer);
      case "identity-collision":
        return this.#fail(new IdentityCollision());
    }
  }

  #lookAtPeers(only?: Address): void {
    if (this.#logLevel() !== "debug") return;
    const context = linkContext(this.node, this.nowMs, this.settings.current.forceTcpRelay);
    const peer = only === undefined ? undefined : this.node.vl1.peers.get(only);
    if (peer) this.#peerLog.look(peer, context);
    else this.#peerLog.lookAtAll(context);
  }

  #tellNetwork(id: NetworkId): void {
    const network = this.node.networks.find(id);
    if (!network) return this.#networkLog.forget(id);
    const { status } = network;
    this.#networkLog.note({ id, status, addresses: network.port().addresses });
  }

  /** Resolves when any network changed, when the time is over, or when the signal aborts. */
  networkChange(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    this.#changeWaiting.add(resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
    return promise.finally(() => {
      clearTimeout(timer);
      this.#changeWaiting.delete(resolve);
    });
  }

  /** One request to `/controller`. */
  async controllerApi(method: string, path: string, body: string): Promise<ControllerAnswer> {
    const trouble = await this.#controller.open();
    if (trouble !== undefined) { // a reference always is one
      const description = `this node is no controller: ${trouble}`;
      return { status: 503, json: { description } };
    }
    return controllerAnswer(await this.#calls.call(method, path, body));
  }

  #networkChanged(): void {
    this.#watch.read();
    this.#mover.addSignal(WATCH_SIGNAL, this.#watch.fd);
    this.#settle.changed();
  }

  #linksChanged(): void {
    this.#refreshLinks();
    this.ports.scanAllGroups(); // somebody may have given a device of ours an address
  }

  #refreshLinks(): void {
    if (this.sockets.refresh()) {
      this.#tellLinks(false);
      this.tunnels.networkChanged();
    }
    this.mapper.update(wishesOf(this.sockets.uplinks, this.sockets.mappable));
  }

  /** A root sees us at an address no mapping has: the gateway may have got another one, or lost its table. */
  #checkMappings(): void {
    const seen = this.node.surface.confirmed(this.nowMs).map(({ ip }) => ip);
    const isStale = this.mapper.endpoints.some(({ ip }) => {
      const comparable = seen.filter((one) => one.length === 4 && scopeOf(one) === scopeOf(ip));
      return ip.length === 4 && comparable.length > 0 && !comparable.some((one) => sameIp(one, ip));
    });
    if (isStale) this.mapper.kick();
  }

  #tellLinks(woke: boolean): void {
    const sockets = [...this.sockets.all, ...this.tunnels.sockets];
    this.input({ kind: "links", sockets, own: this.ports.own(), woke });
  }

  #lost(what: "socket" | "tap" | "signal", id: number): void {
    if (what === "socket") {
      this.sockets.lost(id);
      this.#refreshLinks();
    } else if (what === "tap") {
      this.ports.lost(id);
    }
  }

  /** A home folder or a system that does not do as it should for a while must not end the service. */
  #safely(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof HomeError || error instanceof SystemError)) throw error;
      this.log(error.message, "error");
    }
  }

  #tick(): void {
    this.#ticks++;
    const { stats } = this.#mover;
    this.#memory.tick(this.#inputs, stats[Stat.BYTES_IN] + stats[Stat.BYTES_OUT]);
    this.#inputs = 0;
    const sleptMs = this.nowMs - performance.now();
    if (sleptMs - this.#sleptMs > SLEEP_MS) {
      this.sockets.refresh();
      this.#tellLinks(true);
      this.tunnels.networkChanged();
      this.mapper.kick();
    }
    this.#sleptMs = sleptMs;
    if (this.settings.refresh()) {
      this.#tellAddresses();
      this.#refreshLinks();
      this.ports.applyAll();
    }
    if (this.sockets.look(this.#isAnswered)) this.#tellLinks(false);
    this.tunnels.tick();
    this.#lookAtPeers();
    if (this.#ticks % GROUPS_TICKS === 0) this.ports.scanAllGroups();
    if (this.#ticks % RECHECK_TICKS === 0) {
      this.#refreshLinks();
      this.#checkMappings();
      this.ports.applyAll();
    }
    if (this.#ticks % CLEAN_TICKS === 0) this.#cleanPeers();
  }

  /** Whether anybody answers over UDP; a root itself has to be found where it is, whoever answers. */
  get #isAnswered(): boolean {
    const { upstreams, peers } = this.node.vl1;
    if (upstreams.amUpstream) return true;
    for (const peer of peers.values()) { // roots and members that are reached without any
      if (peer.best(this.nowMs)?.path.isTunnel === false) return true;
    }
    return false;
  }

  #cleanPeers(): void {
    const keep = this.#files.memberFiles(this.node.networks.all().map(({ id }) => id));
    const options = { wallMs: Date.now(), signal: this.#ending.signal, keep };
    cleanPeers(this.home, options).catch((error) => {
      if (!(error instanceof HomeError)) throw error;
      this.log(error.message, "error");
    });
  }

  metrics(): string {
    return renderMetrics({
      node: this.node,
      controller: this.#controller.current,
      data: this.#mover.stats,
      udpPastWorkerBytes: this.sockets.sentNowBytes,
      tcpReceivedBytes: this.#tcpReceivedBytes,
      tcpSentBytes: this.#tcpSentBytes,
    });
  }

  /** Every port gateways are asked to map, and how it stands. */
  portMapping(): JsonObject {
    const { portMappingEnabled } = this.settings.current;
    return { enabled: portMappingEnabled, ports: this.mapper.status };
  }

  /** How far the clock on the wall was moved since the start, in milliseconds; positive: forward. */
  get clockMovedMs(): number {
    return Date.now() - this.nowMs - this.#clocksApartMs;
  }

  /** Devices and addresses of this machine, as they are now. */
  networkState(): { links: Link[]; addresses: LinkAddress[] } {
    return { links: this.#network.links(), addresses: this.#network.addresses() };
  }

  /** One number of the data Worker's page. */
  dataCount(stat: Stat): number {
    return this.#mover.stats[stat];
  }

  /** What moves packets, and how it is doing. */
  dataStatus(): JsonObject {
    const statistics = Object.entries(Stat).map(([name, index]) =>
      [name.toLowerCase(), this.#mover.stats[index]] as const
    );
    return { uses: this.offloads, statistics: Object.fromEntries(statistics) };
  }

  /** What of the system's help with many packets at once, and with AES, is in use. */
  get offloads(): string[] {
    const frames = { none: [], checksum: [], tcp: ["TSO"], udp: ["TSO", "USO"] };
    return [
      ...this.#mover.cuts ? ["GSO"] : [],
      ...this.#mover.joins ? ["GRO"] : [],
      ...frames[this.ports.offload ?? "none"],
      ...this.#fastAes ? ["AES"] : [],
    ];
  }

  #fail(error: unknown): void {
    this.failure ??= error;
    this.stop();
  }

  /** Keeps what should survive and closes everything. */
  async close(): Promise<void> {
    this.#ending.abort();
    clearInterval(this.#tickTimer);
    this.#settle.stop();
    clearTimeout(this.#groupsTimer);
    this.node.shutdown();
    for (let action = this.node.poll(); action; action = this.node.poll()) {
      if (action.kind === "persist") this.#persist(action);
    }
    this.#runner.stop();
    await this.#metricsFile.stop();
    this.tunnels.close();
    this.#beacons?.close();
    await Promise.all([this.sockets.close(), this.ports.close(), this.mapper.close()]);
    await this.#mover.removeSignal(WATCH_SIGNAL);
    await this.#mover.stop();
    this.#watch.close();
    this.#network.close();
    this.#validator.close();
    this.#calls.close();
    await this.#controller.close();
  }
}
