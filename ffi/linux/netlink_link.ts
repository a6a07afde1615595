/**
 * Network devices over rtnetlink: list, change, create, move, delete.
 *
 *     ifinfomsg (16)   family u8, pad u8, type u16, index i32, flags u32, change u32
 *
 * Source: spec 07 section 5 and appendix; `linux/rtnetlink.h`, `linux/if_link.h`.
 * @module
 */
import type { Link } from "../machine.ts";
import { ENODEV, type Remedies } from "./errno.ts";
import type { Netlink } from "./netlink.ts";
import { attributesIn, macOf, type Message, MessageWriter, textOf } from "./netlink_message.ts";
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL } from "./netlink_message.ts";

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const INFO_LENGTH = 16;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_MASTER = 10;
const IFLA_TXQLEN = 13;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_FD = 28;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;

const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_RUNNING = 0x40;
const IFF_MULTICAST = 0x1000;

const REMEDIES: Remedies = {
  EEXIST: "a device of that name exists",
  EOPNOTSUPP: "this kernel lacks that kind of device",
};

/** All devices of the namespace. */
export function listLinks(netlink: Netlink): Link[] {
  const make = () => header(new MessageWriter(RTM_GETLINK, NLM_F_DUMP), 0);
  return netlink.dump("list network devices", make, decodeLink);
}

/** @returns undefined when no device has that name */
export function findLink(netlink: Netlink, name: string): Link | undefined {
  return listLinks(netlink).find((link) => link.name === name);
}

function header(writer: MessageWriter, index: number, flags = 0, change = 0): MessageWriter {
  return writer.u8(0).u8(0).u16(0).u32(index).u32(flags).u32(change);
}

function decodeLink(message: Message): Link | undefined {
  if (message.type !== RTM_NEWLINK || message.body.byteLength < INFO_LENGTH) return undefined;
  const attributes = attributesIn(message.body, INFO_LENGTH);
  const name = attributes.get(IFLA_IFNAME);
  if (!name) return undefined;
  const flags = message.body.getUint32(8, true);
  const address = attributes.get(IFLA_ADDRESS);
  const info = attributes.get(IFLA_LINKINFO);
  const kind = info && attributesIn(info, 0).get(IFLA_INFO_KIND);
  return {
    index: message.body.getInt32(4, true),
    name: textOf(name),
    mac: address && macOf(address),
    mtu: attributes.get(IFLA_MTU)?.getUint32(0, true) ?? 0,
    flags,
    up: (flags & IFF_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    running: (flags & IFF_RUNNING) !== 0,
    kind: kind && textOf(kind),
    master: attributes.get(IFLA_MASTER)?.getUint32(0, true),
  };
}

/** What to change about a device; what is absent stays. */
export interface LinkChange {
  /** Six bytes. */
  readonly mac?: Uint8Array;
  readonly mtu?: number;
  /** Packets the kernel queues for transmission. */
  readonly queueLength?: number;
  readonly up?: boolean;
  readonly multicast?: boolean;
  readonly name?: string;
  /** Index of the bridge it joins; 0 leaves the one it is in. */
  readonly master?: number;
  /** Descriptor of the network namespace it moves to: gone from here, down, addresses lost. */
  readonly namespaceFd?: number;
}

/** Changes a device. @throws {SystemError} naming what was to change */
export function setLink(netlink: Netlink, index: number, change: LinkChange): void {
  let flags = 0;
  let mask = 0;
  const flag = (bit: number, wanted: boolean | undefined) => {
    if (wanted === undefined) return;
    mask |= bit;
    if (wanted) flags |= bit;
  };
  flag(IFF_UP, change.up);
  flag(IFF_MULTICAST, change.multicast);
  const writer = header(new MessageWriter(RTM_NEWLINK, NLM_F_ACK), index, flags, mask);
  if (change.mac) writer.attribute(IFLA_ADDRESS, change.mac);
  if (change.mtu !== undefined) writer.attributeU32(IFLA_MTU, change.mtu);
  if (change.queueLength !== undefined) writer.attributeU32(IFLA_TXQLEN, change.queueLength);
  if (change.name !== undefined) writer.attributeText(IFLA_IFNAME, change.name);
  if (change.master !== undefined) writer.attributeU32(IFLA_MASTER, change.master);
  if (change.namespaceFd !== undefined) writer.attributeU32(IFLA_NET_NS_FD, change.namespaceFd);
  const what = Object.keys(change).join(", ");
  netlink.request(`set ${what} of network device ${index}`, writer, { remedies: REMEDIES });
}

/** One end of a cable. */
export interface CableEnd {
  readonly name: string;
  /** Descriptor of the network namespace it appears in. */
  readonly namespaceFd: number;
}

/** Creates two devices joined like the ends of a cable (veth), both down. @throws {SystemError} */
export function createCable(netlink: Netlink, a: CableEnd, b: CableEnd): void {
  const flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  const writer = header(new MessageWriter(RTM_NEWLINK, flags), 0);
  writer.attributeText(IFLA_IFNAME, a.name).attributeU32(IFLA_NET_NS_FD, a.namespaceFd);
  writer.nest(IFLA_LINKINFO, () => {
    writer.attributeText(IFLA_INFO_KIND, "veth");
    writer.nest(IFLA_INFO_DATA, () => {
      writer.nest(VETH_INFO_PEER, () => {
        header(writer, 0);
        writer.attributeText(IFLA_IFNAME, b.name).attributeU32(IFLA_NET_NS_FD, b.namespaceFd);
      });
    });
  });
  netlink.request(`create veth devices ${a.name} and ${b.name}`, writer, { remedies: REMEDIES });
}

/** Creates a bridge, down and without ports. @throws {SystemError} */
export function createBridge(netlink: Netlink, name: string): void {
  const flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  const writer = header(new MessageWriter(RTM_NEWLINK, flags), 0);
  writer.attributeText(IFLA_IFNAME, name);
  writer.nest(IFLA_LINKINFO, () => writer.attributeText(IFLA_INFO_KIND, "bridge"));
  netlink.request(`create bridge ${name}`, writer, { remedies: REMEDIES });
}

/** @returns false when there was no such device. @throws {SystemError} when it cannot be deleted */
export function deleteLink(netlink: Netlink, index: number): boolean {
  const writer = header(new MessageWriter(RTM_DELLINK, NLM_F_ACK), index);
  return netlink.request(`delete network device ${index}`, writer, { allowed: [ENODEV] }) === 0;
}
