/**
 * What a running service says about itself when asked for a diagnosis: it greets its roots from every socket, waits for
 * them and for gateways a few seconds, and tells what came of it.
 * @module
 */
import { formatAddress } from "../../../lib/base/ids.ts";
import { formatEndpoint, formatPrefix, sameIp } from "../../../lib/base/ip.ts";
import { natView } from "../../../lib/node/nat_kind.ts";
import { isTunnel, type Path } from "../../../lib/peer/path.ts";
import { lossFraction, type Peer } from "../../../lib/peer/peer.ts";
import { formatWorldId } from "../planet_files.ts";
import { pause } from "../port_mapping/wire.ts";
import type { Service } from "../service.ts";
import { ZT_VERSION } from "../version.ts";
import type { DeviceFacts, DoctorFacts, RootFacts } from "./facts.ts";
import { machineFacts } from "./machine_facts.ts";
import { linkContext, peerLink } from "./peer_link.ts";

const ROOTS_WAIT_MS = 2_000; // an answer from the other side of the world takes 0.4 s; one may be lost
const GATEWAY_WAIT_MS = 6_500; // three protocols, one after the other
const LENGTH_WAIT_MS = 4_500; // until it is clear that only the shortest datagrams get through
const POLL_MS = 50;
const SETTLE_MS = 150; // after the first answer of each root: the other sockets' come a little later
const REPORTS_SLACK_MS = 20; // answers that came while we asked

/** Gathers; at most {@linkcode GATEWAY_WAIT_MS} and a little. */
export async function serviceFacts(service: Service, signal: AbortSignal): Promise<DoctorFacts> {
  const startMs = service.nowMs;
  service.command({ kind: "greet-upstreams" });
  const proxy = service.tunnels.probeProxy(); // six seconds at most
  await waitFor(() => everyRootHeard(service, startMs), ROOTS_WAIT_MS, signal);
  await pause(SETTLE_MS, signal);
  service.command({ kind: "measure-upstreams" });
  await waitFor(() => everyRootMeasured(service), LENGTH_WAIT_MS, signal);
  const isMapped = () => service.mapper.status.every(({ pending }) => !pending);
  await waitFor(isMapped, GATEWAY_WAIT_MS - (service.nowMs - startMs), signal);
  const httpProxy = await proxy;
  const { node, sockets, settings } = service;
  const { upstreams } = node.vl1;
  const reports = node.surface.reportsSince(startMs - REPORTS_SLACK_MS);
  const udp = node.vl1.sockets.filter(({ id }) => !isTunnel(id));
  return {
    address: formatAddress(node.address),
    version: ZT_VERSION,
    online: node.isOnline,
    machine: machineFacts(service.home),
    ports: {
      primary: sockets.primaryPort,
      secondary: sockets.secondaryPort ?? null,
      tertiary: sockets.tertiaryPort ?? null,
      bound: sockets.describe(),
      refused: sockets.refused,
    },
    isUdpForbidden: settings.current.forceTcpRelay,
    tcpRelay: service.tunnels.relay ?? null,
    httpProxy: httpProxy ?? null,
    ipv4: natView(reports, udp, 4),
    ipv6: natView(reports, udp, 16),
    roots: upstreams.peers().map((peer) => rootFacts(service, peer)),
    moonsAwaited: upstreams.wanted.map(({ world, seed }) => ({
      id: formatWorldId(world),
      seed: formatAddress(seed),
    })),
    portMapping: {
      enabled: settings.current.portMappingEnabled,
      ports: service.mapper.status,
    },
    devices: deviceFacts(service),
    clock: {
      movedMs: Math.round(service.clockMovedMs),
      planetMs: Number(upstreams.planet.timestamp),
    },
  };
}

function everyRootHeard(service: Service, sinceMs: number): boolean {
  return service.node.vl1.upstreams.peers().every((peer) => peer.lastReceiveMs >= sinceMs);
}

function everyRootMeasured(service: Service): boolean {
  return service.node.vl1.upstreams.peers().every((peer) => {
    const best = peer.best(service.nowMs);
    return !best || best.path.isTunnel || datagramBytesMax(service, best.path) !== null;
  });
}

/** Null until it was measured. */
function datagramBytesMax({ node }: Service, path: Path): number | null {
  const configured = node.vl1.settings.pathMtu?.(path.endpoint);
  return configured ?? (path.mtuCheckedMs === -Infinity ? null : path.mtu);
}

async function waitFor(isTrue: () => boolean, patienceMs: number, signal: AbortSignal) {
  for (let waitedMs = 0; waitedMs < patienceMs && !isTrue() && !signal.aborted;) {
    await pause(POLL_MS, signal);
    waitedMs += POLL_MS;
  }
}

function rootFacts(service: Service, peer: Peer): RootFacts {
  const { node, nowMs, settings } = service;
  const { upstreams } = node.vl1;
  const best = peer.best(nowMs);
  const link = peerLink(peer, linkContext(node, nowMs, settings.current.forceTcpRelay));
  return {
    address: formatAddress(peer.address),
    role: upstreams.isPlanetRoot(peer.address) ? "PLANET" : "MOON",
    endpoints: (upstreams.endpointsOf(peer.address) ?? []).map(formatEndpoint),
    link: !best ? null : best.path.isTunnel ? "tcp" : "udp",
    path: best ? formatEndpoint(best.path.endpoint) : null,
    roundTripMs: link.roundTripMs,
    lossFraction: best ? lossFraction(best) : null,
    datagramBytesMax: best && !best.path.isTunnel ? datagramBytesMax(service, best.path) : null,
    heardMs: link.heardMs,
    reason: link.reason,
  };
}

/** The devices our sockets are bound to. */
function deviceFacts(service: Service): DeviceFacts[] {
  const { links, addresses } = service.networkState();
  return links.flatMap(({ index, name, mtu, running }) => {
    const ours = addresses.filter(({ index: on, prefix }) =>
      on === index && service.sockets.all.some(({ ip }) => sameIp(ip, prefix.ip))
    );
    if (ours.length === 0) return [];
    return [{ name, mtu, running, addresses: ours.map(({ prefix }) => formatPrefix(prefix)) }];
  });
}
