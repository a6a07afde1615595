/**
 * What kind of NAT is before us, judged by how others see our sockets: the same address and port
 * for everyone, or another port for each.
 *
 * Source: spec 03 section 17 and 28 item 11; names of kinds as in RFC 4787 section 4.1.
 * @module
 */
import { type Endpoint, formatEndpoint, sameEndpoint, Scope, scopeOf } from "../base/ip.ts";
import type { SurfaceReport } from "./surface.ts";
import type { LocalSocket, SocketId } from "../peer/path.ts";

/**
 * - `unknown`: nobody has said how we look.
 * - `none`: seen as we are; nothing translates.
 * - `translated`: something translates, but too few have said how we look to tell more.
 * - `endpoint-independent`: one outside port for everyone; others can be told where to find us.
 * - `symmetric`: another outside port, or address, for each destination; nobody can be told.
 */
export type NatKind = "unknown" | "none" | "translated" | "endpoint-independent" | "symmetric";

/** One address family as the outside sees it. */
export type NatView = {
  kind: NatKind;
  /** "ip/port" others see, the latest first. */
  surfaces: string[];
  /** How many places have said so. */
  witnesses: number;
};

const SURFACES_SHOWN_MAX = 8;
/** Which socket's word counts when they differ: one seen from few places knows less than one seen from several. */
const ORDER: readonly NatKind[] = ["symmetric", "endpoint-independent", "translated", "none"];

/** @param reports Made at about the same time: a mapping that was renewed in between would look like two */
export function natView(
  reports: readonly SurfaceReport[],
  sockets: readonly LocalSocket[],
  ipLength: 4 | 16,
): NatView {
  const ofFamily = reports.filter(({ surface }) => surface.ip.length === ipLength);
  // Neighbours on the LAN see us before the NAT: the Internet's word counts where there is one.
  const global = ofFamily.filter(({ surface }) => scopeOf(surface.ip) === Scope.GLOBAL);
  const counted = (global.length > 0 ? global : ofFamily).sort((a, b) => b.atMs - a.atMs);
  const bySocket = new Map<SocketId, SurfaceReport[]>();
  for (const report of counted) {
    bySocket.set(report.socket, [...bySocket.get(report.socket) ?? [], report]);
  }
  const kinds = [...bySocket].flatMap(([id, ofSocket]) => {
    const socket = sockets.find((one) => one.id === id);
    return socket ? [kindOf(ofSocket, socket)] : [];
  });
  const surfaces = [...new Set(counted.map(({ surface }) => formatEndpoint(surface)))];
  return {
    kind: ORDER.find((kind) => kinds.includes(kind)) ?? "unknown",
    surfaces: surfaces.slice(0, SURFACES_SHOWN_MAX),
    witnesses: new Set(counted.map(({ remote }) => formatEndpoint(remote))).size,
  };
}

function kindOf(reports: readonly SurfaceReport[], socket: LocalSocket): NatKind {
  const [first] = reports;
  const differs = ({ surface }: SurfaceReport) => !sameEndpoint(surface, first.surface);
  if (reports.some(differs)) return "symmetric";
  if (isAsBound(first.surface, socket)) return "none";
  const places = new Set(reports.map(({ remote }) => formatEndpoint(remote)));
  return places.size > 1 ? "endpoint-independent" : "translated";
}

function isAsBound(surface: Endpoint, socket: LocalSocket): boolean {
  const isAny = socket.ip.every((byte) => byte === 0);
  return surface.port === socket.port && (isAny || sameEndpoint(surface, socket));
}
