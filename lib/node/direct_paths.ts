/**
 * PUSH_DIRECT_PATHS: telling a fellow member where we may be reached, and probing where it says it is.
 *
 * Source: spec 02 section 10.16, spec 03 section 16; the reference's receiver closes after 8 pushes
 * that are less than 30 s apart, so ours come in a short burst and then further apart (spec 03
 * section 28 item 2).
 * @module
 */
import { Writer } from "../base/bytes.ts";
import { type Endpoint, formatEndpoint, Scope, scopeOf } from "../base/ip.ts";
import type { Path } from "../peer/path.ts";
import type { Peer } from "../peer/peer.ts";
import { Verb } from "../wire/packet.ts";
import {
  decodePushDirectPaths,
  encodePushDirectPaths,
  PortNote,
} from "../wire/push_direct_paths.ts";
import type { Bonds } from "./bonds.ts";
import type { Contact } from "./contact.ts";
import { predictSurfaces } from "./port_choice.ts";
import type { PortProbing } from "./port_probing.ts";
import type { Surface } from "./surface.ts";
import type { Vl1 } from "./vl1.ts";

const PUSH_DIRECT_MS = 120_000; // spacing while a direct path exists; reference ZT_DIRECT_PATH_PUSH_INTERVAL_HAVEPATH
const LOW_BANDWIDTH_FACTOR = 16; // of that spacing, in low bandwidth mode; as the reference
const PUSH_BURST_MS = [0, 1_000, 3_000, 6_000]; // spacing of the first pushes while relayed...
const PUSH_RELAYED_MS = 31_000; // ...and of all later ones: more than 30 s reopens the reference's gate
const ADDRESSES_MAX = 30; // in one packet of at most 1200 bytes
const PER_SCOPE_MAX = 8; // probed from one packet, per scope and family; as the reference does

export class DirectPaths {
  #mapped: readonly Endpoint[] = [];

  constructor(
    readonly vl1: Vl1,
    readonly contact: Contact,
    readonly surface: Surface,
    readonly portProbing: PortProbing,
    readonly bonds: Bonds,
  ) {}

  /** Addresses besides the sockets' own: where gateways pass packets on to us. */
  get mapped(): readonly Endpoint[] {
    return this.#mapped;
  }

  /** Takes the mappings there are now; peers that only reach us by relay are told of new ones at once. */
  setMapped(endpoints: readonly Endpoint[]): void {
    const before = new Set(this.#mapped.map(formatEndpoint));
    this.#mapped = endpoints;
    if (endpoints.every((endpoint) => before.has(formatEndpoint(endpoint)))) return;
    const { nowMs } = this.vl1;
    for (const peer of this.vl1.peers.values()) {
      if (!peer.isTrusted(nowMs) || peer.best(nowMs)) continue;
      const route = this.vl1.route(peer);
      if (!route?.relay) continue;
      peer.pushesSent = 0;
      peer.lastPushSentMs = -Infinity;
      this.maybePush(peer, route.via.path, false);
    }
  }

  /** Pushes if it is time; by the path the last packet came by, so through the relay while there is no other. */
  maybePush(peer: Peer, path: Path, direct: boolean): void {
    const { nowMs } = this.vl1;
    if (direct) peer.pushesSent = 0;
    const spacingMs = direct ? this.#directSpacingMs : relayedSpacingMs(peer);
    if (nowMs - peer.lastPushSentMs < spacingMs) return;
    const endpoints = this.addresses();
    if (endpoints.length === 0) return;
    peer.lastPushSentMs = nowMs;
    peer.pushesSent++;
    const w = new Writer(512);
    // What is said of all ports stands beside the first.
    const noted = endpoints.findIndex(({ ip }) => ip.length === 4);
    const paths = endpoints.map((endpoint, i) => ({
      endpoint,
      ...i === noted && { note: this.portProbing.note },
      forget: false,
      redirect: false,
    }));
    encodePushDirectPaths(paths, w);
    this.vl1.transmit(peer, path, Verb.PUSH_DIRECT_PATHS, w.finish(), { compress: true });
  }

  get #directSpacingMs(): number {
    const isLow = this.vl1.settings.isLowBandwidth?.() ?? false;
    return isLow ? PUSH_DIRECT_MS * LOW_BANDWIDTH_FACTOR : PUSH_DIRECT_MS;
  }

  /** When a relayed peer is told again, if anything comes from it then. */
  nextPushMs(peer: Peer): number {
    return peer.lastPushSentMs === -Infinity
      ? this.vl1.nowMs
      : peer.lastPushSentMs + relayedSpacingMs(peer);
  }

  /**
   * What we tell others: port mappings, confirmed surfaces and where our NAT may let in whom it
   * does not know yet, sockets' addresses; no duplicates.
   */
  addresses(): Endpoint[] {
    const found = new Map<string, Endpoint>();
    const local = this.vl1.sockets
      .filter((socket) => socket.ip.some((byte) => byte !== 0))
      .map(({ ip, port }) => ({ ip, port }));
    const { nowMs } = this.vl1;
    const confirmed = this.surface.confirmed(nowMs);
    const predicted = predictSurfaces(this.surface.latelyReported(nowMs));
    for (const endpoint of [...this.mapped, ...confirmed, ...predicted, ...local]) {
      const scope = scopeOf(endpoint.ip);
      if (scope === Scope.GLOBAL || scope === Scope.PRIVATE || scope === Scope.PSEUDOPRIVATE) {
        found.set(formatEndpoint(endpoint), endpoint);
      }
    }
    return [...found.values()].slice(0, ADDRESSES_MAX);
  }

  /** Probes the addresses a peer says it has; the redirect flag means no more than any other address. */
  receive(peer: Peer, payload: Uint8Array): void {
    if (!peer.budgets.push.take(this.vl1.nowMs)) return this.vl1.counters.drop("rate");
    const tried = new Map<string, number>();
    const { items } = decodePushDirectPaths(payload);
    this.portProbing.told(peer, items);
    for (const { endpoint, note, forget } of items) {
      if (forget || note === PortNote.OPEN) continue;
      const group = `${scopeOf(endpoint.ip)}/${endpoint.ip.length}`;
      const count = tried.get(group) ?? 0;
      if (count >= PER_SCOPE_MAX) continue;
      tried.set(group, count + 1);
      this.contact.punch(peer, endpoint, undefined, false);
      this.bonds.offered(peer, endpoint);
    }
  }
}

function relayedSpacingMs(peer: Peer): number {
  return PUSH_BURST_MS[peer.pushesSent] ?? PUSH_RELAYED_MS;
}
