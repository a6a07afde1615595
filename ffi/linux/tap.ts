/**
 * Virtual Ethernet ports (`/dev/net/tun` in TAP mode).
 *
 * The MAC is set while the port is down, then it comes up and is set again, then the MTU: the reference's order. The
 * port vanishes, addresses and routes included, when its descriptor closes.
 *
 * Source: spec 04 section 13.1, spec 06 section 9.1, spec 07 section 5.
 * @module
 */
import type { Tap, TapOffload, TapOptions } from "../machine.ts";
import { Block } from "./block.ts";
import { check, type Remedies } from "./errno.ts";
import { libc } from "./libc.ts";
import { macBytes } from "./netlink_message.ts";
import { setLink } from "./netlink_link.ts";
import { Netlink } from "./netlink.ts";
import { closeFd, O_NONBLOCK, O_RDWR, openPath, pathExists } from "./system.ts";

const TUNSETIFF = 0x400454can;
const IFF_TAP = 0x2;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const TUNSETOFFLOAD = 0x400454d0n;
/** Checksums, TCP for both families, TCP with ECN, UDP for both families; each next choice asks for less. */
const OFFLOADS: readonly (readonly [flags: bigint, offload: TapOffload])[] = [
  [0x6fn, "udp"],
  [0x0fn, "tcp"],
  [0x07n, "tcp"],
  [0x01n, "checksum"],
  [0n, "none"],
];
const SIOCGIFINDEX = 0x8933n;
const IFREQ_LENGTH = 40;
const NAME_LENGTH_MAX = 15;
const MTU_MIN = 68; // the kernel's own limit: least that carries IPv4
const MTU_MAX = 10_000; // ours: the largest MTU a network may have

const OPEN_REMEDIES: Remedies = {
  ENOENT: "load the tun module: modprobe tun",
  ENODEV: "load the tun module: modprobe tun",
  ENXIO: "load the tun module: modprobe tun",
  EPERM: "run as root, or give the binary cap_net_admin",
  EACCES: "run as root, or make it readable and writable for this user",
};
const CREATE_REMEDIES: Remedies = {
  EPERM: "run as root, or give the binary cap_net_admin",
  EBUSY: "another process uses the device of that name",
  EINVAL: "a device of that name exists and is of another kind",
};

/** Whether a network device of that name exists; also true for one in use by another process. */
export function deviceExists(name: string): boolean {
  return pathExists(`/proc/sys/net/ipv4/conf/${name}`);
}

/**
 * Creates a port, configures it and brings it up.
 * @throws {SystemError} when the system refuses, {RangeError} on a name or MTU that cannot be
 */
export function openTap(options: TapOptions): Tap {
  const name = new TextEncoder().encode(options.name);
  if (name.length === 0 || name.length > NAME_LENGTH_MAX) {
    throw new RangeError(`device name "${options.name}" is not 1 to ${NAME_LENGTH_MAX} bytes`);
  }
  checkMtu(options.mtu);
  const fd = openPath("/dev/net/tun", O_RDWR | O_NONBLOCK, OPEN_REMEDIES);
  try {
    const request = new Uint8Array(new ArrayBuffer(IFREQ_LENGTH));
    request.set(name);
    const flags = IFF_TAP | IFF_NO_PI | (options.vnetHeader ? IFF_VNET_HDR : 0);
    new DataView(request.buffer).setUint16(16, flags, true);
    const operation = `create network device ${options.name}`;
    check(operation, libc().ioctl(fd, TUNSETIFF, request), CREATE_REMEDIES);
    return LinuxTap.configure(fd, options, options.vnetHeader ? setOffloads(fd) : "none");
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

/** Asks for super-frames, and for less where the kernel does not know them. @returns what it took */
function setOffloads(fd: number): TapOffload {
  const taken = OFFLOADS.find(([flags]) => libc().ioctlValue(fd, TUNSETOFFLOAD, flags) === 0);
  return taken?.[1] ?? "none";
}

function checkMtu(mtu: number): void {
  if (!Number.isInteger(mtu) || mtu < MTU_MIN || mtu > MTU_MAX) {
    throw new RangeError(`MTU ${mtu} is not ${MTU_MIN} to ${MTU_MAX}`);
  }
}

class LinuxTap implements Tap {
  readonly #netlink: Netlink;
  #mtu: number;

  private constructor(
    readonly fd: number,
    readonly name: string,
    readonly index: number,
    readonly offload: TapOffload,
    mtu: number,
    netlink: Netlink,
  ) {
    this.#mtu = mtu;
    this.#netlink = netlink;
  }

  static configure(fd: number, options: TapOptions, offload: TapOffload): LinuxTap {
    // The netlink socket stays with the port: it speaks for the namespace the port was made in.
    const netlink = Netlink.open();
    try {
      const index = deviceIndex(netlink.fd, options.name);
      const mac = macBytes(options.mac);
      setLink(netlink, index, { mac });
      setLink(netlink, index, { up: true, multicast: true });
      setLink(netlink, index, { mac, mtu: options.mtu });
      return new LinuxTap(fd, options.name, index, offload, options.mtu, netlink);
    } catch (error) {
      netlink.close();
      throw error;
    }
  }

  get mtu(): number {
    return this.#mtu;
  }

  setMtu(mtu: number): void {
    checkMtu(mtu);
    if (mtu === this.#mtu) return;
    setLink(this.#netlink, this.index, { mtu });
    this.#mtu = mtu;
  }

  write(frame: Uint8Array): boolean {
    return tapWrite(this.fd, frame);
  }

  close(): void {
    if (this.#netlink.closed) return;
    this.#netlink.close();
    closeFd(this.fd);
  }
}

function deviceIndex(fd: number, name: string): number {
  const request = new Block(IFREQ_LENGTH);
  request.bytes.set(new TextEncoder().encode(name));
  const bytes = request.bytes as Uint8Array<ArrayBuffer>;
  check(`find network device ${name}`, libc().ioctl(fd, SIOCGIFINDEX, bytes));
  return request.view.getInt32(16, true);
}

/**
 * Hands one frame to the system, without waiting.
 * @returns false when it was not taken (EIO: port down; EAGAIN, ENOBUFS: queue full): the frame is lost
 */
export function tapWrite(fd: number, frame: Uint8Array): boolean {
  const bytes = frame as Uint8Array<ArrayBuffer>;
  return libc().writeBuffer(fd, bytes, BigInt(bytes.length)) === bytes.length;
}
