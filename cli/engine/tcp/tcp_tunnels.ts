/**
 * TCP where UDP is blocked: as a node, a tunnel to a root's relay while no root answers by UDP; as
 * a root, the relay. For the node both are sockets like any other; path choice, probing, keepalive
 * and the way back to UDP are its own.
 *
 * Without a relay configured the roots' own addresses are tried, TCP port 443 and what other ports
 * the planet lists for them, first TLS with a WebSocket inside and then the reference's framing,
 * for both pass where the other is stopped. Where there is an HTTP proxy, the same is tried through
 * it, beside.
 *
 * Source: spec 03 sections 21 and 28 item 16.
 * @module
 */
import { SystemError } from "../../../lib/base/errors.ts";
import {
  contains,
  type Endpoint,
  formatEndpoint,
  formatIp,
  sameEndpoint,
  Scope,
  scopeOf,
} from "../../../lib/base/ip.ts";
import type { Random } from "../../../lib/crypto/primitives.ts";
import type { Node } from "../../../lib/node/node.ts";
import { isAccepted, type LocalSocket, type SocketId } from "../../../lib/peer/path.ts";
import type { Settings } from "../settings.ts";
import { complaintsTo, type Log } from "../log.ts";
import { makeCertificate } from "./certificate.ts";
import { Engagement } from "./engagement.ts";
import { chooseProxy, formatHttpProxy } from "./http_proxy.ts";
import { firstHop, type Relay } from "./outgoing_tunnel.ts";
import { probeProxy, type ProxyFacts } from "./proxy_probe.ts";
import { ProxyInUse, type ProxyView } from "./proxy_in_use.ts";
import { RelayHub } from "./relay_hub.ts";
import { RelayListener } from "./relay_listener.ts";
import { TunnelClient } from "./tunnel_client.ts";
import { openForwarder } from "./udp_forwarder.ts";
import type { UnderlayRoutes } from "./underlay_routes.ts";

/** Where roots offer their relay: the one port nearly every firewall lets out. */
const RELAY_PORT = 443;
/** A port of roots where no relay is looked for, though planets list it: TCP there is their local API. */
const NODE_PORT = 9_993;
const LISTEN_RETRY_TICKS = 60; // a port that was taken or not allowed is tried again so often
const SWEEP_TICKS = 5;
const SERIAL_LENGTH = 8;

/** The HTTP proxy as it may be shown. */
export type ProxyStatus = ProxyView & {
  /** The tunnel there is goes through it. */
  inUse: boolean;
};

/** What tunnels need of the service. */
export interface TcpTunnelsOptions {
  readonly node: Node;
  readonly settings: () => Settings;
  /** Reads an environment variable: they may name an HTTP proxy. */
  readonly variable: (name: string) => string | undefined;
  readonly random: Random;
  readonly nowMs: () => number;
  readonly version: readonly [number, number, number];
  /** The UDP sockets there are. */
  readonly udpSockets: () => readonly LocalSocket[];
  /** A datagram for the node. Bytes are lent. */
  readonly onDatagram: (socket: SocketId, from: Endpoint, bytes: Uint8Array) => void;
  /** A client of our relay is gone. */
  readonly onHungUp: (socket: SocketId, from: Endpoint) => void;
  /** {@linkcode TcpTunnels.sockets} changed: the node has to know. */
  readonly onSockets: () => void;
  /** Keeps connections to relays out of our own networks. */
  readonly underlay: UnderlayRoutes;
  readonly log: Log;
}

export class TcpTunnels {
  readonly #options: TcpTunnelsOptions;
  readonly #engagement: Engagement;
  readonly #client: TunnelClient;
  readonly #proxy: ProxyInUse;
  readonly #hub: RelayHub;
  #listener: RelayListener | undefined;
  #listenPort: number | undefined; // the setting it was opened, or refused, with
  #settings: Settings; // of the last look
  #ticks = 0;
  #attempts = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(options: TcpTunnelsOptions) {
    const { node, random } = options;
    this.#options = options;
    this.#settings = options.settings();
    this.#engagement = new Engagement(random);
    this.#proxy = new ProxyInUse({
      choice: () => chooseProxy(options.settings().httpProxy, options.variable),
      nowMs: options.nowMs,
      log: complaintsTo(options.log),
    });
    this.#client = new TunnelClient({
      random,
      version: options.version,
      isOwn: (ip) => node.vl1.own.some((prefix) => contains(prefix, ip)),
      isReachedBy: (ids) => this.#isReached((socket) => ids.includes(socket)),
      onProxy: (hop, trouble) => this.#proxy.note(hop, trouble),
      onDatagram: options.onDatagram,
      onSockets: options.onSockets,
      onChange: (what) => this.#changed(what),
    });
    this.#hub = new RelayHub({
      nowMs: options.nowMs,
      isSelf: (endpoint) => this.#isSelf(endpoint),
      isProved: (socket, from) => node.vl1.paths.has(socket, from),
      isKnown: (endpoint) => node.vl1.paths.knows(endpoint),
      onDatagram: options.onDatagram,
      onSocket: options.onSockets,
      onHungUp: options.onHungUp,
      forwarder: openForwarder,
    });
  }

  /** What the node is to know besides its UDP sockets. */
  get sockets(): LocalSocket[] {
    return [...this.#client.sockets, ...this.#hub.sockets];
  }

  /** Whether a tunnel is all we have. */
  get isTunneled(): boolean {
    return this.#client.state === "up";
  }

  /** The relay in use, in words; undefined without a tunnel. */
  get relay(): string | undefined {
    const { relay } = this.#client;
    if (!relay) return undefined;
    const { endpoint, protocol, hop } = relay;
    const through = hop ? `, HTTP proxy ${formatHttpProxy(hop.proxy)}` : "";
    return `${formatEndpoint(endpoint)} (${protocol}${through})`;
  }

  /** The HTTP proxy there is, in use or not; undefined without one. */
  get proxy(): ProxyStatus | undefined {
    const { view } = this.#proxy;
    return view && { ...view, inUse: this.#client.relay?.hop !== undefined };
  }

  /** Asks the HTTP proxy for a way to the first relay. Takes seconds. @returns undefined where none would be used */
  async probeProxy(): Promise<ProxyFacts | undefined> {
    if (!this.#isAllowed) return undefined;
    const { choice } = this.#proxy;
    const relay = this.#relays().find(({ endpoint }) => !choice?.isBypassed(endpoint.ip));
    return await probeProxy(this.#proxy, relay?.endpoint);
  }

  /**
   * Whether TCP would be used where UDP is blocked. A root that nobody reaches by UDP is no root:
   * it has to be reached, not to reach.
   */
  get #isAllowed(): boolean {
    const { node, settings } = this.#options;
    const { allowTcpFallbackRelay, forceTcpRelay } = settings();
    return (allowTcpFallbackRelay || forceTcpRelay) && !node.vl1.upstreams.amUpstream;
  }

  /** Tunnels of others through our relay. */
  get clientCount(): number {
    return this.#hub.size;
  }

  /** Where our relay listens; undefined when it does not. */
  get port(): number | undefined {
    return this.#listener?.port;
  }

  /** Looks at everything. To be called once a second. */
  tick(): void {
    this.#listen();
    if (++this.#ticks % SWEEP_TICKS === 0) this.#hub.sweep();
    const settings = this.#options.settings();
    if (settings !== this.#settings) this.#engagement.reset(); // a proxy or a relay that works may have been named
    this.#settings = settings;
    this.#decide();
  }

  /** A root began or stopped answering. */
  check(): void {
    this.#decide();
  }

  /** Addresses changed, or the machine woke. */
  networkChanged(): void {
    this.#options.underlay.forget();
    this.#engagement.reset();
    this.#client.forgive();
    this.#proxy.forget();
    this.#decide();
  }

  /** Sends for the node. @returns false when it is lost */
  send(socket: SocketId, to: Endpoint, bytes: Uint8Array): boolean {
    const owner = isAccepted(socket) ? this.#hub : this.#client;
    return owner.send(socket, to, bytes);
  }

  #isReached(accept: (socket: SocketId) => boolean): boolean {
    return this.#options.node.vl1.upstreams.isReachedBy((path) => accept(path.socket));
  }

  #decide(): void {
    if (this.#closed) return;
    const { node, settings, udpSockets, nowMs } = this.#options;
    const { forceTcpRelay } = settings();
    const { upstreams } = node.vl1;
    const canTry = forceTcpRelay || udpSockets().length > 0; // else there is no network at all
    const udp = upstreams.isReachedBy((path) => !path.isTunnel);
    const verdict = this.#engagement.decide({
      nowMs: nowMs(),
      allowed: this.#isAllowed && canTry && upstreams.addresses.length > 0,
      forced: forceTcpRelay,
      udp,
      tunnel: this.#client.state,
      tunnelAnswers: this.#client.isAnswered,
    });
    if (verdict === "hang-up") {
      if (this.isTunneled) {
        this.#options.log(
          udp ? "UDP works again" : "the TCP tunnel went silent",
          udp ? "info" : "warn",
        );
      }
      this.#client.hangUp();
    }
    if (verdict === "dial") this.#dial();
    this.#keepWays(this.#client.relays);
    clearTimeout(this.#timer);
    const waitMs = this.#engagement.nextMs - nowMs();
    if (waitMs !== Infinity) this.#timer = setTimeout(() => this.#decide(), Math.max(0, waitMs));
  }

  #dial(): void {
    const relays = this.#relays();
    this.#keepWays(relays); // before they are needed
    this.#client.dial(relays, this.#proxy.isUsable ? this.#proxied(relays) : undefined);
  }

  /** The same through the HTTP proxy, by each address it has. */
  async #proxied(relays: readonly Relay[]): Promise<Relay[]> {
    const { choice } = this.#proxy;
    const hops = await this.#proxy.hops();
    const proxied = relays.filter(({ endpoint }) => !choice?.isBypassed(endpoint.ip))
      .flatMap((relay) => hops.map((hop) => ({ ...relay, hop })));
    this.#keepWays([...this.#client.relays, ...proxied]);
    return proxied;
  }

  #keepWays(relays: readonly Relay[]): void {
    const ips = relays.map((relay) => firstHop(relay).ip);
    // A proxy on this machine is reached without a route.
    this.#options.underlay.keep(ips.filter((ip) => scopeOf(ip) !== Scope.LOOPBACK));
  }

  #changed(what: "up" | "failed" | "broken"): void {
    const { nowMs, log } = this.#options;
    if (what === "up") log(`UDP seems to be blocked: using TCP by ${this.relay}`, "warn");
    else if (what === "failed") this.#engagement.failed(nowMs());
    else this.#engagement.broke(nowMs());
    this.#decide();
  }

  /** Whom to try, in order. */
  #relays(): Relay[] {
    const { tcpFallbackRelay } = this.#options.settings();
    if (tcpFallbackRelay) {
      return [
        { endpoint: tcpFallbackRelay, protocol: "reference" },
        { endpoint: tcpFallbackRelay, protocol: "websocket" },
      ];
    }
    const { upstreams } = this.#options.node.vl1;
    const usual = new Map<string, Endpoint>();
    const others = new Map<string, Endpoint>();
    for (const address of upstreams.addresses) {
      for (const endpoint of upstreams.endpointsOf(address) ?? []) {
        const { ip, port } = endpoint;
        usual.set(formatIp(ip), { ip, port: RELAY_PORT });
        if (port !== RELAY_PORT && port !== NODE_PORT) {
          others.set(formatEndpoint(endpoint), endpoint);
        }
      }
    }
    const ports = [usual, others].map((found) =>
      shuffled([...found.values()], this.#options.random)
    );
    // An attempt has room for so many only: where there are more, each kind is first in its turn.
    if (this.#attempts++ % 2 === 1) ports.reverse();
    return ports.flat().flatMap((endpoint) => [
      { endpoint, protocol: "websocket" as const },
      { endpoint, protocol: "reference" as const },
    ]);
  }

  #isSelf(endpoint: Endpoint): boolean {
    const { node, udpSockets } = this.#options;
    const { planet, moons } = node.vl1.upstreams;
    const listed = [planet, ...moons].flatMap(({ roots }) => roots)
      .filter(({ identity }) => identity.address === node.address)
      .flatMap(({ endpoints }) => endpoints);
    return [...listed, ...udpSockets()].some((own) => own && sameEndpoint(own, endpoint));
  }

  /** Opens our relay, or closes it, as roles and settings say. */
  #listen(): void {
    const { tcpRelay, tcpRelayPort } = this.#options.settings();
    const wanted = tcpRelay && this.#options.node.vl1.upstreams.amUpstream
      ? tcpRelayPort
      : undefined;
    const retry = wanted !== undefined && !this.#listener && this.#ticks % LISTEN_RETRY_TICKS === 0;
    if (wanted === this.#listenPort && !retry) return;
    const complain = wanted !== this.#listenPort;
    this.#listener?.close();
    this.#listener = undefined;
    this.#listenPort = wanted;
    if (wanted === undefined) return;
    try {
      this.#listener = RelayListener.open(wanted, this.#hub, this.#certificate());
      this.#options.log(`relaying for nodes without UDP on TCP port ${this.#listener.port}`);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (complain) this.#options.log(`no relay for nodes without UDP: ${error.message}`, "warn");
    }
  }

  #certificate() {
    const serial = new Uint8Array(SERIAL_LENGTH);
    this.#options.random(serial);
    return makeCertificate(Date.now(), serial);
  }

  /** Ends everything. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#client.hangUp();
    this.#options.underlay.keep([]);
    this.#listener?.close();
    this.#hub.close();
  }
}

/** In an order of chance, so that nodes spread over the relays there are. */
function shuffled<T>(items: T[], random: Random): T[] {
  const keys = new Uint8Array(items.length);
  random(keys);
  return items.map((item, i) => ({ item, key: keys[i] }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
