/**
 * UDP sockets.
 *
 * The control thread opens them and may send on them; only the data Worker reads them (`mmsg.ts`). A time to live
 * other than the default travels beside its own datagram as a control message: setting it on the socket would also
 * catch what the other thread sends at that moment.
 *
 * Source: spec 07 section 5; `ip(7)`, `ipv6(7)`.
 * @module
 */
import type { Endpoint, Ip } from "../../lib/base/ip.ts";
import type { SendHow, UdpOptions, UdpSocket } from "../machine.ts";
import { Block } from "./block.ts";
import { check, ECONNREFUSED, errno, type Remedies } from "./errno.ts";
import { libc } from "./libc.ts";
import { decodeSockaddr, encodeSockaddr, familyOf, putSockaddr } from "./sockaddr.ts";
import { SOCKADDR_ROOM, sockaddrLength } from "./sockaddr.ts";
import { closeFd, O_CLOEXEC, O_NONBLOCK } from "./system.ts";

/**
 * Kernel buffer each way; the kernel doubles it for what it spends itself. In a larger one a TCP
 * stream that comes faster than it is taken piles up all it has in flight, and everything else
 * waits behind it: measured by a ping beside one stream, 4 MB 3.7 to 4.2 ms, 512 KB 1.7 to 2.5, 256
 * KB 1.2 to 1.8. With 256 KB the stream, and small datagrams above all, lose a tenth and more: too
 * little comes at once.
 */
export const UDP_BUFFER_LENGTH = 393_216;
/** Largest UDP payload over IPv4. */
const DATAGRAM_LENGTH_MAX = 65_507;

const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_BROADCAST = 6;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_REUSEPORT = 15;
const SO_BINDTODEVICE = 25;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const IPPROTO_IP = 0;
const IP_TTL = 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const IP_MTU_DISCOVER = 10;
const IPV6_MTU_DISCOVER = 23;
const MTU_DISCOVER_DONT = 0; // set no "don't fragment", use what the system knows of the path
const MTU_DISCOVER_PROBE = 3; // set it, and send whatever the length
const IPV6_HOPLIMIT = 52;
const MSG_DONTWAIT = 0x40;

const BIND_REMEDIES: Remedies = {
  EADDRINUSE: "another program, perhaps another zt or ZeroTier One, has this port; choose another",
  EADDRNOTAVAIL: "no device of this machine has that address",
  EACCES: "ports below 1024 need root or cap_net_bind_service",
};

/** Opens and binds a UDP socket with large buffers. @throws {SystemError} */
export function openUdp(options: UdpOptions): UdpSocket {
  const where = `${textOf(options.ip)} port ${options.port}`;
  const type = SOCK_DGRAM | O_NONBLOCK | O_CLOEXEC;
  const fd = check("open a UDP socket", libc().socket(familyOf(options.ip.length), type, 0));
  try {
    // Routers may fragment: the longest datagram of a path is found by asking, and until then none
    // is lost for its length.
    const [level, name] = options.ip.length === 4
      ? [IPPROTO_IP, IP_MTU_DISCOVER]
      : [IPPROTO_IPV6, IPV6_MTU_DISCOVER];
    trySetInt(fd, level, name, MTU_DISCOVER_DONT);
    if (options.ip.length === 4) setInt(fd, SOL_SOCKET, SO_BROADCAST, 1, "allow broadcasts");
    if (options.ip.length === 16) setInt(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, "keep IPv4 out");
    if (options.reuse) {
      setInt(fd, SOL_SOCKET, SO_REUSEADDR, 1, "share the address");
      setInt(fd, SOL_SOCKET, SO_REUSEPORT, 1, "share the port");
    }
    if (options.device !== undefined) bindToDevice(fd, options.device);
    const address = encodeSockaddr(options);
    const length = sockaddrLength(options.ip.length);
    check(`bind UDP ${where}`, libc().bind(fd, address, length), BIND_REMEDIES);
    const socket = new LinuxUdp(fd, options.ip.slice(), boundPort(fd));
    socket.setBuffers(UDP_BUFFER_LENGTH);
    return socket;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

function bindToDevice(fd: number, device: string): void {
  const name = new TextEncoder().encode(device);
  check(
    `bind a UDP socket to device ${device}`,
    libc().setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, name.length),
    { ENODEV: "there is no such device" },
  );
}

function boundPort(fd: number): number {
  const address = new Uint8Array(new ArrayBuffer(SOCKADDR_ROOM));
  const length = new Uint32Array([SOCKADDR_ROOM]);
  check("ask which port was bound", libc().getsockname(fd, address, length));
  return decodeSockaddr(address).port;
}

function setInt(fd: number, level: number, name: number, value: number, what: string): void {
  check(`${what} on a UDP socket`, trySetInt(fd, level, name, value));
}

function trySetInt(fd: number, level: number, name: number, value: number): number {
  return libc().setsockopt(fd, level, name, new Int32Array([value]), 4);
}

/** For messages only: IPv6 in full groups. */
function textOf(ip: Ip): string {
  if (ip.length === 4) return ip.join(".");
  return Array.from(new Uint16Array(8), (_, i) => ((ip[i * 2] << 8) | ip[i * 2 + 1]).toString(16))
    .join(":");
}

class LinuxUdp implements UdpSocket {
  #closed = false;

  constructor(readonly fd: number, readonly ip: Ip, readonly port: number) {}

  sendTo(bytes: Uint8Array, to: Endpoint, { ttl, whole }: SendHow = {}): boolean {
    if (bytes.length > DATAGRAM_LENGTH_MAX) {
      throw new RangeError(`datagram of ${bytes.length} bytes is over ${DATAGRAM_LENGTH_MAX}`);
    }
    if (to.ip.length !== this.ip.length) return false;
    const send = ttl === undefined
      ? () => this.#sendPlain(bytes, to)
      : () => sendWithTtl(this.fd, bytes, to, ttl);
    // There is no such choice per datagram. What the data Worker sends in between is not fragmented either: no harm.
    if (whole) this.#discoverMtu(MTU_DISCOVER_PROBE);
    try {
      if (send() >= 0) return true;
      // An ICMP answer to an earlier datagram surfaces here and has nothing to do with this one.
      return errno() === ECONNREFUSED && send() >= 0;
    } finally {
      if (whole) this.#discoverMtu(MTU_DISCOVER_DONT);
    }
  }

  #discoverMtu(how: number): void {
    if (this.ip.length === 4) trySetInt(this.fd, IPPROTO_IP, IP_MTU_DISCOVER, how);
    else trySetInt(this.fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, how);
  }

  #sendPlain(bytes: Uint8Array, to: Endpoint): number {
    const length = sockaddrLength(to.ip.length);
    const data = bytes as Uint8Array<ArrayBuffer>;
    return libc().sendto(
      this.fd,
      data,
      BigInt(data.length),
      MSG_DONTWAIT,
      encodeSockaddr(to),
      length,
    );
  }

  setBuffers(lengthBytes: number): void {
    // The forcing form needs cap_net_admin; the plain one is cut to the system's maximum, which is no error.
    for (const [force, plain] of [[SO_SNDBUFFORCE, SO_SNDBUF], [SO_RCVBUFFORCE, SO_RCVBUF]]) {
      if (trySetInt(this.fd, SOL_SOCKET, force, lengthBytes) < 0) {
        trySetInt(this.fd, SOL_SOCKET, plain, lengthBytes);
      }
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeFd(this.fd);
  }
}

// One message, its iovec, address, control message and payload, for datagrams with a time to live of their own.
const HEADER_AT = 0; // msghdr, 56 bytes
const IOVEC_AT = 64;
const NAME_AT = 80;
const CONTROL_AT = 112; // cmsghdr 16 + int 4, rounded up to 24
const PAYLOAD_AT = 136;
let message: Block | undefined;

function sendWithTtl(fd: number, bytes: Uint8Array, to: Endpoint, ttl: number): number {
  message ??= new Block(PAYLOAD_AT + DATAGRAM_LENGTH_MAX);
  const { view } = message;
  message.bytes.set(bytes, PAYLOAD_AT);
  const nameLength = putSockaddr(message.bytes, NAME_AT, to.ip, 0, to.ip.length, to.port);
  message.putAddress(message.words, HEADER_AT, NAME_AT);
  view.setUint32(HEADER_AT + 8, nameLength, true);
  message.putAddress(message.words, HEADER_AT + 16, IOVEC_AT);
  view.setUint32(HEADER_AT + 24, 1, true);
  message.putAddress(message.words, HEADER_AT + 32, CONTROL_AT);
  view.setUint32(HEADER_AT + 40, 24, true);
  message.putVector(message.words, IOVEC_AT, PAYLOAD_AT, bytes.length);
  const ipv4 = to.ip.length === 4;
  view.setUint32(CONTROL_AT, 20, true);
  view.setInt32(CONTROL_AT + 8, ipv4 ? IPPROTO_IP : IPPROTO_IPV6, true);
  view.setInt32(CONTROL_AT + 12, ipv4 ? IP_TTL : IPV6_HOPLIMIT, true);
  view.setInt32(CONTROL_AT + 16, ttl, true);
  return libc().sendmsg(fd, message.address, MSG_DONTWAIT);
}
