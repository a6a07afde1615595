/**
 * The UDP sockets of a running node: one for each usable address and port, opened and closed as addresses come and go.
 *
 * Source: spec 03 section 5, spec 06 section 7. Unlike the reference the interfaces are looked at
 * when the system says that something changed, not every 30 s, and interfaces of containers and
 * other tunnels are left out (spec 03 section 28 items 5 and 9), unless there is no other way out:
 * ppp0 is a tunnel here and the line to the provider there, and some containers know but a tap0.
 * @module
 */
import type {
  Link,
  Machine,
  NetworkSettings as MachineNetwork,
  SendHow,
  UdpSocket,
} from "../../ffi/mod.ts";
import { SystemError } from "../../lib/base/errors.ts";
import {
  contains,
  type Endpoint,
  formatEndpoint,
  formatIp,
  type Ip,
  parseIp,
  sameIp,
  Scope,
  scopeOf,
} from "../../lib/base/ip.ts";
import type { Random } from "../../lib/crypto/primitives.ts";
import type { LocalSocket, SocketId } from "../../lib/peer/path.ts";
import type { PacketMover } from "./packet_mover.ts";
import { findUplinks, type MappablePorts, type Uplink } from "./port_mapping/gateways.ts";
import type { Settings } from "./settings.ts";

export const DEFAULT_PORT = 9993;
const BINDINGS_MAX = 64; // reference 256; each costs a descriptor and a HELLO at first contact
const RANDOM_PORT_MIN = 20_000; // as the reference: above what services use
const RANDOM_PORT_COUNT = 45_500;
const RANDOM_PORT_TRIES = 64;
const STUCK_LOOKS = 120; // one a second, all without an answer; reference 120 s offline

/** Interfaces no path ever runs through: loopback, and networks of this kind. */
const NEVER_USED = /^(lo|zt)/;
/** Nor through these, if there is a way without: other tunnels, containers, virtual machines' bridges. */
const FOREIGN_INTERFACE =
  /^(tun|tap|wg|tailscale|nebula|ppp|docker|br-[0-9a-f]{12}$|virbr|vnet|veth|cni|flannel|cali|lxc|lxdbr|podman|kube|dummy)/;
const USABLE_SCOPES = new Set<Scope>([
  Scope.PSEUDOPRIVATE,
  Scope.GLOBAL,
  Scope.SHARED,
  Scope.PRIVATE,
]);

/** One address to bind, and the interface it belongs to. */
interface Place {
  readonly ip: Ip;
  readonly device: string | undefined;
  /** Length of the prefix that is on its link; undefined where only the address is known. */
  readonly bits?: number;
}

interface Bound extends LocalSocket {
  readonly udp: UdpSocket;
  readonly place: Place;
  readonly key: string;
}

/** What sockets are made with. */
export interface SocketsOptions {
  readonly machine: Machine;
  readonly network: MachineNetwork;
  readonly mover: PacketMover;
  readonly random: Random;
  readonly settings: () => Settings;
  /** Whether a device is a network of ours, whatever its name. */
  readonly isOwnDevice: (index: number) => boolean;
  /** From -p: counts unless `local.conf` names one; 0 picks one. */
  readonly port?: number;
  readonly log: (line: string) => void;
}

export class Sockets {
  /** The port of the API and of the first socket on each address. */
  readonly primaryPort: number;
  #secondaryPort: number | undefined;
  #tertiaryPort: number | undefined;
  #uplinks: Uplink[] = [];
  readonly #options: SocketsOptions;
  readonly #bound = new Map<string, Bound>();
  readonly #beside = new Map<SocketId, UdpSocket>(); // the node asked for them; it bounds their number
  readonly #refused = new Map<string, string>(); // complained about once, by place
  #besideRefused: string | undefined; // complained about once
  #nextId: SocketId = 1;
  #sentNowBytes = 0;
  #looksUnanswered = 0;

  /** @throws {SystemError} when the primary port is taken */
  constructor(options: SocketsOptions) {
    this.#options = options;
    const settings = options.settings();
    const asked = settings.primaryPort ?? options.port ?? DEFAULT_PORT;
    this.primaryPort = asked === 0 ? this.#randomPort() : asked;
    this.#checkFree(this.primaryPort);
    this.#secondaryPort = settings.allowSecondaryPort
      ? settings.secondaryPort || this.#randomPort()
      : undefined;
    this.refresh();
  }

  /** A second port on each address; undefined where none is allowed. */
  get secondaryPort(): number | undefined {
    return this.#secondaryPort;
  }

  /** Port that gateways are asked to map, and that is used for nothing else; undefined while mapping is off. */
  get tertiaryPort(): number | undefined {
    const { portMappingEnabled, tertiaryPort } = this.#options.settings();
    if (!portMappingEnabled) return undefined;
    return this.#tertiaryPort ??= tertiaryPort || this.#randomPort();
  }

  /** Addresses with a gateway before them, as of the last refresh. */
  get uplinks(): readonly Uplink[] {
    return this.#uplinks;
  }

  /** What gateways are asked for: the tertiary port on IPv4, an opening for the primary one on IPv6. */
  get mappable(): MappablePorts {
    const ipv4 = this.tertiaryPort;
    return { ipv4, ipv6: ipv4 === undefined ? undefined : this.primaryPort };
  }

  /** Every socket there is now. */
  get all(): LocalSocket[] {
    return [...this.#bound.values()].map(({ id, ip, port, device }) => ({ id, ip, port, device }));
  }

  /** Sends at once and past the queue: for the packets that travel in their own way. */
  sendNow(id: SocketId, to: Endpoint, bytes: Uint8Array, how: SendHow): void {
    const udp = this.#beside.get(id) ?? this.#find(id)?.udp;
    if (!udp) return;
    udp.sendTo(bytes, to, how);
    this.#sentNowBytes += bytes.length;
  }

  /** The first socket on the link an address belongs to. */
  onLinkOf(ip: Ip): SocketId | undefined {
    for (const { id, place } of this.#bound.values()) {
      if (place.bits !== undefined && contains({ ip: place.ip, bits: place.bits }, ip)) return id;
    }
    return undefined;
  }

  #find(id: SocketId): Bound | undefined {
    for (const bound of this.#bound.values()) if (bound.id === id) return bound;
    return undefined;
  }

  /**
   * Opens a socket on any port where another is bound, for the node alone: it is none of {@linkcode
   * all}. Where the machine has no more to give there is none, and what is sent by it is lost.
   */
  openBeside(id: SocketId, beside: SocketId): void {
    const { machine, mover, log } = this.#options;
    const place = this.#find(beside)?.place;
    if (!place) return;
    try {
      const udp = machine.openUdp({ ...place, port: 0 });
      this.#beside.set(id, udp);
      mover.addSocket(id, udp.fd);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (this.#besideRefused !== error.code) {
        log(`no more sockets to open ports of the NAT: ${error.message}`);
      }
      this.#besideRefused = error.code;
    }
  }

  /** Closes such a socket. */
  closeBeside(id: SocketId): void {
    const udp = this.#beside.get(id);
    this.#beside.delete(id);
    if (udp) this.#options.mover.removeSocket(id).then(() => udp.close());
  }

  /** Payload sent past the queue. */
  get sentNowBytes(): number {
    return this.#sentNowBytes;
  }

  /**
   * To be called once a second, with whether a root answers over UDP. While none does there is
   * another secondary port from time to time: routers have been seen to stop a port for good.
   * @returns whether the sockets changed
   */
  look(isAnswered: boolean): boolean {
    const { allowSecondaryPort, secondaryPort } = this.#options.settings();
    this.#looksUnanswered = isAnswered ? 0 : this.#looksUnanswered + 1;
    if (this.#looksUnanswered < STUCK_LOOKS) return false;
    this.#looksUnanswered = 0;
    if (!allowSecondaryPort || secondaryPort !== 0) return false;
    try {
      this.#secondaryPort = this.#randomPort();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return false; // no port, or no descriptor to look for one
    }
    return this.refresh();
  }

  /** Binds what is new and closes what is gone. @returns whether anything changed */
  refresh(): boolean {
    const wanted = new Map<string, { place: Place; port: number }>();
    const places = this.#places();
    this.#uplinks = findUplinks(this.#options.network, places.map(({ ip }) => ip));
    for (const place of places) {
      for (const port of this.#portsAt(place)) {
        if (port === undefined || wanted.size >= BINDINGS_MAX) continue;
        const key = `${place.device ?? ""}|${formatEndpoint({ ip: place.ip, port })}`;
        wanted.set(key, { place, port });
      }
    }
    let changed = false;
    for (const [key, bound] of this.#bound) {
      if (wanted.has(key)) continue;
      this.#close(key, bound);
      changed = true;
    }
    for (const key of [...this.#refused.keys()]) if (!wanted.has(key)) this.#refused.delete(key);
    for (const [key, { place, port }] of wanted) {
      if (!this.#bound.has(key)) changed = this.#bind(key, place, port) || changed;
    }
    return changed;
  }

  /** The tertiary port is bound only where it can be mapped: every socket costs a HELLO at first contact. */
  #portsAt({ ip }: Place): (number | undefined)[] {
    const isTranslated = ip.length === 4 && this.#uplinks.some(({ local }) => sameIp(local, ip));
    return [this.primaryPort, this.#secondaryPort, isTranslated ? this.tertiaryPort : undefined];
  }

  #bind(key: string, place: Place, port: number): boolean {
    const { machine, mover, log } = this.#options;
    const { ip, device } = place;
    let udp: UdpSocket;
    try {
      udp = machine.openUdp({ ip, port, device });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      // An address that has just appeared may not be usable yet; the next change or check tries again.
      const complaint = `${formatEndpoint({ ip, port })}: ${error.message}`;
      if (!this.#refused.has(key)) log(`not listening on ${complaint}`);
      this.#refused.set(key, complaint);
      return false;
    }
    this.#refused.delete(key);
    const id = this.#nextId++;
    const name = device ?? this.#deviceOf(ip);
    this.#bound.set(key, { id, ip, port: udp.port, device: name, udp, place, key });
    mover.addSocket(id, udp.fd);
    return true;
  }

  /** The interface an address belongs to now. */
  #deviceOf(ip: Ip): string | undefined {
    const { network } = this.#options;
    const address = network.addresses().find(({ prefix }) => sameIp(prefix.ip, ip));
    return network.links().find(({ index }) => index === address?.index)?.name;
  }

  #close(key: string, bound: Bound): void {
    this.#bound.delete(key);
    this.#options.mover.removeSocket(bound.id).then(() => bound.udp.close());
  }

  /** A descriptor broke: forget it, so that the next look binds it anew. */
  lost(id: SocketId): void {
    this.#beside.get(id)?.close();
    this.#beside.delete(id);
    for (const [key, bound] of this.#bound) {
      if (bound.id !== id) continue;
      this.#bound.delete(key);
      bound.udp.close();
    }
  }

  /** Addresses to bind: those configured, else all usable ones of usable interfaces. */
  #places(): Place[] {
    const { network, settings } = this.#options;
    const { bind, physical, forceTcpRelay } = settings();
    if (forceTcpRelay) return [];
    if (bind.length > 0) return bind.map((ip) => ({ ip, device: undefined }));
    const devices = this.#usableDevices();
    const places: Place[] = [];
    for (const { index, prefix, temporary, tentative } of network.addresses()) {
      const device = devices.get(index);
      if (device === undefined) continue;
      if (temporary || tentative || !USABLE_SCOPES.has(scopeOf(prefix.ip))) continue;
      if (physical.some((entry) => entry.blacklist && contains(entry.network, prefix.ip))) continue;
      places.push({ ip: prefix.ip, device, bits: prefix.bits });
    }
    return places;
  }

  /** Names of the devices paths may run through, by index. */
  #usableDevices(): Map<number, string> {
    const { network, settings, isOwnDevice } = this.#options;
    const { interfacePrefixBlacklist, bonds } = settings();
    const possible = network.links().filter(({ index, name, up, loopback }) =>
      up && !loopback && !isOwnDevice(index) &&
      !interfacePrefixBlacklist.some((prefix) => name.startsWith(prefix))
    );
    const usable = possible.filter(({ name }) =>
      bonds?.interfaces.has(name) || !NEVER_USED.test(name) && !FOREIGN_INTERFACE.test(name)
    );
    const waysOut = network.routes().filter(({ target }) => target.bits === 0);
    const last = [4, 16].flatMap((ipLength) => {
      const ofFamily = waysOut.filter(({ target }) => target.ip.length === ipLength);
      const isWayOut = ({ index }: Link) => ofFamily.some((route) => route.index === index);
      // A route by several devices at once names none here; one of them is usable.
      if (usable.some(isWayOut) || ofFamily.some(({ index }) => index === undefined)) return [];
      return possible.filter((link) => isWayOut(link) && !NEVER_USED.test(link.name));
    });
    return new Map([...usable, ...last].map(({ index, name }) => [index, name]));
  }

  /** The API needs the same port over TCP: find out before anything depends on it. */
  #checkFree(port: number): void {
    try {
      Deno.listen({ hostname: "0.0.0.0", port }).close();
    } catch (error) {
      const remedy = "another service runs here; stop it or choose another port with -p";
      if (error instanceof Deno.errors.AddrInUse) {
        throw new SystemError(`use port ${port}`, "EADDRINUSE", remedy);
      }
      if (error instanceof Deno.errors.PermissionDenied) {
        throw new SystemError(`use port ${port}`, "EACCES", "ports below 1024 need root");
      }
      throw error;
    }
  }

  /** A port free for both UDP and TCP. */
  #randomPort(): number {
    const { machine, random } = this.#options;
    const bytes = new Uint8Array(2);
    for (let i = 0; i < RANDOM_PORT_TRIES; i++) {
      random(bytes);
      const port = RANDOM_PORT_MIN + ((bytes[0] << 8) | bytes[1]) % RANDOM_PORT_COUNT;
      try {
        machine.openUdp({ ip: parseIp("0.0.0.0")!, port }).close();
        Deno.listen({ hostname: "0.0.0.0", port }).close();
        return port;
      } catch (error) {
        const taken = error instanceof Deno.errors.AddrInUse ||
          error instanceof SystemError && error.code === "EADDRINUSE";
        if (!taken) throw error;
      }
    }
    throw new SystemError("find a free port", "EADDRINUSE", "name one with -p");
  }

  async close(): Promise<void> {
    const bound = [...this.#bound.values()].map(({ id, udp }) => [id, udp] as const);
    const closing = [...bound, ...this.#beside].map(async ([id, udp]) => {
      await this.#options.mover.removeSocket(id);
      udp.close();
    });
    this.#bound.clear();
    this.#beside.clear();
    await Promise.all(closing);
  }

  /** "ip/port: reason" of every socket that could not be opened. */
  get refused(): string[] {
    return [...this.#refused.values()];
  }

  /** "ip/port" of every socket. */
  describe(): string[] {
    return this.all.map(({ ip, port }) => `${formatIp(ip)}/${port}`);
  }
}
