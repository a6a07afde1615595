/**
 * Routes of the main table over rtnetlink.
 *
 *     rtmsg (12)   family u8, target bits u8, source bits u8, tos u8, table u8, protocol u8, scope u8,
 *                  type u8, flags u32
 *
 * Source: spec 07 section 5, spec 04 section 13.4; `linux/rtnetlink.h`.
 * @module
 */
import type { Route } from "../machine.ts";
import { EEXIST, ENODEV, ENOENT, ESRCH, type Remedies } from "./errno.ts";
import type { Netlink } from "./netlink.ts";
import { attributesIn, bytesOf, type Message, MessageWriter } from "./netlink_message.ts";
import {
  NLM_F_ACK,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
} from "./netlink_message.ts";
import { AF_INET, AF_INET6, familyOf } from "./sockaddr.ts";

const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const INFO_LENGTH = 12;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_TABLE = 15;

const TABLE_MAIN = 254;
const PROTOCOL_STATIC = 4;
const TYPE_UNICAST = 1;
const SCOPE_UNIVERSE = 0;
const SCOPE_LINK = 253;
const SCOPE_NOWHERE = 255;
const RTM_F_CLONED = 0x200; // a cached entry, not a route

const REMEDIES: Remedies = {
  ENETUNREACH: "its gateway is not reachable through that device",
  EINVAL: "its gateway or source address does not fit that device",
  ENETDOWN: "the device is down",
};

/** All unicast routes of the main table, both families. */
export function listRoutes(netlink: Netlink): Route[] {
  return [AF_INET, AF_INET6].flatMap((family) => {
    const make = () =>
      new MessageWriter(RTM_GETROUTE, NLM_F_DUMP)
        .u8(family).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u32(0);
    return netlink.dump("list routes", make, decodeRoute);
  });
}

function decodeRoute(message: Message): Route | undefined {
  const { body } = message;
  if (message.type !== RTM_NEWROUTE || body.byteLength < INFO_LENGTH) return undefined;
  if (body.getUint8(7) !== TYPE_UNICAST) return undefined;
  if ((body.getUint32(8, true) & RTM_F_CLONED) !== 0) return undefined;
  const attributes = attributesIn(body, INFO_LENGTH);
  const table = attributes.get(RTA_TABLE)?.getUint32(0, true) ?? body.getUint8(4);
  if (table !== TABLE_MAIN) return undefined;
  const ipLength = body.getUint8(0) === AF_INET ? 4 : 16;
  const bytes = (type: number) => {
    const data = attributes.get(type);
    return data && bytesOf(data);
  };
  const number = (type: number) => attributes.get(type)?.getUint32(0, true);
  return {
    target: { ip: bytes(RTA_DST) ?? new Uint8Array(ipLength), bits: body.getUint8(1) },
    gateway: bytes(RTA_GATEWAY),
    index: number(RTA_OIF),
    metric: number(RTA_PRIORITY),
    source: bytes(RTA_PREFSRC),
  };
}

/**
 * Adds a route with protocol "static", behind those of others with the same target and metric: theirs stay, and count
 * first. Having it already is fine.
 * @throws {SystemError}
 */
export function addRoute(netlink: Netlink, route: Route): void {
  setRoute(netlink, route, NLM_F_APPEND, [EEXIST]);
}

/**
 * Adds a route with protocol "static", or takes the place of the one with the same target and metric.
 * @throws {SystemError}
 */
export function replaceRoute(netlink: Netlink, route: Route): void {
  setRoute(netlink, route, NLM_F_REPLACE, []);
}

function setRoute(netlink: Netlink, route: Route, how: number, allowed: readonly number[]): void {
  const flags = NLM_F_ACK | NLM_F_CREATE | how;
  // IPv4 wants to be told that a route without gateway ends on the link; IPv6 has no such notion.
  const onLink = !route.gateway && route.target.ip.length === 4;
  const scope = onLink ? SCOPE_LINK : SCOPE_UNIVERSE;
  const writer = attributes(
    header(RTM_NEWROUTE, flags, route, PROTOCOL_STATIC, scope, TYPE_UNICAST),
    route,
  );
  if (route.source) writer.attribute(RTA_PREFSRC, route.source);
  netlink.request(`add ${describe(route)}`, writer, { allowed, remedies: REMEDIES });
}

/** @returns false when there was no such route. @throws {SystemError} */
export function removeRoute(netlink: Netlink, route: Route): boolean {
  const writer = attributes(header(RTM_DELROUTE, NLM_F_ACK, route, 0, SCOPE_NOWHERE, 0), route);
  const allowed = [ESRCH, ENOENT, ENODEV];
  return netlink.request(`remove ${describe(route)}`, writer, { allowed }) === 0;
}

function header(
  type: number,
  flags: number,
  route: Route,
  protocol: number,
  scope: number,
  kind: number,
): MessageWriter {
  return new MessageWriter(type, flags)
    .u8(familyOf(route.target.ip.length)).u8(route.target.bits).u8(0).u8(0)
    .u8(TABLE_MAIN).u8(protocol).u8(scope).u8(kind).u32(0);
}

function attributes(writer: MessageWriter, route: Route): MessageWriter {
  if (route.target.bits > 0) writer.attribute(RTA_DST, route.target.ip);
  if (route.gateway) writer.attribute(RTA_GATEWAY, route.gateway);
  if (route.index !== undefined) writer.attributeU32(RTA_OIF, route.index);
  if (route.metric !== undefined) writer.attributeU32(RTA_PRIORITY, route.metric);
  return writer;
}

/** For messages only. */
function describe(route: Route): string {
  const { ip, bits } = route.target;
  const text = ip.length === 4
    ? ip.join(".")
    : Array.from(ip, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `route to ${text}/${bits}${route.index === undefined ? "" : ` on device ${route.index}`}`;
}
