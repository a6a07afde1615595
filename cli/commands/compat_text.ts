/**
 * The text `zerotier-cli` prints, to the column: scripts match on it.
 *
 * Source: spec 06 section 5.2, recorded in `cli.json`.
 * @module
 */
import type { NetworkInfo, PathInfo, PeerInfo, StatusInfo } from "../api/view.ts";
import { redactedConfText } from "../engine/conf_secrets.ts";
import { isObject, type Json, JsonNumber, type JsonObject } from "../engine/json.ts";

/** `info` and `status`. */
export function infoText(status: StatusInfo): string {
  const state = status.tcpFallbackActive ? "TUNNELED" : status.online ? "ONLINE" : "OFFLINE";
  return `200 info ${status.address} ${status.version} ${state}\n`;
}

/** The path packets take; undefined when they are relayed. */
export function preferredPath(peer: PeerInfo): PathInfo | undefined {
  return peer.paths.find((path) => path.preferred);
}

/** Version of a peer, "-" while it is unknown. */
export function peerVersion(peer: PeerInfo): string {
  return peer.versionMajor < 0 ? "-" : peer.version;
}

/** Milliseconds since an epoch time, -1 for never. */
function age(timeMs: number, nowMs: number): number {
  return timeMs > 0 ? nowMs - timeMs : -1;
}

/** `listpeers`. */
export function listPeersText(peers: PeerInfo[], nowMs: number): string {
  const rows = peers.map((peer) => {
    const path = preferredPath(peer);
    const where = path
      ? `${path.address};${age(path.lastSend, nowMs)};${age(path.lastReceive, nowMs)}`
      : "-";
    return `200 listpeers ${peer.address} ${where} ${peer.latency} ${
      peerVersion(peer)
    } ${peer.role}\n`;
  });
  return "200 listpeers <ztaddr> <path> <latency> <version> <role>\n" + rows.join("");
}

/** `peers`. */
export function peersText(peers: PeerInfo[], nowMs: number): string {
  const rows = peers.map((peer) => {
    const { address, role, latency } = peer;
    const columns = [
      address,
      peerVersion(peer).padEnd(6),
      role.padEnd(6),
      String(latency).padStart(5),
    ];
    return `${columns.join(" ")} ${linkText(peer, nowMs)}\n`;
  });
  const note = peers.some((peer) => peer.tunneled)
    ? "NOTE: packets are tunneled through a TCP relay: UDP seems to be blocked here.\n"
    : "";
  return "200 peers\n<ztaddr>   <ver>  <role> <lat> <link>   <lastTX> <lastRX> <path>\n" +
    rows.join("") + note;
}

function linkText(peer: PeerInfo, nowMs: number): string {
  const path = preferredPath(peer);
  if (!path) return "RELAY";
  const ages = [path.lastSend, path.lastReceive]
    .map((timeMs) => String(age(timeMs, nowMs)).padEnd(8)).join(" ");
  return peer.tunneled ? `RELAY ${ages} ${path.address}` : `DIRECT   ${ages} ${path.address}`;
}

/** `listnetworks`. */
export function listNetworksText(networks: NetworkInfo[], nowMs: number): string {
  const rows = networks.map((network) => {
    const { nwid, name, mac, status, type, portDeviceName, assignedAddresses } = network;
    const ips = assignedAddresses.join(",") || "-";
    return `200 listnetworks ${nwid} ${name} ${mac} ${status} ${type} ${portDeviceName} ${ips}\n` +
      signOnText(network, nowMs);
  });
  return "200 listnetworks <nwid> <name> <mac> <status> <type> <dev> <ZT assigned ips>\n" +
    rows.join("");
}

/** The extra line of a network with single sign-on. */
function signOnText(network: NetworkInfo, nowMs: number): string {
  if (!network.ssoEnabled) return "";
  const leftMs = (network.authenticationExpiryTime ?? 0) - nowMs;
  return network.status === "AUTHENTICATION_REQUIRED" || leftMs <= 0
    ? `    AUTH EXPIRED, URL: ${network.authenticationURL ?? ""}\n`
    : `    AUTH OK, expires in: ${Math.floor(leftMs / 1000)} seconds\n`;
}

/** `listbonds`. */
export function listBondsText(peers: JsonObject[]): string {
  const rows = peers.filter((peer) => peer.isBonded === true).map((peer) => {
    const policy = String(peer.bondingPolicyStr).padStart(32);
    const links = `${peer.numAliveLinks}/${peer.numTotalLinks}`;
    return `${String(peer.address).padStart(10)}  ${policy}         ${links}\n`;
  });
  return "    <peer>                        <bondtype>     <links>\n" +
    (rows.join("") || "      NONE\t\t\t\tNONE\t    NONE       NONE\n");
}

const RULER = "-".repeat(120);

/** `bond <peer> show`, recorded from the reference's own service. Quirk kept: the method is 0 whatever it is. */
export function bondText(peer: PeerInfo): string {
  const { paths } = peer;
  const facts: [string, unknown][] = [
    ["Peer", peer.address],
    ["Bond", peer.bondingPolicyStr],
    ["Link Select Method", 0],
    ["Links", `${peer.numAliveLinks}/${peer.numTotalLinks}`],
    ["Failover Interval (ms)", peer.failoverInterval],
    ["Up Delay (ms)", peer.upDelay],
    ["Down Delay (ms)", peer.downDelay],
    ["Packets Per Link", peer.packetsPerLink],
  ];
  const head = facts.map(([name, value]) => `${name.padEnd(23)}: ${value}\n`).join("");
  const where = paths.map(({ ifname, address, localSocket, localPort }, index) =>
    columns([
      [`${index}:`, 3],
      [ifname, 27],
      [address, 52],
      [localSocket.toString(16).padStart(16, "0"), 17],
      [localPort, 13],
    ])
  );
  const how = paths.map((path, index) =>
    columns([
      [`${index}:`, 3],
      [(path.latencyMean ?? 0).toFixed(2), 9],
      [(path.latencyVariance ?? 0).toFixed(2), 9],
      [path.givenLinkSpeed, 11],
      [(path.relativeQuality ?? 0).toFixed(4), 8],
      [path.lastInAge, 12],
      [path.lastOutAge, 12],
      [path.eligible, 10],
      [path.bonded, 8],
      [path.assignedFlowCount, 8],
    ])
  );
  return `${head}\n${PLACES_TITLE}\n${RULER}\n${where.join("")}\n${FIGURES_TITLE}\n${RULER}\n` +
    how.join("");
}

/** Cells right-aligned in columns of that width. */
function columns(cells: readonly (readonly [value: unknown, width: number])[]): string {
  return `${cells.map(([value, width]) => String(value).padStart(width)).join("")}\n`;
}

const PLACES_TITLE =
  "idx                  interface                                  path               socket             local port";
const FIGURES_TITLE =
  "idx     lat      pdv    capacity    qual      rx_age      tx_age  eligible  bonded   flows";

/** `get <nwid> <property>`; quirks kept: two of the special properties end in an extra blank line. */
export function propertyText(network: JsonObject, property: string): string {
  const assigned = Array.isArray(network.assignedAddresses) ? network.assignedAddresses : [];
  const ips = assigned.map((address) => String(address).split("/")[0]);
  const lines = (chosen: string[], end: string) => chosen.map((ip) => ip + end).join("");
  const sixPlane = ips.filter((ip) => ip.startsWith("fc"));
  switch (property) {
    case "ip":
      return lines(ips, "\n");
    case "ip4":
      return lines(ips.filter((ip) => !ip.includes(":")), "\n");
    case "ip6":
      return lines(ips.filter((ip) => ip.includes(":")), "\n");
    case "ip6plane":
      return lines(sixPlane, "\n\n");
    case "ip6prefix":
      return lines(sixPlane.map((ip) => ip.slice(0, 24)), "\n\n");
    default:
      return plainText(Object.hasOwn(network, property) ? network[property] : undefined);
  }
}

function plainText(value: Json | undefined): string {
  if (typeof value === "boolean") return value ? "1\n" : "0\n";
  if (typeof value === "string" || typeof value === "bigint") return `${value}\n`;
  if (typeof value === "number") return `${BigInt.asUintN(64, BigInt(Math.trunc(value)))}\n`;
  if (value instanceof JsonNumber) return `${value.text}\n`;
  return "error, unknown property name\n";
}

/** One network interface, for the dump. */
export interface InterfaceInfo {
  name: string;
  mtu: number;
  mac: string;
  addresses: string[];
}

/** What a dump is made of; bodies as the service sent them. */
export interface DumpParts {
  version: string;
  status: string;
  networks: string;
  peers: string;
  /** Undefined when there is no `local.conf`. */
  localConf: string | undefined;
  interfaces: InterfaceInfo[];
}

/** `dump`. */
export function dumpText(parts: DumpParts): string {
  const section = (title: string, body: string) =>
    `${title}\n${"-".repeat(title.length)}\n${body}\n\n`;
  const interfaces = parts.interfaces.map(({ name, mtu, mac, addresses }, index) => {
    const title = `Interface ${index}`;
    return `${title}\n${"-".repeat(title.length)}\nName: ${name}\nMTU: ${mtu}\nMAC: ${mac}\n` +
      `Addresses: \n${addresses.map((address) => `${address}\n`).join("")}`;
  });
  return `platform: Linux\nzerotier version: ${parts.version}\n\n` +
    section("status", parts.status) + section("networks", parts.networks) +
    section("peers", parts.peers) +
    section("local.conf", redactedConfText(parts.localConf ?? "None Present")) +
    `Network Interfaces\n------------------\n\n${interfaces.join("")}`;
}

/** First network of a list with this id, whatever the case. */
export function findNetwork(networks: Json, id: string): JsonObject | undefined {
  if (!Array.isArray(networks)) return undefined;
  return networks.filter(isObject).find((network) => network.nwid === id.toLowerCase());
}
