/**
 * Addresses over rtnetlink.
 *
 *     ifaddrmsg (8)   family u8, prefix length u8, flags u8, scope u8, index u32
 *
 * Source: spec 07 section 5, spec 06 section 9.4; `linux/if_addr.h`.
 * @module
 */
import type { Prefix } from "../../lib/base/ip.ts";
import type { LinkAddress } from "../machine.ts";
import { EADDRNOTAVAIL, ENODEV } from "./errno.ts";
import type { Netlink } from "./netlink.ts";
import { attributesIn, bytesOf, type Message, MessageWriter } from "./netlink_message.ts";
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE } from "./netlink_message.ts";
import { familyOf } from "./sockaddr.ts";

const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const INFO_LENGTH = 8;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_FLAGS = 8;

const IFA_F_TEMPORARY = 0x01;
const IFA_F_NODAD = 0x02;
const IFA_F_DADFAILED = 0x08;
const IFA_F_DEPRECATED = 0x20;
const IFA_F_TENTATIVE = 0x40;

/** All addresses of the namespace, both families. */
export function listAddresses(netlink: Netlink): LinkAddress[] {
  const make = () => new MessageWriter(RTM_GETADDR, NLM_F_DUMP).u8(0).u8(0).u8(0).u8(0).u32(0);
  return netlink.dump("list addresses", make, decodeAddress);
}

function decodeAddress(message: Message): LinkAddress | undefined {
  if (message.type !== RTM_NEWADDR || message.body.byteLength < INFO_LENGTH) return undefined;
  const attributes = attributesIn(message.body, INFO_LENGTH);
  // LOCAL is ours; ADDRESS is the other end's on a point-to-point device, and the only one IPv6 gives.
  const own = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  if (!own || (own.byteLength !== 4 && own.byteLength !== 16)) return undefined;
  const flags = attributes.get(IFA_FLAGS)?.getUint32(0, true) ?? message.body.getUint8(2);
  return {
    index: message.body.getUint32(4, true),
    prefix: { ip: bytesOf(own), bits: message.body.getUint8(1) },
    temporary: (flags & IFA_F_TEMPORARY) !== 0 && own.byteLength === 16, // IPv4: "secondary"
    deprecated: (flags & IFA_F_DEPRECATED) !== 0,
    tentative: (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) !== 0,
  };
}

/** Gives a device an address with its prefix, for ever; having it already is fine. @throws {SystemError} */
export function addAddress(netlink: Netlink, index: number, prefix: Prefix): void {
  const writer = request(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, index, prefix);
  if (prefix.ip.length === 4 && prefix.bits < 31) {
    writer.attribute(IFA_BROADCAST, broadcastOf(prefix));
  }
  netlink.request(`add ${textOf(prefix)} to network device ${index}`, writer, {
    remedies: { EACCES: "IPv6 is switched off on this device (net.ipv6.conf.*.disable_ipv6)" },
  });
}

/** @returns false when the device had no such address, or is gone. @throws {SystemError} */
export function removeAddress(netlink: Netlink, index: number, prefix: Prefix): boolean {
  const writer = request(RTM_DELADDR, NLM_F_ACK, index, prefix);
  const operation = `remove ${textOf(prefix)} from network device ${index}`;
  return netlink.request(operation, writer, { allowed: [EADDRNOTAVAIL, ENODEV] }) === 0;
}

function request(type: number, flags: number, index: number, prefix: Prefix): MessageWriter {
  // Without NODAD an IPv6 address is unusable for about a second; members' addresses are unique by design.
  const addressFlags = prefix.ip.length === 16 ? IFA_F_NODAD : 0;
  return new MessageWriter(type, flags)
    .u8(familyOf(prefix.ip.length)).u8(prefix.bits).u8(addressFlags).u8(0).u32(index)
    .attribute(IFA_LOCAL, prefix.ip).attribute(IFA_ADDRESS, prefix.ip);
}

function broadcastOf(prefix: Prefix): Uint8Array {
  return prefix.ip.map((byte, i) => byte | (0xff >> Math.min(8, Math.max(0, prefix.bits - i * 8))));
}

/** For messages only. */
function textOf(prefix: Prefix): string {
  const ip = prefix.ip.length === 4
    ? prefix.ip.join(".")
    : Array.from(prefix.ip, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${ip}/${prefix.bits}`;
}
