/**
 * Which ports a symmetric NAT may have opened: those that follow the ones it was seen to use, as
 * NATs that count give out ports in a row, and then any.
 *
 * Source: spec 03 section 28 item 11.
 * @module
 */
import { type Endpoint, sameIp, Scope, scopeOf } from "../base/ip.ts";
import type { Random } from "../crypto/primitives.ts";
import type { SurfaceReport } from "./surface.ts";

const PORT_MIN = 1_024; // NATs give out no port below: Linux, BSD and RFC 6056 section 3.2
const PORTS = 65_536 - PORT_MIN;
const STEP_MAX = 16; // two ports no further apart come from a NAT that counts: by chance once in 2,000
const PREDICTED_MAX = 6; // with two known ones as many as a receiver of PUSH_DIRECT_PATHS tries
const FOLLOWING = 32; // ports tried behind each known one: a NAT serves others too

/**
 * Where our own NAT will probably let the next destination in, if it counts: told to peers, and tried by any of them,
 * the reference included.
 * @param reports How others see us lately
 */
export function predictSurfaces(reports: readonly SurfaceReport[]): Endpoint[] {
  const ofNat = reports.filter(({ surface, trusted }) =>
    surface.ip.length === 4 && scopeOf(surface.ip) === Scope.GLOBAL &&
    (trusted || reports.some((other) => other.trusted && sameIp(other.surface.ip, surface.ip)))
  );
  let last: SurfaceReport | undefined;
  for (const one of ofNat) {
    const before = ofNat.some(({ socket, surface: { ip, port } }) =>
      socket === one.socket && sameIp(ip, one.surface.ip) &&
      port < one.surface.port && one.surface.port - port <= STEP_MAX
    );
    if (before && (!last || one.surface.port > last.surface.port)) last = one;
  }
  if (!last) return [];
  const { ip, port } = last.surface;
  return following(port, PREDICTED_MAX).map((next) => ({ ip, port: next }));
}

/** The ports behind one, as a NAT that counts gives them out: from the highest on to the lowest. */
function following(port: number, count: number): number[] {
  const at = Math.max(0, port - PORT_MIN);
  return Array.from({ length: count }, (_, i) => PORT_MIN + (at + 1 + i) % PORTS);
}

/**
 * Ports of a peer's NAT in the order to try them, none twice, without end until all are used.
 * @param known Ports it was seen to use, the latest first
 * @param max How many at most
 */
export function* portsToTry(known: readonly number[], max: number, random: Random) {
  const tried = new Set<number>();
  const isNew = (port: number) => tried.size < max && !tried.has(port) && tried.add(port);
  for (const port of known) {
    for (const next of following(port, FOLLOWING)) if (isNew(next)) yield next;
  }
  const draw = new Uint8Array(4);
  while (tried.size < Math.min(max, PORTS)) {
    random(draw);
    const port = PORT_MIN + new DataView(draw.buffer).getUint32(0) % PORTS;
    if (isNew(port)) yield port;
  }
}

/** How many ports follow so many known ones. */
export function followingCount(known: readonly number[]): number {
  return known.length * FOLLOWING;
}
