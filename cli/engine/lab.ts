/**
 * Networks out of thin air: hosts in network namespaces, cables and switches between them. For `zt demo` and the
 * end-to-end tests. Needs root, or root inside a user namespace. Nothing has a name on this machine, and all of
 * it vanishes with the process, however it ends; only child processes have to be ended, which disposing does.
 * @module
 */
import { Namespace } from "../../ffi/linux/namespace.ts";
import { createBridge, createCable, findLink, setLink } from "../../ffi/linux/netlink_link.ts";
import { LinuxSettings } from "../../ffi/linux/settings.ts";
import { writeSysctl } from "../../ffi/linux/system.ts";
import { ApiError, assert } from "../../lib/base/errors.ts";
import { formatIp, type Ip, parseIp, parsePrefix, type Prefix } from "../../lib/base/ip.ts";

const HOSTS_PER_SWITCH_MAX = 250; // what a /24 holds, with room
const DEVICE_NAME_LENGTH_MAX = 15;
const TERM_MS = 3_000; // between asking a child to end and ending it

/** A machine of the lab: a network stack of its own and what runs in it. */
export class LabHost {
  readonly namespace: Namespace;
  /** Its links, addresses and routes; usable from outside. */
  readonly settings: LinuxSettings;
  #devices = 0;

  constructor(readonly name: string) {
    this.namespace = Namespace.create();
    this.settings = this.namespace.run(() => new LinuxSettings());
  }

  /** Name of the next device: "eth0", "eth1", ... */
  nextDevice(): string {
    return `eth${this.#devices++}`;
  }

  /** Index of a device of this host. */
  deviceIndex(name: string): number {
    const link = findLink(this.settings.netlink, name);
    if (!link) throw new RangeError(`host ${this.name} has no device ${name}`);
    return link.index;
  }

  /** Gives a device an address, "10.0.0.1/24". */
  addAddress(device: string, prefix: string): void {
    this.settings.addAddress(this.deviceIndex(device), prefixOf(prefix));
  }

  /** Takes an address away. @returns false when the device did not have it */
  removeAddress(device: string, prefix: string): boolean {
    return this.settings.removeAddress(this.deviceIndex(device), prefixOf(prefix));
  }

  /** Adds a route through a gateway. @param target e.g. "0.0.0.0/0" */
  addRoute(target: string, gateway: string): void {
    this.settings.replaceRoute({ target: prefixOf(target), gateway: ipOf(gateway) });
  }

  /** Brings a device up or down. */
  setUp(device: string, up: boolean): void {
    setLink(this.settings.netlink, this.deviceIndex(device), { up });
  }

  /** Makes it pass packets between its devices. */
  forward(): void {
    this.namespace.run(() => {
      writeSysctl("net.ipv4.ip_forward", 1);
      writeSysctl("net.ipv6.conf.all.forwarding", 1);
    });
  }

  /** Runs `fn`, which is synchronous, inside the host: what it opens stays there. */
  run<T>(fn: () => T): T {
    return this.namespace.run(fn);
  }

  close(): void {
    this.settings.close();
    this.namespace.close();
  }
}

/** A cable's or a switch port's device on a host, and the addresses it got. */
export interface LabPort {
  readonly host: LabHost;
  readonly device: string;
  readonly addresses: readonly Prefix[];
}

/** What a wire carries at each end. */
export interface WireOptions {
  /** Addresses of the first host's end, "10.0.0.1/24". */
  readonly a?: readonly string[];
  /** Addresses of the second host's end. */
  readonly b?: readonly string[];
  /** Of both ends; 1500 when absent. */
  readonly mtu?: number;
}

/** A switch with its hosts, each with an IPv4 and an IPv6 address. */
export interface LabSwitch {
  /** Host `i` has the i-th port. */
  readonly ports: readonly LabPort[];
  /** Address of a host on this switch. */
  ipv4(host: LabHost): string;
  /** Address of a host on this switch. */
  ipv6(host: LabHost): string;
}

/** What a switch hands out; absent families are not configured. */
export interface SwitchOptions {
  /** Network of 24 bits; host i gets .i+1. Default 10.77.n.0 by switch. */
  readonly ipv4?: string | null;
  /** Network of 64 bits; host i gets ::i+1. Default fd77:n:: by switch. */
  readonly ipv6?: string | null;
  readonly mtu?: number;
}

/** How a program is started in a host. */
export interface LabSpawnOptions extends Omit<Deno.CommandOptions, "args"> {
  /** What disposing sends first; default SIGTERM. */
  readonly endSignal?: Deno.Signal;
}

interface Child {
  readonly process: Deno.ChildProcess;
  readonly endSignal: Deno.Signal;
  ended: boolean;
}

/** A set of hosts. Use with `await using`, or call {@linkcode Lab.end}. */
export class Lab implements AsyncDisposable {
  readonly #hosts: LabHost[] = [];
  readonly #children: Child[] = [];
  #switches = 0;
  #cables = 0;
  #ended = false;

  /** Adds a host with nothing but a loopback device. @throws {SystemError} when namespaces cannot be made */
  host(name: string): LabHost {
    const host = new LabHost(name);
    this.#hosts.push(host);
    return host;
  }

  /** Joins two hosts by a cable, up at both ends. */
  wire(a: LabHost, b: LabHost, options: WireOptions = {}): [LabPort, LabPort] {
    const devices = [a.nextDevice(), b.nextDevice()];
    this.#cable(a, devices[0], b, devices[1]);
    return [
      configurePort(a, devices[0], options.a ?? [], options.mtu),
      configurePort(b, devices[1], options.b ?? [], options.mtu),
    ];
  }

  /** Joins hosts by a switch of its own and gives each an address per family. */
  switch(hosts: readonly LabHost[], options: SwitchOptions = {}): LabSwitch {
    if (hosts.length > HOSTS_PER_SWITCH_MAX) {
      throw new RangeError(`${hosts.length} hosts do not fit a switch of ${HOSTS_PER_SWITCH_MAX}`);
    }
    const number = ++this.#switches;
    const ipv4 = networkOf(options.ipv4, `10.77.${number}.0`);
    const ipv6 = networkOf(options.ipv6, `fd77:${number.toString(16)}::`);
    const bridge = this.host(`switch ${number}`);
    const bridgeIndex = startBridge(bridge);
    const ports = hosts.map((host, index) => {
      const device = host.nextDevice();
      const far = `port${index}`;
      this.#cable(host, device, bridge, far);
      const mtu = options.mtu;
      const master = bridgeIndex;
      setLink(bridge.settings.netlink, bridge.deviceIndex(far), { mtu, master, up: true });
      const addresses: string[] = [];
      if (ipv4) addresses.push(`${formatIp(hostOf(ipv4, index + 1))}/24`);
      if (ipv6) addresses.push(`${formatIp(hostOf(ipv6, index + 1))}/64`);
      return configurePort(host, device, addresses, mtu);
    });
    const find = (host: LabHost, length: number) => {
      const port = ports.find((one) => one.host === host);
      const address = port?.addresses.find(({ ip }) => ip.length === length);
      if (!address) throw new RangeError(`${host.name} has no such address on switch ${number}`);
      return formatIp(address.ip);
    };
    return { ports, ipv4: (host) => find(host, 4), ipv6: (host) => find(host, 16) };
  }

  /**
   * Starts a program inside a host. It is ended with the lab.
   * @returns the child; who pipes its output must read it
   * @throws {ApiError} when the lab has ended: whoever is still at work in it must not leave a child behind
   */
  spawn(
    host: LabHost,
    command: string,
    args: readonly string[],
    options: LabSpawnOptions = {},
  ): Deno.ChildProcess {
    if (this.#ended) throw new ApiError(0, "the lab has ended");
    const { endSignal = "SIGTERM", ...rest } = options;
    const process = host.namespace.spawn(command, { ...rest, args: [...args] });
    const child = { process, endSignal, ended: false };
    this.#children.push(child);
    process.status.then(() => child.ended = true, () => child.ended = true);
    return process;
  }

  /** Ends every child still running and waits for it, then lets all hosts go. */
  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all(this.#children.splice(0).map(endChild));
    for (const host of this.#hosts.splice(0)) host.close();
  }

  /** Ends every child by force and waits for nothing: for the last moment of a process. */
  kill(): void {
    this.#ended = true;
    for (const child of this.#children) {
      if (!child.ended) sendSignal(child, "SIGKILL");
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }

  #cable(a: LabHost, aDevice: string, b: LabHost, bDevice: string): void {
    // Made under names nobody else takes, in a namespace of ours, then renamed at their places: hosts may both have
    // an eth0, and creation passes through the namespace of the socket that asks.
    const number = this.#cables++;
    const ends = [
      { host: a, temporary: `lab${number}a`, device: aDevice },
      { host: b, temporary: `lab${number}b`, device: bDevice },
    ];
    const [near, far] = ends.map(({ host, temporary }) => ({
      name: temporary,
      namespaceFd: host.namespace.fd,
    }));
    createCable(a.settings.netlink, near, far);
    for (const { host, temporary, device } of ends) {
      assert(device.length <= DEVICE_NAME_LENGTH_MAX, "lab device names are short");
      setLink(host.settings.netlink, host.deviceIndex(temporary), { name: device });
    }
  }
}

function startBridge(host: LabHost): number {
  // A switch is no host: without this its ports and itself would take part in IPv6.
  host.run(() => {
    writeSysctl("net.ipv6.conf.all.disable_ipv6", 1);
    writeSysctl("net.ipv6.conf.default.disable_ipv6", 1);
  });
  createBridge(host.settings.netlink, "switch");
  const index = host.deviceIndex("switch");
  setLink(host.settings.netlink, index, { up: true });
  return index;
}

function configurePort(
  host: LabHost,
  device: string,
  addresses: readonly string[],
  mtu: number | undefined,
): LabPort {
  const index = host.deviceIndex(device);
  setLink(host.settings.netlink, index, { mtu, up: true });
  const prefixes = addresses.map(prefixOf);
  for (const prefix of prefixes) host.settings.addAddress(index, prefix);
  return { host, device, addresses: prefixes };
}

async function endChild(child: Child): Promise<void> {
  if (child.ended) return;
  sendSignal(child, child.endSignal);
  const timer = setTimeout(() => sendSignal(child, "SIGKILL"), TERM_MS);
  await child.process.status;
  clearTimeout(timer);
}

function sendSignal(child: Child, signal: Deno.Signal): void {
  try {
    child.process.kill(signal);
  } catch {
    // It ended between our looking and our asking.
  }
}

function networkOf(given: string | null | undefined, fallback: string): Ip | undefined {
  return given === null ? undefined : ipOf(given ?? fallback);
}

function hostOf(network: Ip, number: number): Ip {
  const ip = network.slice();
  ip[ip.length - 1] = number;
  return ip;
}

function ipOf(text: string): Ip {
  const ip = parseIp(text);
  if (!ip) throw new TypeError(`"${text}" is not an IP address`);
  return ip;
}

function prefixOf(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (!prefix) throw new TypeError(`"${text}" is not an address with prefix length`);
  return prefix;
}
