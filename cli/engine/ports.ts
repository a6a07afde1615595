/**
 * The virtual Ethernet ports of joined networks: a TAP each, with the addresses, routes and name
 * servers its network assigns, and the multicast groups the machine listens to on it.
 *
 * Source: spec 04 section 13, spec 06 section 9.
 * @module
 */
import type { Machine, NetworkSettings as MachineNetwork, Tap, TapOffload } from "../../ffi/mod.ts";
import { readTextFileIfAny } from "../../ffi/linux/system.ts";
import { deviceName } from "../../lib/base/device_name.ts";
import { messageOf, SystemError } from "../../lib/base/errors.ts";
import { formatNetworkId, type NetworkId, parseMac } from "../../lib/base/ids.ts";
import { contains, formatPrefix, type Ip, type Prefix } from "../../lib/base/ip.ts";
import {
  addressResolutionGroup,
  groupKey,
  type MulticastGroup,
} from "../../lib/base/multicast_group.ts";
import type { PortConfig } from "../../lib/network/network.ts";
import { type NetworkDns, resolverOf } from "./dns/network_dns.ts";
import type { NetworkNames } from "./dns/network_names.ts";
import type { LocalNetworkSettings } from "./home_files.ts";
import { type Managed, managedFor, type ManagedRoute } from "./managed.ts";
import type { PacketMover } from "./packet_mover.ts";
import { strictDevices } from "./reverse_path.ts";

const NAME_TRIALS = 256; // other names tried when a device of the usual one exists

/** One network's port. */
interface Port {
  readonly tapId: number;
  tap: Tap | undefined; // undefined: it could not be made, and is tried again
  config: PortConfig;
  applied: Managed;
  /** What the user was told does not work since it was configured: it is tried again every half minute. */
  readonly told: Set<string>;
  /** Devices the user was told of: they stand in the way of a default route. */
  strict: string;
  groupsKey: string;
}

/** What ports are made with. */
export interface PortsOptions {
  readonly machine: Machine;
  readonly network: MachineNetwork;
  readonly mover: PacketMover;
  /** Whether to exchange super-frames with the system where it can. */
  readonly offload: boolean;
  readonly settings: (id: NetworkId) => LocalNetworkSettings;
  readonly dns: NetworkDns;
  readonly names: NetworkNames;
  readonly isOnline: () => boolean;
  /** Text of `/proc/net/dev_mcast`; undefined where there is none. */
  readonly readMulticast: () => string | undefined;
  /** Lines `<16 hex>=<device>` of the file `devicemap`. */
  readonly deviceMap: () => string;
  readonly onPort: (id: NetworkId, failed: boolean) => void;
  readonly onGroups: (id: NetworkId, groups: MulticastGroup[]) => void;
  readonly log: (line: string) => void;
}

export class Ports {
  readonly #options: PortsOptions;
  readonly #ports = new Map<NetworkId, Port>();
  readonly #byTap = new Map<number, NetworkId>();
  #nextTapId = 1;

  constructor(options: PortsOptions) {
    this.#options = options;
  }

  /** Makes the port of a network, or changes it. */
  configure(id: NetworkId, config: PortConfig): void {
    const known = this.#ports.get(id);
    known?.told.clear();
    const port = known ?? this.#open(id, config);
    port.config = config;
    if (!port.tap) return;
    try {
      port.tap.setMtu(config.mtu);
    } catch (error) {
      this.#complain(error);
    }
    this.apply(id);
  }

  #open(id: NetworkId, config: PortConfig): Port {
    const tapId = this.#nextTapId++;
    const port: Port = {
      tapId,
      tap: undefined,
      config,
      applied: { addresses: [], routes: [] },
      told: new Set<string>(),
      strict: "",
      groupsKey: "",
    };
    this.#ports.set(id, port);
    this.#openTap(id, port);
    this.#options.onPort(id, port.tap === undefined);
    return port;
  }

  #openTap(id: NetworkId, port: Port): void {
    const { machine, mover, offload } = this.#options;
    const { tapId, config: { mac, mtu } } = port;
    this.#try(port, () => {
      const tap = machine.openTap({ name: this.#nameFor(id), mac, mtu, vnetHeader: offload });
      mover.addTap(tapId, tap.fd, { headers: offload, joinsUdp: tap.offload === "udp" });
      this.#byTap.set(tapId, id);
      port.tap = tap;
    }, `no interface for network ${formatNetworkId(id)}: `);
  }

  /** A device that could not be made before: the module may be loaded, or the permission given, by now. */
  #openAgain(id: NetworkId, port: Port): void {
    this.#openTap(id, port);
    if (!port.tap) return;
    this.apply(id);
    this.#options.onPort(id, false);
  }

  #nameFor(id: NetworkId): string {
    const { machine, deviceMap } = this.#options;
    for (const line of deviceMap().split(/[\r\n]+/)) {
      const [network, name] = line.split("=");
      if (network === formatNetworkId(id) && name && !machine.deviceExists(name)) return name;
    }
    for (let trial = 0; trial < NAME_TRIALS; trial++) {
      const name = deviceName(id, trial);
      if (!machine.deviceExists(name)) return name;
    }
    return deviceName(id, 0);
  }

  /** Puts on the device what is assigned and allowed, and takes off what is not any more. */
  apply(id: NetworkId): void {
    const port = this.#ports.get(id);
    if (!port?.tap) return;
    const { settings, isOnline, dns, names } = this.#options;
    const allowed = settings(id);
    const wanted = managedFor(port.config, allowed, isOnline());
    this.#applyRoutes(port, wanted, false);
    this.#applyAddresses(port, wanted);
    this.#applyRoutes(port, wanted, true);
    port.applied = wanted;
    this.#checkWayBack(port);
    const ownNames = names.set(id, { ...port.config, addresses: wanted.addresses });
    // The servers of the network's owner come first: a device cannot have some for this and some for that.
    const resolver = (allowed.allowDNS && resolverOf(port.config.dns)) || ownNames;
    dns.set(id, resolver, { index: port.tap.index, file: allowed.allowDNS });
    this.scanGroups(id);
  }

  /** Tells of devices that keep the network below from working when the default route is ours. */
  #checkWayBack(port: Port): void {
    const { network, log } = this.#options;
    const isDefault = port.applied.routes.some(({ target, gateway }) =>
      gateway?.length === 4 && target.bits <= 1
    );
    const strict = isDefault
      ? strictDevices(
        network.links().filter(({ index }) => index !== port.tap!.index),
        readTextFileIfAny,
      )
      : [];
    const names = strict.join(", ");
    if (names === port.strict) return;
    port.strict = names;
    if (names === "") return;
    log(
      `strict reverse path filtering on ${names} drops what other nodes send while the default ` +
        `route is ${port.tap!.name}: sysctl net.ipv4.conf.${strict[0]}.rp_filter=2`,
    );
  }

  #applyAddresses(port: Port, wanted: Managed): void {
    const { network } = this.#options;
    const { index } = port.tap!;
    const keep = new Set(wanted.addresses.map(formatPrefix));
    for (const prefix of port.applied.addresses) {
      if (!keep.has(formatPrefix(prefix))) {
        this.#try(port, () => network.removeAddress(index, prefix));
      }
    }
    for (const prefix of wanted.addresses) this.#try(port, () => network.addAddress(index, prefix));
  }

  /** @param add Whether to add (addresses must be there first) or to remove what is not wanted any more */
  #applyRoutes(port: Port, wanted: Managed, add: boolean): void {
    const { network } = this.#options;
    const { index } = port.tap!;
    const keep = new Set(wanted.routes.map(routeKey));
    if (add) {
      for (const route of wanted.routes) {
        this.#try(port, () => network.addRoute({ ...route, index }));
      }
    } else {
      for (const route of port.applied.routes) {
        if (!keep.has(routeKey(route))) {
          this.#try(port, () => network.removeRoute({ ...route, index }));
        }
      }
    }
  }

  /** One address or route that is refused must not keep the others from being set. @param what Said before the reason */
  #try({ told }: Port, change: () => unknown, what = ""): void {
    try {
      change();
    } catch (error) {
      const message = messageOf(error);
      if (!told.has(message)) this.#complain(error, what);
      told.add(message);
    }
  }

  #complain(error: unknown, what = ""): void {
    if (!(error instanceof SystemError)) throw error;
    this.#options.log(`${what}${error.message}`);
  }

  /** Everything again: when the connection came or went, or somebody else changed routes. */
  applyAll(): void {
    for (const [id, port] of this.#ports) {
      if (port.tap) this.apply(id);
      else this.#openAgain(id, port);
    }
  }

  /** Tells which groups the machine subscribes to on each port, when they changed. */
  scanAllGroups(): void {
    for (const id of this.#ports.keys()) this.scanGroups(id);
  }

  /** The same for one. */
  scanGroups(id: NetworkId): void {
    const port = this.#ports.get(id);
    if (!port?.tap) return;
    const groups = new Map<string, MulticastGroup>();
    const add = (group: MulticastGroup) => groups.set(groupKey(group), group);
    for (const mac of multicastMacs(this.#options.readMulticast() ?? "", port.tap.name)) {
      add({ mac, adi: 0 });
    }
    for (const { index, prefix } of this.#options.network.addresses()) {
      if (index === port.tap.index) add(addressResolutionGroup(prefix.ip));
    }
    const key = [...groups.keys()].sort().join(" ");
    if (key === port.groupsKey) return;
    port.groupsKey = key;
    this.#options.onGroups(id, [...groups.values()]);
  }

  /** The network whose TAP this is. */
  networkOf(tapId: number): NetworkId | undefined {
    return this.#byTap.get(tapId);
  }

  /** The TAP of a network; undefined when there is none. */
  tapOf(id: NetworkId): number | undefined {
    const port = this.#ports.get(id);
    return port?.tap && port.tapId;
  }

  /** Hands a frame to the machine. @returns false when there is no port or no room */
  deliver(id: NetworkId, frame: Uint8Array): boolean {
    const port = this.#ports.get(id);
    return port?.tap !== undefined && this.#options.mover.writeFrame(port.tapId, frame);
  }

  /** What the system leaves to us on our ports, which are opened alike; undefined when there are none. */
  get offload(): TapOffload | undefined {
    for (const { tap } of this.#ports.values()) if (tap) return tap.offload;
    return undefined;
  }

  deviceOf(id: NetworkId): string {
    return this.#ports.get(id)?.tap?.name ?? "";
  }

  /** Whether there is a device; what is assigned and allowed was put on it as it was made. */
  isReady(id: NetworkId): boolean {
    return this.#ports.get(id)?.tap !== undefined;
  }

  /** Addresses of our own devices: no path may run through them. */
  own(): Prefix[] {
    return [...this.#ports.values()].flatMap((port) => port.applied.addresses);
  }

  /** Whether the machine sends what is for that address to one of our devices. */
  captures(ip: Ip): boolean {
    return [...this.#ports.values()].some(({ applied }) =>
      applied.routes.some(({ target }) => contains(target, ip))
    );
  }

  /** Whether a device is one of ours. */
  isOwnDevice(index: number): boolean {
    return [...this.#ports.values()].some(({ tap }) => tap?.index === index);
  }

  /** Removes the port; addresses and routes go with it. */
  unconfigure(id: NetworkId): void {
    const port = this.#ports.get(id);
    if (!port) return;
    this.#ports.delete(id);
    this.#byTap.delete(port.tapId);
    this.#options.names.remove(id);
    this.#options.dns.remove(id);
    if (port.tap) this.#options.mover.removeTap(port.tapId).then(() => port.tap!.close());
  }

  /** A descriptor broke (somebody deleted the device): make it anew. */
  lost(tapId: number): void {
    const id = this.#byTap.get(tapId);
    const port = id === undefined ? undefined : this.#ports.get(id);
    if (id === undefined || !port) return;
    port.tap?.close();
    this.#options.names.remove(id);
    this.#options.dns.remove(id);
    this.#byTap.delete(tapId);
    this.#ports.delete(id);
    this.configure(id, port.config);
  }

  async close(): Promise<void> {
    const closing = [...this.#ports.values()].map(async ({ tap, tapId }) => {
      if (!tap) return;
      await this.#options.mover.removeTap(tapId);
      tap.close();
    });
    this.#ports.clear();
    this.#byTap.clear();
    this.#options.names.close();
    await Promise.all([...closing, this.#options.dns.close()]);
  }
}

function routeKey(route: ManagedRoute): string {
  const via = route.gateway?.join(".") ?? "";
  return `${formatPrefix(route.target)} ${via} ${route.metric ?? ""} ${route.source.join(".")}`;
}

/** MACs a device receives, from `/proc/net/dev_mcast`: device in column 1, MAC in column 4. */
function multicastMacs(table: string, device: string) {
  return table.split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1] === device)
    .flatMap((columns) => parseMac(columns[4] ?? "") ?? []);
}
